"""The refusal of an invalid request names what is wrong in the terms of its sender."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import httpx
import pytest
from litestar import get, post
from litestar.params import FromQuery, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prizewire_chassis.auth import TokenReader
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_contracts.envelope import Amount, AssetCode, Digest


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
    asset: AssetCode = "USDC"
    amount: Amount = "1.00"
    key: Digest | None = None
    size: Annotated[int, Field(ge=1)] = 1
    title: Annotated[str, Field(min_length=1, max_length=9)] = "cup"
    state: Annotated[State, Field(strict=False)] = State.OPEN
    thing: Annotated[UUID, Field(strict=False)] | None = None

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
    asset: FromQuery[str],
    wanted: Annotated[State | None, QueryParameter(name="state")] = None,
    code: Annotated[str | None, QueryParameter(pattern="^[!-~]+$", max_length=3)] = None,
    place: Annotated[int | None, QueryParameter(ge=1)] = None,
    thing: Annotated[UUID | None, QueryParameter()] = None,
    side: Annotated[Literal["held"] | None, QueryParameter(name="part")] = None,
) -> None:
    del asset, wanted, code, place, thing, side


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
            "there is no member of this name; the API document (openapi.json of the service) lists those that exist",
        ),
        (b'{"first": 1, "note": 4000.00}', "note", 'it must be a JSON string, in quotes, as "4000.00"'),
        (b'{"first": 1, "open": "x"}', "open", "it must be true or false"),
        (b'{"first": 1, "names": "x"}', "names", "it must be a JSON list"),
        (
            b'{"first": 1, "asset": "usdc"}',
            "asset",
            "'usdc' is no asset code: 1 to 12 upper-case letters and digits, a letter first, such as USDC",
        ),
        (
            b'{"first": 1, "amount": "1,50"}',
            "amount",
            "'1,50' is no amount: a decimal number in quotes, such as \"12.50\"",
        ),
        (b'{"first": 1, "key": "AB"}', "key", "it must have exactly 64 hexadecimal digits, in lower case"),
        (b'{"first": 1, "size": 0}', "size", "it must be 1 or more"),
        (b'{"first": 1, "title": ""}', "title", "it must not be empty"),
        (b'{"first": 1, "title": "0123456789"}', "title", "it must have at most 9 characters"),
        (b'{"first": 1, "state": "DONE"}', "state", "it must be one of 'open' or 'ended'"),
        (
            b'{"first": 1, "thing": "x"}',
            "thing",
            "it must be a UUID such as 22222222-2222-4222-8222-222222222222",
        ),
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
        ("?asset=EUR&part=helt", "part", "'helt' is none of its values, which are: held"),
        ("?asset=EUR&code=%C3%A9", "code", "it must have visible ASCII characters only, without a space"),
        ("?asset=EUR&code=abcd", "code", "it must have at most 3 characters"),
        ("?asset=EUR&place=0", "place", "it must be 1 or more"),
        ("?asset=EUR&place=x", "place", "it must be a whole number"),
        ("?asset=EUR&thing=x", "thing", "it must be a UUID such as 22222222-2222-4222-8222-222222222222"),
    ],
)
async def test_a_parameter_that_does_not_fit(
    client: httpx.AsyncClient, query: str, field: str, message: str
) -> None:
    """It has the sender's name for it, and its allowed values."""
    answer = await client.get(f"/things{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["errors"] == [{"field": field, "message": message}]
