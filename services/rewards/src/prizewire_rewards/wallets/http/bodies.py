"""Request bodies of wallets and imports."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from prizewire_contracts.text import Reason
from prizewire_rewards.http.bodies import Body, Code, Decimal


class PayoutBody(Body):
    """A payout that the player wants."""

    asset: Code = Field(examples=["USDC"])
    amount: Decimal = Field(examples=["125.50"])
    method_id: UUID | None = Field(
        None, description="A method of the player; without it, the default one.", examples=[None]
    )
    pay_asset: Code | None = Field(
        None,
        description="What is to arrive; another asset than that of the wallet needs a quote.",
        examples=["USDC"],
    )


class CancelBody(Body):
    """Why a payout should be stopped."""

    reason: Reason = Field("cancelled by the player", examples=["the address is wrong"])


Cell = Annotated[str, StringConstraints(max_length=300)]
"""One cell of a table. ``read_rows`` refuses what it cannot take, by the row and with a code."""


class OpeningRow(Body):
    """What a player had in an earlier system. Each row is looked at by itself: a wrong one is refused with its code."""

    player: Cell = Field(examples=["ann"])
    asset: Cell = Field(examples=["USDC"])
    bucket: Cell = Field(description="winnings or topup.", examples=["winnings"])
    amount: Cell = Field(description="Above zero, as a decimal text.", examples=["125.50"])
    reference: Cell = Field(
        description="What it is taken over from; with player, asset and bucket it is booked once.",
        examples=["arena-2025-12-31"],
    )


class OpeningsBody(Body):
    """Opening balances to be booked, or with ``dry_run`` only to be looked at."""

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
        True, strict=True, description="Say what would be booked, and book nothing.", examples=[True]
    )
