"""What the chassis makes of an OpenAPI document."""

from typing import Annotated

from litestar import Litestar, get, post, put
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, Field

from prizewire_chassis.auth import TokenReader
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.document import openapi_document
from prizewire_chassis.http.examples import answer, page


class Inner(BaseModel):
    """A part of a body."""

    kind: str = Field(examples=["plain"])
    size: int = 3


class Shown(BaseModel):
    """A body of which every needed member has an example."""

    name: str = Field(examples=["cup"])
    inner: Inner
    several: list[Inner]
    note: str | None = None


class Bare(BaseModel):
    """A body that nobody has thought of an example for."""

    name: Annotated[str, Field(description="unknown")]


@get("/things/{thing_id:str}")
async def one(thing_id: FromPath[str]) -> dict[str, str]:
    return {"id": thing_id}


@post("/things")
async def made(data: JSONBody[Shown]) -> None:
    del data


@put("/bare", request_max_body_size=5_000)
async def bare(data: JSONBody[Bare]) -> None:
    del data


def application() -> Litestar:
    reader = TokenReader(secret=None, issuer="i", audience="a")
    return build_app(service="test", controllers=[one, made, bare], health=Health(), tokens=reader)


def test_every_failure_is_a_problem() -> None:
    """Which statuses a route may answer with follows from its path and method; all have the one error model."""
    document = openapi_document(application())
    failing = {
        path: {status: one["$ref"] for status, one in operation["responses"].items() if status >= "400"}
        for path, item in document["paths"].items()
        for operation in item.values()
    }
    assert set(failing["/things/{thing_id}"]) == {"400", "401", "403", "404", "503"}
    assert set(failing["/things"]) == {"400", "401", "403", "409", "413", "503"}
    assert failing["/things"]["409"] == "#/components/responses/Problem409"
    found = document["components"]["responses"]["Problem409"]["content"]["application/problem+json"]
    assert found["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert found["example"]["title"] == "Conflict"


def test_an_example_of_an_answer_keeps_its_nulls() -> None:
    """Of both examples, and of pages: a member that is null is there all the same."""

    @get("/answer", responses=answer({"a": None}, description="one", also=("other", {"a": {"b": None}})))
    async def single() -> dict[str, str]:
        return {}

    @get("/page", responses=page({"a": None}, "many"))
    async def several() -> dict[str, str]:
        return {}

    reader = TokenReader(secret=None, issuer="i", audience="a")
    made = build_app(service="test", controllers=[single, several], health=Health(), tokens=reader)
    values = [
        one["value"]
        for item in openapi_document(made)["paths"].values()
        for one in item["get"]["responses"]["200"]["content"]["application/json"]["examples"].values()
    ]
    assert values == [{"a": None}, {"a": {"b": None}}, {"items": [{"a": None}], "next_cursor": None}]


def test_a_body_says_how_large_it_may_be() -> None:
    """In bytes: the application's limit, or the route's own."""
    paths = openapi_document(application())["paths"]
    assert paths["/things"]["post"]["requestBody"]["description"] == "At most 1,000,000 bytes."
    assert paths["/bare"]["put"]["requestBody"]["description"] == "At most 5,000 bytes."


def test_a_body_shows_an_example_made_of_those_of_its_members() -> None:
    """What may be left out and has none is left out; where a needed one is missing, nothing is made up."""
    paths = openapi_document(application())["paths"]
    shown = paths["/things"]["post"]["requestBody"]["content"]["application/json"]
    inner = {"kind": "plain", "size": 3}
    assert shown["example"] == {"name": "cup", "inner": inner, "several": [inner]}
    assert "example" not in paths["/bare"]["put"]["requestBody"]["content"]["application/json"]


def test_the_document_is_made_once() -> None:
    """The same one is served again."""
    app = application()
    assert openapi_document(app) is openapi_document(app)
