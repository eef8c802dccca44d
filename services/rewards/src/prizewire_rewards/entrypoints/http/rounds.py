"""``/api/rewards/rounds``: what rewards has booked of rounds, for whoever compares it with what was settled."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from prizewire_chassis.auth import require
from prizewire_chassis.http import Problem
from prizewire_rewards.domain.views import RoundSums
from prizewire_rewards.entrypoints.http.examples import prizes
from prizewire_rewards.entrypoints.http.front import OVERSEERS, Front

__all__ = ["RoundController"]

ROUNDS_MAX: Final = 200
_Ids = Annotated[
    str,
    QueryParameter(
        name="ids",
        max_length=ROUNDS_MAX * 37,
        description=f"Round ids, separated by commas; at most {ROUNDS_MAX}.",
    ),
]


class RoundController(Controller):
    """Sums of rounds."""

    path = "/api/rewards/rounds"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(
        guards=[require(*OVERSEERS)],
        summary="What is booked of rounds: state, settlement version, number and sum of their prizes",
        responses=prizes.ROUNDS,
    )
    async def sums(self, *, front: NamedDependency[Front], ids: _Ids) -> dict[str, Any]:
        """Rounds that were never booked are left out; prizes that were taken back do not count."""
        wanted = _read(ids)
        found = await front.read(lambda queries: queries.round_sums(wanted))
        return {"items": [_round(front, sums) for sums in found]}


def _read(ids: str) -> list[UUID]:
    try:
        wanted = [UUID(one) for one in ids.split(",")]
    except ValueError:
        wanted = []
    if not 1 <= len(wanted) <= ROUNDS_MAX:
        detail = f"ids: 1 to {ROUNDS_MAX} round ids, separated by commas"
        raise Problem(status=400, code="invalid_request", detail=detail)
    return wanted


def _round(front: Front, sums: RoundSums) -> dict[str, Any]:
    return {
        "round_id": str(sums.round_id),
        "settlement_version": sums.settlement_version,
        "state": sums.state,
        "final": sums.final,
        "campaign": str(sums.campaign),
        "asset": sums.asset,
        "gross": front.wire(sums.asset, sums.gross),
        "prizes": sums.prizes,
        "prizes_total": front.wire(sums.asset, sums.prizes_total),
        "settled_at": sums.settled_at.isoformat(),
    }
