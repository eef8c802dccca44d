"""`prizewire trace`: from match result to transaction hash, over HTTP."""

import json
from dataclasses import asdict
from typing import Final
from uuid import UUID

import click

from prizewire_contracts.text import NAME_LENGTH_MAX, is_name
from prizewire_devstack import tracing
from prizewire_devstack.api import Api, ApiError, connect
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.game_server import local_correlation_id
from prizewire_devstack.texts import printable

_SHOWN_MAX: Final = 200
"""The most characters of a wrong id that the error message repeats."""


@click.command(name="trace")
@click.argument("given", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--verbose", is_flag=True, help="Show every recorded detail.")
def command(given: str, as_json: bool, verbose: bool) -> int:
    """Show the steps that every service recorded under a correlation id, what waits now, and the stuck events.

    ID is a correlation id, the id of a match, or the id of a payout, such as one that retries another.

    Exit code 1 when no service knows it, or one does not answer.
    """
    if not is_name(given):
        raise DevstackError(
            f"{printable(given[:_SHOWN_MAX])!r} is no id (id_invalid): give a correlation id, the id of a match or of a payout, with 1 to "
            f"{NAME_LENGTH_MAX} printable characters and no white space."
        )
    with connect() as api:
        correlation_id, found, what = _look_up(api, given)
    known = found.is_known
    if as_json:
        click.echo(
            json.dumps(
                {
                    "correlation_id": correlation_id,
                    "services": tracing.services_named(found.steps),
                    "steps": [asdict(step) for step in found.steps],
                    "stuck": found.stuck,
                    "silent": found.silent,
                }
            )
        )
        return 0 if known and not found.silent else 1
    if what is not None:
        click.echo(f"{what} {printable(given)} has the correlation id {printable(correlation_id)}.")
    if found.steps:
        tracing.render(make_console(), found.steps, verbose=verbose)
        if not verbose:
            click.echo("An id that ends in … is shortened: --verbose shows it whole.")
    for step in found.steps:
        if awaited := (step.detail.get("now") or {}).get("waits_for"):
            click.echo(f"Waiting: {step.kind} {step.id} waits for {printable(awaited)}.")
    for item in found.stuck:
        click.echo(f"Stuck: {item['ref']} is {item['state']} ({item['reason']}): {printable(item['detail'])}")
    if found.silent:
        click.echo(f"prizewire: {tracing.missing(found.silent)}", err=True)
    elif not known:
        click.echo(
            f"No service knows the id {printable(given)}, as a correlation id, a payout or a match: check it, or look into `prizewire stuck list`, for discarded "
            "events with `--state discarded`.",
            err=True,
        )
    return 0 if known and not found.silent else 1


def _look_up(api: Api, given: str) -> tuple[str, tracing.Lineage, str | None]:
    """The correlation id that `given` is or stands for, its lineage, and what `given` is the id of: None for the correlation id itself."""
    found = tracing.Lineage(steps=(), stuck=(), silent=())
    if tracing.is_in_path(given):
        found = tracing.lineage(api, given)
        if found.is_known:
            return given, found, None
    of_match = local_correlation_id(given)
    found = tracing.lineage(api, of_match, without=found.silent)
    if found.is_known:
        return of_match, found, "Match"
    for what, service, look_up in (("Match", "settlement", _of_round), ("Payout", "payouts", _of_payout)):
        if service not in found.silent and (of_other := look_up(api, given)) is not None:
            return of_other, tracing.lineage(api, of_other, without=found.silent), what
    return given, found, None


def _of_round(api: Api, match_id: str) -> str | None:
    """The correlation id of the round of a match of any source; None where there is none.

    Raises:
        DevstackError: several sources have a match of this id.
    """
    try:
        rounds = api.get("/api/rounds", match_id=match_id, limit=2)["items"]
    except ApiError as error:
        if error.unanswered:
            raise
        # A text that no match can have as its id, or a token that may not list rounds.
        return None
    if len(rounds) > 1:
        raise DevstackError(
            f"Several sources have a match {printable(match_id)}: `prizewire rounds list --match` shows their rounds, and "
            "`prizewire rounds show` the correlation id of one."
        )
    return str(rounds[0]["correlation_id"]) if rounds else None


def _of_payout(api: Api, given: str) -> str | None:
    """The correlation id of the payout of this id; None where there is none."""
    try:
        return str(api.get(f"/api/payouts/{UUID(given)}")["correlation_id"])
    except ValueError:
        return None
    except ApiError as error:
        if error.code in ("payout_not_found", "forbidden"):
            return None
        raise
