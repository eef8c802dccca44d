"""The database URL of the manifests is one with which a service talks TLS, and to the right server only."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from prizewire_chassis.db import Database
from prizewire_devstack.manifests.names import PARTS, Part

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's frontend/backend protocol, "SSLRequest"."""
PROTOCOL = struct.pack("!i", 196608)
DEADLINE_S = 600


def _authority(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    crt, pem = folder / f"{name}.crt", folder / f"{name}.key"
    crt.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return crt, pem


@contextlib.asynccontextmanager
async def _server(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A listener that begins TLS as PostgreSQL does and notes the start-up message that then comes; then it hangs up."""
    noted: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
            first = await reader.readexactly(8)
            if first == SSL_REQUEST:
                writer.write(b"S")
                await writer.drain()
                await writer.start_tls(context)
                noted.append(await reader.readexactly(8))
            else:
                noted.append(first)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], noted


async def _connect(part: Part, port: int) -> None:
    url = part.database_url(part.name, password="x")
    url = url.replace(f"{part.database_host}:5432", f"localhost:{port}")
    database = Database(url, application_name="test")
    try:
        async with asyncio.timeout(DEADLINE_S):
            await database.ping()
    finally:
        await database.close()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
@pytest.mark.parametrize(
    ("server_name", "trusted", "starts"),
    [
        ("localhost", "localhost", True),
        ("localhost", "other.test", False),
        ("other.test", "other.test", False),
    ],
    ids=["trusted", "unknown authority", "another name"],
)
async def test_a_service_talks_tls_to_the_right_server_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    part: Part,
    server_name: str,
    trusted: str,
    starts: bool,
) -> None:
    """The start-up message, with which the login begins, is sent to a server whose certificate fits, and to no other."""
    made: dict[str, tuple[Path, Path]] = {name: _authority(tmp_path, name) for name in {server_name, trusted}}
    monkeypatch.setenv("PGSSLROOTCERT", str(made[trusted][0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*made[server_name])
    async with _server(context) as (port, noted):
        with pytest.raises(Exception):  # noqa: B017 - the listener hangs up in any case
            await _connect(part, port)
    assert [one[4:] for one in noted] == ([PROTOCOL] if starts else [])
