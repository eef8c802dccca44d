"""`prizewire doctor` over settings and files: nothing is found in a sound configuration, and each mistake has its code."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from prizewire_devstack.cli.doctor import command, report
from prizewire_devstack.doctor.configuration import Configuration, ServiceConfiguration, Setting, Subject
from prizewire_devstack.doctor.findings import CODES, GUIDE, Finding, Profile
from prizewire_devstack.doctor.rules import RULES
from prizewire_devstack.doctor.rules import settings as rules_of_settings
from prizewire_devstack.doctor.sources import known_settings
from prizewire_devstack.home import repository_root
from tools.devstack.tests.doctor import sound

LIVE_CODES = {
    "kafka_not_checked brokers automatic_topics topic_missing topic_unknown topic_partitions topic_copies topic_settings",
    "acl_missing acl_unknown database_not_checked database_version database_plaintext durability role_attributes role_rights",
    "not_migrated backups clock",
}
"""The codes of findings about running servers."""


@dataclass
class Spoilt:
    """A configuration that a test changes."""

    profile: Profile
    environments: sound.Environments
    files: sound.Files
    objects: list[dict[str, Any]] = field(default_factory=list)

    def document(self, name: str) -> Any:
        return yaml.safe_load(self.files[name])

    def set(self, service: str, **values: str) -> None:
        self.environments[service].update(values)

    def set_all(self, **values: str) -> None:
        for environment in self.environments.values():
            environment.update(values)

    def change(self, name: str, change: Callable[[Any], None]) -> None:
        document = self.document(name)
        change(document)
        self.files[name] = json.dumps(document)


@pytest.fixture(scope="module")
def settings() -> dict[str, dict[str, Setting]]:
    return known_settings()


def made(profile: Profile) -> Spoilt:
    return Spoilt(profile, sound.environments(profile), sound.public_files(now=sound.now()))


def judged(
    spoilt: Spoilt, settings: dict[str, dict[str, Setting]], *, by_services: bool = True
) -> list[Finding]:
    """All findings; without those of the services' own commands, each of which takes a second, unless `by_services`."""
    services = {
        name: ServiceConfiguration(
            service=name,
            environment=environment,
            settings=settings[name],
            files={f"{sound.PUBLIC}/{file}": text for file, text in spoilt.files.items()},
        )
        for name, environment in spoilt.environments.items()
    }
    subject = Subject(
        configuration=Configuration(services=services, objects=spoilt.objects),
        profile=spoilt.profile,
        now=sound.now(),
    )
    return [
        found
        for rule in RULES
        if by_services or rule is not rules_of_settings.wrong
        for found in rule(subject)
    ]


@pytest.mark.parametrize("profile", Profile)
def test_nothing_is_found_in_a_sound_configuration(
    settings: dict[str, dict[str, Setting]], profile: Profile
) -> None:
    """A configuration in which nothing has to be changed has no finding."""
    assert judged(made(profile), settings, by_services=False) == []


def age_of(days: int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["keys"][0]["not_before"] = (sound.now() - timedelta(days=days)).isoformat()

    return change


def ends_in(days: int) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["keys"][0]["not_after"] = (sound.now() + timedelta(days=days)).isoformat()

    return change


def without(document: Any) -> None:
    document["keys"].pop()


def more_uses(document: Any) -> None:
    document["keys"][0]["uses"].append("intent")


def publish(document: Any) -> None:
    document["keys"][0]["d"] = "private"


def cluster(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": name},
        "spec": spec,
    }


STORE = {"barmanObjectStore": {"destinationPath": "s3://backups"}}

SPOILERS: list[tuple[str, str, Callable[[Spoilt], object]]] = [
    ("service_missing", "signer", lambda one: one.environments.pop("signer")),
    ("environment", "rewards", lambda one: one.set("rewards", PRIZEWIRE_ENVIRONMENT="development")),
    ("setting_missing", "MESSAGE_KEY_FILE", lambda one: one.environments["webhooks"].pop("MESSAGE_KEY_FILE")),
    (
        "setting_missing",
        "DATABASE_URL_FILE",
        lambda one: one.environments["rewards"].pop("DATABASE_URL_FILE"),
    ),
    ("setting_wrong", "HTTP_PORT", lambda one: one.set("settlement", HTTP_PORT="eighty")),
    ("setting_wrong", "PAYMENT_PROVIDER", lambda one: one.set("payouts", PAYMENT_PROVIDER="cash")),
    (
        "setting_unknown",
        "PAYOUT_LIVE_EXECUTION",
        lambda one: one.set("payouts", PAYOUT_LIVE_EXECUTION="true"),
    ),
    (
        "placeholder",
        "FRONTEND_URL",
        lambda one: one.set("payouts", FRONTEND_URL="https://prizes.example.com"),
    ),
    ("placeholder", "rails.yaml", lambda one: one.files.update({"rails.yaml": "rails: [] # CHANGE-ME"})),
    ("file_missing", "payout-rules.yaml", lambda one: one.files.pop("payout-rules.yaml")),
    ("secret_in_environment", "STRIPE_SECRET_KEY", lambda one: one.set("payouts", STRIPE_SECRET_KEY="hush")),
    ("loopback", "SOROBAN_RPC_URL", lambda one: one.set("payouts", SOROBAN_RPC_URL="https://127.0.0.1:8000")),
    ("loopback", "default", lambda one: one.environments["signer"].pop("KAFKA_BOOTSTRAP_SERVERS")),
    ("development_tokens", "HS256", lambda one: one.set("rewards", JWT_ALLOW_HS256_DEVELOPMENT="True")),
    ("development_tokens", "JWT_ISSUER", lambda one: one.environments["rewards"].pop("JWT_ISSUER")),
    (
        "token_keys",
        "both",
        lambda one: one.set("rewards", JWT_JWKS_URL="https://identity.prizes.invalid/jwks"),
    ),
    ("token_keys", "No public keys", lambda one: one.environments["rewards"].pop("JWT_JWKS_FILE")),
    (
        "token_keys",
        "https://",
        lambda one: one.set("rewards", JWT_JWKS_FILE="", JWT_JWKS_URL="http://identity.prizes.invalid"),
    ),
    ("token_keys", "no list", lambda one: one.files.update({"jwks.json": "[]"})),
    ("private_key_published", "jwks.json", lambda one: one.change("jwks.json", publish)),
    (
        "private_key_published",
        "TRUST_FILE",
        lambda one: one.change("trust.json", lambda found: found["keys"][0].update(private_key="00")),
    ),
    ("proxies", "no proxy", lambda one: one.environments["payouts"].pop("HTTP_TRUSTED_PROXIES")),
    ("proxies", "every address", lambda one: one.set("payouts", HTTP_TRUSTED_PROXIES="0.0.0.0/0")),
    ("request_limits", "HTTP_RATE", lambda one: one.set("payouts", HTTP_RATE_PER_MINUTE="1000000")),
    ("open_origins", "*", lambda one: one.set("payouts", HTTP_CORS_ORIGINS="*")),
    (
        "network",
        "public",
        lambda one: one.set("rewards", STELLAR_NETWORK_PASSPHRASE=sound.NETWORKS[Profile.PRODUCTION]),
    ),
    (
        "live_execution",
        "PAYOUTS_LIVE_EXECUTION",
        lambda one: one.set("payouts", PAYOUTS_LIVE_EXECUTION="false"),
    ),
    ("hot_key", "payouts", lambda one: one.set("payouts", PAYOUTS_SIGN_WITH_HOT_KEY="true")),
    ("hot_key", "ON_PUBLIC", lambda one: one.set("signer", SIGNER_ALLOW_HOT_KEY_ON_PUBLIC="true")),
    (
        "hot_key",
        "in memory",
        lambda one: one.set("signer", STELLAR_NETWORK_PASSPHRASE=sound.NETWORKS[Profile.PRODUCTION]),
    ),
    ("accounts", "treasury", lambda one: one.set_all(PAYOUT_SOURCE_ACCOUNT="GNONE")),
    ("accounts", "names no account", lambda one: one.set("payouts", STELLAR_CHANNEL_ACCOUNTS="")),
    (
        "accounts",
        "twice",
        lambda one: one.set(
            "payouts", STELLAR_CHANNEL_ACCOUNTS=one.environments["payouts"]["PAYOUT_SOURCE_ACCOUNT"]
        ),
    ),
    ("chain_settings_differ", "STELLAR_ASSETS", lambda one: one.set("signer", STELLAR_ASSETS="XLM")),
    ("gas_limit", "99", lambda one: one.set("payouts", PAYOUTS_MAX_GAS_STROOPS="99")),
    ("gas_limit", "stroops", lambda one: one.set("payouts", PAYOUTS_MAX_GAS_STROOPS="10000001")),
    ("chain_servers", "not set", lambda one: one.environments["payouts"].pop("SOROBAN_RPC_URL")),
    ("chain_servers", "https", lambda one: one.set("payouts", SOROBAN_RPC_URL="http://rpc.first.invalid")),
    (
        "automatic_limits",
        "CODE=AMOUNT",
        lambda one: one.set("payouts", PAYOUTS_AUTO_APPROVE_UP_TO="USDC:100"),
    ),
    ("automatic_limits", "in both", lambda one: one.set("payouts", PAYOUTS_AUTO_APPROVE_UP_TO="USDC=100")),
    (
        "automatic_limits",
        "day's limit",
        lambda one: one.set("payouts", PAYOUTS_AUTO_APPROVE_PER_DAY="USDC=99,XLM=500"),
    ),
    (
        "automatic_limits",
        "two persons",
        lambda one: one.set("payouts", PAYOUTS_TWO_APPROVERS_ABOVE="EURC=1,USDC=99,XLM=5000"),
    ),
    (
        "second_approver",
        "EURC",
        lambda one: one.set("payouts", PAYOUTS_TWO_APPROVERS_ABOVE="USDC=1000,XLM=5000"),
    ),
    ("signer_policy", "not set", lambda one: one.environments["signer"].pop("SIGNER_POLICY_FILE")),
    ("signer_policy", "no limits under", lambda one: one.files.update({"signer-policy.yaml": "{}"})),
    (
        "signer_policy",
        "for XLM",
        lambda one: one.change("signer-policy.yaml", lambda found: found["assets"].pop("XLM")),
    ),
    (
        "signer_policy",
        "correct one",
        lambda one: one.change(
            "signer-policy.yaml", lambda found: found["assets"]["XLM"].update(payout_max="50001")
        ),
    ),
    (
        "signer_policy",
        "wait for a day",
        lambda one: one.change(
            "signer-policy.yaml", lambda found: found["assets"]["USDC"].update(day_max="9999")
        ),
    ),
    (
        "signer_policy",
        "no day_max",
        lambda one: one.change("signer-policy.yaml", lambda found: found["assets"]["USDC"].pop("day_max")),
    ),
    (
        "payout_rules",
        "EURC",
        lambda one: one.change("payout-rules.yaml", lambda found: found["players"].pop("EURC")),
    ),
    (
        "fake_rail",
        "free",
        lambda one: one.change(
            "rails.yaml", lambda found: found["rails"].append({"name": "free", "type": "fake"})
        ),
    ),
    (
        "fake_rail",
        "newer",
        lambda one: one.change(
            "rails.yaml", lambda found: found["rails"].append({"name": "newer", "provider": "fake"})
        ),
    ),
    ("mock_payments", "mock", lambda one: one.set("payouts", PAYMENT_PROVIDER="mock")),
    ("webhook_targets", "LOOPBACK", lambda one: one.set("webhooks", WEBHOOKS_ALLOW_LOOPBACK="1")),
    ("trust", "cannot be used", lambda one: one.files.update({"trust.json": '{"keys": 1}'})),
    ("trust", "signer", lambda one: one.change("trust.json", without)),
    ("key_uses", "intent", lambda one: one.change("trust.json", more_uses)),
    ("key_age", "days old", lambda one: one.change("trust.json", age_of(401))),
    ("key_age", "ends on", lambda one: one.change("trust.json", ends_in(29))),
    ("key_age", "two years", lambda one: one.change("trust.json", ends_in(600))),
    ("plaintext", "SASL_PLAINTEXT", lambda one: one.environments["signer"].pop("KAFKA_SECURITY_PROTOCOL")),
    ("plaintext", "KAFKA_CA_FILE", lambda one: one.environments["signer"].pop("KAFKA_CA_FILE")),
    ("principal", "admin", lambda one: one.set("signer", KAFKA_SASL_USERNAME="admin")),
    (
        "backups_ordered",
        "no database cluster",
        lambda one: one.objects.append(cluster("rewards", backup=STORE)),
    ),
    ("backups_ordered", "archives no", lambda one: one.objects.append(cluster("settlement"))),
    (
        "backups_ordered",
        "No ScheduledBackup",
        lambda one: one.objects.append(cluster("settlement", backup=STORE)),
    ),
]
LIVE_SPOILERS: list[tuple[str, str, Callable[[Spoilt], object]]] = [
    ("hot_key", "in memory", lambda one: one.environments["signer"].pop("SIGNER_BACKEND")),
    ("hot_key", "in memory", lambda one: one.set("signer", SIGNER_ALLOW_HOT_KEY="true")),
    ("key_server", "https", lambda one: one.set("signer", OPENBAO_URL="http://keys.prizes.invalid")),
    ("key_server", "OPENBAO_TOKEN_FILE", lambda one: one.environments["signer"].pop("OPENBAO_TOKEN_FILE")),
    ("key_server", "2 accounts", lambda one: one.set("signer", OPENBAO_KEYS="treasury")),
    ("log_level", "DEBUG", lambda one: one.set("signer", LOG_LEVEL="DEBUG")),
    (
        "network",
        "Test SDF",
        lambda one: one.set_all(STELLAR_NETWORK_PASSPHRASE=sound.NETWORKS[Profile.STAGING]),
    ),
    (
        "one_chain_server",
        "one server",
        lambda one: one.set("payouts", SOROBAN_RPC_URL="https://rpc.first.invalid"),
    ),
    ("test_mode", "STRIPE", lambda one: one.set("payouts", STRIPE_PUBLISHABLE_KEY="pk_test_1")),
    ("webhook_targets", "PORT_80", lambda one: one.set("webhooks", WEBHOOKS_ALLOW_PORT_80="true")),
]


def name_of(case: object) -> str | None:
    return case if isinstance(case, str) else ""


@pytest.mark.parametrize(("code", "part", "spoil"), SPOILERS, ids=name_of)
def test_a_mistake_is_found(
    settings: dict[str, dict[str, Setting]], code: str, part: str, spoil: Callable[[Spoilt], object]
) -> None:
    """Each mistake in a sound configuration for staging is found under its code, in a sentence that names it."""
    spoilt = made(Profile.STAGING)
    spoil(spoilt)
    sentences = [
        f"{one.place}: {one.sentence}"
        for one in judged(spoilt, settings, by_services=code == "setting_wrong")
        if one.code == code
    ]
    assert any(part in sentence for sentence in sentences), sentences


@pytest.mark.parametrize(("code", "part", "spoil"), LIVE_SPOILERS, ids=name_of)
def test_a_mistake_for_production_is_found(
    settings: dict[str, dict[str, Setting]], code: str, part: str, spoil: Callable[[Spoilt], object]
) -> None:
    """What staging may have and production may not is found."""
    spoilt = made(Profile.PRODUCTION)
    spoil(spoilt)
    sentences = [
        one.sentence
        for one in judged(spoilt, settings, by_services=code == "setting_wrong")
        if one.code == code
    ]
    assert any(part in sentence for sentence in sentences), sentences


def test_files_that_differ_between_services_are_found(settings: dict[str, dict[str, Setting]]) -> None:
    """Services that trust other keys, or have other rails, refuse each other's events."""
    spoilt = made(Profile.STAGING)
    spoilt.files["other-trust.json"] = json.dumps({"keys": []})
    spoilt.files["other-rails.yaml"] = json.dumps({"rails": [{"name": "other", "type": "stellar"}]})
    spoilt.set(
        "webhooks",
        TRUST_FILE=f"{sound.PUBLIC}/other-trust.json",
        RAILS_FILE=f"{sound.PUBLIC}/other-rails.yaml",
    )
    assert {"trust_differs", "rails_differ"} <= {
        one.code for one in judged(spoilt, settings, by_services=False)
    }


def spoilt_codes() -> Iterator[str]:
    yield from (code for code, _, _ in (*SPOILERS, *LIVE_SPOILERS))
    yield from ("trust_differs", "rails_differ")
    yield from " ".join(LIVE_CODES).split()


def test_every_code_was_found_once() -> None:
    """A code that no test causes may be one that nothing finds."""
    assert set(spoilt_codes()) == CODES.keys()


def test_every_code_has_its_heading() -> None:
    """The link of each finding leads to a heading of the guide, and the guide explains no code that does not exist."""
    text = (repository_root() / GUIDE).read_text()
    headings = [line.removeprefix("### ").strip("`") for line in text.splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(CODES)


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """A sound folder ends with 0; a spoilt one with 1, the sentence, its link, and the sum."""
    folder = sound.write(
        tmp_path / "configuration",
        sound.environments(Profile.PRODUCTION),
        sound.public_files(now=sound.now()),
    )
    arguments = ["--profile", "production", "--folder", str(folder), "--only", "configuration"]
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert (done.return_value, done.output) == (
        0,
        "Ready for production: no error, 0 warnings. Checked: configuration.\n",
    )
    (folder / "rails.yaml").write_text("rails: [{name: free, type: fake}]")
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    assert done.return_value == 1
    assert "The rail free is a stand-in, which says paid and pays nobody: take it out." in done.output
    assert "docs/go-live.md#fake_rail" in done.output
    assert "Not ready for production: 1 errors, 0 warnings. Checked: configuration." in done.output


def test_the_findings_can_be_read_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding is an object with its code, severity, place, sentence and link; the profile stands beside them."""
    found = Finding(code="log_level", place="signer", sentence="LOG_LEVEL is DEBUG.")
    report([found], profile="production", areas=("configuration",), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "profile": "production",
        "findings": [
            {
                "code": "log_level",
                "severity": "warning",
                "place": "signer",
                "sentence": "LOG_LEVEL is DEBUG.",
                "link": "docs/go-live.md#log_level",
            }
        ],
    }
