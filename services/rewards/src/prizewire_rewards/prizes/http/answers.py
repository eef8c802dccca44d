"""Answers about prizes."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.http.members import AssetCode, CorrelationId, Money, Player
from prizewire_rewards.prizes.domain.states import RewardState


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
