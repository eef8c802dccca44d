"""What ``/api/rewards/rounds`` answers."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.domain.states import RoundState
from prizewire_rewards.entrypoints.answers.shared import AssetCode, Money

__all__ = ["RoundAnswer"]


class RoundAnswer(AnswerModel):
    """What is booked of a round. Prizes that were taken back do not count."""

    round_id: Id
    settlement_version: Annotated[int, Field(description="From 1.", examples=[1])]
    state: Annotated[RoundState, Field(examples=["final"])]
    final: Annotated[bool, Field(description="Whether its dispute window has passed.", examples=[True])]
    campaign: Annotated[Id, Field(description="The campaign's id.")]
    asset: AssetCode
    gross: Annotated[
        Money, Field(description="What the round takes out of the pool, fees included.", examples=["100.00"])
    ]
    prizes: Annotated[int, Field(description="Number of prizes.", examples=[3])]
    prizes_total: Annotated[Money, Field(description="Sum of the prizes.", examples=["85.00"])]
    settled_at: Moment
