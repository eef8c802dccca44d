"""Decisions on held prizes, as the routes answer them."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id
from prizewire_rewards.domain.states import RewardState


class DecidedRewardAnswer(AnswerModel):
    """Where a prize stands after the decision: as the others of its round, or rejected."""

    reward_id: Id
    state: Annotated[RewardState, Field(examples=["credited"])]
    note: Annotated[
        str | None,
        Field(
            description="Of a rejected prize: the rule that had held it, as a stable code.", examples=[None]
        ),
    ]
