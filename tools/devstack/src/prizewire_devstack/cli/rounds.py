"""`prizewire rounds`: rounds of matches, and an admin's decisions about those that cannot go on."""

import json
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final
from uuid import UUID, uuid4

import click

from prizewire_devstack.api import ROLES, Api, ApiError, advising, connect
from prizewire_devstack.cli.acting import BY, connect_as
from prizewire_devstack.cli.listing import JSON, LIMIT, minute, show_lines, show_page

PATH: Final = "/api/rounds"
BOOKED: Final = "/api/rewards/rounds"
"""What rewards booked of rounds, by their ids."""
IDS_MAX: Final = 200
"""The most ids that rewards takes in one request."""
_ROUND: Final = click.argument("round_id", metavar="ROUND", type=click.UUID)
_REASON: Final = click.option(
    "--reason", required=True, help="Shown in the history, the event and the audit record."
)


@click.group(name="rounds")
def command() -> None:
    """Rounds: list, show, settle again or void them."""


@command.command(name="list")
@click.option("--state", help="OPEN, CLOSED, RESOLVED, SETTLED, FINALIZED or VOIDED; default: all.")
@click.option("--competition", help="Of one competition.")
@click.option("--match", "match_id", help="Of one match, by the game server's id.")
@click.option("--incomplete", is_flag=True, help="Only rounds that wait for parts of a result.")
@click.option("--refused", is_flag=True, help="Only rounds that rewards can never book, or disowned.")
@LIMIT
@JSON
def list_rounds(
    *,
    state: str | None,
    competition: str | None,
    match_id: str | None,
    incomplete: bool,
    refused: bool,
    limit: int,
    as_json: bool,
) -> int:
    """List rounds, newest first, with the money that each waits for. Exit code 1 when rewards does not say what rounds wait for."""
    flags = {name: "true" for name, given in (("incomplete", incomplete), ("refused", refused)) if given}
    with connect() as api:
        listed = api.items(PATH, state=state, competition=competition, match_id=match_id, **flags)
        found, silent = _with_money(api, list(islice(listed, limit + 1)))
        show_page(
            found,
            limit=limit,
            as_json=as_json,
            columns=(
                "round",
                "state",
                "competition",
                "match",
                "version",
                "waits since",
                "waits for",
                "refused",
            ),
            row=lambda one: (
                str(one["id"]),
                one["state"],
                one["competition"],
                one["match_id"],
                str(one["settlement_version"] or ""),
                minute(one["waiting_since"]),
                one["waits_for_money"] or "",
                minute(one["refused_at"]),
            ),
            none="There are no such rounds.",
        )
    return _warn(silent)


@command.command(name="show")
@_ROUND
@JSON
def show(round_id: UUID, as_json: bool) -> int:
    """Show one round: why it waits or was refused, and its prize lines. Exit code 1 when rewards does not say what it waits for."""
    with connect() as api:
        [found], silent = _with_money(api, [api.get(f"{PATH}/{round_id}")])
    if as_json:
        click.echo(json.dumps(found))
        return _warn(silent)
    waiting, refused = found["waiting"], found["refused"]
    show_lines(
        [
            ("round", str(found["id"])),
            ("state", found["state"]),
            ("competition", f"{found['competition']}, rule version {found['rule_version']}"),
            ("match", f"{found['match_id']} of {found['source']}"),
            ("correlation id", found["correlation_id"]),
            (
                "missing parts",
                f"{', '.join(map(str, waiting['missing']))} of {waiting['parts']}" if waiting else "",
            ),
            ("final at", minute(found["final_at"])),
            ("waits for money", _money(found)),
            ("refused", f"{refused['code']}: {refused['detail']}" if refused else ""),
            *(("line", f"{one['place']}  {one['player']}  {one['amount']}") for one in found["lines"]),
        ]
    )
    return _warn(silent)


def _with_money(api: Api, found: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], ApiError | None]:
    """Rounds of settlement with the money that each waits for in rewards, and rewards' error if it does not answer. Empty where the token may
    not read it.
    """
    booked: dict[str, dict[str, Any]] = {}
    silent: ApiError | None = None
    try:
        for start in range(0, len(found), IDS_MAX):
            ids = ",".join(str(one["id"]) for one in found[start : start + IDS_MAX])
            booked |= {str(one["round_id"]): one for one in api.get(BOOKED, ids=ids)["items"]}
    except ApiError as error:
        if error.unanswered:
            silent = error
        elif error.code != "forbidden":
            raise
    return [one | _waits(booked.get(str(one["id"]))) for one in found], silent


def _waits(booked: dict[str, Any] | None) -> dict[str, str | None]:
    """The members about money, by what rewards booked of a round; without values where it booked nothing."""
    if booked is None:
        return {"waits_for_money": None, "campaign": None}
    waits = Decimal(booked["waits_for"]) > 0
    return {
        "waits_for_money": f"{booked['waits_for']} {booked['asset']}" if waits else None,
        "campaign": str(booked["campaign"]),
    }


def _money(found: dict[str, Any]) -> str:
    """What a round waits for, and where to look."""
    waits, campaign = found["waits_for_money"], found["campaign"]
    return f"{waits}: `prizewire campaigns show {campaign}` shows its pool" if waits else ""


def _warn(silent: ApiError | None) -> int:
    """Say that rewards does not answer. Returns the exit code."""
    if silent is None:
        return 0
    click.echo(f"prizewire: It is unknown which rounds wait for money. {silent}", err=True)
    return 1


@command.command(name="resettle")
@_ROUND
@_REASON
@BY
@JSON
def resettle(round_id: UUID, reason: str, person: str | None, as_json: bool) -> None:
    """Settle a refused round again, under the rule that its competition has now."""
    _decide(round_id, "resettle", {"reason": reason}, person, as_json=as_json)


@command.command(name="void")
@_ROUND
@_REASON
@BY
@JSON
def void(round_id: UUID, reason: str, person: str | None, as_json: bool) -> None:
    """Void a round before it is final, or while it is refused: it does not count, and its money goes back to the pool."""
    _decide(round_id, "resolve", {"reason": reason, "void": True}, person, as_json=as_json)


def _decide(round_id: UUID, verb: str, body: dict[str, object], person: str | None, *, as_json: bool) -> None:
    with (
        connect_as(person, roles=ROLES) as api,
        advising(f"`prizewire rounds show {round_id}` shows its state."),
    ):
        answer = api.post(f"{PATH}/{round_id}/{verb}", body, key=f"{verb}:{uuid4()}")
    if as_json:
        click.echo(json.dumps(answer))
    else:
        click.echo(f"{round_id}  {answer['state']}")
