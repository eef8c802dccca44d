"""`settings --check` reads the keys of payouts as the start does."""

from pathlib import Path
from typing import Any

import pytest

from prizewire_chassis.lifecycle.files import refusals
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.home import repository_root, write_private
from prizewire_payouts.files import FILES
from prizewire_payouts.settings import PayoutSettings


@pytest.fixture
def values(keyring: Keyring, tmp_path: Path) -> dict[str, Any]:
    """The settings of a service whose files are all sound."""
    (tmp_path / "rails.yaml").write_text("rails: [{name: fake, provider: fake}]")
    return {
        "prizewire_environment": "development",
        "database_url": "postgresql://payouts@127.0.0.1:1/payouts",
        "kafka_sasl_password": "unused",
        "stellar_network_passphrase": "Test Network",
        "message_key_file": keyring.message_key_file("payouts"),
        "trust_file": keyring.trust_file,
        "jwt_jwks_file": keyring.jwks_file,
        "assets_file": repository_root() / "assets.yaml",
        "method_encryption_key_file": keyring.method_encryption_key_file,
        "rails_file": tmp_path / "rails.yaml",
    }


def refused(values: dict[str, Any], **changes: Any) -> list[str]:
    return list(refusals(PayoutSettings(**{**values, **changes}), FILES))


def test_sound_keys_are_accepted(values: dict[str, Any], keyring: Keyring) -> None:
    """With a former key of each kind nothing is refused."""
    other = values["method_encryption_key_file"].with_name("former.key")
    write_private(other, "c" * 64)
    assert (
        refused(
            values,
            method_encryption_former_key_files=str(other),
            payouts_former_message_key_files=str(keyring.message_key_file("rewards")),
        )
        == []
    )


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("method_encryption_key_file", "no key", "64 lower-case hex digits"),
        ("method_encryption_former_key_files", "no key", "64 lower-case hex digits"),
        ("payouts_former_message_key_files", "no key", "is no message key"),
    ],
)
def test_a_file_without_a_key_is_refused(
    values: dict[str, Any], tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    """The sentence does not repeat what the file holds."""
    file = tmp_path / "spoilt.key"
    write_private(file, text)
    (found,) = refused(values, **{name: str(file)})
    assert sentence in found
    assert text not in found


def test_a_key_that_is_named_twice_is_refused(values: dict[str, Any]) -> None:
    """The present key is no former one."""
    for name, former in (
        ("method_encryption_key_file", "method_encryption_former_key_files"),
        ("message_key_file", "payouts_former_message_key_files"),
    ):
        (found,) = refused(values, **{former: str(values[name])})
        assert former.upper() in found


def test_a_key_file_that_others_may_read_is_refused(values: dict[str, Any], tmp_path: Path) -> None:
    """Its mode is compared as at the start."""
    file = tmp_path / "open.key"
    file.write_text("c" * 64)
    file.chmod(0o644)
    for name in ("method_encryption_former_key_files", "payouts_former_message_key_files"):
        assert refused(values, **{name: str(file)}) == [
            "the key file open.key is readable by others: run chmod 600 on it"
        ]
