"""Request bodies. Unknown members are refused: a misspelt one must not be passed over where money moves."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic.config import JsonDict

from prizewire_contracts.text import PRINTABLE, Line, Reason
from prizewire_rewards.entrypoints.answers.shared import DECIMAL

Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,11}$")]
DECIMAL_LENGTH_MAX: Final = 40
Decimal = Annotated[
    str,
    StringConstraints(min_length=1, max_length=DECIMAL_LENGTH_MAX, pattern=PRINTABLE),
    WithJsonSchema({"type": "string", "pattern": DECIMAL, "maxLength": DECIMAL_LENGTH_MAX}),
]
"""An amount. A text that is none has a code of its own, which ``Front.minor`` gives, so the pattern is only documented."""


class Body(BaseModel):
    """Base of them all."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def only(*names: str, without: tuple[str, ...]) -> JsonDict:
    """JSON Schema of an object that has values for ``names``, and none for ``without``."""
    kinds: JsonDict = {
        **{name: {"not": {"type": "null"}} for name in names},
        **{name: {"type": "null"} for name in without},
    }
    return {"required": list(names), "properties": kinds}


RepeatedReference = Annotated[
    bool,
    Field(
        strict=True,
        description="True: this is another payment under a reference that was used already. Without it such a request is "
        "refused with `reference_used`.",
        examples=[False],
    ),
]


class FundBody(Body):
    """Money that came in for a pool."""

    amount: Decimal = Field(description="In the campaign's asset.", examples=["48000.00"])
    reference: Line = Field(
        description="The payment that it came by. A pool is funded once under a reference.",
        examples=["wire 2024-04-02"],
    )
    repeated_reference: RepeatedReference = False


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


class DecisionBody(Body):
    """Why a claim or a held prize is released or refused; for the record, never for the player."""

    reason: Reason = Field(examples=["identity seen on 2024-04-22"])


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
