"""Request bodies about funding accounts and automatic withdrawals."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from prizewire_contracts.text import Line, Memo, Reason
from prizewire_rewards.http.bodies import Body, Code, Decimal, RepeatedReference, only

FundingName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


_STELLAR_EXAMPLE = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"


class WithdrawalBody(Body):
    """An automatic withdrawal of winnings in one asset: at a threshold, or on a schedule."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"schedule": "weekly", "hour_utc": 6, "minimum": "10.00"}],
            "oneOf": [
                only("threshold", without=("schedule", "minimum")),
                only("schedule", without=("threshold",)),
            ],
        }
    )

    threshold: Decimal | None = Field(
        None, description="When winnings reach this amount, all of them are requested.", examples=["100.00"]
    )
    schedule: Literal["daily", "weekly", "monthly"] | None = Field(
        None, description="Every day, on Mondays, or on the first of the month.", examples=["weekly"]
    )
    hour_utc: Annotated[int, Field(strict=True, ge=0, le=23)] = Field(
        0, description="The hour of the schedule, UTC.", examples=[6]
    )
    minimum: Decimal | None = Field(
        None, description="On a schedule, less than this amount stays in the wallet.", examples=["10.00"]
    )
    method_id: UUID | None = Field(
        None, description="A method of the player; without it, the default one.", examples=[None]
    )

    @model_validator(mode="after")
    def _either_threshold_or_schedule(self) -> Self:
        if (self.threshold is None) == (self.schedule is None):
            msg = "name either threshold or schedule"
            raise ValueError(msg)
        if self.threshold is not None and self.minimum is not None:
            msg = "a minimum belongs to a schedule"
            raise ValueError(msg)
        return self


class FundingBody(Body):
    """A new funding account."""

    name: FundingName = Field(description="Small letters, digits, _ and -.", examples=["marketing"])
    asset: Code = Field(examples=["USDC"])


class FundingAmountBody(Body):
    """Money from outside for a funding account."""

    amount: Decimal = Field(description="In the account's asset.", examples=["5000.00"])
    reference: Line = Field(
        description="The payment outside. An account is funded once under a reference.",
        examples=["wire 2026-04-02"],
    )
    repeated_reference: RepeatedReference = False


class FundingWithdrawalBody(Body):
    """Money that leaves a funding account without a payout."""

    amount: Decimal = Field(description="In the account's asset.", examples=["1200.00"])
    reason: Reason = Field(examples=["the season is over"])


class DestinationBody(Body):
    """The destination of an operator's payout, in clear text."""

    type: Literal["stellar"] = Field(description="The type of rail.", examples=["stellar"])
    address: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[!-~]+$")] = Field(
        examples=[_STELLAR_EXAMPLE]
    )
    memo: Memo | None = Field(None, description="The memo text of the payment.", examples=["invoice 77"])


class OperatorPayoutBody(Body):
    """A payout out of a funding account. Another person approves it."""

    funding_account: FundingName = Field(examples=["marketing"])
    amount: Decimal = Field(description="In the account's asset.", examples=["250.00"])
    destination: DestinationBody
    reason: Reason = Field(description="The purpose of the payout.", examples=["guest appearance, final"])
