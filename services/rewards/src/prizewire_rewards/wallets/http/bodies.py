"""Request bodies of wallets and imports."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from prizewire_contracts.quotes import RATE_PATTERN
from prizewire_contracts.text import Line, Name, Reason, Word
from prizewire_rewards.http.bodies import Body, Code, Decimal
from prizewire_rewards.payouts.http.inline import InlineMethodBody


class QuoteBody(Body):
    """A quote as `POST /api/payout-quotes` answered it, unchanged."""

    v: Annotated[int, Field(strict=True, ge=0, le=1_000)] = Field(examples=[1])
    network: Line = Field(examples=["Test SDF Network ; September 2015"])
    quote_id: Word = Field(examples=["5d0f9d8e-0b1f-4c55-9d0e-3f6a1f0a7c11"])
    player: Name = Field(examples=["ana"])
    method_id: Word = Field(examples=["0f7c1c54-2b8e-4a70-8f0c-6a1f7f4bb0de"])
    rail: Word = Field(examples=["bank"])
    rail_type: Word = Field(examples=["fiat_provider"])
    debit_asset: Code = Field(examples=["USDC"])
    debit_amount: Decimal = Field(examples=["40.00"])
    pay_asset: Code = Field(examples=["EURC"])
    pay_amount: Decimal = Field(examples=["36.80"])
    rate: Annotated[str, StringConstraints(pattern=RATE_PATTERN)] | None = Field(examples=["0.92"])
    fee_asset: Code = Field(examples=["EURC"])
    fee_amount: Decimal = Field(examples=["0.25"])
    fee_borne_by: Literal["platform", "recipient"] = Field(examples=["recipient"])
    issued_at: Annotated[int, Field(strict=True, ge=0, lt=2**53)] = Field(examples=[1772366400])
    expires_at: Annotated[int, Field(strict=True, ge=0, lt=2**53)] = Field(examples=[1772366700])
    key_id: Word = Field(examples=["payouts-1"])
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")] = Field(examples=["ab" * 64])


class PayoutBody(Body):
    """A payout to request."""

    asset: Code = Field(examples=["USDC"])
    amount: Decimal = Field(examples=["125.50"])
    method_id: UUID | None = Field(
        None,
        description="A payout method of the player. Without it and `method`, the default one.",
        examples=[None],
    )
    method: InlineMethodBody | None = Field(
        None,
        description="The details of a destination that is not registered, in place of `method_id`. No quote goes with it.",
        examples=[None],
    )
    pay_asset: Code | None = Field(
        None,
        description="The asset to pay out. Another asset than that of the wallet needs a quote.",
        examples=["USDC"],
    )
    quote: QuoteBody | None = Field(
        None,
        description="The quote at which it is paid, as `POST /api/payout-quotes` answered it. It is used once.",
        examples=[None],
    )

    @model_validator(mode="after")
    def _one_destination(self) -> Self:
        if self.method_id is not None and self.method is not None:
            msg = "name method_id or method, or neither for the default method"
            raise ValueError(msg)
        return self


class CancelBody(Body):
    """Why a payout shall be cancelled."""

    reason: Reason = Field("cancelled by the player", examples=["the address is wrong"])


Cell = Annotated[str, StringConstraints(max_length=300)]
"""One cell of a table. ``read_rows`` refuses what it cannot take, by the row and with a code."""


class OpeningRow(Body):
    """An opening balance. Each row is checked by itself: a wrong row is refused with a code."""

    player: Cell = Field(examples=["ann"])
    asset: Cell = Field(examples=["USDC"])
    bucket: Cell = Field(description="winnings or topup.", examples=["winnings"])
    amount: Cell = Field(description="Above zero, as a decimal text.", examples=["125.50"])
    reference: Cell = Field(
        description="The reference of the balance in the earlier system. With player, asset and bucket it is booked once.",
        examples=["arena-2025-12-31"],
    )


class OpeningsBody(Body):
    """Opening balances to book, or with `dry_run` only to check."""

    rows: Annotated[list[OpeningRow], Field(min_length=1, max_length=1000)] = Field(
        examples=[
            [
                {
                    "player": "ann",
                    "asset": "USDC",
                    "bucket": "winnings",
                    "amount": "125.50",
                    "reference": "arena-2025-12-31",
                }
            ]
        ]
    )
    dry_run: bool = Field(
        True, strict=True, description="Return what would be booked, and book nothing.", examples=[True]
    )
