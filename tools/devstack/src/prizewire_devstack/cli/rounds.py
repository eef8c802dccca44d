"""`prizewire rounds`: rounds of matches, and an admin's decisions about those that cannot go on."""

import json
from typing import Final
from uuid import UUID, uuid4

import click

from prizewire_devstack.api import ROLES, advising, connect
from prizewire_devstack.cli.acting import BY, connect_as
from prizewire_devstack.cli.listing import JSON, LIMIT, minute, show_lines, show_page

PATH: Final = "/api/rounds"
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
) -> None:
    """List rounds, newest first."""
    flags = {name: "true" for name, given in (("incomplete", incomplete), ("refused", refused)) if given}
    with connect() as api:
        show_page(
            api.items(PATH, state=state, competition=competition, match_id=match_id, **flags),
            limit=limit,
            as_json=as_json,
            columns=("round", "state", "competition", "match", "version", "waits since", "refused"),
            row=lambda one: (
                str(one["id"]),
                one["state"],
                one["competition"],
                one["match_id"],
                str(one["settlement_version"] or ""),
                minute(one["waiting_since"]),
                minute(one["refused_at"]),
            ),
            none="There are no such rounds.",
        )


@command.command(name="show")
@_ROUND
@JSON
def show(round_id: UUID, as_json: bool) -> None:
    """Show one round: its steps, why it waits or was refused, and its prize lines."""
    with connect() as api:
        found = api.get(f"{PATH}/{round_id}")
    if as_json:
        click.echo(json.dumps(found))
        return
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
            ("refused", f"{refused['code']}: {refused['detail']}" if refused else ""),
            *(("line", f"{one['place']}  {one['player']}  {one['amount']}") for one in found["lines"]),
        ]
    )


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
