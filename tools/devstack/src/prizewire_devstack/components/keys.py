"""Keys, secrets and passwords of one local stack: generated once, stored in its state directory with mode 0600.

Do not use them in production, where the same files are mounted as secrets.
"""

# ruff: noqa: PLC0415 - every command reads a key here; the libraries that only make keys are loaded when one is made

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from prizewire_devstack import tokens
from prizewire_devstack.home import Home, write_private
from prizewire_devstack.routes import SERVICES

if TYPE_CHECKING:
    from stellar_sdk import Keypair

    from prizewire_devstack.components.postgres import RolePasswords

USES: Final[Mapping[str, tuple[str, ...]]] = {
    "settlement": ("event", "audit-head"),
    "rewards": ("event", "intent", "audit-head"),
    "payouts": ("event", "approval", "quote", "seal", "audit-head"),
    "webhooks": ("event", "audit-head"),
    "signer": ("event", "audit-head"),
}
"""The uses of each service's message key, as `trust.json` lists them."""

GAME_SERVER: Final = "game-server"
IDENTITY: Final = "identity"
CHANNELS: Final = 4
VALIDITY: Final = timedelta(days=3650)
"""Of the local stack's message keys."""
FIRST: Final = 1
BACKDATED: Final = timedelta(days=1)
SECRET_BYTES: Final = 32


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class StellarKeys:
    """The chain's accounts; each field holds secret keys (S…)."""

    issuer: Keypair
    treasury: Keypair
    channels: tuple[Keypair, ...]


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """Every key file of one state directory."""

    home: Home

    def message_key_file(self, name: str) -> Path:
        """The Ed25519 message key of a service, of the game server, or of the source of players' facts."""
        return self.home.keys / f"{name}.message.json"

    @property
    def trust_file(self) -> Path:
        """The public keys that every service pins."""
        return self.home.root / "trust.json"

    @property
    def player_sources_file(self) -> Path:
        """The sources that rewards trusts for facts of players, with their public keys (PLAYER_SOURCES_FILE)."""
        return self.home.root / "player-sources.yaml"

    @property
    def token_key_file(self) -> Path:
        """The private key that signs access tokens (PEM). Only this command reads it, no service does."""
        return self.home.keys / "token-signing.pem"

    @property
    def jwks_file(self) -> Path:
        """The public half of that key, as every service reads it."""
        return self.home.root / "jwks.json"

    @property
    def method_encryption_key_file(self) -> Path:
        """The key that payouts encrypts method details with: 64 hex digits."""
        return self.home.keys / "method-encryption.key"

    @property
    def player_hash_key_file(self) -> Path:
        """The key that rewards hashes players' devices and addresses with: 64 hex digits."""
        return self.home.keys / "player-hash.key"

    @property
    def webhook_encryption_key_file(self) -> Path:
        """The key that webhooks encrypts subscribers' secrets with: 64 hex digits."""
        return self.home.keys / "webhook-encryption.key"

    @property
    def fake_webhook_secret_file(self) -> Path:
        """The secret with which the fake rail signs its webhooks: ``whsec_`` and base64."""
        return self.home.keys / "fake-webhook.secret"

    @property
    def channel_secrets_file(self) -> Path:
        """The signer's channel keys: a JSON list of S… strings."""
        return self.home.keys / "stellar-channels.json"

    @property
    def credentials_file(self) -> Path:
        """Passwords of PostgreSQL roles and Kafka principals."""
        return self.home.keys / "credentials.json"

    @property
    def kafka_cluster_id_file(self) -> Path:
        """The id of the Kafka cluster of containers."""
        return self.home.keys / "kafka-cluster-id"

    @property
    def grafana_password_file(self) -> Path:
        """The password of Grafana's administrator."""
        return self.home.keys / "grafana-admin.password"

    @property
    def stellar_file(self) -> Path:
        """The issuer's and the treasury's secret keys."""
        return self.home.keys / "stellar.json"

    def by_file(self, service: str, variable: str, secret: str) -> dict[str, str]:
        """The variable with the path of a file that holds a secret of a service. The file's name follows from its content, so a
        start on other ports does not change a file that a running process reads.
        """
        digest = hashlib.sha256(secret.encode()).hexdigest()[:16]
        file = self.home.keys / service / f"{variable.lower()}-{digest}"
        self._ensure(file, lambda: secret)
        return {f"{variable}_FILE": str(file)}

    def ensure(self, *, now: datetime, valid: timedelta = VALIDITY, number: int = FIRST) -> None:
        """Generate missing keys; existing ones stay, so that a later start can read its data.

        `valid` is how long message keys are valid, and `number` ends their ids.
        """
        for name in (*USES, GAME_SERVER, IDENTITY):
            self._ensure(self.message_key_file(name), partial(_message_key, name, number))
        self._ensure(self.trust_file, lambda: self._trust(now=now, valid=valid))
        self._ensure(self.player_sources_file, lambda: self._player_sources(now=now, valid=valid))
        self._ensure(self.token_key_file, tokens.new_key)
        self._ensure(self.jwks_file, lambda: json.dumps(tokens.public_keys(self.token_key_file), indent=1))
        self._ensure(self.method_encryption_key_file, lambda: secrets.token_hex(SECRET_BYTES))
        self._ensure(self.player_hash_key_file, lambda: secrets.token_hex(SECRET_BYTES))
        self._ensure(self.webhook_encryption_key_file, lambda: secrets.token_hex(SECRET_BYTES))
        self._ensure(self.fake_webhook_secret_file, _webhook_secret)
        self._ensure(self.credentials_file, lambda: json.dumps(_credentials(), indent=1))
        self._ensure(
            self.stellar_file,
            lambda: json.dumps({name: _chain_secret() for name in ("issuer", "treasury")}, indent=1),
        )
        self._ensure(
            self.channel_secrets_file,
            lambda: json.dumps([_chain_secret() for _ in range(CHANNELS)], indent=1),
        )

    def ensure_grafana_password(self) -> None:
        """Make the password of Grafana's administrator, if there is none."""
        self._ensure(self.grafana_password_file, lambda: secrets.token_urlsafe(SECRET_BYTES))

    def kafka_cluster_id(self) -> str:
        """The id of the Kafka cluster of containers, made once."""
        from prizewire_devstack.components.kafka.login import new_cluster_id

        self._ensure(self.kafka_cluster_id_file, new_cluster_id)
        return self.kafka_cluster_id_file.read_text().strip()

    def token(self, *roles: str, subject: str, valid: timedelta = tokens.VALID_DEFAULT) -> str:
        """An access token for `subject` with `roles`, valid from now on."""
        return tokens.issue(
            key_file=self.token_key_file, subject=subject, roles=roles, now=datetime.now(UTC), valid=valid
        )

    def game_server_key(self) -> dict[str, str]:
        """The game server's key as in a competition: keyid, public_key, not_before, not_after."""
        made_at = datetime.fromtimestamp(self.message_key_file(GAME_SERVER).stat().st_mtime, UTC)
        return self._public_entry(GAME_SERVER, made_at=made_at, valid=VALIDITY)

    def stellar(self) -> StellarKeys:
        """Read the chain's keys."""
        from stellar_sdk import Keypair

        main = json.loads(self.stellar_file.read_text())
        channels = json.loads(self.channel_secrets_file.read_text())
        return StellarKeys(
            issuer=Keypair.from_secret(main["issuer"]),
            treasury=Keypair.from_secret(main["treasury"]),
            channels=tuple(Keypair.from_secret(secret) for secret in channels),
        )

    def kafka_passwords(self) -> dict[str, str]:
        """Password by Kafka principal."""
        passwords: dict[str, str] = self._credentials()["kafka"]
        return passwords

    def kafka_controller_password(self) -> str:
        """The password of Kafka's controller listener."""
        password: str = self._credentials()["kafka-controller"]
        return password

    def superuser_password(self) -> str:
        """PostgreSQL's superuser."""
        password: str = self._credentials()["postgres"]["superuser"]
        return password

    def role_passwords(self, service: str) -> RolePasswords:
        """PostgreSQL's two roles of a service."""
        from prizewire_devstack.components.postgres import RolePasswords

        return RolePasswords(**self._credentials()["postgres"]["roles"][service])

    def _credentials(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.credentials_file.read_text())
        return loaded

    def _trust(self, *, now: datetime, valid: timedelta) -> str:
        keys = [
            {
                "service": service,
                "uses": list(uses),
                **self._public_entry(service, made_at=now, valid=valid),
            }
            for service, uses in USES.items()
        ]
        return json.dumps({"keys": keys}, indent=1)

    def _player_sources(self, *, now: datetime, valid: timedelta) -> str:
        from prizewire_devstack import acl

        source = {
            "source": acl.IDENTITY_SOURCE,
            "tells": ["identity", "risk", "tax"],
            "keys": [self._public_entry(IDENTITY, made_at=now, valid=valid)],
        }
        return yaml.safe_dump({"sources": [source]}, sort_keys=False).rstrip()

    def _public_entry(self, name: str, *, made_at: datetime, valid: timedelta) -> dict[str, str]:
        private = json.loads(self.message_key_file(name).read_text())
        public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private["private_key"])).public_key()
        return {
            "keyid": private["keyid"],
            "public_key": public.public_bytes_raw().hex(),
            "not_before": _rfc3339(made_at - BACKDATED),
            "not_after": _rfc3339(made_at + valid),
        }

    @staticmethod
    def _ensure(path: Path, make: Callable[[], str]) -> None:
        if not path.is_file():
            write_private(path, make() + "\n")


def _message_key(name: str, number: int) -> str:
    return json.dumps({"keyid": f"{name}-{number}", "private_key": secrets.token_hex(SECRET_BYTES)}, indent=1)


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _chain_secret() -> str:
    from stellar_sdk import Keypair

    return Keypair.random().secret


def _credentials() -> dict[str, Any]:
    from prizewire_devstack import acl

    def password() -> str:
        return secrets.token_hex(SECRET_BYTES // 2)

    return {
        "postgres": {
            "superuser": password(),
            "roles": {service: {"runtime": password(), "owner": password()} for service in SERVICES},
        },
        "kafka": {principal: password() for principal in acl.PRINCIPALS},
        "kafka-controller": password(),
    }
