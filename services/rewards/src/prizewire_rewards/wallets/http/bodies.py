"""Request bodies of wallets and imports."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from prizewire_contracts.text import Reason
from prizewire_rewards.http.bodies import Body, Code, Decimal


class PayoutBody(Body):
    """A payout to request."""

    asset: Code = Field(examples=["USDC"])
    amount: Decimal = Field(examples=["125.50"])
    method_id: UUID | None = Field(
        None, description="A payout method of the player. Without it, the default one.", examples=[None]
    )
    pay_asset: Code | None = Field(
        None,
        description="The asset to pay out. Another asset than that of the wallet needs a quote.",
        examples=["USDC"],
    )


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
