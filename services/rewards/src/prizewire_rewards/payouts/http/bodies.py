"""Request bodies about funding accounts and automatic withdrawals."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from prizewire_chassis.idempotency import KEY_PATTERN
from prizewire_contracts.text import Line, Memo, Reason
from prizewire_rewards.http.bodies import Body, Code, Decimal, RepeatedReference, only
from prizewire_rewards.payouts.http.inline import InlineMethodBody

FundingName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


STELLAR_EXAMPLE = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
"""An address for the examples of the API document."""


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
        description="The payment outside. An account is funded once under a reference, in any case.",
        examples=["wire 2026-04-02"],
    )
    repeated_reference: RepeatedReference = False


class FundingWithdrawalBody(Body):
    """Money that leaves a funding account without a payout."""

    amount: Decimal = Field(description="In the account's asset.", examples=["1200.00"])
    reason: Reason = Field(examples=["the season is over"])


Address = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
IdempotencyKey = Annotated[str, StringConstraints(pattern=KEY_PATTERN)]


class DestinationBody(Body):
    """The destination of an operator's payout, in clear text."""

    type: Literal["stellar"] = Field(description="The type of rail.", examples=["stellar"])
    address: Address = Field(examples=[STELLAR_EXAMPLE])
    memo: Memo | None = Field(None, description="The memo text of the payment.", examples=["invoice 77"])


_OURS = ("funding_account", "reason")
_EARLIER = ("asset", "destinationAccount")


class OperatorCancelBody(Body):
    """Why a payout out of a funding account shall be cancelled."""

    reason: Reason = Field(examples=["filed twice"])


class OperatorPayoutBody(Body):
    """A payout out of a funding account. Another person approves it. Earlier systems send `asset` and `destinationAccount` in place
    of `funding_account`, `destination` and `reason`: the account of the asset is configured. `method` may stand in place of the
    destination in both forms.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "funding_account": "marketing",
                    "amount": "250.00",
                    "destination": {"type": "stellar", "address": STELLAR_EXAMPLE, "memo": "invoice 77"},
                    "reason": "guest appearance, final",
                },
                {
                    "payoutId": "invoice-77",
                    "destinationAccount": STELLAR_EXAMPLE,
                    "amount": "250.00",
                    "asset": "USDC",
                    "idempotencyKey": "invoice-77-1",
                },
            ],
            "oneOf": [
                only(*_OURS, "destination", without=(*_EARLIER, "method")),
                only(*_OURS, "method", without=(*_EARLIER, "destination")),
                only(*_EARLIER, without=("funding_account", "destination", "method")),
                only("asset", "method", without=("funding_account", "destination", "destinationAccount")),
            ],
        }
    )

    funding_account: FundingName | None = Field(None, examples=["marketing"])
    amount: Decimal = Field(description="In the account's asset.", examples=["250.00"])
    destination: DestinationBody | None = None
    method: InlineMethodBody | None = Field(
        None,
        description="The details of the destination, of any method type that is configured for it, in place of `destination`.",
        examples=[None],
    )
    reason: Reason | None = Field(
        None, description="The purpose of the payout.", examples=["guest appearance, final"]
    )
    asset: Code | None = Field(
        None,
        description="Of earlier systems: pays out of the funding account of this asset.",
        examples=[None],
    )
    destination_account: Address | None = Field(
        None,
        alias="destinationAccount",
        description="Of earlier systems: a Stellar address.",
        examples=[None],
    )
    reference: Line | None = Field(
        None,
        alias="payoutId",
        description="Your own id of the payout. An account pays once under it, unless the payout ended without effect.",
        examples=["invoice-77"],
    )
    idempotency_key: IdempotencyKey | None = Field(
        None,
        alias="idempotencyKey",
        description="Of earlier systems: in place of the header `Idempotency-Key`, or the same.",
        examples=[None],
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        ours = self.funding_account is not None and self.reason is not None
        destinations = [one is not None for one in (self.destination, self.destination_account, self.method)]
        mixed = (self.funding_account or self.destination) and (self.asset or self.destination_account)
        if mixed or sum(destinations) != 1 or not (ours or self.asset is not None):
            msg = "name funding_account, reason, and destination or method; or asset, and destinationAccount or method"
            raise ValueError(msg)
        return self
