"""The ends of the certificates that a process uses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from prizewire_chassis.lifecycle.certificates import certificate_files, certificates_job, first_end
from prizewire_chassis.settings import ServiceSettings

SOON, LATE = datetime(2030, 1, 2, tzinfo=UTC), datetime(2040, 1, 2, tzinfo=UTC)


def certificate(*ends: datetime) -> bytes:
    """A PEM file with one certificate for each end."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    key = Ed25519PrivateKey.generate()
    found = b""
    for end in ends:
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, end - timedelta(days=9), end)
        found += builder.sign(key, None).public_bytes(serialization.Encoding.PEM)
    return found


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        database_url="postgresql://nobody@127.0.0.1/none?ssl=verify-full",
        kafka_security_protocol="SASL_SSL",
        kafka_ca_file=tmp_path / "kafka.crt",
        kafka_sasl_password="made up",
        message_key_file=tmp_path / "key",
        trust_file=tmp_path / "trust",
    )


def test_the_first_certificate_of_a_file_counts(tmp_path: Path) -> None:
    """Of an old and a new authority in one file, the old one ends first."""
    path = tmp_path / "two.crt"
    path.write_bytes(certificate(LATE, SOON))
    assert first_end(path) == SOON


def test_the_files_are_those_that_connections_use(settings: ServiceSettings, tmp_path: Path) -> None:
    """The variable comes before the file in the home folder; what is missing, and what plain connections do not use, is left out."""
    home = tmp_path / "home"
    (home / ".postgresql").mkdir(parents=True)
    own, default, client = (
        tmp_path / "own.crt",
        home / ".postgresql/root.crt",
        home / ".postgresql/postgresql.crt",
    )
    for path in (own, default, client):
        path.touch()
    named = {"PGSSLROOTCERT": str(own)}
    assert certificate_files(settings, environment=named, home=home) == {
        "PGSSLROOTCERT": own,
        "PGSSLCERT": client,
    }
    assert certificate_files(settings, environment={}, home=home)["PGSSLROOTCERT"] == default
    settings.kafka_ca_file.touch()
    assert certificate_files(settings, environment={}, home=tmp_path) == {
        "KAFKA_CA_FILE": settings.kafka_ca_file
    }
    plain = settings.model_copy(
        update={
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "database_url": type(settings.database_url)("postgresql://x@y/z"),
        }
    )
    assert certificate_files(plain, environment=named, home=home) == {}


async def test_a_file_that_is_replaced_or_lost_is_seen(
    settings: ServiceSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figure follows the file. A file that cannot be read has none, and the log names the setting and not the path."""
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "database.crt"))
    monkeypatch.setenv("HOME", str(tmp_path))

    def shown(name: str) -> float | None:
        labels = {"kind": "certificate", "name": name}
        return REGISTRY.get_sample_value("prizewire_credential_expires_timestamp_seconds", labels)

    settings.kafka_ca_file.write_bytes(certificate(SOON))
    (tmp_path / "database.crt").write_bytes(certificate(LATE))
    job = certificates_job(settings)
    assert await job.run() is False
    assert (shown("KAFKA_CA_FILE"), shown("PGSSLROOTCERT")) == (SOON.timestamp(), LATE.timestamp())
    settings.kafka_ca_file.write_bytes(certificate(LATE))
    (tmp_path / "database.crt").write_text("no certificate")
    with capture_logs() as lines:
        await job.run()
    assert (shown("KAFKA_CA_FILE"), shown("PGSSLROOTCERT")) == (LATE.timestamp(), None)
    (line,) = lines
    assert (line["setting"], line["file"]) == ("PGSSLROOTCERT", "database.crt")
    settings.kafka_ca_file.unlink()
    await job.run()
    assert shown("KAFKA_CA_FILE") is None
