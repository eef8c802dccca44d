"""A token is accepted only if all of it is valid: key, signature, algorithm, issuer, audience, times, roles."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from prizewire_chassis.auth import Principal, Role, TokenReader
from prizewire_chassis.jwks import TokenKeysUnavailable, read_keys
from prizewire_chassis.problems import Problem
from prizewire_chassis.testing import FixedKeys, make_token, token_reader

SECRET = "never used outside this test, and longer than any of HS256, HS384 and HS512 asks a secret to be"
ED = Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def entry(key, kid: str, **more: object) -> dict[str, object]:
    algorithm = OKPAlgorithm if isinstance(key, Ed25519PrivateKey) else RSAAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


KEYS = read_keys(
    {
        "keys": [
            entry(ED, "ed"),
            entry(RSA, "rsa"),
            entry(ED, "ended", exp=time.time() - 1),
            entry(ED, "to-come", nbf=time.time() + 86_400),
        ]
    }
)


def reader(**changes: object) -> TokenReader:
    return TokenReader(
        **{"keys": FixedKeys(KEYS), "issuer": "prizewire-dev", "audience": "prizewire", **changes}
    )


def claims_of(*, without: str = "", **changes: object) -> dict[str, object]:
    now = datetime.now(UTC)
    claims = {
        "sub": "p-1", "roles": ["player"], "iss": "prizewire-dev", "aud": "prizewire", "iat": now,
        "exp": now + timedelta(hours=1), **changes,
    }  # fmt: skip
    claims.pop(without, None)
    return claims


def token(
    *,
    key=ED,
    algorithm: str = "EdDSA",
    kid: object = "ed",
    header: dict[str, object] | None = None,
    **claims: object,
) -> str:
    headers = {**({} if kid is None else {"kid": kid}), **(header or {})}
    return jwt.encode(claims_of(**claims), key, algorithm=algorithm, headers=headers)


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part, default=str).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed_with_public_key(kid: str) -> str:
    """An HS256 token whose secret is the public key, as an attacker would make it."""
    public = KEYS[kid].key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = {**claims_of(), "iat": int(time.time()), "exp": int(time.time()) + 60}
    signed = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{encoded(body)}"
    return f"{signed}.{encoded(hmac.digest(public, signed.encode(), hashlib.sha256))}"


def tampered(made: str) -> str:
    """The same token for another subject, under the old signature."""
    header, body, signature = made.split(".")
    changed = base64.urlsafe_b64decode(body + "==").replace(b'"p-1"', b'"p-2"')
    return f"{header}.{encoded(changed)}.{signature}"


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "made",
    [
        token,
        lambda: token(key=RSA, algorithm="RS256", kid="rsa"),
        lambda: token(exp=ago(0.2)),
        lambda: token(nbf=ago(-0.2)),
        lambda: token(aud=["other", "prizewire"]),
    ],
)
async def test_a_good_token_names_its_caller(made):
    """Ed25519 and RSA keys; the clocks of two machines may differ by half a minute."""
    assert await reader().read(made()) == Principal("p-1", frozenset({Role.PLAYER}))


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: token(exp=ago(1)), "it has expired"),
        (lambda: tampered(token()), "its signature is not that of its key"),
        (lambda: token(aud="other"), "its audience (aud) is not this service's"),
        (lambda: token(iss="other"), "its issuer (iss) is not this service's"),
        (lambda: token(sub=7), "its subject (sub) is no text"),
        (lambda: "nonsense", "it cannot be read as a JWT, which has three Base64url parts with dots between"),
    ],
)
async def test_the_refusal_of_a_token_is_in_plain_words(made, sentence: str):
    """The detail says what is wrong with the token."""
    with pytest.raises(Problem) as problem:
        await reader().read(made())
    assert problem.value.detail.startswith(f"the token was refused: {sentence}")


@pytest.mark.parametrize(
    "made",
    [
        lambda: token(exp=ago(1)),
        lambda: token(nbf=ago(-1)),
        lambda: token(without="exp"),
        lambda: token(without="sub"),
        lambda: token(without="iss"),
        lambda: token(without="aud"),
        lambda: token(iss="other"),
        lambda: token(aud="other"),
        lambda: token(sub=7),
        lambda: token(exp=1e400),
        lambda: tampered(token()),
        lambda: token(roles=["player", "emperor"]),
        lambda: token(roles="admin"),
        lambda: token(roles=None),
        lambda: token(roles=[["admin"]]),
        lambda: token(roles={"admin": 1}),
        lambda: token(header={"crit": ["b64"]}),
        lambda: "nonsense",
        lambda: encoded(b"[" * 100_000) + ".e30.AA",
    ],
)  # fmt: skip
async def test_a_token_with_one_thing_wrong_is_refused(made):
    """Expired, not yet valid, a claim missing or wrong, a changed byte, roles that are none, nonsense."""
    await refused(reader(), made())


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: token(key=None, algorithm="none"), id="no algorithm"),
        pytest.param(lambda: f"{encoded({'alg': 'none', 'kid': 'ed'})}.{encoded(claims_of())}.", id="no signature"),
        pytest.param(lambda: signed_with_public_key("ed"), id="HS256 with the Ed25519 public key"),
        pytest.param(lambda: signed_with_public_key("rsa"), id="HS256 with the RSA public key"),
        pytest.param(lambda: token(key=SECRET, algorithm="HS256", kid=None), id="HS256 with a secret"),
        pytest.param(lambda: token(kid="rsa"), id="EdDSA under the id of an RSA key"),
        pytest.param(lambda: token(key=RSA, algorithm="RS256", kid="ed"), id="RS256 under the id of an Ed25519 key"),
        pytest.param(lambda: token(key=RSA, algorithm="RS512", kid="rsa"), id="another RSA algorithm"),
        pytest.param(lambda: token(key=RSA, algorithm="PS256", kid="rsa"), id="another RSA padding"),
        pytest.param(lambda: token(key=Ed25519PrivateKey.generate()), id="another key under a known id"),
        pytest.param(lambda: token(kid="nobody"), id="an unknown key"),
        pytest.param(lambda: token(kid=None), id="no key named"),
        pytest.param(lambda: token(kid=""), id="an empty key id"),
        pytest.param(lambda: token(kid="x" * 201), id="a long key id"),
        pytest.param(lambda: token(kid="ended"), id="a key that has ended"),
        pytest.param(lambda: token(kid="to-come"), id="a key that has not begun"),
    ],
)  # fmt: skip
async def test_only_the_named_key_and_its_algorithm_count(made):
    """What the token says of its algorithm decides nothing: the key that it names does."""
    await refused(reader(), made())


async def refused(by: TokenReader, made: str) -> None:
    with pytest.raises(Problem) as problem:
        await by.read(made)
    assert (problem.value.status, problem.value.code) == (401, "token_invalid")


async def test_hs256_counts_only_where_development_allows_it():
    """With the development secret its tokens are taken, and nothing else of HS256 is; without it none is."""
    made = token(key=SECRET, algorithm="HS256", kid=None)
    assert (await reader(hs256_secret=SECRET).read(made)).subject == "p-1"
    assert (await reader(hs256_secret=SECRET).read(token())).subject == "p-1"
    await refused(reader(), made)
    await refused(reader(hs256_secret=SECRET), signed_with_public_key("rsa"))
    await refused(reader(hs256_secret=SECRET), token(key=SECRET, algorithm="HS512", kid=None))


async def test_without_a_key_nobody_is_believed():
    """A service that has no key refuses every token instead of taking it unchecked."""
    await refused(reader(keys=None), token())


async def test_keys_that_cannot_be_had_are_not_the_callers_fault():
    """While nobody can say which keys are good, the answer is 503 and not 401."""

    class Away:
        async def find(self, kid: str) -> None:
            raise TokenKeysUnavailable

    with pytest.raises(Problem) as problem:
        await reader(keys=Away()).read(token())
    assert (problem.value.status, problem.value.code) == (503, "token_keys_unavailable")


async def test_tokens_of_tests_are_taken_by_their_reader():
    """The helpers of services' tests fit together."""
    made = make_token(subject="p-1", roles=["player", "approver"])
    assert await token_reader().read(made) == Principal("p-1", frozenset({Role.PLAYER, Role.APPROVER}))
    await refused(token_reader(), make_token(subject="p", roles=["admin"], issuer="other"))
