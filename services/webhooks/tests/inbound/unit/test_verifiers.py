"""Which rails take webhooks, and settings that must stop the service."""

import json
from importlib.metadata import EntryPoint

import pytest

from prizewire_chassis.keys import UnsafeKeyFile
from prizewire_chassis.lifecycle import command
from prizewire_chassis.testing import make_key
from prizewire_contracts.rails import VERIFIER_ENTRY_POINTS
from prizewire_rail_fake import FakeVerifier
from prizewire_webhooks.app import build
from prizewire_webhooks.inbound import adapters as verifiers
from prizewire_webhooks.inbound.adapters import RailsFileMalformed, load_rails
from prizewire_webhooks.settings import WebhooksSettings
from services.webhooks.tests.conftest import KEY_HEX
from services.webhooks.tests.fakes import HmacVerifier


@pytest.fixture
def installed(monkeypatch):
    """A verifier for the type gift_card, as an installed package would offer it."""
    point = EntryPoint("gift_card", "services.webhooks.tests.fakes:build_verifier", VERIFIER_ENTRY_POINTS)
    monkeypatch.setattr(verifiers, "entry_points", lambda group: [point])


def run(arguments):
    return command.main(
        service="webhooks",
        settings=WebhooksSettings,
        build=build,
        migrations=command.migrations_of("prizewire_webhooks"),
        arguments=arguments,
    )


def write(tmp_path, text, *, mode=0o600):
    (tmp_path / "secret").write_text("shhh\n")
    (tmp_path / "secret").chmod(mode)
    file = tmp_path / "rails.yaml"
    file.write_text(text)
    return file


def test_without_a_file_no_rail_takes_webhooks():
    """The file is optional."""
    assert load_rails(None, environment="staging") == {}


@pytest.mark.usefixtures("installed")
def test_rails_with_secrets_get_their_verifier(tmp_path):
    """Only rails that name secrets take webhooks; other members of an entry are payouts' business."""
    text = (
        "rails:\n  - {name: cards, provider: gift_card, webhook: {secret_files: [secret], mode: x}, concurrency: 4}\n"
        "  - {name: fake, provider: fake}\n"
    )
    rails = load_rails(write(tmp_path, text), environment="staging")
    assert set(rails) == {"cards"}
    assert isinstance(rails["cards"].verifier, HmacVerifier)
    assert rails["cards"].secrets == ["shhh"]
    assert "shhh" not in repr(rails)
    built_from = rails["cards"].verifier.built_from
    assert (built_from.name, built_from.environment) == ("cards", "staging")


def test_the_fake_rails_verifier_is_installed(tmp_path):
    """The package of the fake rail announces its verifier, which refuses production and options that it does not know."""
    good = "rails: [{name: one, provider: fake, webhook: {secret_files: [secret], tolerance_s: 60}}]"
    assert isinstance(
        load_rails(write(tmp_path, good), environment="development")["one"].verifier, FakeVerifier
    )
    with pytest.raises(RailsFileMalformed, match="production"):
        load_rails(write(tmp_path, good), environment="production")
    with pytest.raises(RailsFileMalformed, match="unknown option 'tolerance'"):
        load_rails(write(tmp_path, good.replace("tolerance_s", "tolerance")), environment="development")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "text",
    [
        "", "rails: 5", "rails: [5]", "rails: [{name: a}]", "rails: [{provider: fake}]",
        "rails: [{name: a, provider: fiat_provider, webhook: {secret_files: [secret]}}]", ": : :",
        "rails: [{name: a, provider: gift_card, webhook: {secret_files: secret}}]",
        "rails: [{name: a, provider: gift_card, webhook: {secret_files: []}}]",
        "rails: [{name: a, provider: gift_card, webhook: {}}]", "rails: [{name: a, provider: gift_card, webhook: yes}]",
        "rails: [{name: a, provider: gift_card, webhook: {secret_files: [secret], unknown: 1}}]",
        "rails: [{name: a, provider: gift_card, webhook: {secret_files: [secret]}}, {name: a, provider: gift_card}]",
    ],
)  # fmt: skip
def test_a_wrong_file_is_reported(tmp_path, text):
    """A malformed file, an unknown type, a name used twice or a type nobody verifies stops the service."""
    with pytest.raises(RailsFileMalformed, match=r"rails\.yaml"):
        load_rails(write(tmp_path, text), environment="staging")


@pytest.mark.usefixtures("installed")
def test_a_secret_that_others_can_read_is_refused(tmp_path):
    """Secret files have mode 0600."""
    text = "rails: [{name: a, provider: gift_card, webhook: {secret_files: [secret]}}]"
    with pytest.raises(UnsafeKeyFile):
        load_rails(write(tmp_path, text, mode=0o644), environment="staging")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Settings that are good but for what a test spoils; nothing is reached in these tests."""
    files = {
        "MESSAGE_KEY_FILE": json.dumps({"keyid": make_key("webhooks").keyid, "private_key": KEY_HEX}),
        "TRUST_FILE": json.dumps({"keys": []}),
        "WEBHOOK_ENCRYPTION_KEY_FILE": KEY_HEX,
    }
    for name, text in files.items():
        path = tmp_path / name.lower()
        path.write_text(text)
        path.chmod(0o600)
        monkeypatch.setenv(name, str(path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/none")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "nothing")

    async def at_once(*_: object, **__: object) -> None:
        """The database of these tests is never there, and what is judged needs none."""

    monkeypatch.setattr(command, "wait_for_database", at_once)
    return tmp_path


def test_loopback_is_not_for_production(environment, monkeypatch, capsys):
    """The flag that opens loopback refuses to start in production, which is the default environment."""
    monkeypatch.setenv("WEBHOOKS_ALLOW_LOOPBACK", "true")
    assert run(["serve"]) == 2
    assert "WEBHOOKS_ALLOW_LOOPBACK is for development" in capsys.readouterr().err


def test_a_wrong_encryption_key_is_reported(environment, capsys):
    """A key file without 64 hexadecimal digits stops the service with a sentence that does not show it."""
    (environment / "webhook_encryption_key_file").write_text("abc")
    assert run(["serve"]) == 2
    said = capsys.readouterr().err
    assert "64 hexadecimal digits" in said
    assert "abc" not in said


def test_settings_are_described(capsys):
    """Every environment variable of the service is printed with its default."""
    assert run(["settings"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["WEBHOOKS_ALLOW_LOOPBACK"]["default"] == "false"
    assert rows["WEBHOOK_ENCRYPTION_KEY_FILE"]["required"]
    assert not rows["RAILS_FILE"]["required"]
