"""When the certificates end that a process checks its servers with, or shows to them."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from prizewire_chassis.jobs import Job
from prizewire_chassis.lifecycle.runtime import database_url
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics import CREDENTIAL_EXPIRES
from prizewire_chassis.metrics.labels import CredentialKind
from prizewire_chassis.settings import ServiceSettings

_INTERVAL_S: Final = 600.0
_OF_DATABASE: Final = {"PGSSLROOTCERT": "root.crt", "PGSSLCERT": "postgresql.crt"}
"""The variables that name the certificates of connections to PostgreSQL, and the files in ``~/.postgresql`` that are used
without them (asyncpg, "connect", argument ``ssl``).
"""
_log = get_logger(__name__)


def certificate_files(
    settings: ServiceSettings, *, environment: Mapping[str, str], home: Path
) -> dict[str, Path]:
    """The files of certificates that the process uses, by the setting that names them, as far as they exist."""
    found: dict[str, Path] = {}
    if settings.kafka_security_protocol == "SASL_SSL" and settings.kafka_ca_file is not None:
        found["KAFKA_CA_FILE"] = settings.kafka_ca_file
    if "ssl" in database_url(settings.database_url.get_secret_value(), setting="DATABASE_URL").query:
        for name, default in _OF_DATABASE.items():
            found[name] = Path(environment.get(name) or home / ".postgresql" / default)
    return {name: path for name, path in found.items() if path.exists()}


def first_end(path: Path) -> datetime:
    """When the first certificate of a PEM file ends: one that has ended must be taken out or replaced.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no certificate, or a malformed one.
    """
    return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes()))


def certificates_job(settings: ServiceSettings) -> Job:
    """A job that shows when each certificate file's first certificate ends. It reads the files again, since they are replaced
    while the process runs. A file that cannot be read is logged and has no figure.
    """
    shown: set[str] = set()

    async def run() -> bool:
        files = certificate_files(settings, environment=os.environ, home=Path.home())
        ends = {name: end for name, path in files.items() if (end := _end(name, path)) is not None}
        for name in shown - ends.keys():
            CREDENTIAL_EXPIRES.remove(CredentialKind.CERTIFICATE, name)
        for name, end in ends.items():
            CREDENTIAL_EXPIRES.labels(CredentialKind.CERTIFICATE, name).set(end.timestamp())
        shown.clear()
        shown.update(ends)
        return False

    return Job("certificates", _INTERVAL_S, run)


def _end(name: str, path: Path) -> datetime | None:
    try:
        return first_end(path)
    except (OSError, ValueError) as error:
        _log.warning(
            "the file of a certificate cannot be read", setting=name, file=path.name, error=repr(error)
        )
        return None
