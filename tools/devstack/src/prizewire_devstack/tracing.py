"""The steps of one correlation id in all services, as each serves them over HTTP."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from textwrap import wrap
from typing import Any, Final, TypeVar
from urllib.parse import quote

from rich.console import Console
from rich.text import Text

from prizewire_contracts.ids import refusals_id
from prizewire_contracts.text import counted
from prizewire_devstack.api import LOCAL_ADVICE, Api, ApiError, SilentError
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES, SERVICES_WITH_API, SIGNER
from prizewire_devstack.texts import printable

T = TypeVar("T")

COLOURS: Final = {
    "settlement": "cyan",
    "rewards": "green",
    "payouts": "yellow",
    "signer": "magenta",
    "webhooks": "blue",
}

_UUID: Final = re.compile(r"(?<![\w-])([0-9a-f]{8})-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
"""An id that stands alone: one inside a rail's reference, such as `fake-…`, is a part of a value that operators copy."""
_GAP: Final = "  "
_SUMMARY_WIDTH_MIN: Final = 30
"""Columns that a summary has at least; on a narrower terminal its lines go on at the terminal's edge."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step, as a service recorded it; `at` is RFC 3339."""

    at: str
    service: str
    kind: str
    id: str
    summary: str
    detail: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The steps of one correlation id in the order of time, and its stuck events.

    `silent` are the services that did not answer; their steps are missing.
    """

    steps: tuple[Step, ...]
    stuck: tuple[dict[str, Any], ...]
    silent: tuple[str, ...]

    @property
    def is_known(self) -> bool:
        """Whether a service that answered has a step or a stuck event of the correlation id."""
        return bool(self.steps or self.stuck)


def ask_each(services: Sequence[str], ask: Callable[[str], T], *, silent: list[str]) -> dict[str, T]:
    """Ask services concurrently; services that do not answer are added to `silent`, and the others are returned.

    Raises:
        ApiError: a service refused.
        DevstackError: the installation as a whole does not answer: there is no connection, or each of several services took
            the request and did not answer in time, which also happens if the gateway hangs.
    """
    found: dict[str, T] = {}
    timed_out: list[SilentError] = []
    with ThreadPoolExecutor(len(services)) as pool:
        for service, future in [(service, pool.submit(ask, service)) for service in services]:
            try:
                found[service] = future.result()
            except ApiError as error:
                if not error.unanswered:
                    raise
                silent.append(service)
                timed_out += [error] if isinstance(error, SilentError) else []
    if len(timed_out) == len(services) > 1:
        raise DevstackError(f"None of {', '.join(services)} answers. {timed_out[0]}") from timed_out[0]
    return found


def stuck_events(api: Api, service: str, **query: str | None) -> list[dict[str, Any]]:
    """The stuck events of a service; `ref` is what the `stuck` commands take."""
    items = api.items(f"/api/services/{service}/stuck-events", **query)
    return [{"ref": f"{service}/{item['id']}", "service": service, **item} for item in items]


def signer_refusals(api: Api, *, state: str | None = None) -> list[dict[str, Any]]:
    """Refused messages of the signer, one entry for each kind. The signer serves no HTTP; payouts stores its sums."""
    answer = api.get(f"/api/services/payouts/lineage/{refusals_id(SIGNER)}")
    kinds = [
        kind
        for entry in answer["entries"]
        if entry["kind"] == "signing.messages_refused"
        for kind in entry["detail"]["kinds"]
    ]
    return [
        {
            "ref": SIGNER,
            "service": SIGNER,
            "state": kind["state"],
            "reason": kind["reason"],
            "type": f"{counted(kind['count'], 'message')}, the newest at {kind['last_at']}",
            "subject": kind["place"],
            "detail": kind["detail"],
            "count": kind["count"],
            "at": kind["last_at"],
        }
        for kind in kinds
        if state in (None, kind["state"])
    ]


def is_in_path(correlation_id: str) -> bool:
    """Whether a path can name this correlation id: a service decodes a path before it divides it at each slash."""
    return "/" not in correlation_id and correlation_id not in ("", ".", "..")


def lineage(api: Api, correlation_id: str, *, without: Sequence[str] = ()) -> Lineage:
    """Load the steps and stuck events of every service under a correlation id. Services `without` were silent before: they are not asked,
    and are silent here.

    Raises:
        ApiError: a service refused.
        DevstackError: no path can name the correlation id.
    """
    if not is_in_path(correlation_id):
        raise DevstackError(
            f"The correlation id {printable(correlation_id)!r} cannot be part of a path (id_not_in_path), so that no service is asked for it: "
            "`prizewire rounds show` and `prizewire payouts show` show what has it."
        )

    def ask(service: str) -> tuple[list[Step], list[dict[str, Any]]]:
        api.alive(service)
        answer = api.get(f"/api/services/{service}/lineage/{quote(correlation_id, safe='')}")
        steps = [
            Step(**{name: entry[name] for name in Step.__dataclass_fields__}) for entry in answer["entries"]
        ]
        return steps, stuck_events(api, service, correlation_id=correlation_id)

    asked = [service for service in SERVICES_WITH_API if service not in without]
    silent: list[str] = []
    found = ask_each(asked, ask, silent=silent) if asked else {}
    silent = [service for service in SERVICES_WITH_API if service in without or service in silent]
    order = {service: number for number, service in enumerate(SERVICES)}
    # The steps of one service stay in the order in which the service gives them.
    steps = merge(
        *(steps for steps, _ in found.values()),
        key=lambda step: (datetime.fromisoformat(step.at), order.get(step.service, len(order))),
    )
    stuck = [item for _, items in found.values() for item in items]
    return Lineage(steps=tuple(steps), stuck=tuple(stuck), silent=tuple(silent))


def trace(api: Api, correlation_id: str) -> list[Step]:
    """The steps of every service in the order of time, all of them.

    Raises:
        DevstackError: a service refused, or does not answer.
    """
    found = lineage(api, correlation_id)
    if found.silent:
        raise DevstackError(missing(found.silent))
    return list(found.steps)


def missing(silent: Sequence[str]) -> str:
    """The message about services that did not answer."""
    verb, they = ("does", "it") if len(silent) == 1 else ("do", "they")
    return f"{', '.join(silent)} {verb} not answer, so the output is without what {they} would add: {LOCAL_ADVICE}."


def services_named(steps: Iterable[Step]) -> tuple[str, ...]:
    """The services with a step, in the order in which a prize passes them."""
    seen = {step.service for step in steps}
    return tuple(service for service in SERVICES if service in seen)


def shortened(text: str) -> str:
    """A summary with its ids cut to their first digits, for reading. Hashes and references of rails stay whole, to be copied."""
    return _UUID.sub(r"\1…", text)


def render(console: Console, steps: Sequence[Step], *, verbose: bool = False) -> None:
    """Print the steps below the day of each (UTC); with `verbose`, whole ids and every recorded detail too.

    Long summaries go on below themselves. A word, such as a transaction hash, is never cut nor divided.
    """
    heads = [(step.at[11:23], step.service, step.kind) for step in steps]
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    indent = " " * (sum(widths) + len(widths) * len(_GAP))
    width = max(console.width - len(indent), _SUMMARY_WIDTH_MIN)
    day = None
    for step, head in zip(steps, heads, strict=True):
        if step.at[:10] != day:
            day = step.at[:10]
            _line(console, Text(f"{day}{_GAP}UTC", style="dim"))
        at, service, kind = (text.ljust(size) for text, size in zip(head, widths, strict=True))
        first, *rest = _wrapped(step.summary if verbose else shortened(step.summary), width)
        colour = COLOURS.get(step.service, "white")
        _line(console, Text.assemble((at, "dim"), _GAP, (service, colour), f"{_GAP}{kind}{_GAP}{first}"))
        for line in rest:
            _line(console, Text(indent + line))
        if verbose:
            for line in _wrapped(f"{step.id} {json.dumps(step.detail, ensure_ascii=False)}", width):
                _line(console, Text(indent + line, style="dim"))


def _wrapped(text: str, width: int) -> list[str]:
    """The printable lines of a text, at least one. A longer word than the width is a line of its own."""
    return wrap(printable(text), width, break_long_words=False, break_on_hyphens=False) or [""]


def _line(console: Console, text: Text) -> None:
    text.rstrip()
    console.print(text, soft_wrap=True)
