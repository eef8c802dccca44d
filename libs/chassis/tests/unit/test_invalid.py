"""The refusal of an invalid request names what is wrong in the terms of its sender."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated

import httpx
import pytest
from litestar import get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, model_validator

from prizewire_chassis.auth import TokenReader
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app


class State(StrEnum):
    OPEN = "open"
    ENDED = "ended"


class Shares(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    first: int
    second: int = 0
    note: str = ""
    open: bool = False
    names: list[str] = []

    @model_validator(mode="after")
    def _whole(self) -> "Shares":
        if self.first + self.second > 100:
            msg = "first and second exceed 100"
            raise ValueError(msg)
        return self


@post("/shares")
async def shares(data: JSONBody[Shares]) -> None:
    del data


@get("/things")
async def things(
    asset: FromQuery[str], wanted: Annotated[State | None, QueryParameter(name="state")] = None
) -> None:
    del asset, wanted


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    reader = TokenReader(keys=None, issuer="i", audience="a")
    app = build_app(service="test", controllers=[shares, things], health=Health(), tokens=reader)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as opened:
        yield opened


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (b"", "body", "it is missing: this route takes a JSON object"),
        (b"null", "body", "it must be a JSON object"),
        (b"[]", "body", "it must be a JSON object"),
        (b'{"first": 90, "second": 20}', "body", "first and second exceed 100"),
        (b"{}", "first", "it is missing"),
        (b'{"first": "x"}', "first", "it must be a whole number, without quotes"),
        (
            b'{"first": 1, "fist": 2}',
            "fist",
            "there is no member of this name; the API document lists those that exist",
        ),
        (b'{"first": 1, "note": 4000.00}', "note", 'it must be a JSON string, in quotes, as "4000.00"'),
        (b'{"first": 1, "open": "x"}', "open", "it must be true or false"),
        (b'{"first": 1, "names": "x"}', "names", "it must be a JSON list"),
    ],
)
async def test_a_body_that_does_not_fit(
    client: httpx.AsyncClient, body: bytes, field: str, message: str
) -> None:
    """The body as a whole has a name too; no class name and no word of pydantic is shown."""
    answer = await client.post("/shares", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["errors"] == [{"field": field, "message": message}]
    assert answer.json()["detail"] == f"{field}: {message}"


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("", "asset", "this query parameter is required"),
        ("?asset=EUR&state=DONE", "state", "'DONE' is none of its values, which are: open, ended"),
    ],
)
async def test_a_parameter_that_does_not_fit(
    client: httpx.AsyncClient, query: str, field: str, message: str
) -> None:
    """It has the sender's name for it, and its allowed values."""
    answer = await client.get(f"/things{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["errors"] == [{"field": field, "message": message}]
