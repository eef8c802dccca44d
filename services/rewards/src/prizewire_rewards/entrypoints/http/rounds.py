"""``/api/rewards/rounds``: what rewards has booked of rounds, for whoever compares it with what was settled."""

from typing import Annotated, Final
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from prizewire_chassis.auth import require
from prizewire_chassis.http.answers import Items
from prizewire_rewards.domain.states import RoundState
from prizewire_rewards.domain.views import RoundSums
from prizewire_rewards.entrypoints.answers.rounds import RoundAnswer
from prizewire_rewards.entrypoints.http.front import OVERSEERS, Front

__all__ = ["RoundController"]

ROUNDS_MAX: Final = 200
_UUID: Final = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_Ids = Annotated[
    str,
    QueryParameter(
        name="ids",
        pattern=f"^{_UUID}(,{_UUID}){{0,{ROUNDS_MAX - 1}}}$",
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
    )
    async def sums(self, *, front: NamedDependency[Front], ids: _Ids) -> Items[RoundAnswer]:
        """Rounds that were never booked are left out; prizes that were taken back do not count."""
        wanted = [UUID(one) for one in ids.split(",")]
        found = await front.read(lambda queries: queries.round_sums(wanted))
        return Items(items=[_round(front, sums) for sums in found])


def _round(front: Front, sums: RoundSums) -> RoundAnswer:
    return RoundAnswer(
        round_id=sums.round_id,
        settlement_version=sums.settlement_version,
        state=RoundState(sums.state),
        final=sums.final,
        campaign=sums.campaign,
        asset=sums.asset,
        gross=front.wire(sums.asset, sums.gross),
        prizes=sums.prizes,
        prizes_total=front.wire(sums.asset, sums.prizes_total),
        settled_at=sums.settled_at,
    )
