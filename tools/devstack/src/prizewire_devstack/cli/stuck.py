"""`prizewire stuck`: dead and parked events of every service."""

import json
import shlex
from typing import Any, Final

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from prizewire_devstack import tracing
from prizewire_devstack.api import Api, advising, connect
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES_WITH_API, SIGNER
from prizewire_devstack.texts import printable

LISTED: Final = (*SERVICES_WITH_API, SIGNER)
SERVED_BY: Final = {SIGNER: "payouts"}
"""The service that serves the refusals of a service without HTTP routes."""
HEAD: Final = ("ref", "state", "reason")
INDENT: Final = 4
_LOOK: Final = "Once it answers, `prizewire stuck show {}` shows the state of the event."


def _split(reference: str) -> tuple[str, str]:
    service, _, number = reference.partition("/")
    if service not in SERVICES_WITH_API or not number.isdecimal():
        raise DevstackError(
            f"{reference!r} names no stuck event: give SERVICE/NUMBER as `prizewire stuck list` shows it."
        )
    return service, number


@click.group(name="stuck")
def command() -> None:
    """Dead and parked events: list, show, replay or discard them."""


@command.command(name="list")
@click.option("--service", "services", multiple=True, type=click.Choice(LISTED), help="Default: all.")
@click.option(
    "--state",
    type=click.Choice(["dead", "parked", "replayed", "discarded"]),
    help="Default: dead and parked.",
)
@click.option("--correlation-id", help="Only events of one match.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_events(
    services: tuple[str, ...], state: str | None, correlation_id: str | None, as_json: bool
) -> int:
    """List stuck events with their stable reasons; exit code 1 when a service does not answer.

    docs/stuck-reasons.md says what each reason means, and what to do.
    """
    silent: list[str] = []
    with connect() as api:
        answers = tracing.ask_each(
            services or LISTED,
            lambda service: _listed(api, service, state=state, correlation_id=correlation_id),
            silent=silent,
        )
    found = [item for items in answers.values() for item in items]
    if as_json:
        click.echo(json.dumps({"items": found, "silent": silent}))
        return 1 if silent else 0
    if found:
        render(make_console(), found)
    elif not silent:
        click.echo("Nothing is stuck.")
    if silent:
        named = [f"{one} (asked through {SERVED_BY[one]})" if one in SERVED_BY else one for one in silent]
        click.echo(f"prizewire: {tracing.missing(named)}", err=True)
    return 1 if silent else 0


def _listed(api: Api, service: str, *, state: str | None, correlation_id: str | None) -> list[dict[str, Any]]:
    """Stuck events of a service; of the signer, which serves no HTTP, the sums that it published and payouts stores."""
    api.alive(SERVED_BY.get(service, service))
    if service != SIGNER:
        return tracing.stuck_events(api, service, state=state, correlation_id=correlation_id)
    return [] if correlation_id is not None else tracing.signer_refusals(api, state=state)


def render(console: Console, items: list[dict[str, Any]]) -> None:
    """Print stuck events: a line with the values to copy, never cut, and the explanations below it."""
    widths = [max(len(item[name]) for item in items) for name in HEAD]
    for item in items:
        kind = printable(item.get("type") or "").removeprefix("prizewire.")
        head = "  ".join(item[name].ljust(width) for name, width in zip(HEAD, widths, strict=True))
        about = ": ".join(filter(None, (printable(item.get("subject") or ""), printable(item["detail"]))))
        console.print(Text(f"{head}  {kind}".rstrip(), style="bold"), soft_wrap=True)
        console.print(Padding(Text(about, overflow="fold"), (0, 0, 0, INDENT), expand=False))


@command.command(name="show")
@click.argument("reference", metavar="SERVICE/NUMBER")
def show(reference: str) -> None:
    """Show one stuck event with its message, as JSON."""
    service, number = _split(reference)
    with connect() as api:
        click.echo(
            json.dumps(
                api.get(f"/api/services/{service}/stuck-events/{number}"), indent=1, ensure_ascii=False
            )
        )


@command.command(name="replay")
@click.argument("reference", metavar="SERVICE/NUMBER")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def replay(reference: str, as_json: bool) -> int:
    """Replay one stuck event; exit code 1 when it is refused again."""
    service, number = _split(reference)
    with connect() as api, advising(_LOOK.format(reference)):
        answer = api.post(f"/api/services/{service}/stuck-events/{number}/replay")
    applied = answer["state"] == "replayed"
    if as_json:
        click.echo(json.dumps(answer))
    elif applied:
        click.echo(f"{reference} was applied.")
    else:
        click.echo(f"{reference} was refused again: {answer['reason']}: {printable(answer['detail'] or '')}")
    return 0 if applied else 1


@command.command(name="discard")
@click.argument("reference", metavar="SERVICE/NUMBER")
@click.option("--reason", required=True, help="The reason; it is shown at the event and in the audit log.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def discard(reference: str, reason: str, as_json: bool) -> int:
    """Discard one stuck event for good; events that wait behind it are applied at once."""
    service, number = _split(reference)
    with connect() as api, advising(_LOOK.format(reference)):
        answer = api.post(f"/api/services/{service}/stuck-events/{number}/discard", {"reason": reason})
    if as_json:
        click.echo(json.dumps(answer))
        return 0
    click.echo(f"{reference} was discarded. Events applied behind it: {answer['released']}.")
    if answer["versions_skipped"]:
        click.echo(f"{answer['versions_skipped']} earlier events never arrived and will be ignored.")
    if answer["holds_money"]:
        click.echo(_money(answer, reference))
    return 0


def _money(event: dict[str, Any], reference: str) -> str:
    """The advice about money after a discard: the event's type, and where to look. The services do not check more."""
    if event["type"] is None:
        kind = "The type of this event is unreadable, so money may wait for it"
    else:
        kind = f"Money may wait for events of the type {printable(event['type'])}"
    unknown = f"{kind}. It is unknown whether money waits for this one"
    subject, trace = event["subject"], event["correlation_id"]
    look = f"`prizewire trace {shlex.quote(printable(trace))}` shows its other events" if trace else ""
    if not subject:
        message = f"`prizewire stuck show {reference}` shows its message"
        return f"{unknown}: it names no subject. {' and '.join(filter(None, (message, look)))}."
    return f"{unknown}: check its subject {printable(subject)}{f'; {look}' if look else ''}."
