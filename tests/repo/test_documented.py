"""The check of answers against OpenAPI documents fails where it must."""

from typing import Annotated, Any

import httpx
import pytest
from litestar import Response, get
from litestar.params import FromPath
from pydantic import Field

from prizewire_chassis.auth import TokenReader
from prizewire_chassis.health import Health
from prizewire_chassis.http import Problem, build_app
from prizewire_chassis.http.answers import AnswerModel
from tests.documented import Documented

ANSWERS: dict[str, Any] = {
    "good": {"id": "a", "note": None},
    "missing": {"id": "a"},
    "unknown": {"id": "a", "note": None, "more": 1},
    "type": {"id": 1, "note": None},
}


class Thing(AnswerModel):
    """What the route answers."""

    id: Annotated[str, Field(examples=["a"])]
    note: Annotated[str | None, Field(examples=[None])]


@get("/things/{name:str}", refusals={404: ("thing_not_found",)})
async def thing(name: FromPath[str]) -> Response[Thing]:
    if name in {"thing_not_found", "other_not_found"}:
        raise Problem(status=404, code=name, detail="there is none")
    if name == "status":
        return Response(ANSWERS["good"], status_code=202)
    if name == "media":
        return Response("a,b", media_type="text/csv")
    if name == "conflict":
        raise Problem(status=409, code="thing_ended", detail="it has ended")
    return Response(ANSWERS[name])


@pytest.fixture
async def client():
    reader = TokenReader(keys=None, issuer="i", audience="a")
    app = Documented(build_app(service="test", controllers=[thing], health=Health(), tokens=reader))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        yield opened


@pytest.mark.parametrize("name", ["good", "thing_not_found"])
async def test_a_documented_answer_passes(client, name):
    """A success, and a declared problem."""
    assert (await client.get(f"/things/{name}")).status_code in {200, 404}
    assert (await client.head(f"/things/{name}")).status_code in {200, 404}
    assert (await client.delete(f"/things/{name}")).status_code == 405


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("missing", "'note' is a required property"),
        ("unknown", "'more' was unexpected"),
        ("type", "1 is not of type 'string'"),
        ("status", "202 is not documented"),
        ("media", "answered as text/csv"),
        ("other_not_found", "'other_not_found' is not one of"),
        ("conflict", "409 is not documented"),
    ],
)
async def test_an_undocumented_answer_fails(client, name, fault):
    """Members, types, status, media type and problem codes."""
    with pytest.raises(AssertionError, match=fault):
        await client.get(f"/things/{name}")
