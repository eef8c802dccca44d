"""`prizewire claims`: prizes to be claimed, and decisions about held ones."""

import json
from typing import Final
from uuid import UUID

import click

from prizewire_devstack.api import connect
from prizewire_devstack.cli.acting import BY
from prizewire_devstack.cli.deciding import decide
from prizewire_devstack.cli.listing import JSON, LIMIT, minute, show_lines, show_page
from prizewire_devstack.monitoring.words import abbreviated

PATH: Final = "/api/claims"
_LOOK: Final = "`prizewire claims show {}` shows its state."
_CLAIMS: Final = click.argument("claims", metavar="CLAIM…", nargs=-1, required=True, type=click.UUID)
_REASON: Final = click.option(
    "--reason", required=True, help="Kept in the audit record. The player never sees it."
)


@click.group(name="claims")
def command() -> None:
    """Claims of prizes: list, show, release and reject them."""


@command.command(name="list")
@click.option("--state", help="open, held, approved, rejected, expired or another state; default: all.")
@click.option("--campaign", type=click.UUID, help="Of one campaign.")
@click.option("--player", help="Of one player.")
@LIMIT
@JSON
def list_claims(
    state: str | None, campaign: UUID | None, player: str | None, limit: int, as_json: bool
) -> None:
    """List claims, newest first, with the rules that hold each."""
    with connect() as api:
        show_page(
            api.items(PATH, state=state, campaign=None if campaign is None else str(campaign), player=player),
            limit=limit,
            as_json=as_json,
            columns=("claim", "state", "amount", "player", "rules", "deadline", "campaign"),
            row=lambda one: (
                str(one["reward_id"]),
                one["state"],
                f"{one['amount']} {one['asset']}",
                one["player"],
                ", ".join(finding["rule"] for finding in one["findings"] or []),
                minute(one["deadline"]),
                abbreviated(str(one["campaign"])),
            ),
            none="There are no such claims.",
        )


@command.command(name="show")
@click.argument("claim", type=click.UUID)
@JSON
def show(claim: UUID, as_json: bool) -> None:
    """Show one claim with each finding of the risk rules."""
    with connect() as api:
        found = api.get(f"{PATH}/{claim}")
    if as_json:
        click.echo(json.dumps(found))
        return
    show_lines(
        [
            ("claim", str(found["reward_id"])),
            ("state", ", ".join(word for word in (found["state"], found["code"]) if word)),
            ("amount", f"{found['amount']} {found['asset']}"),
            ("player", found["player"]),
            ("campaign", str(found["campaign"])),
            ("correlation id", found["correlation_id"]),
            ("claimed", minute(found["claimed_at"])),
            ("deadline", minute(found["deadline"])),
            ("decided by", found["decided_by"] or ""),
            ("reason", found["reason"] or ""),
            *(
                (f"rule {one['rule']}", f"{one['verdict']}: saw {one['saw']}. {one['explanation']}")
                for one in found["findings"] or []
            ),
        ]
    )


@command.command(name="release")
@_CLAIMS
@_REASON
@BY
@JSON
def release(claims: tuple[UUID, ...], reason: str, person: str | None, as_json: bool) -> int:
    """Release held claims: the prizes are credited. Exit code 1 when one of them is refused, or gets no answer."""
    return decide(claims, "release", reason, person, as_json=as_json, path=PATH, what="claim", look=_LOOK)


@command.command(name="reject")
@_CLAIMS
@_REASON
@BY
@JSON
def reject(claims: tuple[UUID, ...], reason: str, person: str | None, as_json: bool) -> int:
    """Reject held claims: the money goes back to the pool. Exit code 1 when one of them is refused, or gets no answer."""
    return decide(claims, "reject", reason, person, as_json=as_json, path=PATH, what="claim", look=_LOOK)
