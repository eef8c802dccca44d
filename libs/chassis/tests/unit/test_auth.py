"""A token is believed only whole: signature, algorithm, issuer, audience, times, roles."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from prizewire_chassis.auth import Principal, Role, TokenReader
from prizewire_chassis.problems import Problem

SECRET = "never used outside this test, and longer than any of HS256, HS384 and HS512 asks a secret to be"


def reader() -> TokenReader:
    return TokenReader(secret=SECRET, issuer="prizewire-dev", audience="prizewire")


def token(*, algorithm: str = "HS256", without: str = "", **changes: object) -> str:
    now = datetime.now(UTC)
    claims = {
        "sub": "p-1", "roles": ["player"], "iss": "prizewire-dev", "aud": "prizewire", "iat": now,
        "exp": now + timedelta(hours=1), **changes,
    }  # fmt: skip
    claims.pop(without, None)
    return jwt.encode(claims, None if algorithm == "none" else SECRET, algorithm=algorithm)


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def test_clocks_may_differ_a_little():
    """A token that ended, or begins, within half a minute is taken: clocks of two machines are never equal."""
    wanted = Principal("p-1", frozenset({Role.PLAYER}))
    assert reader().read(token(exp=ago(0.2))) == wanted
    assert reader().read(token(nbf=ago(-0.2))) == wanted


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
        lambda: token(algorithm="HS384"),
        lambda: token(algorithm="HS512"),
        lambda: token(algorithm="none"),
        lambda: token()[:-2] + "AA",
        lambda: token(roles=["player", "emperor"]),
        lambda: token(roles="admin"),
        lambda: token(roles=None),
        lambda: token(roles=[["admin"]]),
        lambda: token(roles={"admin": 1, "x": 2}),
    ],
)
def test_a_token_with_one_thing_wrong_is_refused(made):
    """Expired, not yet valid, a claim missing or wrong, another algorithm, a changed byte, roles that are none."""
    with pytest.raises(Problem) as refused:
        reader().read(made())
    assert (refused.value.status, refused.value.code) == (401, "token_invalid")


def test_without_a_secret_nobody_is_believed():
    """A service that has no secret refuses every token instead of taking it unchecked."""
    with pytest.raises(Problem) as refused:
        TokenReader(secret=None, issuer="prizewire-dev", audience="prizewire").read(token())
    assert (refused.value.status, refused.value.code) == (401, "token_invalid")
