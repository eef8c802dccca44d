"""What a service would refuse at its start in a public file is found before, by the service's own reading."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from prizewire_devstack.doctor.checking import wrong_settings
from prizewire_devstack.doctor.configuration import Configuration, ServiceConfiguration
from prizewire_devstack.doctor.findings import Profile
from prizewire_devstack.doctor.sources import from_folder
from tools.devstack.tests.doctor import sound

Change = Callable[[ServiceConfiguration], ServiceConfiguration]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    folder = tmp_path_factory.mktemp("doctor") / "configuration"
    sound.write(folder, sound.environments(Profile.PRODUCTION), sound.public_files(now=sound.now()))
    return from_folder(folder)


def files(**texts: str) -> Change:
    """Files with other texts, by the settings that name them."""

    def change(one: ServiceConfiguration) -> ServiceConfiguration:
        changed = {one.value(name): text for name, text in texts.items()}
        return dataclasses.replace(one, files={**one.files, **changed})

    return change


def setting(name: str, value: str) -> Change:
    return lambda one: dataclasses.replace(one, environment={**one.environment, name: value})


def without_files(one: ServiceConfiguration) -> ServiceConfiguration:
    return dataclasses.replace(one, files={})


RAIL = "rails: [{name: stellar, provider: stellar, chanels: 3}]"
MISTAKES: list[tuple[str, Change, list[str]]] = [
    (
        "settlement",
        files(
            ASSETS_FILE="assets: [",
            TRUST_FILE='{"keys": [{}]}',
            KAFKA_CA_FILE="",
            JWT_JWKS_FILE='{"keys": []}',
        ),
        ["assets.yaml", "trust.json", "kafka-ca.crt", "jwks.json"],
    ),
    (
        "rewards",
        files(PAYOUT_RULES_FILE="players: {USDC: {dayly_limit: '1'}}"),
        ["payout-rules.yaml"],
    ),
    ("payouts", files(RAILS_FILE=RAIL), ["chanels"]),
    ("payouts", files(RAILS_FILE="not: [yaml"), ["rails.yaml"]),
    ("payouts", setting("STELLAR_ASSETS", "XLM,USDC:GABC"), ["STELLAR_ASSETS"]),
    ("payouts", setting("PAYOUTS_AUTO_APPROVE_UP_TO", "usdc=10"), ["PAYOUTS_AUTO_APPROVE_UP_TO"]),
    ("webhooks", files(RAILS_FILE="rails: [{name: stellar, typ: stellar}]"), ["rails.yaml"]),
    ("signer", files(SIGNER_POLICY_FILE="assets: {USDC: {payout_max: '5'}}"), ["signer-policy.yaml"]),
    ("signer", setting("OPENBAO_KEYS", "treasury:zero"), ["OPENBAO_KEYS"]),
]


@pytest.mark.parametrize(("service", "change", "named"), MISTAKES)
def test_a_file_that_its_service_refuses_is_found(
    configuration: Configuration, service: str, change: Change, named: list[str]
) -> None:
    """Each file that is broken has a sentence, and no other one has; no sentence names a path of a copy."""
    found = wrong_settings(change(configuration.services[service]))
    assert len(found) == len(named)
    for sentence, name in zip(found, named, strict=True):
        assert name in sentence
        assert not re.search(r"prizewire-doctor-|/files/\d", sentence)


def test_files_that_are_not_given_are_left_out(configuration: Configuration) -> None:
    """A file that is not there is another finding; what only the service's machine has, such as secrets, is none."""
    assert wrong_settings(without_files(configuration.services["rewards"])) == []


def test_player_sources_are_read(configuration: Configuration, tmp_path: Path) -> None:
    """A file that only one service may have is read where it is named."""
    path = str(tmp_path / "player-sources.yaml")
    one = setting("PLAYER_SOURCES_FILE", path)(configuration.services["rewards"])
    wrong = dataclasses.replace(one, files={**one.files, path: "sources: [{source: x}]"})
    assert len(wrong_settings(wrong)) == 1
