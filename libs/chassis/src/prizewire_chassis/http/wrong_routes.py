"""Explains a 404 or 405: an id of another form than its route wants, a misspelt path, a method that the path does not have."""

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from typing import Final
from uuid import UUID

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types.internal_types import PathParameterDefinition

from prizewire_contracts.text import printable

_FORMS: Final = {UUID: "a UUID such as 22222222-2222-4222-8222-222222222222", int: "a whole number"}
_SHOWN_MAX: Final = 64
_PATH_SHOWN_MAX: Final = 256
_ALIKE_MIN: Final = 0.8
"""How alike a misspelt part of a path is at least, by the ratio of ``SequenceMatcher``: one letter in five may differ."""
_ALIKE_LENGTH_MAX: Final = 64
"""Longer parts are not compared, since that takes time which grows with the square of the length."""
_SECONDARY: Final = frozenset({"HEAD", "OPTIONS"})


def wrong_path(app: Litestar, path: str, *, method: str) -> str:
    """The sentence of a 404: the form that an id in the path lacks, or that no route has the path, and which one is similar."""
    parts = _parts(path)
    for route in _routes(app):
        wrong = _wrong_ids(route, parts)
        if wrong:
            return "in the path, " + "; ".join(wrong)
    return f"there is no route {printable(path, length_max=_PATH_SHOWN_MAX)}{_similar(app, parts, method=method)}"


def wrong_method(app: Litestar, path: str, *, method: str, allowed: Iterable[str]) -> str:
    """The sentence of a 405: the methods of the path, and which similar path has the method."""
    taken = ", ".join(sorted(set(allowed) - _SECONDARY))
    shown = printable(path, length_max=_PATH_SHOWN_MAX)
    return f"{shown} takes {taken}, not {method}{_similar(app, _parts(path), method=method)}"


def _routes(app: Litestar) -> Iterator[HTTPRoute]:
    return (route for route in app.routes if isinstance(route, HTTPRoute))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _wrong_ids(route: HTTPRoute, parts: list[str]) -> list[str]:
    """What is wrong with the ids of a path that is otherwise the route's; empty where it is another path."""
    if len(route.path_components) != len(parts):
        return []
    pairs = list(zip(route.path_components, parts, strict=True))
    if any(isinstance(one, str) and one != part for one, part in pairs):
        return []
    return [
        f"{one.name} is {_FORMS[one.type]}, not {printable(part, length_max=_SHOWN_MAX)!r}"
        for one, part in pairs
        if isinstance(one, PathParameterDefinition) and one.type in _FORMS and not _has_form(one, part)
    ]


def _similar(app: Litestar, parts: list[str], *, method: str) -> str:
    """The route that has the method and whose path differs most alike in one part; empty where none does."""
    ratios = {
        route.path_format: ratio
        for route in _routes(app)
        if method in route.methods and (ratio := _ratio(route, parts)) >= _ALIKE_MIN
    }
    return f"; there is {method} {max(ratios, key=ratios.__getitem__)}" if ratios else ""


def _ratio(route: HTTPRoute, parts: list[str]) -> float:
    """How alike the only part is in which a path and a route differ; 0 where they differ in none or in several."""
    if len(route.path_components) != len(parts):
        return 0.0
    differing = [
        (one, part)
        for one, part in zip(route.path_components, parts, strict=True)
        if isinstance(one, str) and one != part
    ]
    if len(differing) != 1 or len(differing[0][1]) > _ALIKE_LENGTH_MAX:
        return 0.0
    return SequenceMatcher(a=differing[0][0], b=differing[0][1]).ratio()


def _has_form(parameter: PathParameterDefinition, part: str) -> bool:
    try:
        if parameter.parser is not None:
            parameter.parser(part)
    except ValueError:
        return False
    return True
