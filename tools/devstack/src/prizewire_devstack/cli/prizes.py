"""`prizewire prizes`: prizes that a cap holds, and decisions about them."""

from typing import Final
from uuid import UUID

import click

from prizewire_devstack.api import connect
from prizewire_devstack.cli.acting import BY
from prizewire_devstack.cli.deciding import decide
from prizewire_devstack.cli.listing import JSON, LIMIT, minute, show_page

PATH: Final = "/api/rewards"
_LOOK: Final = "`prizewire prizes list --state held` shows whether {} still waits."
_PRIZES: Final = click.argument("prizes", metavar="PRIZE…", nargs=-1, required=True, type=click.UUID)
_REASON: Final = click.option(
    "--reason", required=True, help="Kept in the audit record. The player never sees it."
)


@click.group(name="prizes")
def command() -> None:
    """Prizes: list them, release and reject those that a cap holds."""


@command.command(name="list")
@click.option("--state", type=click.Choice(["held"]), help="Only prizes that wait for a decision.")
@click.option("--round", "round_id", type=click.UUID, help="Of one round.")
@click.option("--player", help="Of one player.")
@LIMIT
@JSON
def list_prizes(
    state: str | None, round_id: UUID | None, player: str | None, limit: int, as_json: bool
) -> None:
    """List prizes, those of the last settled round first. `held by` is the cap. `credited` means that the player has the money: in the
    wallet, or already paid out, which `prizewire payouts list` shows.
    """
    with connect() as api:
        show_page(
            api.items(PATH, state=state, round_id=None if round_id is None else str(round_id), player=player),
            limit=limit,
            as_json=as_json,
            columns=("prize", "state", "amount", "player", "held by", "settled", "correlation id"),
            row=lambda one: (
                str(one["reward_id"]),
                one["state"],
                f"{one['amount']} {one['asset']}",
                one["player"],
                (one["note"] or "") if one["state"] == "held" else "",
                minute(one["settled_at"]),
                one["correlation_id"],
            ),
            none="There are no such prizes.",
        )


@command.command(name="release")
@_PRIZES
@_REASON
@BY
@JSON
def release(prizes: tuple[UUID, ...], reason: str, person: str | None, as_json: bool) -> int:
    """Release held prizes: they are paid like the others of their round. Exit code 1 when one of them is refused, or gets no answer."""
    return decide(prizes, "release", reason, person, as_json=as_json, path=PATH, what="prize", look=_LOOK)


@command.command(name="reject")
@_PRIZES
@_REASON
@BY
@JSON
def reject(prizes: tuple[UUID, ...], reason: str, person: str | None, as_json: bool) -> int:
    """Reject held prizes: the money goes back to the pool. Exit code 1 when one of them is refused, or gets no answer."""
    return decide(prizes, "reject", reason, person, as_json=as_json, path=PATH, what="prize", look=_LOOK)
