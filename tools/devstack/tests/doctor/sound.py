"""A configuration in which nothing has to be changed, as a folder of settings and public files."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from jwt.algorithms import OKPAlgorithm
from stellar_sdk import Keypair, Network

from prizewire_chassis.db.migrate import migrate
from prizewire_devstack.components.keys import USES
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.database_factory import DatabaseFactory
from prizewire_devstack.doctor.findings import Finding, Profile
from prizewire_devstack.home import repository_root
from prizewire_devstack.routes import SERVICES, SERVICES_WITH_API

SERVICE = "payouts"
"""The service whose database is read."""

PUBLIC: Final = "/etc/prizewire"
SECRETS: Final = "/run/secrets/prizewire"
NETWORKS: Final = {
    Profile.STAGING: Network.TESTNET_NETWORK_PASSPHRASE,
    Profile.PRODUCTION: Network.PUBLIC_NETWORK_PASSPHRASE,
}
ISSUER: Final = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
"""The issuer of USDC on the public network (Circle, "USDC on Stellar")."""

_KEYS: Final = {
    Profile.STAGING: {
        "PAYOUT_HOT_SIGNER_SECRET_FILE": f"{SECRETS}/payout_hot_signer_secret",
        "CHANNEL_SIGNER_SECRETS_FILE": f"{SECRETS}/channel_signer_secrets",
        "SIGNER_ALLOW_HOT_KEY": "true",
    },
    Profile.PRODUCTION: {
        "SIGNER_BACKEND": "openbao",
        "OPENBAO_URL": "https://keys.prizes.internal:8200",
        "OPENBAO_KEYS": "treasury,channel-1,channel-2",
        "OPENBAO_TOKEN_FILE": f"{SECRETS}/openbao_token",
    },
}
"""Where the signer's keys are: staging may have them in memory."""

Environments = dict[str, dict[str, str]]
Files = dict[str, str]


def key_entry(service: str, *, now: datetime) -> dict[str, Any]:
    """A key of a service as `trust.json` has it, half a year old."""
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    return {
        "service": service,
        "uses": list(USES[service]),
        "keyid": f"{service}-2026",
        "public_key": public,
        "not_before": (now - timedelta(days=180)).isoformat(),
        "not_after": (now + timedelta(days=300)).isoformat(),
    }


def authority(*, now: datetime) -> str:
    """A certificate that signed itself, in PEM."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "brokers")])
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - timedelta(days=1),
        not_valid_after=now + timedelta(days=365),
    ).sign(key, None)
    return made.public_bytes(Encoding.PEM).decode()


def public_files(*, now: datetime) -> Files:
    """The public files, by their names."""
    token_key: dict[str, Any] = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate().public_key(), as_dict=True)
    limits = {"payout_max": "10000", "day_max": "50000"}
    rules = {code: {"daily_limit": "5000"} for code in ("EURC", "USDC", "XLM")}
    return {
        "assets.yaml": (repository_root() / "assets.yaml").read_text(),
        "trust.json": json.dumps({"keys": [key_entry(service, now=now) for service in USES]}),
        "jwks.json": json.dumps({"keys": [{**token_key, "kid": "2026", "alg": "EdDSA"}]}),
        "rails.yaml": yaml.safe_dump({"rails": [{"name": "stellar", "provider": "stellar"}]}),
        "signer-policy.yaml": yaml.safe_dump({"assets": {"USDC": limits, "XLM": limits}}),
        "payout-rules.yaml": yaml.safe_dump({"players": rules}),
        "kafka-ca.crt": authority(now=now),
    }


def environments(profile: Profile) -> Environments:
    """The settings of each service."""
    treasury = Keypair.random().public_key
    chain = {
        "STELLAR_NETWORK_PASSPHRASE": NETWORKS[profile],
        "PAYOUT_SOURCE_ACCOUNT": treasury,
        "STELLAR_ASSETS": f"USDC:{ISSUER},XLM",
    }
    rails = {"RAILS_FILE": f"{PUBLIC}/rails.yaml"}
    own: Mapping[str, dict[str, str]] = {
        "settlement": {},
        "rewards": {
            "STELLAR_NETWORK_PASSPHRASE": NETWORKS[profile],
            "PLAYER_HASH_KEY_FILE": f"{SECRETS}/player_hash_key",
            "PAYOUT_RULES_FILE": f"{PUBLIC}/payout-rules.yaml",
        },
        "payouts": {
            **chain,
            **rails,
            "METHOD_ENCRYPTION_KEY_FILE": f"{SECRETS}/method_encryption_key",
            "PAYOUTS_LIVE_EXECUTION": "true",
            "PAYOUTS_AUTO_APPROVE_UP_TO": "USDC=100,XLM=500",
            "PAYOUTS_AUTO_APPROVE_PER_DAY": "USDC=10000,XLM=50000",
            "PAYOUTS_TWO_APPROVERS_ABOVE": "EURC=1000,USDC=1000,XLM=5000",
            "STELLAR_CHANNEL_ACCOUNTS": ",".join(Keypair.random().public_key for _ in range(2)),
            "SOROBAN_RPC_URL": "https://rpc.first.internal,https://rpc.second.internal",
        },
        "webhooks": {**rails, "WEBHOOK_ENCRYPTION_KEY_FILE": f"{SECRETS}/webhook_encryption_key"},
        "signer": {**chain, **_KEYS[profile], "SIGNER_POLICY_FILE": f"{PUBLIC}/signer-policy.yaml"},
    }
    return {service: {**_common(service, profile), **own[service]} for service in SERVICES}


def _common(service: str, profile: Profile) -> dict[str, str]:
    access = {
        "JWT_JWKS_FILE": f"{PUBLIC}/jwks.json",
        "JWT_ISSUER": "https://identity.prizes.internal",
        "HTTP_TRUSTED_PROXIES": "10.20.0.0/16",
    }
    return {
        "PRIZEWIRE_ENVIRONMENT": str(profile),
        "DATABASE_URL_FILE": f"{SECRETS}/database_url",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka.prizes.internal:9093",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_CA_FILE": f"{PUBLIC}/kafka-ca.crt",
        "KAFKA_SASL_USERNAME": service,
        "KAFKA_SASL_PASSWORD_FILE": f"{SECRETS}/kafka_sasl_password",
        "MESSAGE_KEY_FILE": f"{SECRETS}/message_key",
        "TRUST_FILE": f"{PUBLIC}/trust.json",
        "ASSETS_FILE": f"{PUBLIC}/assets.yaml",
        **(access if service in SERVICES_WITH_API else {}),
    }


def write(folder: Path, environment_of: Environments, files: Files) -> Path:
    """Write a configuration as `prizewire doctor --folder` reads it."""
    folder.mkdir(exist_ok=True)
    for service, environment in environment_of.items():
        lines = [f"{name}={value}\n" for name, value in environment.items()]
        (folder / f"{service}.env").write_text("".join(lines))
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def now() -> datetime:
    """The time by which keys are made and judged."""
    return datetime.now(UTC)


def codes(findings: Iterable[Finding]) -> set[str]:
    """The codes of findings."""
    return {one.code for one in findings}


def migrated(make_database: DatabaseFactory, service: str) -> DatabaseUrls:
    """The database of a service after its migrations."""
    made = make_database(service)
    folder = repository_root() / "services" / service / "migrations"
    migrate(url=made.migration, script_location=folder, runtime_role=service)
    return made
