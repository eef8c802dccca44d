"""The environment of each service: the smallest that it needs, its own credentials only, each by a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack import tokens
from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.postgres import DatabaseUrls, service_urls
from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.components.stellar import PASSPHRASE, stellar_assets
from prizewire_devstack.home import Home
from prizewire_devstack.ports import LOOPBACK

AUTO_APPROVE_UP_TO: Final = "EURC=1000000.00,USDC=1000000.00,XLM=1000000.0000000"
AUTO_APPROVE_PER_DAY: Final = "EURC=100000000.00,USDC=100000000.00,XLM=100000000.0000000"
"""More than demonstration and benchmarks pay in a day."""
TWO_APPROVERS_ABOVE: Final = "EURC=2000000.00,USDC=2000000.00"
"""Larger payouts wait for a person, the largest for two: the demonstration has some of each."""

NEW_DESTINATION_ABOVE: Final = "USDC=1500000.00"
"""A larger payout to a method that the player has just registered is held by a gate, and two persons let it pass."""

CONFIRM_POLL_MS: Final = 500
"""The sandbox closes a ledger every second."""


_DEBTOR: Final = {"name": "Prizewire Demonstration", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX"}
BY_HAND: Final[Mapping[str, Any]] = {
    "name": "manual",
    "provider": "manual",
    "method_types": ["bank", "upi"],
    "assets": ["EURC", "USDC"],
    "currencies": {"EURC": "EUR", "USDC": "USD"},
    "debtor": {"EUR": dict(_DEBTOR), "USD": dict(_DEBTOR)},
}
"""The rail whose payments people make. Its bank account is an example."""


INLINE_RAILS: Final = '{"bank": ["manual"], "fake": ["fake"], "stellar": ["stellar"], "upi": ["manual"]}'
"""The rails of this stack that serve details which a request names."""


FAKE_OUTAGE: Final = "fake-rail.outage"
"""A file in the state directory. While it exists, the fake rail cannot be reached."""


def rails(state: Path, *, webhook_secret_file: Path | None = None, gateway_url: str = "") -> str:
    """The payout rails of the local stack (RAILS_FILE); the fake rail stores its payments in the state directory, and sends signed
    webhooks to the gateway where a secret is given.
    """
    fake: dict[str, Any] = {"name": "fake", "provider": "fake", "journal": str(state / "fake-rail.sqlite")}
    fake["outage_file"] = str(state / FAKE_OUTAGE)
    if webhook_secret_file is not None:
        fake |= {
            "webhook_url": f"{gateway_url}/api/payments/webhook/fake",
            "webhook_secret": {"file": str(webhook_secret_file)},
            "webhook": {"secret_files": [str(webhook_secret_file)]},
        }
    stellar = {"name": "stellar", "provider": "stellar"}
    return yaml.safe_dump({"rails": [stellar, fake, BY_HAND]}, sort_keys=False)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The addresses and accounts that services of this stack use."""

    keyring: Keyring
    assets_file: Path
    rails_file: Path
    stellar_url: str
    log_level: str


def _for_rewards(around: Surroundings) -> dict[str, str]:
    return {
        "STELLAR_NETWORK_PASSPHRASE": PASSPHRASE,
        "PLAYER_HASH_KEY_FILE": str(around.keyring.player_hash_key_file),
        "PAYOUT_INLINE_RAILS": INLINE_RAILS,
        "PLAYER_SOURCES_FILE": str(around.keyring.player_sources_file),
    }


def _for_payouts(around: Surroundings) -> dict[str, str]:
    keys = around.keyring.stellar()
    return {
        "SOROBAN_RPC_URL": around.stellar_url,
        "STELLAR_NETWORK_PASSPHRASE": PASSPHRASE,
        "PAYOUT_SOURCE_ACCOUNT": keys.treasury.public_key,
        "STELLAR_CHANNEL_ACCOUNTS": ",".join(channel.public_key for channel in keys.channels),
        "STELLAR_ASSETS": stellar_assets(keys),
        "PAYOUTS_LIVE_EXECUTION": "true",
        "PAYOUTS_LEGAL_APPROVAL_WAIVED": "true",
        "PAYOUTS_AUTO_APPROVE_UP_TO": AUTO_APPROVE_UP_TO,
        "PAYOUTS_AUTO_APPROVE_PER_DAY": AUTO_APPROVE_PER_DAY,
        "PAYOUTS_TWO_APPROVERS_ABOVE": TWO_APPROVERS_ABOVE,
        "PAYOUTS_GATE_NEW_DESTINATION_ABOVE": NEW_DESTINATION_ABOVE,
        "PAYOUTS_GATES_TWO_APPROVERS": "destination_denied,screening_hit,new_destination",
        "PAYOUTS_CONFIRM_POLL_MS": str(CONFIRM_POLL_MS),
        "METHOD_ENCRYPTION_KEY_FILE": str(around.keyring.method_encryption_key_file),
        "PLAYER_SOURCES_FILE": str(around.keyring.player_sources_file),
        "RAILS_FILE": str(around.rails_file),
    }


def _for_signer(around: Surroundings) -> dict[str, str]:
    keys = around.keyring.stellar()
    return {
        "STELLAR_NETWORK_PASSPHRASE": PASSPHRASE,
        "PAYOUT_SOURCE_ACCOUNT": keys.treasury.public_key,
        **around.keyring.by_file("signer", "PAYOUT_HOT_SIGNER_SECRET", keys.treasury.secret),
        "CHANNEL_SIGNER_SECRETS_FILE": str(around.keyring.channel_secrets_file),
        "STELLAR_ASSETS": stellar_assets(keys),
        "SIGNER_ALLOW_HOT_KEY": "true",
    }


def _for_webhooks(around: Surroundings) -> dict[str, str]:
    return {
        "WEBHOOKS_ALLOW_LOOPBACK": "true",
        "WEBHOOK_ENCRYPTION_KEY_FILE": str(around.keyring.webhook_encryption_key_file),
        "RAILS_FILE": str(around.rails_file),
    }


_OWN: Final[Mapping[str, Callable[[Surroundings], dict[str, str]]]] = {
    "rewards": _for_rewards,
    "payouts": _for_payouts,
    "signer": _for_signer,
    "webhooks": _for_webhooks,
}


def common_environment(
    service: str, *, around: Surroundings, database: DatabaseUrls, kafka: KafkaLogin, http_port: int
) -> dict[str, str]:
    """The variables that every service reads, for one service, without the migration URL."""
    login = kafka.environment()
    password = login.pop("KAFKA_SASL_PASSWORD")
    return {
        **base_environment(),
        **login,
        **around.keyring.by_file(service, "KAFKA_SASL_PASSWORD", password),
        **around.keyring.by_file(service, "DATABASE_URL", database.runtime),
        "PRIZEWIRE_ENVIRONMENT": "development",
        "LOG_LEVEL": around.log_level,
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(http_port),
        # no other replica takes the requests of a single process
        "HTTP_DRAIN_S": "0",
        "MESSAGE_KEY_FILE": str(around.keyring.message_key_file(service)),
        "TRUST_FILE": str(around.keyring.trust_file),
        "ASSETS_FILE": str(around.assets_file),
        **_for_api(service, around),
    }


def _for_api(service: str, around: Surroundings) -> dict[str, str]:
    """The variables for checking access tokens; none for the signer, which serves no HTTP interface."""
    if service == "signer":
        return {}
    return {
        "JWT_JWKS_FILE": str(around.keyring.jwks_file),
        "JWT_ISSUER": tokens.ISSUER,
        "JWT_AUDIENCE": tokens.AUDIENCE,
        # all requests come from one machine: demonstrations, benchmarks and tests must not be throttled
        "HTTP_RATE_PER_MINUTE": "1000000",
        "HTTP_ANONYMOUS_RATE_PER_MINUTE": "1000000",
        "HTTP_BAD_TOKENS_PER_MINUTE": "1000",
    }


def serve_environment(
    service: str, *, around: Surroundings, database: DatabaseUrls, kafka: KafkaLogin, http_port: int
) -> dict[str, str]:
    """The environment of `python -m prizewire_<service> serve`: the owner's database password is not in it."""
    own = _OWN.get(service)
    return {
        **common_environment(service, around=around, database=database, kafka=kafka, http_port=http_port),
        **(own(around) if own is not None else {}),
    }


def migrate_environment(
    service: str, *, around: Surroundings, database: DatabaseUrls, kafka: KafkaLogin, http_port: int
) -> dict[str, str]:
    """The environment of `python -m prizewire_<service> migrate`: as for serve, and the owner's URL."""
    return {
        **serve_environment(service, around=around, database=database, kafka=kafka, http_port=http_port),
        **around.keyring.by_file(service, "DATABASE_MIGRATION_URL", database.migration),
    }


def local_environment(
    service: str,
    *,
    home: Home,
    root: Path,
    ports: Mapping[str, int],
    log_level: str = "INFO",
    migrate: bool = False,
) -> dict[str, str]:
    """The environment of a service on the stack that runs out of `home` on `ports`; `root` is the repository."""
    keyring = Keyring(home=home)
    environment_of = migrate_environment if migrate else serve_environment
    return environment_of(
        service,
        around=Surroundings(
            keyring=keyring,
            assets_file=root / "assets.yaml",
            rails_file=home.rails_file,
            stellar_url=f"http://{LOOPBACK}:{ports['stellar']}",
            log_level=log_level,
        ),
        database=service_urls(service, port=ports["postgres"], passwords=keyring.role_passwords(service)),
        kafka=KafkaLogin(
            bootstrap_servers=f"{LOOPBACK}:{ports['kafka']}",
            username=service,
            password=keyring.kafka_passwords()[service],
        ),
        http_port=ports[service],
    )
