"""The steps of one correlation id in all services, as each serves them over HTTP."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import Any, Final, TypeVar
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from prizewire_contracts.ids import refusals_id
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

_UUID: Final = re.compile(r"\b([0-9a-f]{8})-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b")
_HASH: Final = re.compile(r"\b([0-9a-f]{16})[0-9a-f]{48}\b")


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
            "type": f"{kind['count']} messages, the newest at {kind['last_at']}",
            "subject": kind["place"],
            "detail": kind["detail"],
            "count": kind["count"],
            "at": kind["last_at"],
        }
        for kind in kinds
        if state in (None, kind["state"])
    ]


def lineage(api: Api, correlation_id: str) -> Lineage:
    """Load the steps and stuck events of every service under a correlation id.

    Raises:
        ApiError: a service refused.
    """

    def ask(service: str) -> tuple[list[Step], list[dict[str, Any]]]:
        api.alive(service)
        answer = api.get(f"/api/services/{service}/lineage/{quote(correlation_id, safe='')}")
        steps = [
            Step(**{name: entry[name] for name in Step.__dataclass_fields__}) for entry in answer["entries"]
        ]
        return steps, stuck_events(api, service, correlation_id=correlation_id)

    silent: list[str] = []
    found = ask_each(SERVICES_WITH_API, ask, silent=silent)
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
    """A summary with its ids and hashes cut to their first digits, for reading."""
    return _HASH.sub(r"\1…", _UUID.sub(r"\1…", text))


def render(console: Console, steps: Sequence[Step], *, verbose: bool = False) -> None:
    """Print the steps, one line each, below the day of each (UTC); with `verbose`, whole ids and every recorded detail too."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    day = None
    for step in steps:
        if step.at[:10] != day:
            day = step.at[:10]
            table.add_row(day, Text("UTC", style="dim"))
        colour = COLOURS.get(step.service, "white")
        table.add_row(
            step.at[11:23],
            Text(step.service, style=colour),
            Text(step.kind),
            Text(printable(step.summary if verbose else shortened(step.summary))),
        )
        if verbose:
            detail = json.dumps(step.detail, ensure_ascii=False)
            table.add_row("", "", "", Text(printable(f"{step.id} {detail}"), style="dim"))
    console.print(table)
