"""docs/http/: the HTTP reference of each service, from its OpenAPI document."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from prizewire_devstack.routes import SERVICES_WITH_API
from scripts.documents.markdown import NOTICE, cell, page, quoted, shown, table
from scripts.documents.operations import Operation, example_of, kind_of, operations_of

_SHARED_BY: Final = 0.9
"""A problem code that this part of all routes of a service can answer is listed once, for the service."""


def reference(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """File name → text of the pages."""
    return {
        "README.md": _index(documents),
        **{f"{service}.md": _service(service, documents[service]) for service in SERVICES_WITH_API},
    }


def _index(documents: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (f"[{service}]({service}.md)", str(len(list(operations_of(documents[service])))))
        for service in SERVICES_WITH_API
    ]
    return page(
        [
            "# HTTP reference",
            "",
            NOTICE.format(source="the OpenAPI documents of the services"),
            "",
            (
                "All routes are served by one gateway, which sends each path to its service. A running installation serves the whole "
                "OpenAPI document of a service at `/api/services/SERVICE/openapi.json`, without a token."
            ),
            "",
            *table(("Service", "Routes"), rows),
            "The signer has no HTTP interface but health and metrics.",
            "",
            "## Requests",
            "",
            "- `Authorization: Bearer TOKEN`: a JWT of your identity service, or an API token where a route says so.",
            (
                "- `Idempotency-Key`: required where a request moves money or makes something. The same key with the same body has no "
                "second effect: it gets the stored answer."
            ),
            '- Amounts are decimal text in units of the asset: `"12.50"`. Moments are RFC 3339 text with a time zone.',
            "- A list has `next_cursor`. Send it as `cursor` to get the next page.",
            "",
            "## Problems",
            "",
            (
                "A refusal is problem details (RFC 9457) with the media type `application/problem+json`. Programs read `code`, "
                "which is stable; people read `detail`."
            ),
            "",
            "## API collection",
            "",
            (
                "[prizewire.postman_collection.json](prizewire.postman_collection.json) has every route with an example of its body, "
                "in the format Postman Collection 2.1, which Postman, Insomnia, Bruno and Hoppscotch import. Set its variables "
                "`base_url` (the gateway) and `token` (an access token; on the local stack `prizewire token` prints one). Each request "
                "that needs an `Idempotency-Key` gets a new one each time."
            ),
            "",
        ]
    )


def _service(service: str, document: Mapping[str, Any]) -> str:
    operations = list(operations_of(document))
    shared = _shared(operations)
    lines = [
        f"# HTTP reference: {service}",
        "",
        NOTICE.format(source=f"the OpenAPI document of {service}"),
        "",
        "[HTTP reference](README.md) says what all services share.",
        "",
        "## Problems of most routes",
        "",
        "Each route may answer these, beside its own:",
        "",
        *table(
            ("Status", "Codes"),
            [(status, ", ".join(map(quoted, codes))) for status, codes in sorted(shared.items())],
        ),
    ]
    for operation in operations:
        lines += _operation(operation, document["components"]["schemas"], shared)
    return page(lines)


def _shared(operations: Sequence[Operation]) -> dict[str, tuple[str, ...]]:
    counted: dict[tuple[str, str], int] = {}
    for one in operations:
        for status, codes in one.codes.items():
            for code in codes:
                counted[status, code] = counted.get((status, code), 0) + 1
    shared: dict[str, tuple[str, ...]] = {}
    for (status, code), count in counted.items():
        if count >= _SHARED_BY * len(operations):
            shared[status] = (*shared.get(status, ()), code)
    return shared


def _operation(
    one: Operation, schemas: Mapping[str, Any], shared: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    yield from (f"## {one.name}", "", _prose(one.description or one.summary), "")
    yield from (
        f"Callers: {one.callers or 'everybody, without a token' if not one.secured else one.callers or 'every token'}.",
        "",
    )
    if one.parameters:
        yield from table(
            ("Parameter", "In", "Type", "Required", "Meaning"),
            [
                (
                    quoted(parameter["name"]),
                    parameter["in"],
                    _kind(parameter.get("schema", {})),
                    "yes" if parameter.get("required") else "no",
                    cell(parameter.get("description", "")),
                )
                for parameter in one.parameters
            ],
        )
    if one.body is not None:
        yield from (f"Body (`{one.media_type}`):", "")
        yield from _members(one.body.get("schema", {}), schemas)
        yield from _example(one.body)
    for status, answer in one.answers.items():
        yield from (f"Answer {status}: {_prose(answer.get('description', ''))}", "")
        for media in answer.get("content", {}).values():
            yield from _example(media)
    own = [
        (status, ", ".join(quoted(code) for code in codes if code not in shared.get(status, ())))
        for status, codes in one.codes.items()
    ]
    if any(codes for _, codes in own):
        yield from table(("Problem", "Codes"), [row for row in own if row[1]])


def _members(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    """The members of a body, as a table; nothing where the body is no object of one kind."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    whole = schemas.get(name, schema)
    members = whole.get("properties", {})
    if members:
        required = whole.get("required", ())
        yield from table(
            ("Member", "Type", "Required", "Meaning"),
            [
                (
                    quoted(key),
                    _kind(said),
                    "yes" if key in required else "no",
                    cell(said.get("description", "")),
                )
                for key, said in members.items()
            ],
        )


def _example(media: Mapping[str, Any]) -> Iterator[str]:
    example = example_of(media)
    if isinstance(example, str):
        yield from ("```text", *example.splitlines(), "```", "")
    elif example is not None:
        yield from shown(example)


def _kind(schema: Mapping[str, Any]) -> str:
    return kind_of(schema).replace("|", "\\|")


def _prose(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("<", "&lt;").split())
