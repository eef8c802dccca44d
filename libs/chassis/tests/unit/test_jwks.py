"""Public keys of tokens: which of a set count, and when a file or a URL is read again."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from prizewire_chassis.jwks import (
    FRESH_S,
    KEPT_S,
    PAUSE_S,
    FileKeys,
    TokenKeysMalformed,
    TokenKeysUnavailable,
    UrlKeys,
    read_keys,
)
from prizewire_chassis.lifecycle import ConfigurationError
from prizewire_chassis.lifecycle.tokens import token_reader
from prizewire_chassis.settings import ApiSettings, ServiceSettings
from prizewire_chassis.testing import token_jwks
from prizewire_devstack.waiting import eventually

ED = Ed25519PrivateKey.generate()
PUBLIC = OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True)


def jwks(*kids: str) -> dict[str, list[dict[str, object]]]:
    return {"keys": [{**PUBLIC, "kid": kid} for kid in kids]}


def rsa_entry(bits: int, **more: object) -> dict[str, object]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": f"rsa-{bits}", **more}


def test_keys_of_other_kinds_are_passed_over():
    """An identity provider publishes keys for encryption and other algorithms too: they check no token here."""
    curve = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    entries = [
        *jwks("ed")["keys"],
        rsa_entry(2048),
        rsa_entry(1024),
        rsa_entry(2048) | {"kid": "enc", "use": "enc"},
        rsa_entry(2048) | {"kid": "ps", "alg": "PS256"},
        {**curve, "kid": "curve"},
        {**PUBLIC, "kid": "ops", "key_ops": ["encrypt"]},
        {**PUBLIC, "kid": "odd-ops", "key_ops": 7},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "short"},
        {"kty": "new", "kid": "new"},
        PUBLIC,
        {**PUBLIC, "kid": 7},
    ]
    found = read_keys({"keys": entries})
    assert {kid: key.algorithm for kid, key in found.items()} == {"ed": "EdDSA", "rsa-2048": "RS256"}


@pytest.mark.parametrize(
    "document",
    [
        [], {}, {"keys": {}}, {"keys": ["x"]}, jwks("a", "a"), {"keys": [{**PUBLIC, "kid": "a", "exp": "soon"}]},
        {"keys": [{**OKPAlgorithm.to_jwk(ED, as_dict=True), "kid": "a"}]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]},
    ],
)  # fmt: skip
def test_a_set_with_a_secret_or_two_keys_of_one_name_is_refused(document):
    """A private or symmetric key in a set is a secret that was published: the whole set is refused."""
    with pytest.raises(TokenKeysMalformed):
        read_keys(document)


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path):
    """A new key serves at once, a removed one no more; what cannot be read leaves the former keys in place."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(jwks("old")))
    keys = FileKeys(file)
    assert await keys.find("old")
    replace(file, json.dumps(jwks("old", "new")))
    assert await keys.find("new")
    replace(file, "{")
    assert await keys.find("new")
    file.unlink()
    assert await keys.find("new")
    replace(file, json.dumps(jwks("new")))
    assert await keys.find("old") is None
    assert await keys.find("new")


def replace(file: Path, text: str) -> None:
    """As Kubernetes replaces a mounted file: another one under the same name."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


class Issuer:
    """Serves a JWKS, and counts how often it was asked; ``hold`` keeps answers back."""

    def __init__(self) -> None:
        self.document: object = jwks("first")
        self.asked = 0
        self.hold = threading.Event()
        self.hold.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks.json"


@contextmanager
def served(issuer: Issuer) -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            issuer.hold.wait(20)
            if issuer.document is None:
                self.send_error(500)
                return
            body = json.dumps(issuer.document).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with served(Issuer()) as found:
        yield found


class Time:
    """A clock in the test's hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_unknown_keys_cannot_make_a_storm(issuer):
    """A hundred tokens that name unknown keys make one request; the next is made after the pause."""
    clock = Time()
    keys = UrlKeys(issuer.url, monotonic=clock)
    found = await asyncio.gather(*(keys.find(f"nobody-{n}") for n in range(100)), keys.find("first"))
    assert found[-1] is not None
    assert found[:-1] == [None] * 100
    assert issuer.asked == 1
    clock.now += PAUSE_S / 2
    assert await keys.find("nobody") is None
    assert issuer.asked == 1
    issuer.document = jwks("first", "second")
    clock.now += PAUSE_S
    assert await keys.find("second")
    assert issuer.asked == 2


async def test_a_known_key_never_waits(issuer):
    """Old keys are fetched again behind the back of a caller whose key is known, and the event loop is not held up."""
    clock = Time()
    keys = UrlKeys(issuer.url, monotonic=clock)
    assert await keys.find("first")
    issuer.hold.clear()
    issuer.document = jwks("second")
    clock.now += FRESH_S + 1
    assert await keys.find("first")
    await eventually(lambda: issuer.asked == 2)
    waiting = asyncio.create_task(keys.find("second"))
    assert await keys.find("first")
    assert not waiting.done()
    issuer.hold.set()
    assert await waiting
    assert await keys.find("first") is None


async def test_an_issuer_that_is_away_is_borne_for_an_hour(issuer):
    """The former keys serve meanwhile; afterwards, and before the first answer, nobody can say which keys are good."""
    clock = Time()
    keys = UrlKeys(issuer.url, monotonic=clock)
    issuer.document = None
    with pytest.raises(TokenKeysUnavailable):
        await keys.find("first")
    issuer.document = jwks("first")
    clock.now += PAUSE_S
    assert await keys.find("first")
    for broken in (None, {"keys": "x"}, [], {"keys": [{"kty": "oct", "k": "AA", "kid": "first"}]}):
        issuer.document = broken
        clock.now += FRESH_S + 1
        assert await keys.find("nobody") is None
        assert await keys.find("first")
    clock.now += KEPT_S
    with pytest.raises(TokenKeysUnavailable):
        await keys.find("first")


def settings(tmp_path: Path, **changes: object) -> ApiSettings:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(token_jwks()))
    return ApiSettings(
        **{
            "database_url": "postgresql://x", "kafka_sasl_password": "x", "message_key_file": tmp_path,
            "trust_file": tmp_path, "jwt_jwks_file": file, **changes,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jwt_jwks_file": None}, "set JWT_JWKS_FILE or JWT_JWKS_URL"),
        ({"jwt_jwks_url": "https://id.example/jwks"}, "both set"),
        ({"jwt_jwks_file": Path("none.json")}, "cannot be read"),
        ({"jwt_jwks_file": None, "jwt_jwks_url": "http://id.example/jwks"}, "https://"),
        ({"jwt_jwks_file": None, "jwt_jwks_url": "file:///etc/passwd"}, "https://"),
        ({"jwt_secret_file": Path("secret")}, "JWT_ALLOW_HS256_DEVELOPMENT=true"),
        ({"jwt_allow_hs256_development": True}, "is for PRIZEWIRE_ENVIRONMENT=development"),
        ({"jwt_allow_hs256_development": True, "prizewire_environment": "staging"}, "PRIZEWIRE_ENVIRONMENT"),
        ({"jwt_allow_hs256_development": True, "prizewire_environment": "development"}, "JWT_SECRET_FILE"),
    ],
)  # fmt: skip
def test_settings_that_must_not_be_started_with(tmp_path: Path, changes, said):
    """No key, two places, no encryption on the way, or a shared secret outside of development: a sentence says what."""
    with pytest.raises(ConfigurationError, match=said):
        token_reader(settings(tmp_path, **changes))


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_a_short_hs256_secret_stops_the_start(tmp_path: Path, secret):
    """A secret that can be guessed would make everybody an admin."""
    file = tmp_path / "secret"
    file.write_text(secret)
    file.chmod(0o600)
    found = settings(
        tmp_path,
        jwt_allow_hs256_development=True,
        jwt_secret_file=file,
        prizewire_environment="development",
    )
    with pytest.raises(ConfigurationError, match="too short"):
        token_reader(found)


def test_an_environment_of_another_name_is_refused(tmp_path: Path):
    """A misspelt name would otherwise count as something else than production."""
    with pytest.raises(ValueError, match="production"):
        settings(tmp_path, prizewire_environment="prod")


def test_a_service_without_routes_for_people_knows_no_tokens():
    """The common settings name nothing of tokens: what the signer has not, it cannot misuse."""
    assert not [name for name in ServiceSettings.model_fields if name.startswith("jwt")]
