"""The schemas of bodies and answers in an OpenAPI document, as pydantic describes its own models.

Litestar's description of a pydantic model leaves out patterns of members that may be null, and that a body takes no
other members.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from litestar import Response
from litestar.handlers import HTTPRouteHandler
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

_PREFIX: Final = "#/components/schemas/"
_KEPT: Final = frozenset({"Problem"})
_Place = tuple[dict[str, Any], type[BaseModel], JsonSchemaMode]
"""(media type object of the document, its model, how the model is used)."""


class _Schemas(GenerateJsonSchema):
    """Without a title for each member: it would repeat the name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - an override
        return False


def describe_models(document: dict[str, Any], handlers: Mapping[tuple[str, str], HTTPRouteHandler]) -> None:
    """Replace the schema of each body and answer that is a pydantic model by pydantic's own, and drop the schemas that
    nothing refers to any more. ``handlers`` are by path and method.
    """
    places = [
        place
        for (path, method), handler in handlers.items()
        if method in document["paths"].get(path, {})
        for place in _places(document["paths"][path][method], handler)
    ]
    models = sorted({(model, mode) for _, model, mode in places}, key=lambda one: (one[0].__name__, one[1]))
    found, definitions = models_json_schema(
        models, ref_template=f"{_PREFIX}{{model}}", schema_generator=_Schemas
    )
    for media, model, mode in places:
        media["schema"] = found[model, mode]
    schemas = {**document["components"]["schemas"], **definitions.get("$defs", {})}
    used = _used(document["paths"], schemas) | _KEPT
    document["components"]["schemas"] = {name: schemas[name] for name in sorted(schemas) if name in used}


def _places(operation: Mapping[str, Any], handler: HTTPRouteHandler) -> Iterator[_Place]:
    taken = handler.parsed_fn_signature.parameters.get("data")
    body = None if taken is None else _model(taken.annotation)
    if body is not None:
        for media in operation.get("requestBody", {}).get("content", {}).values():
            yield media, body, "validation"
    answers = {
        str(handler.status_code): handler.parsed_return_field.annotation,
        **{str(status): spec.data_container for status, spec in (handler.responses or {}).items()},
    }
    for status, annotation in answers.items():
        model = _model(annotation)
        if model is not None:
            for media in operation["responses"].get(status, {}).get("content", {}).values():
                yield media, model, "serialization"


def _model(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model that an annotation is, or a ``Response`` of it; None for anything else."""
    if getattr(annotation, "__origin__", None) is Response:
        (annotation,) = get_args(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _used(part: Any, schemas: Mapping[str, Any]) -> set[str]:
    """The names of all schemas that are referred to, directly or by others."""
    found: set[str] = set()
    left = [part]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            name = str(one.get("$ref", "")).removeprefix(_PREFIX)
            if name in schemas and name not in found:
                found.add(name)
                left.append(schemas[name])
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return found
