"""What the routes of fees and their withdrawals answer."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.domain.fees import FeeSource, WithdrawalState
from prizewire_rewards.entrypoints.answers.shared import AssetCode, CorrelationId, Money, Person

_Source = Annotated[FeeSource, Field(description="Whose fees.", examples=["platform"])]


class FeeBalanceAnswer(AnswerModel):
    """Fees of one source in one asset."""

    source: _Source
    asset: AssetCode
    balance: Annotated[Money, Field(description="Kept, and has not left.", examples=["380.00"])]
    withdrawn: Annotated[Money, Field(description="Has left.", examples=["120.00"])]
    filed: Annotated[Money, Field(description="In withdrawals that nobody decided yet.", examples=["0.00"])]


class FeeWithdrawalAnswer(AnswerModel):
    """A withdrawal of fees: filed by one person, approved or rejected by another."""

    withdrawal_id: Id
    source: _Source
    asset: AssetCode
    amount: Annotated[Money, Field(examples=["120.00"])]
    reference: Annotated[
        str, Field(description="The bank transfer that it leaves by.", examples=["wire 2026-04-02"])
    ]
    state: Annotated[WithdrawalState, Field(examples=["approved"])]
    filed_by: Person
    filed_at: Moment
    decided_by: Annotated[Person | None, Field(description="Null until it is decided.", examples=["boris"])]
    decided_at: Annotated[Moment | None, Field(examples=["2026-05-02T12:00:00Z"])]
    reason: Annotated[str | None, Field(description="Why it was rejected.", examples=[None])]
    repeats: Annotated[
        Id | None,
        Field(
            description="The earlier withdrawal of the same fees under this reference. Null where there is none.",
            examples=[None],
        ),
    ]
    correlation_id: CorrelationId
