"""What the routes of funding accounts and operators' payouts answer."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.domain.states import PayoutState
from prizewire_rewards.entrypoints.answers.shared import AssetCode, Money, Person

_Name = Annotated[str, Field(description="The account's name.", examples=["marketing"])]


class FundingAnswer(AnswerModel):
    """A funding account."""

    name: _Name
    asset: AssetCode
    balance: Annotated[Money, Field(description="What it holds.", examples=["4750.00"])]
    payout_pending: Annotated[Money, Field(description="In its open payouts.", examples=["250.00"])]
    created_by: Person
    created_at: Moment


class OperatorPayoutAnswer(AnswerModel):
    """A payout out of a funding account, which waits for another person's approval. Payouts hears of it by an event: until
    then `GET /api/payouts/{payout_id}` answers 404.
    """

    payout_id: Id
    state: Annotated[PayoutState, Field(examples=["requested"])]
    funding_account: _Name
    asset: AssetCode
    amount: Annotated[Money, Field(examples=["250.00"])]
