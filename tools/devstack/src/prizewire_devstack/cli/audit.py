"""`prizewire audit`: list the audit records of every service, and verify their chains."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import click

from prizewire_devstack import auditing, tracing
from prizewire_devstack.api import Api, connect
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.texts import printable

REPLAYED: Final = "stuck_event.replayed"
"""The action of a replay, whether the event was applied or refused again."""


@click.group(name="audit")
def command() -> None:
    """Who did what: list the audit records, or verify that none was changed."""


@command.command(name="list")
@click.option(
    "--service", "services", multiple=True, type=click.Choice(auditing.AUDITED), help="Default: all."
)
@click.option("--actor", help="Only records of this person or part.")
@click.option("--action", help="Only this action, such as payout.approved.")
@click.option("--target", help="Only records about this, such as the id of a payout.")
@click.option("--since", help="Only records from this time on (RFC 3339, such as 2026-05-01T12:00:00Z).")
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="At most so many of all services together.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_records(
    *,
    services: tuple[str, ...],
    actor: str | None,
    action: str | None,
    target: str | None,
    since: str | None,
    limit: int,
    as_json: bool,
) -> int:
    """List the newest audit records of all services by time, the newest last; exit code 1 when a service does not answer.

    A line below the list says when there are more records.
    """
    wanted = {"actor": actor, "action": action, "target": target, "from": _moment(since)}
    silent: list[str] = []
    with connect() as api:
        answers = tracing.ask_each(
            services or auditing.AUDITED,
            lambda one: _listed(api, one, limit=limit + 1, wanted=wanted),
            silent=silent,
        )
    found = sorted(
        (record for listed in answers.values() for record in listed),
        key=lambda record: (record["at"] or "", record["service"], record["sequence"]),
    )
    # each service gave one more than is shown, so that a further one of any service is known
    more, found = len(found) > limit, found[-limit:]
    if as_json:
        click.echo(json.dumps({"items": found, "more": more, "silent": silent}))
    else:
        for record in found:
            click.echo(_line(record))
        if not found and not silent:
            click.echo("No audit record is like that.")
        if more:
            click.echo(f"These are the newest {limit}; there are more. Give a greater --limit, or filter.")
    if silent and not as_json:
        click.echo(f"prizewire: {tracing.missing(silent)}", err=True)
    return 1 if silent else 0


def _listed(api: Api, service: str, *, limit: int, wanted: dict[str, str | None]) -> list[dict[str, Any]]:
    api.alive(auditing.SERVED_BY.get(service, service))
    return list(islice(auditing.records(api, service, order="newest", **wanted), limit))


def _moment(since: str | None) -> str | None:
    if since is None:
        return None
    try:
        read = datetime.fromisoformat(since)
    except ValueError:
        raise DevstackError(f"{since!r} is no time: give one such as 2026-05-01T12:00:00Z.") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).isoformat()


def _line(record: dict[str, Any]) -> str:
    reason = "" if record["reason"] is None else f": {printable(record['reason'])}"
    about = _amount(record["detail"]) or _scope(record["detail"])
    did = f"{printable(record['action'])} {printable(record['target'])}{about}{_outcome(record)}"
    done = f"{did} by {printable(record['actor'])}{reason}"
    return f"{record['at'] or '?'}  {record['service']}/{record['sequence']}  {done}"


def _amount(detail: Any) -> str:
    """The amount in the details of a record, with its asset where it has one; nothing where there is none."""
    amount = detail.get("amount") if isinstance(detail, dict) else None
    if not isinstance(amount, str):
        return ""
    asset = detail.get("asset")
    return f" ({printable(amount)}{f' {printable(asset)}' if isinstance(asset, str) else ''})"


def _scope(detail: Any) -> str:
    """What a pause is about, such as one asset; nothing where the details name none."""
    scope, value = (detail.get("scope"), detail.get("value")) if isinstance(detail, dict) else (None, None)
    if not isinstance(scope, str) or not isinstance(value, str):
        return ""
    return f" ({printable(scope)} {printable(value)})"


def _outcome(record: dict[str, Any]) -> str:
    """The state of a stuck event after its replay, with the reason for which it is still stuck; nothing for other actions."""
    detail = record["detail"]
    if (
        record["action"] != REPLAYED
        or not isinstance(detail, dict)
        or not isinstance(detail.get("state"), str)
    ):
        return ""
    why = detail.get("reason")
    return f", now {printable(detail['state'])}{f' ({printable(why)})' if isinstance(why, str) else ''}"


@command.command(name="verify")
@click.option(
    "--service", "services", multiple=True, type=click.Choice(auditing.AUDITED), help="Default: all."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(services: tuple[str, ...], as_json: bool) -> int:
    """Read every audit record over HTTP and compute its hash here; exit code 1 on a break, or when a service does not answer.

    A break names the record: changed, missing, reordered, forked, unlinked, or cut at the end. The end of a chain is compared
    with the newest record that the service knows as published. The signer's records are those that payouts received.
    """
    silent: list[str] = []
    with connect() as api:
        chains = tracing.ask_each(
            services or auditing.AUDITED, lambda one: auditing.read_chain(api, one), silent=silent
        )
    if as_json:
        click.echo(json.dumps({"chains": [asdict(one) for one in chains.values()], "silent": silent}))
    else:
        for chain in chains.values():
            state = "ok" if chain.ok else "BROKEN"
            click.echo(f"{chain.service}: {state}, {chain.records} records")
            for one in chain.breaks:
                click.echo(f"  {one.kind}: {printable(one.detail)}")
        if silent:
            click.echo(f"prizewire: {tracing.missing(silent)}", err=True)
    return 0 if not silent and all(chain.ok for chain in chains.values()) else 1
