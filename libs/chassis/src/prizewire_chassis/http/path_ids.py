"""Explains a 404 where an id in the path has the wrong form for its route."""

from typing import Final
from uuid import UUID

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types.internal_types import PathParameterDefinition

from prizewire_contracts.text import printable

_FORMS: Final = {UUID: "a UUID such as 22222222-2222-4222-8222-222222222222", int: "a whole number"}
_SHOWN_MAX: Final = 64


def wrong_path_id(app: Litestar, path: str) -> str | None:
    """The sentence that names each id of ``path`` that has another form than its route wants, and that form; None where
    no route has this path, whatever its ids.
    """
    parts = [part for part in path.split("/") if part]
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        if len(route.path_components) != len(parts):
            continue
        pairs = list(zip(route.path_components, parts, strict=True))
        if any(isinstance(one, str) and one != part for one, part in pairs):
            continue
        wrong = [
            f"{one.name} is {_FORMS[one.type]}, not {printable(part, length_max=_SHOWN_MAX)!r}"
            for one, part in pairs
            if isinstance(one, PathParameterDefinition) and one.type in _FORMS and not _has_form(one, part)
        ]
        if wrong:
            return "in the path, " + "; ".join(wrong)
    return None


def _has_form(parameter: PathParameterDefinition, part: str) -> bool:
    try:
        if parameter.parser is not None:
            parameter.parser(part)
    except ValueError:
        return False
    return True
