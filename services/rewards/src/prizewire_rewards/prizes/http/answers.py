"""Transfers and prizes, as the routes answer them."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.http.members import AssetCode, CorrelationId, Money, Player
from prizewire_rewards.prizes.domain.states import RewardState


class RewardAnswer(AnswerModel):
    """A prize. `credited`, `waiting` and `short` make its `amount`; they are zero once it was taken back, expired or was
    rejected.
    """

    reward_id: Id
    round_id: Id
    line: Annotated[
        int | None,
        Field(
            description="The line of the settlement. Null where a correction took the prize away.",
            examples=[1],
        ),
    ]
    player: Player
    place: Annotated[int, Field(description="The player's place, from 1.", examples=[1])]
    amount: Money
    credited: Annotated[Money, Field(description="What of the prize is in winnings.", examples=["30.00"])]
    waiting: Annotated[
        Money,
        Field(
            description="What of the prize is pending, held by a rule, or to be claimed.", examples=["0.00"]
        ),
    ]
    short: Annotated[
        Money, Field(description="What of the prize waits for money in the pool.", examples=["12.50"])
    ]
    owed: Annotated[
        Money,
        Field(
            description="What the player still owes of what a correction took back too late.",
            examples=["0.00"],
        ),
    ]
    asset: AssetCode
    state: Annotated[RewardState, Field(examples=["credited"])]
    note: Annotated[
        str | None,
        Field(
            description="A stable code where something keeps the prize from going on, such as the cap that holds it.",
            examples=[None],
        ),
    ]
    payout_id: Annotated[
        Id | None,
        Field(description="The payout of a prize that is delivered directly.", examples=[None]),
    ]
    transfer_id: Annotated[
        Id | None,
        Field(
            description="The transfer that booked the prize last. Null before it has its money.",
            examples=["54a89aab-8bcb-8fed-825e-699161d00001"],
        ),
    ]
    correlation_id: CorrelationId
    settled_at: Annotated[Moment, Field(description="When the prize's round was settled first.")]
