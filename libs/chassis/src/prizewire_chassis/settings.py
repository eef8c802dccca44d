"""The settings of every service, read from its environment."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic.config import JsonDict
from pydantic_settings import BaseSettings, SettingsConfigDict

from prizewire_chassis.keys import UnsafeKeyFile, read_secret_of
from prizewire_money import AssetRegistry

BY_FILE_ONLY: Final[JsonDict] = {"by_file_only": True}
"""``json_schema_extra`` of a secret that is a key: child processes and crash reports can read the environment."""
_OF_LIBPQ = re.compile(r"[?&](ssl[a-z]+)=")
"""Parameters of a URL as psql takes them. The driver has `ssl` alone, and reads files from variables as psql does."""
_OF_KEYS = re.compile(r"(key|secret|secrets|token)_file")


class ConfigurationError(Exception):
    """The service cannot start with these settings. The message is a sentence for the operator."""


class NotMigrated(Exception):
    """The database exists, but its migrations were not run. The message is a sentence for the operator."""


class MigrationSettings(BaseSettings):
    """What `migrate` reads: a migration needs the database only, so it is given no key and no password of Kafka.

    A field's name in capitals is its environment variable. Secrets have no default. A setting ``NAME`` may be read
    from a file that ``NAME_FILE`` names, a secret from a file of mode 0600. A key must be read from a file.
    """

    model_config = SettingsConfigDict(env_file=None, extra="ignore", frozen=True)

    prizewire_environment: Literal["development", "staging", "production"] = Field(
        "production", description="development, staging or production."
    )
    database_url: SecretStr = Field(description="The service's database under its runtime role.")
    database_migration_url: SecretStr | None = Field(None, description="The same database under its owner.")
    assets_file: Path = Field(Path("assets.yaml"), description="assets.yaml: code, decimals, redeemable.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")

    @classmethod
    def secrets(cls) -> dict[str, bool]:
        """The names of the secret fields, each with whether it must be given by a file."""
        return {
            name: info.json_schema_extra == BY_FILE_ONLY
            for name, info in cls.model_fields.items()
            if "SecretStr" in str(info.annotation)
        }

    @field_validator("database_url", "database_migration_url")
    @classmethod
    def _as_the_driver_takes_it(cls, url: SecretStr | None) -> SecretStr | None:
        """Refuse parameters that only psql has. The message does not repeat the URL, since it holds a password."""
        found = None if url is None else _OF_LIBPQ.search(url.get_secret_value())
        if found is None:
            return url
        name = found[1]
        instead = "write ssl= instead" if name == "sslmode" else f"set the variable PG{name.upper()} instead"
        msg = f"the URL has the parameter {name}, which only psql takes: {instead}"
        raise ValueError(msg)

    @model_validator(mode="before")
    @classmethod
    def _read_secrets(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Read the secrets that are given by files.

        Raises:
            UnsafeKeyFile: a key is in the environment, a secret is given twice, or its file is not usable.
        """
        given = {name.upper(): text for name, text in os.environ.items() if text}
        for name in cls.model_fields:
            variable = name.upper().removesuffix("_FILE")
            if _OF_KEYS.search(name) and variable in given:
                raise UnsafeKeyFile(_not_in_environment(variable))
        found = dict(values)
        for name, by_file_only in cls.secrets().items():
            variable = name.upper()
            file = found.pop(f"{name}_file", None) or given.get(f"{variable}_FILE")
            if by_file_only and found.get(name):
                raise UnsafeKeyFile(_not_in_environment(variable))
            if file is None:
                continue
            if found.get(name):
                raise UnsafeKeyFile(f"{variable} and {variable}_FILE are both set: leave one of them out")
            found[name] = read_secret_of(f"{variable}_FILE", Path(file))
        return found | cls._read_others(given)

    @classmethod
    def _read_others(cls, given: Mapping[str, str]) -> dict[str, str]:
        """The settings that are no secrets and are given by files."""
        read: dict[str, str] = {}
        for name in cls.model_fields.keys() - cls.secrets().keys():
            variable = name.upper()
            if variable.endswith("_FILE") or (file := given.get(f"{variable}_FILE")) is None:
                continue
            if variable in given:
                raise UnsafeKeyFile(f"{variable} and {variable}_FILE are both set: leave one of them out")
            try:
                read[name] = Path(file).read_text().strip()
            except OSError as error:
                raise UnsafeKeyFile(
                    f"{variable}_FILE names {file}, which cannot be read ({error.strerror}): set it to the path of the file"
                ) from None
        return read


class ServiceSettings(MigrationSettings):
    """Common settings of a running service."""

    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="Comma-separated host:port list.")
    kafka_security_protocol: str = Field("SASL_PLAINTEXT", description="SASL_PLAINTEXT or SASL_SSL.")
    kafka_sasl_mechanism: str = Field("SCRAM-SHA-512", description="The only mechanism served.")
    kafka_sasl_username: str = Field("", description="The service's Kafka principal.")
    kafka_sasl_password: SecretStr = Field(description="The principal's password.")
    kafka_ca_file: Path | None = Field(None, description="Certificate authority for SASL_SSL.")
    http_host: str = Field("127.0.0.1", description="Address to bind.")
    http_port: int = Field(8080, description="Port to bind.")
    http_header_timeout_s: int = Field(
        15, ge=1, description="Seconds in which a request's line and headers must arrive."
    )
    http_body_timeout_s: int = Field(30, ge=1, description="Seconds in which a request's body must arrive.")
    http_drain_s: float = Field(
        5.0,
        ge=0,
        le=60,
        description="Seconds for which HTTP requests are answered after SIGTERM, while readiness is refused.",
    )
    http_connections_max: int = Field(1000, ge=1, description="Open connections of one process.")
    http_rate_per_minute: int = Field(6000, ge=1, description="Requests of one caller, by one process.")
    http_anonymous_rate_per_minute: int = Field(
        600, ge=1, description="Requests without a token from one address, by one process."
    )
    http_bad_tokens_per_minute: int = Field(
        30, ge=1, description="Refused tokens from one address, before all are refused for the minute."
    )
    http_trusted_proxies: str = Field(
        "127.0.0.1,::1",
        description="Comma-separated addresses or networks whose X-Forwarded-For names the client.",
    )
    http_cors_origins: str = Field(
        "", description="Comma-separated origins whose browser pages may call; none where empty."
    )
    message_key_file: Path = Field(description="This service's Ed25519 message key (mode 0600).")
    trust_file: Path = Field(description="trust.json: the pinned public keys of all services.")
    checks_interval_s: int = Field(300, ge=1, description="Seconds between two runs of a service's checks.")
    otel_exporter_otlp_endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#@]+(/[^\s?#@]*)?)?$",
        description="Base URL of a collector that takes spans by OTLP over HTTP; no span is made where empty.",
    )
    otel_traces_sampler_arg: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Part of the traces begun here that is recorded; the same in all services.",
    )


def _not_in_environment(variable: str) -> str:
    return (
        f"{variable} is a key and must not be in the environment: unset it, put the key into a file of mode 0600, "
        f"and name that in {variable}_FILE"
    )


class ApiSettings(ServiceSettings):
    """The further settings of a service with an HTTP interface for people: the public keys of access tokens."""

    jwt_jwks_file: Path | None = Field(
        None,
        description="JWKS with the public keys of access tokens (Ed25519 or RSA); read again when it changes.",
    )
    jwt_jwks_url: str | None = Field(
        None, description="Where that JWKS is fetched instead: https, or http in development."
    )
    jwt_issuer: str = Field("prizewire-dev", description="Expected iss of access tokens.")
    jwt_audience: str = Field("prizewire", description="Expected aud of access tokens.")
    jwt_allow_hs256_development: bool = Field(
        False, description="Take HS256 tokens of JWT_SECRET_FILE too; for development only."
    )
    jwt_secret_file: Path | None = Field(
        None, description="HS256 secret (mode 0600); who has it can make tokens. For development only."
    )


def load_assets(path: Path) -> AssetRegistry:
    """Read ``assets.yaml``.

    Raises:
        ValueError: the file has no ``assets`` mapping, or an asset in it is malformed.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        msg = f"{path.name} is no YAML"
        raise ValueError(msg) from None
    if not isinstance(document, dict) or not isinstance(document.get("assets"), dict):
        msg = f"{path.name} has no mapping `assets`"
        raise ValueError(msg)  # noqa: TRY004 - a malformed file, not a wrong type
    return AssetRegistry.from_mapping(document["assets"])
