"""Access to routes: every route of a service's OpenAPI document with every kind of caller, compared with a table.

The table is a YAML file beside a service's tests, ``access.yaml``: a route (``GET /api/wallet``) with its cases, one or a
list. A case has ``answers`` (status by caller; ``rest`` stands for all that are not named) and, where the route needs
them, ``path``, ``query`` and ``body``; a text that begins with ``$`` names an id that the test has made.
Cases run in the order of the table, since some change the state. A route without a case fails, and so does
a case without a route.

Each answer to a player is searched for data of another player. This check covers every route of the table.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol
from uuid import uuid4

CALLERS: Final[Mapping[str, tuple[str, ...]]] = {
    "nobody": (),
    "player": ("player",),
    "other": ("player",),
    "organizer": ("organizer",),
    "operator": ("operator",),
    "approver": ("approver",),
    "admin": ("admin",),
}
"""Every kind of caller with its roles. ``player`` owns the data of the test, ``other`` is another player."""
METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})


class Answer(Protocol):
    """The parts of an HTTP response that are checked."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        ...

    @property
    def content(self) -> bytes:
        """The body."""
        ...


Call = Callable[[str, str, str, Mapping[str, str], Any, Mapping[str, str]], Awaitable[Answer]]
"""(caller, method, path, query, body, headers) → the answer."""


def _cases(table: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (route, case)
        for route, cases in table.items()
        for case in (cases if isinstance(cases, list) else [cases])
    ]


def _filled(value: Any, things: Mapping[str, Any]) -> Any:
    """The value with every ``$name`` in it replaced."""
    if isinstance(value, str) and value.startswith("$"):
        return things[value[1:]]
    if isinstance(value, Mapping):
        return {name: _filled(one, things) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, things) for one in value]
    return value


def _wanted(answers: Mapping[str, int], caller: str) -> int | None:
    return answers.get(caller, answers.get("rest"))


async def walk(
    *,
    document: Mapping[str, Any],
    table: Mapping[str, Any],
    things: Mapping[str, Any],
    call: Call,
    secrets: Mapping[str, Sequence[str]],
) -> list[str]:
    """Run every case with every caller; returns the differences from the table as sentences.

    ``secrets`` are texts (names, ids) that the callers ``player`` and ``other`` must never be shown.
    """
    routes = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in METHODS & item.keys()
    }
    wrong = [f"{route} has no case in the table" for route in sorted(routes - table.keys())]
    wrong += [f"{route} of the table is served by no controller" for route in sorted(table.keys() - routes)]
    for route, case in _cases(table):
        if route not in routes:
            continue
        method, template = route.split(" ", 1)
        names = {"path": {}, "query": {}, **case}
        path = template.format(**_filled(names["path"], things))
        for caller in CALLERS:
            answer = await call(
                caller,
                method,
                path,
                _filled(names["query"], things),
                _filled(case.get("body"), things),
                {} if method == "GET" else {"Idempotency-Key": uuid4().hex},
            )
            wanted = _wanted(case["answers"], caller)
            if answer.status_code != wanted:
                said = answer.content[:200].decode(errors="replace")
                wrong.append(f"{route} answers {caller} with {answer.status_code}, not {wanted}: {said}")
            if answer.status_code < 300:
                wrong += [
                    f"{route} shows {caller} {secret}"
                    for secret in secrets.get(caller, ())
                    if secret.encode() in answer.content
                ]
    return wrong
