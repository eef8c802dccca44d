"""HTTP of every service: guards, limits of size, and problem details that show no internals."""

from typing import Annotated, Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from litestar import Request, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.auth import OWN_PROOF, ApiTokens, Role, machines, require
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.app import BODY_BYTES_MAX
from prizewire_chassis.metrics import HTTP_REQUESTS
from prizewire_chassis.testing import make_token, token_reader

CAUSE = "relation wallets, password hush"


@post("/length")
async def length(request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"length": len(await request.body())}


@post("/typed")
async def typed(data: JSONBody[dict[str, int]]) -> dict[str, int]:
    return data


class Purse(BaseModel):
    amount: str
    places: Annotated[list[int], Field(max_length=3)] = []
    share: Annotated[int, Field(strict=True)] = 1


@post("/purse")
async def purse(data: JSONBody[Purse]) -> dict[str, str]:
    return {"amount": data.amount}


@get("/broken")
async def broken() -> None:
    raise RuntimeError(CAUSE)


@get("/away")
async def away() -> None:
    raise asyncpg.CannotConnectNowError(CAUSE)


@get("/raised/{given:str}")
async def raised(given: FromPath[str]) -> None:
    error = asyncpg.PostgresError(CAUSE)
    error.sqlstate = given
    raise DBAPIError("SELECT", None, error)


@get("/systems", guards=[machines])
async def systems(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {"subject": request.user.subject}


async def system_of(token: str) -> tuple[str, str] | None:
    return ("/games/chess", "ada") if token == "api_given" else None


@get("/anybody", guards=[require()])
async def anybody(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {"subject": request.user.subject}


@get("/own-proof", opt=OWN_PROOF)
async def own_proof(request: Request) -> dict[str, object]:
    return {"user": request.scope.get("user"), "header": request.headers.get("authorization")}


@get("/approvers", guards=[require(Role.APPROVER, Role.ADMIN)])
async def approvers() -> None:
    return


@get("/things/{thing_id:uuid}/parts/{number:int}")
async def part(thing_id: FromPath[UUID], number: FromPath[int]) -> dict[str, str]:
    return {"part": f"{thing_id} {number}"}


@pytest.fixture
async def client():
    app = build_app(
        service="test",
        controllers=[
            length,
            typed,
            purse,
            broken,
            away,
            raised,
            anybody,
            approvers,
            own_proof,
            systems,
            part,
        ],
        health=Health(),
        tokens=token_reader(),
        api_tokens=ApiTokens(prefix="api_", read=system_of),
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        yield opened


def bearer(*roles: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"authorization": f"{scheme} {make_token(subject='p-1', roles=roles)}"}


async def test_a_route_with_a_proof_of_its_own_is_left_alone(client):
    """Its Authorization header is not looked at, and nobody is known there; every other route refuses that header."""
    for header in ("Acme proof", "Bearer nonsense", bearer("admin")["authorization"]):
        answer = await client.get("/own-proof", headers={"authorization": header})
        assert (answer.status_code, answer.json()) == (200, {"user": None, "header": header})
    answer = await client.get("/anybody", headers={"authorization": "Acme proof"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def chunks(total: int):
    while total > 0:
        yield b"x" * min(65_536, total)
        total -= 65_536


async def test_a_body_may_be_as_long_as_the_limit(client):
    """The limit itself is allowed, announced or in chunks."""
    for content in (b"x" * BODY_BYTES_MAX, chunks(BODY_BYTES_MAX)):
        answer = await client.post("/length", content=content)
        assert (answer.status_code, answer.json()) == (201, {"length": BODY_BYTES_MAX})


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_longer_body_is_refused(client, chunked):
    """One byte more is answered 413, also when the length was not announced."""
    size = BODY_BYTES_MAX + 1
    answer = await client.post("/length", content=chunks(size) if chunked else b"x" * size)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert str(BODY_BYTES_MAX) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/broken", 500, "internal_error"), ("/away", 503, "unavailable")]
)
async def test_an_unexpected_failure_hides_its_cause(client, path, status, code):
    """A bug, or an unavailable database, is answered with its code; the cause is only in the log."""
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers.get("retry-after") == ("5" if code == "unavailable" else None)
    assert set(answer.json()) == {"type", "title", "status", "code", "detail", "instance"}
    assert "hush" not in answer.text
    assert "wallets" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "body_not_json"),
        (b"[1]", "invalid_request"),
        (b'{"a": "b"}', "invalid_request"),
        (b"", "invalid_request"),
        (b"null", "invalid_request"),
        (b"\xff", "body_not_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "body_not_utf8"),
        (b'{"\\ud800": 1}', "body_not_json"),
        (b'{"a": 1} x', "body_not_json"),
        (b'{"a": NaN}', "body_not_json"),
        (b'{"a": -Infinity}', "body_not_json"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "number_out_of_range"),
        (b'{"a": 1e999}', "number_out_of_range"),
        (b'{"a": 1, "a": 2}', "member_repeated"),
        (b'{"b": {"a": 1, "a": 1}}', "member_repeated"),
        (b"[" * 1_100 + b"]" * 1_100, "json_too_deep"),
        (b'{"a":' * 1_100 + b"1" + b"}" * 1_100, "json_too_deep"),
        (b"[" * 100_000, "json_too_deep"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "json_too_deep"),
    ],
)
async def test_a_body_that_cannot_be_read_is_the_callers_mistake(client, content, code):
    """Malformed input is answered 400 with a stable code, never 500."""
    answer = await client.post("/typed", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_text_of_every_script_is_taken(client):
    """Only what is wrong is refused: escapes of pairs, letters and emoji go through."""
    for content in ('{"amount": "\\ud83d\\ude80"}', '{"amount": "🚀 é"}', '{"amount": "a\\u0041"}'):
        answer = await client.post(
            "/purse", content=content.encode(), headers={"content-type": "application/json"}
        )
        assert answer.status_code == 201


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (b"1.5", "invalid_request"),
        (b"9007199254740991", "invalid_request"),
        (b"9007199254740992", "number_out_of_range"),
        (b"1" + b"0" * 30, "number_out_of_range"),
        (b"-1e30", "number_out_of_range"),
        (b"true", "invalid_request"),
    ],
)
async def test_a_number_that_is_too_large_has_a_code_of_its_own(client, amount, code):
    """A number beyond 2^53 where an amount's text belongs has a code of its own, and names its field."""
    body = b'{"amount": ' + amount + b"}"
    answer = await client.post("/purse", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["errors"][0]["field"] == "amount"


@pytest.mark.parametrize(
    ("share", "status"),
    [(2, 201), ("2", 400), (True, 400), (2.0, 400)],
    ids=["number", "text", "truth", "float"],
)
async def test_a_strict_member_takes_no_other_type(client, share, status):
    """Neither text of digits nor a truth value stands for a number where a body says so."""
    answer = await client.post("/purse", json={"amount": "1.00", "share": share})
    assert answer.status_code == status


async def test_unknown_routes_and_methods_have_codes(client):
    """What is not there is said as problem details too."""
    assert (await client.get("/nowhere")).json()["code"] == "not_found"
    assert (await client.get("/length")).json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/things/abc/parts/7", "in the path, thing_id is a UUID such as"),
        (f"/things/{UUID(int=1)}/parts/x", "in the path, number is a whole number, not 'x'"),
        ("/things/abc/parts/x", "not 'abc'; number is a whole number, not 'x'"),
    ],
)
async def test_an_id_of_another_form_is_named_with_its_form(client, path, said):
    """A path that only lacks the form of its ids is still not found; the answer says what form they have."""
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/things/abc/parts", "/things/abc/pieces/x", f"/things/{UUID(int=1)}"])
async def test_a_path_that_no_route_has_is_named(client, path):
    """Whatever its ids are."""
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (
        404,
        "not_found",
        f"there is no route {path}",
    )


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/aproverss", "there is no route /aproverss; there is GET /approvers"),
        ("GET", f"/thing/{UUID(int=1)}/parts/7", "; there is GET /things/{thing_id}/parts/{number}"),
        ("POST", "/approver", "there is no route /approver"),
        ("GET", "/" + "a" * 1_000, "there is no route /" + "a" * 254 + "…"),
        ("PUT", "/length", "/length takes GET, not PUT"),
        ("GET", "/lengths", "/lengths takes POST, not GET; there is GET /length"),
        ("POST", "/length", "/length takes GET, not POST; there is POST /lengths"),
    ],
)
async def test_a_similar_route_is_named(method, path, detail):
    """Where one letter in five at most differs, and the similar route has the method."""

    @get("/approvers")
    async def approvers() -> None: ...

    @get("/things/{thing_id:uuid}/parts/{number:int}")
    async def part(thing_id: FromPath[UUID], number: FromPath[int]) -> None: ...

    @post("/lengths")
    async def lengths() -> None: ...

    @get("/length")
    async def length() -> None: ...

    app = build_app(
        service="test", controllers=[approvers, part, lengths, length], health=Health(), tokens=None
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        answer = await client.request(method, path)
    assert answer.status_code == (405 if " takes " in detail else 404)
    assert answer.json()["detail"].endswith(detail)


async def test_the_document_is_served_where_a_gateway_reaches_it(client):
    """Without a token, and as it is served under ``/schema``."""
    served = await client.get("/api/services/test/openapi.json")
    assert (served.status_code, served.json()) == (200, (await client.get("/schema/openapi.json")).json())


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/anybody", {}, 401, "unauthenticated"),
        ("/anybody", bearer("player", scheme="Basic"), 401, "token_invalid"),
        ("/anybody", {"authorization": "Bearer"}, 401, "token_invalid"),
        ("/anybody", {"authorization": "Bearer nonsense"}, 401, "token_invalid"),
        ("/approvers", {}, 401, "unauthenticated"),
        ("/approvers", bearer("player", "operator"), 403, "forbidden"),
        ("/approvers", bearer(), 403, "forbidden"),
    ],
)
async def test_refused_requests(client, path, headers, status, code):
    """No token, another scheme, a broken token and a missing role each have their own answer."""
    answer = await client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (answer.headers.get("www-authenticate") == "Bearer") is (status == 401)


async def test_accepted_requests(client):
    """A token lets its caller in, under its own name; one of the wanted roles is enough."""
    assert (await client.get("/anybody", headers=bearer())).json() == {"subject": "p-1"}
    assert (await client.get("/anybody", headers=bearer(scheme="bearer"))).status_code == 200
    assert (await client.get("/approvers", headers=bearer("player", "approver"))).status_code == 200


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("22021", 400, "invalid_request"),
        ("22P05", 400, "invalid_request"),
        ("22003", 400, "number_out_of_range"),
        ("22000", 400, "invalid_request"),
        ("53100", 503, "storage_full"),
        ("53300", 503, "unavailable"),
        ("23514", 500, "internal_error"),
    ],
)
async def test_errors_of_the_database_have_their_status(client, state, status, code):
    """A value that cannot be is the caller's mistake, a full disk is no passing failure, and no cause is shown."""
    answer = await client.get(f"/raised/{state}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (code == "unavailable")
    assert CAUSE not in answer.text


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/systems", {}, 401),
        ("/systems", bearer("admin"), 403),
        ("/systems", {"authorization": "Bearer api_given"}, 200),
        ("/systems", {"authorization": "Bearer api_other"}, 401),
        ("/anybody", {"authorization": "Bearer api_given"}, 403),
        ("/approvers", {"authorization": "Bearer api_given"}, 403),
    ],
)
async def test_systems_and_people_have_routes_of_their_own(client, path, headers, status):
    """An API token opens the routes for systems and no other; a person's token opens those for people."""
    answer = await client.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.json().get("subject", "/games/chess") == "/games/chess"


async def test_a_get_route_answers_head(client):
    """With the status and headers of GET, and no content; other routes refuse it."""
    whole = await client.get("/anybody", headers=bearer("player"))
    head = await client.head("/anybody", headers=bearer("player"))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert (await client.head("/typed")).status_code == 405
    assert (await client.head("/anybody")).status_code == 401


async def test_a_refused_method_gets_the_allowed_ones(client):
    """In the header ``Allow`` (RFC 9110, section 15.5.6), on OPTIONS too."""
    refused = await client.put("/anybody")
    assert (refused.status_code, refused.json()["code"]) == (405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
    assert refused.json()["detail"] == "/anybody takes GET, not PUT"
    assert (await client.get("/typed")).headers["allow"] == "OPTIONS, POST"
    assert (await client.options("/anybody")).headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
)
async def test_a_body_of_another_media_type_is_refused(client, media_type):
    """Where a route takes JSON; its kinds and a missing media type are taken, and so is anything where it reads bytes."""
    headers = {"content-type": media_type}
    refused = await client.post("/typed", content=b'{"a": 1}', headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (415, "media_type_unsupported")
    assert (await client.post("/length", content=b"a=1", headers=headers)).status_code == 201
    for kind in ("application/json; charset=utf-8", "application/cloudevents+json"):
        answer = await client.post("/typed", content=b'{"a": 1}', headers={"content-type": kind})
        assert answer.status_code == 201
    assert (await client.post("/typed", content=b'{"a": 1}')).status_code == 201


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/raised/first?unknown=1", {}, "400"),
        ("/raised/first?unknown=%00", {}, "400"),
        ("/raised/first", {"authorization": "Bearer expired"}, "401"),
        ("/raised/22003", {}, "400"),
        ("/raised/08006", {}, "503"),
        ("/raised/first", {}, "500"),
    ],
)
async def test_a_request_is_counted_with_the_status_of_its_answer(client, path, headers, status):
    """Also where a middleware refuses it: as 500 it would raise the alert of failed requests."""

    def counted() -> dict[str, float]:
        (metric,) = HTTP_REQUESTS.collect()
        return {
            one.labels["status"]: one.value
            for one in metric.samples
            if one.name.endswith("_total") and one.labels["route"] == "/raised/{given}"
        }

    before = counted()
    answer = await client.get(path, headers=headers)
    after = counted()
    assert str(answer.status_code) == status
    assert {one for one in after if after[one] > before.get(one, 0)} == {status}


async def test_a_caller_cannot_make_series(client):
    """Methods, paths and parameters of a caller's choice make no series: only requests that have a route are counted."""

    def series() -> set[tuple[str, ...]]:
        (metric,) = HTTP_REQUESTS.collect()
        return {(one.labels["method"], one.labels["route"]) for one in metric.samples}

    await client.get("/raised/first")
    before = series()
    assert ("GET", "/raised/{given}") in before
    for number in range(50):
        for path in (
            f"/nowhere/{number}",
            f"/raised/{number}",
            "/anybody",
            f"/anybody?x{number}=1",
            f"/%00{number}",
        ):
            await client.request(f"WORD{number}", path)
        await client.get(f"/raised/{number}")
        await client.get(f"/nowhere/{number}")
    assert series() == before
