"""What the chassis makes of an OpenAPI document."""

from typing import Annotated, Any, Literal

import pytest
from litestar import Litestar, Response, get, post, put
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Role, TokenReader, machines, require
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.http.answers import AnswerModel, Id, PageOf
from prizewire_chassis.http.document import openapi_document
from prizewire_chassis.idempotency import KEY_PATTERN

READER = TokenReader(keys=None, issuer="i", audience="a")


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


class Answered(AnswerModel):
    """What a route answers."""

    id: Id
    note: Annotated[str | None, Field(examples=[None])]


@get("/things/{thing_id:str}", guards=[require()], refusals={404: ("thing_not_found",)})
async def one(thing_id: FromPath[str]) -> dict[str, str]:
    return {"id": thing_id}


@get("/ours", guards=[require(), require(Role.OPERATOR, Role.ADMIN)], description="Shows ours.")
async def ours() -> None:
    pass


@get("/reports", guards=[machines])
async def reports() -> None:
    pass


@post("/things", refusals={400: ("idempotency_key_required",), 422: ("thing_refused",)})
async def made(
    data: JSONBody[Shown],
    key: Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=True)] = None,
) -> None:
    del data, key


@put("/bare", request_max_body_size=5_000)
async def bare(data: JSONBody[Bare]) -> None:
    del data


def application() -> Litestar:
    return build_app(
        service="test", controllers=[one, ours, reports, made, bare], health=Health(), tokens=READER
    )


def codes_of(document: dict[str, Any], path: str, method: str) -> dict[str, list[str]]:
    """The codes that a route can answer with, by status."""
    return {
        status: answer["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"][
            "enum"
        ]
        for status, answer in document["paths"][path][method]["responses"].items()
        if status >= "400"
    }


def test_every_failure_names_its_codes() -> None:
    """The general codes follow from what a route takes; the route's own codes come first; all have the error model."""
    document = openapi_document(application())
    assert codes_of(document, "/things/{thing_id}", "get") == {
        "400": ["invalid_request", "character_refused", "header_repeated", "parameter_unknown"],
        "401": ["unauthenticated", "token_invalid"],
        "403": ["forbidden"],
        "404": ["thing_not_found", "not_found"],
        "429": ["rate_limited", "too_many_bad_tokens"],
        "503": ["unavailable", "storage_full", "audit_chain_broken"],
    }
    assert codes_of(document, "/things", "post") == {
        "400": [
            "idempotency_key_required",
            "invalid_request",
            "character_refused",
            "header_repeated",
            "parameter_unknown",
            "body_not_utf8",
            "body_not_json",
            "json_too_deep",
            "member_repeated",
            "number_out_of_range",
            "idempotency_key_invalid",
        ],
        "408": ["body_timeout"],
        "409": ["idempotency_conflict"],
        "413": ["body_too_large"],
        "415": ["media_type_unsupported"],
        "422": ["thing_refused"],
        "429": ["rate_limited"],
        "503": ["unavailable", "storage_full", "audit_chain_broken"],
    }
    refused = document["paths"]["/things"]["post"]["responses"]["422"]
    found = refused["content"]["application/problem+json"]
    assert found["schema"]["allOf"][0] == {"$ref": "#/components/schemas/Problem"}
    assert found["example"]["title"] == "Cannot be done"
    assert found["example"]["code"] == "thing_refused"


def test_a_route_says_who_may_call_it_and_with_which_token() -> None:
    """The innermost guard counts: in the description, in the example of 403, and by the security scheme."""
    document = openapi_document(application())

    def shown(path: str) -> tuple[str | None, str, Any]:
        operation = document["paths"][path]["get"]
        refused = operation["responses"]["403"]["content"]["application/problem+json"]["example"]
        return operation.get("description"), refused["detail"], operation.get("security")

    assert shown("/ours") == (
        "Shows ours.\n\nThis route is for: admin, operator.",
        "this route is for: admin, operator",
        None,
    )
    assert shown("/things/{thing_id}")[1] == "this route is for: people"
    assert shown("/reports") == (
        "This route is for systems with an API token.",
        "this route is for systems with an API token",
        [{"apiToken": []}],
    )
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiToken"}
    assert document["paths"]["/bare"]["put"]["security"] == []


def test_a_success_is_described_without_promising_a_link() -> None:
    """The words of HTTP's own registry speak of a URL that follows, which no answer here has."""
    made = openapi_document(application())["paths"]["/things"]["post"]["responses"]["201"]
    assert made["description"] == "It was made, and is shown as it is now."


def test_an_idempotency_key_that_is_needed_is_shown_so() -> None:
    """With the pattern that it must match."""
    parameters = openapi_document(application())["paths"]["/things"]["post"]["parameters"]
    assert [(one["name"], one["required"], one["schema"]["pattern"]) for one in parameters] == [
        ("Idempotency-Key", True, KEY_PATTERN)
    ]


def test_a_parameter_that_may_be_left_out_is_not_null() -> None:
    """A query has no null: the schema is that of a value which is sent."""

    @get("/several")
    async def several(
        kind: Annotated[Literal["a", "b"] | None, QueryParameter(description="Of which kind.")] = None,
        name: Annotated[str | None, QueryParameter(schema_extra={"pattern": "^x$"})] = None,
        either: FromQuery[int | bool | None] = None,
    ) -> None:
        del kind, name, either

    app = build_app(service="test", controllers=[several], health=Health(), tokens=READER)
    parameters = openapi_document(app)["paths"]["/several"]["get"]["parameters"]
    assert {one["name"]: one["schema"] for one in parameters} == {
        "kind": {"type": "string", "enum": ["a", "b"], "description": "Of which kind."},
        "name": {"type": "string", "pattern": "^x$"},
        "either": {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
    }


def test_answers_that_are_no_json_have_their_media_type() -> None:
    """Without its parameters: text as a string, bytes without a schema."""

    @get("/table", media_type="text/csv; charset=utf-8; header=present")
    async def table() -> Stream:
        return Stream(iter(()))

    @get("/paper", media_type="application/pdf")
    async def paper() -> Response[bytes]:
        return Response(b"")

    app = build_app(service="test", controllers=[table, paper], health=Health(), tokens=READER)
    paths = openapi_document(app)["paths"]
    assert paths["/table"]["get"]["responses"]["200"]["content"] == {
        "text/csv": {"schema": {"type": "string"}}
    }
    assert paths["/paper"]["get"]["responses"]["200"]["content"] == {"application/pdf": {"schema": {}}}


@pytest.mark.parametrize("refusals", [{499: ("x",)}, {409: ("x", "x")}])
def test_refusals_that_cannot_be_are_a_mistake(refusals: dict[int, tuple[str, ...]]) -> None:
    """A status without a meaning, or a code twice."""

    @get("/wrong", refusals=refusals)
    async def wrong() -> None: ...

    with pytest.raises(ValueError, match="refusals of status"):
        openapi_document(build_app(service="test", controllers=[wrong], health=Health(), tokens=READER))


def test_an_answer_model_shows_its_example() -> None:
    """Alone and in a page, made of the examples of its members."""

    @get("/one")
    async def single() -> Answered: ...

    @get("/many")
    async def several() -> PageOf[Answered]: ...

    app = build_app(service="test", controllers=[single, several], health=Health(), tokens=READER)
    document = openapi_document(app)
    examples = {
        path: item["get"]["responses"]["200"]["content"]["application/json"]["example"]
        for path, item in document["paths"].items()
    }
    one = {"id": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "note": None}
    assert examples == {"/one": one, "/many": {"items": [one], "next_cursor": None}}


class Narrow(BaseModel):
    """A body whose members are narrow, and may be null."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Field(pattern="^[a-z]+$", examples=["ab"])] | None = None
    note: Annotated[str | None, Field(max_length=5)] = None


class NarrowAnswer(AnswerModel):
    """An answer whose member is narrow, and may be null."""

    code: Annotated[str, Field(pattern="^[a-z]+$", examples=["ab"])] | None


class Other(AnswerModel):
    """Another answer of the same route."""

    inner: Annotated[NarrowAnswer, Field(description="inside")]


def test_models_are_described_with_all_their_bounds() -> None:
    """Members that may be null too; a body takes no other members, while an answer may get new ones. Schemas that nothing
    refers to are left out.
    """

    @put("/narrow", responses={201: ResponseSpec(Other, generate_examples=False)})
    async def narrow(data: JSONBody[Narrow]) -> Response[NarrowAnswer]: ...

    document = openapi_document(
        build_app(service="test", controllers=[narrow], health=Health(), tokens=READER)
    )
    operation, schemas = document["paths"]["/narrow"]["put"], document["components"]["schemas"]
    code = {"anyOf": [{"type": "string", "pattern": "^[a-z]+$", "examples": ["ab"]}, {"type": "null"}]}
    assert schemas["Narrow"]["additionalProperties"] is False
    assert schemas["Narrow"]["properties"]["code"] == {**code, "default": None}
    assert schemas["Narrow"]["properties"]["note"]["anyOf"][0] == {"type": "string", "maxLength": 5}
    assert operation["requestBody"]["content"]["application/json"]["example"] == {"code": "ab"}
    assert "additionalProperties" not in schemas["NarrowAnswer"]
    assert schemas["NarrowAnswer"]["properties"] == {"code": code}
    examples = {
        status: operation["responses"][status]["content"]["application/json"]["example"]
        for status in ("200", "201")
    }
    assert examples == {"200": {"code": "ab"}, "201": {"inner": {"code": "ab"}}}
    assert set(schemas) == {"Narrow", "NarrowAnswer", "Other", "Problem"}


class Either(BaseModel):
    """A body that needs one of two members, and a member with an example of its own."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["code"]}, {"required": ["name"]}]})

    code: str | None = Field(None, examples=["abc"])
    name: str | None = None
    scores: dict[str, int] = Field(examples=[{"points": 3}])
    inner: Inner = Field(Inner(kind="usual"), examples=[{"kind": "rare"}])


def test_a_body_with_alternatives_shows_its_members() -> None:
    """What the alternatives say beside the members is no example; a member's own example goes before that of its model."""

    @post("/either")
    async def either(data: JSONBody[Either]) -> None: ...

    app = build_app(service="test", controllers=[either], health=Health(), tokens=READER)
    shown = openapi_document(app)["paths"]["/either"]["post"]["requestBody"]["content"]["application/json"]
    assert shown["example"] == {"code": "abc", "scores": {"points": 3}, "inner": {"kind": "rare"}}


def test_answers_that_are_not_json_have_their_media_type() -> None:
    """Without its parameters; text is a string, bytes have no schema."""

    @get("/rows.csv", media_type="text/csv; charset=utf-8; header=present")
    async def rows() -> Stream: ...

    @get("/paper.pdf", media_type="application/pdf")
    async def paper() -> Response[bytes]: ...

    app = build_app(service="test", controllers=[rows, paper], health=Health(), tokens=READER)
    paths = openapi_document(app)["paths"]
    assert paths["/rows.csv"]["get"]["responses"]["200"]["content"] == {
        "text/csv": {"schema": {"type": "string"}}
    }
    assert paths["/paper.pdf"]["get"]["responses"]["200"]["content"] == {"application/pdf": {"schema": {}}}


def test_a_docstring_describes_its_route() -> None:
    """A description of the route comes before the docstring of its handler, and who may call it behind both."""

    @get("/documented", guards=[require(Role.ADMIN)])
    async def documented() -> None:
        """Show the things of a day.

        The newest first.
        """

    @get("/described", description="The things of an hour.")
    async def described() -> None:
        """Not this."""

    app = build_app(service="test", controllers=[documented, described], health=Health(), tokens=READER)
    paths = openapi_document(app)["paths"]
    said = paths["/documented"]["get"]["description"]
    assert said.startswith("Show the things of a day.\n\nThe newest first.\n\n")
    assert "admin" in said
    assert paths["/described"]["get"]["description"] == "The things of an hour."


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
