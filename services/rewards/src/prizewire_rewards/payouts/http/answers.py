"""Answers about funding accounts, operators' payouts, cancels and automatic withdrawals."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.http.bodies import AssetCode, Money, Person
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.payouts.domain.withdrawals import Schedule

_Name = Annotated[str, Field(description="The account's name.", examples=["marketing"])]


class FundingAnswer(AnswerModel):
    """A funding account."""

    name: _Name
    asset: AssetCode
    balance: Annotated[Money, Field(description="The account's balance.", examples=["4750.00"])]
    payout_pending: Annotated[Money, Field(description="The money in its open payouts.", examples=["250.00"])]
    created_by: Person
    created_at: Moment


class OperatorPayoutAnswer(AnswerModel):
    """A payout out of a funding account, which waits for another person's approval. Until payouts has received its event,
    `GET /api/payouts/{payout_id}` answers 404.
    """

    payout_id: Id
    state: Annotated[PayoutState, Field(examples=["requested"])]
    funding_account: _Name
    asset: AssetCode
    amount: Annotated[Money, Field(examples=["250.00"])]
    reference: Annotated[
        str | None, Field(description="Your own id of the payout, `payoutId`.", examples=["invoice-77"])
    ]


class PayoutCancelAnswer(AnswerModel):
    """A cancel was requested. The payout may still be paid until payouts has proved the cancel."""

    payout_id: Id
    state: Annotated[PayoutState, Field(examples=["cancel_requested"])]


class WithdrawalAnswer(AnswerModel):
    """An automatic withdrawal in one asset: either `threshold` is set, or `schedule`, `hour_utc` and `minimum`."""

    asset: AssetCode
    threshold: Annotated[
        Money | None,
        Field(description="When winnings reach this amount, all of them are requested.", examples=[None]),
    ]
    schedule: Annotated[
        Schedule | None,
        Field(description="Every day, on Mondays, or on the first of the month.", examples=["weekly"]),
    ]
    hour_utc: Annotated[int | None, Field(description="The hour of the schedule, UTC.", examples=[6])]
    minimum: Annotated[
        Money | None,
        Field(description="On the schedule, less than this amount stays in the wallet.", examples=["10.00"]),
    ]
    method_id: Annotated[
        Id | None,
        Field(
            description="The payout method. Null for the player's default one.",
            examples=["0f7c1c54-2b8e-4a70-8f0c-6a1f7f4bb0de"],
        ),
    ]
    next_at: Annotated[
        Moment,
        Field(
            description="The next time of the schedule; with a threshold, the earliest time of the next attempt.",
        ),
    ]
    last_payout_id: Annotated[Id | None, Field(description="The last requested payout.", examples=[None])]
    note: Annotated[
        str | None,
        Field(description="The stable code of the last failure. Null after a success.", examples=[None]),
    ]
    noted_at: Annotated[Moment | None, Field(description="The time of the last failure.", examples=[None])]
