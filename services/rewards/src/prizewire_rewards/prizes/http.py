"""Prizes over HTTP."""

from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from pydantic import Field

from prizewire_chassis.auth import Principal, require
from prizewire_chassis.http import cursor_key, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_chassis.http.cursors import ID, MOMENT, number
from prizewire_rewards.http.bodies import AssetCode, CorrelationId, Money, Player
from prizewire_rewards.http.context import OVERSEERS, Amounts, Context
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import PrizePosition, RewardView
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.prizes.ports import PrizePorts
from prizewire_rewards.prizes.storage.views import list_prizes


class RewardAnswer(AnswerModel):
    """A prize. `credited`, `waiting` and `short` sum to its `amount`; they are zero once it was reversed, expired or was
    rejected.
    """

    reward_id: Id
    round_id: Id
    line: Annotated[
        int | None,
        Field(
            description="The line of the settlement. Null where a correction removed the prize.",
            examples=[1],
        ),
    ]
    player: Player
    place: Annotated[int, Field(description="The player's place, from 1.", examples=[1])]
    amount: Money
    credited: Annotated[Money, Field(description="The part that is in winnings.", examples=["30.00"])]
    waiting: Annotated[
        Money,
        Field(description="The part that is pending, held by a rule, or to be claimed.", examples=["0.00"]),
    ]
    short: Annotated[
        Money, Field(description="The part that waits for money in the pool.", examples=["12.50"])
    ]
    owed: Annotated[
        Money,
        Field(
            description="The amount that the player still owes after a correction.",
            examples=["0.00"],
        ),
    ]
    asset: AssetCode
    state: Annotated[RewardState, Field(examples=["credited"])]
    note: Annotated[
        str | None,
        Field(
            description="A stable code that says why the prize does not move on, such as the cap that holds it.",
            examples=[None],
        ),
    ]
    payout_id: Annotated[
        Id | None,
        Field(description="The last direct payout of the prize.", examples=[None]),
    ]
    transfer_id: Annotated[
        Id | None,
        Field(
            description="The last transfer of the prize. Null while it has no money.",
            examples=["54a89aab-8bcb-8fed-825e-699161d00001"],
        ),
    ]
    correlation_id: CorrelationId
    settled_at: Annotated[Moment, Field(description="When the prize's round was first settled.")]


_Context = Context[PrizePorts, PayoutTools]


_LINE_MAX: Final = 2**31 - 1


_BY_ROUND_AND_LINE: Final = cursor_key(MOMENT, ID, number(-_LINE_MAX, _LINE_MAX))
"""The line is negative for a prize that a correction removed."""


class RewardController(Controller):
    """Prizes: players see their own, operators and admins all."""

    path = "/api/rewards"
    tags = ["rewards"]  # noqa: RUF012 - Litestar reads a plain list

    @get(guards=[require()], summary="Prizes, those of the last settled round first")
    async def rewards(
        self,
        *,
        context: NamedDependency[_Context],
        request: Request[Principal, Any, Any],
        round_id: FromQuery[UUID | None] = None,
        correlation_id: FromQuery[str | None] = None,
        player: FromQuery[str | None] = None,
        wanted: Annotated[
            Literal["held"] | None,
            QueryParameter(name="state", description="`held`: only prizes that wait for their release."),
        ] = None,
        cursor: FromQuery[str | None] = None,
        limit: FromQuery[int | None] = None,
    ) -> PageOf[RewardAnswer]:
        """The caller's prizes; operators and admins see all. Prizes of one round are in the order of their lines."""
        size = page_limit(limit)
        owner = player if request.user.has(*OVERSEERS) else request.user.player
        after = _BY_ROUND_AND_LINE.read(cursor)
        found = await context.read(
            lambda tx: list_prizes(
                tx,
                player=owner,
                round_id=round_id,
                correlation_id=correlation_id,
                limit=size,
                held=wanted is not None,
                after=None if after is None else PrizePosition(*after),
            )
        )
        return _BY_ROUND_AND_LINE.page(
            found,
            limit=size,
            key=lambda view: (view.settled_at, view.round_id, view.line),
            show=partial(_reward, context.amounts),
        )


def _reward(amounts: Amounts, view: RewardView) -> RewardAnswer:
    return RewardAnswer(
        reward_id=view.id,
        round_id=view.round_id,
        line=view.line if view.line > 0 else None,
        player=view.player,
        place=view.place,
        amount=amounts.text(view.asset, view.amount),
        credited=amounts.text(view.asset, view.credited),
        waiting=amounts.text(view.asset, view.waiting),
        short=amounts.text(view.asset, view.short),
        owed=amounts.text(view.asset, view.owed),
        asset=view.asset,
        state=view.state,
        note=view.note,
        payout_id=view.payout_id,
        transfer_id=view.transfer_id,
        correlation_id=view.correlation_id,
        settled_at=view.settled_at,
    )
