"""Mistakes in a sound configuration, each with the code of its finding and a part of its sentence."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import yaml

from prizewire_devstack.doctor.findings import Profile
from tools.devstack.tests.doctor import sound


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


def made(profile: Profile) -> Spoilt:
    return Spoilt(profile, sound.environments(profile), sound.public_files(now=sound.now()))


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


def seals_nothing(one: Spoilt) -> None:
    def change(document: Any) -> None:
        for entry in document["keys"]:
            entry["uses"] = [use for use in entry["uses"] if use != "seal"]

    one.set("rewards", PAYOUT_INLINE_RAILS='{"stellar": ["stellar"]}')
    one.change("trust.json", change)


def more_uses(document: Any) -> None:
    document["keys"][0]["uses"].append("intent")


def by_file(spoilt: Spoilt, service: str, name: str, *, text: str | None) -> None:
    """Give a setting by a file, which is missing if there is no text."""
    spoilt.environments[service].pop(name, None)
    spoilt.set(service, **{f"{name}_FILE": f"{sound.PUBLIC}/{name}"})
    if text is not None:
        spoilt.files[name] = text


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
        "setting_twice",
        "LOG_LEVEL_FILE",
        lambda one: one.set("payouts", LOG_LEVEL="INFO", LOG_LEVEL_FILE="/a"),
    ),
    ("setting_twice", "DATABASE_URL_FILE", lambda one: one.set("payouts", DATABASE_URL="postgresql://db")),
    (
        "setting_not_checked",
        "WEBHOOKS_ALLOW_LOOPBACK was not checked",
        lambda one: one.set("webhooks", WEBHOOKS_ALLOW_LOOPBACK_FILE="/etc/prizewire/none"),
    ),
    (
        "environment",
        "(not read)",
        lambda one: by_file(one, "rewards", "PRIZEWIRE_ENVIRONMENT", text=None),
    ),
    (
        "environment",
        "is production",
        lambda one: by_file(one, "rewards", "PRIZEWIRE_ENVIRONMENT", text="production"),
    ),
    (
        "loopback",
        "is 127.0.0.1:9093",
        lambda one: by_file(one, "rewards", "KAFKA_BOOTSTRAP_SERVERS", text="127.0.0.1:9093"),
    ),
    *(
        ("process_environment", name, lambda one, name=name: one.set("signer", **{name: "/srv/one"}))
        for name in (
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PGHOST",
            "PGSSLMODE",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "HTTPS_PROXY",
            "https_proxy",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "OPENSSL_CONF",
            "PATH",
        )
    ),
    ("file_missing", "PGSSLROOTCERT", lambda one: one.set("signer", PGSSLROOTCERT="/etc/prizewire/none.crt")),
    (
        "placeholder",
        "production.example",
        lambda one: one.set("payouts", FRONTEND_URL="https://production.example"),
    ),
    ("placeholder", "prizes.invalid", lambda one: one.set("payouts", FRONTEND_URL="https://prizes.invalid/")),
    *(
        (
            "placeholder",
            f"{address}.7",
            lambda one, address=address: one.set("payouts", FRONTEND_URL=f"https://{address}.7"),
        )
        for address in ("192.0.2", "198.51.100", "203.0.113")
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
        lambda one: one.set("rewards", JWT_JWKS_URL="https://identity.prizes.internal/jwks"),
    ),
    ("token_keys", "No public keys", lambda one: one.environments["rewards"].pop("JWT_JWKS_FILE")),
    (
        "token_keys",
        "https://",
        lambda one: one.set("rewards", JWT_JWKS_FILE="", JWT_JWKS_URL="http://identity.prizes.internal"),
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
    *(
        ("proxies", part, lambda one, given=given: one.set("payouts", HTTP_TRUSTED_PROXIES=given))
        for given, part in (
            ("0.0.0.0/1,128.0.0.0/1", "0.0.0.0/0"),
            ("*", "the internet"),
            ("10.0.0.0/8,8.0.0.0/15", "8.0.0.0/15"),
            ("8.0.0.0/17,9.0.0.0/17,11.0.0.0/17", "8.0.0.0/17, 9.0.0.0/17, 11.0.0.0/17"),
            ("2a00::/47", "2a00::/47"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        )
    ),
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
    ("chain_servers", "https", lambda one: one.set("payouts", SOROBAN_RPC_URL="http://rpc.first.internal")),
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
        "over stellar",
        lambda one: one.set("payouts", PAYOUTS_AUTO_APPROVE_UP_TO="USDC=100,XLM=500,stellar:USDC=10001"),
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
    (
        "second_approver",
        "signs at most 10000",
        lambda one: one.set("payouts", PAYOUTS_TWO_APPROVERS_ABOVE="EURC=1000,USDC=10000,XLM=4000"),
    ),
    ("automatic_limits", "NaN", lambda one: one.set("payouts", PAYOUTS_AUTO_APPROVE_UP_TO="USDC=NaN")),
    (
        "signer_policy",
        "again_max",
        lambda one: one.change(
            "signer-policy.yaml", lambda found: found["assets"]["XLM"].update(again_max="50001")
        ),
    ),
    *(
        (
            "limit_unbounded",
            name,
            lambda one, name=name: one.set("payouts", **{name: "USDC=10000001"}),
        )
        for name in (
            "PAYOUTS_AUTO_APPROVE_UP_TO",
            "PAYOUTS_AUTO_APPROVE_PER_DAY",
            "PAYOUTS_TWO_APPROVERS_ABOVE",
        )
    ),
    *(
        (
            "limit_unbounded",
            f"{name} is 10000001 XLM",
            lambda one, name=name: one.change(
                "signer-policy.yaml", lambda found: found["assets"]["XLM"].update({name: "10000001"})
            ),
        )
        for name in ("payout_max", "day_max", "again_max")
    ),
    (
        "limit_unbounded",
        "daily_limit is 10000001 XLM",
        lambda one: one.change(
            "payout-rules.yaml", lambda found: found["players"]["XLM"].update(daily_limit="10000001")
        ),
    ),
    (
        "payout_rules",
        "for all players together",
        lambda one: one.change(
            "payout-rules.yaml", lambda found: found["players"]["XLM"].update(daily_limit="50000")
        ),
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
            "rails.yaml", lambda found: found["rails"].append({"name": "free", "provider": "fake"})
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
    ("trust", "use seal", seals_nothing),
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
    ("key_server", "https", lambda one: one.set("signer", OPENBAO_URL="http://keys.prizes.internal")),
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
        lambda one: one.set("payouts", SOROBAN_RPC_URL="https://rpc.first.internal"),
    ),
    ("test_mode", "STRIPE", lambda one: one.set("payouts", STRIPE_PUBLISHABLE_KEY="pk_test_1")),
    ("webhook_targets", "PORT_80", lambda one: one.set("webhooks", WEBHOOKS_ALLOW_PORT_80="true")),
]
