"""The way of one correlation id through all services, put together from what each serves over HTTP."""

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from prizewire_devstack.api import Api
from prizewire_devstack.routes import SERVICES, SERVICES_WITH_API

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
    """One step, as its owner recorded it; `at` is RFC 3339."""

    at: str
    service: str
    kind: str
    id: str
    summary: str
    detail: dict[str, Any]


def trace(api: Api, correlation_id: str) -> list[Step]:
    """Ask every service for its steps and put them in the order of time.

    Raises:
        ApiError: a service refused.
    """

    def ask(service: str) -> list[Step]:
        answer = api.get(f"/api/services/{service}/lineage/{correlation_id}")
        return [
            Step(**{name: entry[name] for name in Step.__dataclass_fields__}) for entry in answer["entries"]
        ]

    with ThreadPoolExecutor(len(SERVICES_WITH_API)) as pool:
        found = [step for steps in pool.map(ask, SERVICES_WITH_API) for step in steps]
    order = {service: number for number, service in enumerate(SERVICES)}
    return sorted(found, key=lambda step: (step.at, order.get(step.service, len(order))))


def services_named(steps: Iterable[Step]) -> tuple[str, ...]:
    """The services that left a step, in the order in which a prize passes them."""
    seen = {step.service for step in steps}
    return tuple(service for service in SERVICES if service in seen)


def shortened(text: str) -> str:
    """A summary with its ids and hashes cut to their first digits, for reading."""
    return _HASH.sub(r"\1…", _UUID.sub(r"\1…", text))


def render(console: Console, steps: list[Step], *, verbose: bool = False) -> None:
    """Print the steps, one line each; with `verbose`, whole ids and every recorded detail below it."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for step in steps:
        colour = COLOURS.get(step.service, "white")
        table.add_row(
            step.at[11:23],
            f"[{colour}]{step.service}[/]",
            step.kind,
            step.summary if verbose else shortened(step.summary),
        )
        if verbose:
            table.add_row("", "", "", f"[dim]{step.id} {json.dumps(step.detail, ensure_ascii=False)}[/]")
    console.print(table)
