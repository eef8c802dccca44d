"""Answers about receivables."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.http.members import AssetCode, CorrelationId, Money, Player


class ReceivableAnswer(AnswerModel):
    """A receivable: a debt of a player, open or not."""

    receivable_id: Id
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(description="The amount at its opening.", examples=["40.00"])]
    open: Annotated[Money, Field(description="Still owed.", examples=["25.00"])]
    recovered: Annotated[Money, Field(description="Taken from the player's credits.", examples=["15.00"])]
    written_off: Annotated[Money, Field(description="Written off by an approver.", examples=["0.00"])]
    lifted: Annotated[
        Money, Field(description="No longer owed, because its reason no longer exists.", examples=["0.00"])
    ]
    restored: Annotated[
        Money,
        Field(
            description="Part of `written_off` that is no longer a loss, because the reason of the debt no longer exists.",
            examples=["0.00"],
        ),
    ]
    campaign: Annotated[
        Id | None,
        Field(
            description="The campaign whose pool gets recovered money. Null for the debt of a top-up.",
            examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"],
        ),
    ]
    reference: Annotated[
        str,
        Field(description="The round or top-up.", examples=["67d20d3b-65b1-575d-9ac8-55bf598fbc8d"]),
    ]
    correlation_id: CorrelationId
    opened_at: Moment
