"""What is refused before any route sees it, how often one may ask, and what every answer carries."""

from enum import StrEnum
from typing import Any

import httpx
import pytest
from litestar import Request, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery

from prizewire_chassis.auth import Principal, TokenReader, require
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.limits import NAMES_MAX, WINDOW_S, Limits, Window
from prizewire_chassis.metrics import HTTP_REFUSED
from prizewire_chassis.testing import make_token, token_reader


class Colour(StrEnum):
    RED = "red"


@get("/things/{name:str}")
async def thing(
    name: FromPath[str],
    kind: FromQuery[str | None] = None,
    size: FromQuery[int | None] = None,
    colour: FromQuery[Colour | None] = None,
) -> dict[str, Any]:
    del colour
    return {"name": name, "kind": kind, "size": size}


def provide_pages(size: FromQuery[int | None] = None, name: FromQuery[str | None] = None) -> tuple[Any, ...]:
    return size, name


@get("/pages", dependencies={"pages": Provide(provide_pages, sync_to_thread=False)})
async def paged(pages: NamedDependency[tuple[Any, ...]]) -> list[Any]:
    return list(pages)


@get("/mine", guards=[require()])
async def mine(request: Request[Principal, Any, Any]) -> dict[str, str]:
    return {"subject": request.user.subject}


@post("/body")
async def body(request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"length": len(await request.body())}


def application(**options: Any) -> httpx.AsyncClient:
    app = build_app(
        service="test",
        controllers=[thing, paged, mine, body],
        health=Health(),
        tokens=token_reader(),
        **options,
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service.test")


@pytest.fixture
async def client():
    async with application() as opened:
        yield opened


def bearer(subject: str = "ana") -> dict[str, str]:
    return {"authorization": f"Bearer {make_token(subject=subject, roles=['player'])}"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/things/a%00b", "character_refused"),
        ("/things/a%0ab", "character_refused"),
        ("/things/e%cc%81", "character_refused"),
        ("/things/%e2%80%ae", "character_refused"),
        ("/things/a?kind=%00", "character_refused"),
        ("/things/a?kind=%ff", "character_refused"),
        ("/things/a?kind=%ed%a0%80", "character_refused"),
        ("/things/a?%00=1", "character_refused"),
        ("/things/a?kind=x&kind=y", "parameter_repeated"),
        ("/things/a?size=null", "invalid_request"),
        ("/things/a?size=NULL", "invalid_request"),
        ("/pages?size=null", "invalid_request"),
        ("/things/a?colour=null", "invalid_request"),
        ("/things/a?staus=x", "parameter_unknown"),
        ("/things/a?name=x", "parameter_unknown"),
        ("/mine?x", "parameter_unknown"),
    ],
)
async def test_hostile_paths_and_queries_are_refused(client, path, code):
    """With a code that says what is wrong, before a token is looked at."""
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_null_is_a_text_where_a_parameter_takes_text(client):
    """Also where a dependency takes it."""
    assert (await client.get("/things/a?kind=null")).json()["kind"] == "null"
    assert (await client.get("/pages?name=null&size=7")).json() == [7, "null"]


async def test_an_unknown_parameter_is_named_with_the_known_ones(client):
    """A misspelt filter is refused, so that the whole list is not taken for the answer."""
    answer = await client.get("/things/a?staus=x")
    assert answer.json()["detail"] == "this route has no query parameter 'staus'; it has: colour, kind, size"
    assert (await client.get("/things/caf%C3%A9?kind=x")).json()["kind"] == "x"


@pytest.mark.parametrize("name", ["idempotency-key", "authorization", "content-type", "x-request-id"])
async def test_a_security_header_may_be_given_once(client, name):
    """Two of them could be read one way by a proxy and another way here."""
    answer = await client.get("/things/a", headers=[(name, "a"), (name, "b")])
    assert (answer.status_code, answer.json()["code"]) == (400, "header_repeated")


@pytest.mark.parametrize(
    "subject", ["", "a b", "a" * 129, "a\x00", "a\nb", "e\u0301", "\u202eana", "kim\u200b"]
)
async def test_a_token_whose_subject_is_no_name_is_refused(client, subject):
    """The subject stands in events as a name: what no event can carry does not come in."""
    answer = await client.get("/mine", headers=bearer(subject))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_every_answer_says_that_it_is_not_to_be_kept_or_guessed(client):
    """Successes, refusals and unknown paths alike."""
    for path in ("/things/a", "/mine", "/nowhere", "/health/live"):
        headers = (await client.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert len(headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("given", "echoed"),
    [("abc.DEF_1:2-3", True), ("a b", False), ("x" * 129, False), ("é", False), ("a;b", False)],
)
async def test_a_request_id_is_echoed_where_it_can_stand_in_a_log(client, given, echoed):
    """Otherwise it gets a new one."""
    headers = (await client.get("/things/a", headers={"x-request-id": given.encode()})).headers
    assert (headers["x-request-id"] == given) is echoed
    assert headers["x-request-id"].isascii()


async def test_browsers_are_kept_out_unless_their_origin_is_named(client):
    """Without a setting no page of another origin reads an answer; a named one may, others still may not."""
    asked = {"origin": "https://shop.example", "access-control-request-method": "GET"}
    assert "access-control-allow-origin" not in (await client.get("/things/a", headers=asked)).headers
    async with application(cors_origins=["https://shop.example"]) as opened:
        allowed = await opened.get("/things/a", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert (await opened.options("/things/a", headers=asked)).status_code == 204
        other = await opened.get("/things/a", headers={**asked, "origin": "https://evil.example"})
        assert other.headers.get("access-control-allow-origin") != "https://evil.example"


async def test_one_caller_has_a_limit_of_their_own():
    """Beyond it 429 says how long to wait; another caller goes on."""
    limits = Limits.per_minute(callers=2, anonymous=9, bad_tokens=9)
    async with application(limits=limits) as opened:
        first = await opened.get("/mine", headers=bearer())
        assert first.headers["ratelimit-policy"] == f'"caller";q=2;w={WINDOW_S}'
        assert first.headers["ratelimit"].startswith('"caller";r=1;t=')
        await opened.get("/mine", headers=bearer())
        before = HTTP_REFUSED.labels("rate_limited")._value.get()
        refused = await opened.get("/mine", headers=bearer())
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= WINDOW_S + 1
        assert refused.headers["ratelimit"].startswith('"caller";r=0;t=')
        assert HTTP_REFUSED.labels("rate_limited")._value.get() == before + 1
        assert (await opened.get("/mine", headers=bearer("bob"))).status_code == 200
        assert (await opened.get("/health/live")).status_code == 200


async def test_an_address_without_a_token_has_a_limit():
    """Health and metrics are not counted, since probes come without a token."""
    async with application(limits=Limits.per_minute(callers=9, anonymous=1, bad_tokens=9)) as opened:
        for _ in range(3):
            assert (await opened.get("/health/live")).status_code == 200
        assert (await opened.get("/things/a")).status_code == 200
        assert (await opened.get("/things/a")).json()["code"] == "rate_limited"


async def test_an_address_with_many_wrong_tokens_is_refused():
    """After so many refused tokens not even a good one is looked at for the rest of the minute."""
    read: list[str] = []

    class Reader(TokenReader):
        async def read(self, token: str) -> Principal:
            read.append(token)
            return await token_reader().read(token)

    app = build_app(
        service="test",
        controllers=[mine],
        health=Health(),
        tokens=Reader(keys=None, issuer="prizewire-dev", audience="prizewire"),
        limits=Limits.per_minute(callers=9, anonymous=9, bad_tokens=3),
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://service.test"
    ) as opened:
        for number in range(3):
            answer = await opened.get("/mine", headers={"authorization": f"Bearer bad{number}"})
            assert answer.status_code == 401
        answer = await opened.get("/mine", headers=bearer())
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_bad_tokens")
        assert "retry-after" in answer.headers
    assert len(read) == 3


def test_a_window_ends_and_forgets():
    """The next minute begins at zero for every name."""
    now = [0.0]
    window = Window(name="caller", most=1, now=lambda: now[0])
    assert [window.hit("ana"), window.hit("ana"), window.hit("bob")] == [1, 2, 1]
    now[0] = WINDOW_S
    assert window.hit("ana") == 1


def test_many_names_fill_no_memory():
    """Beyond the bound new names share one count, and known ones keep theirs."""
    window = Window(name="address", most=1, now=lambda: 0.0)
    for number in range(NAMES_MAX):
        window.hit(str(number))
    assert [window.hit("new"), window.hit("newer"), window.hit("7")] == [1, 2, 2]
    assert window.count("newest") == 2


async def test_a_body_that_takes_too_long_is_refused():
    """One deadline holds for the whole body, however often a little of it comes."""
    from asyncio import Event

    async def slow():
        yield b"x"
        await Event().wait()

    async with application(body_s=0.05) as opened:
        answer = await opened.post("/body", content=slow())
        assert (answer.status_code, answer.json()["code"]) == (408, "body_timeout")
        assert (await opened.post("/body", content=b"xyz")).json() == {"length": 3}
