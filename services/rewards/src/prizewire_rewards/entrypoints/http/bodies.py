"""Request bodies. Unknown members are refused: a misspelt one must not be passed over where money moves."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["Body", "CampaignBody", "CancelBody", "Code", "Decimal", "FundBody", "PayoutBody"]

Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{0,11}$")]
Decimal = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Body(BaseModel):
    """What every body has in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class CampaignBody(Body):
    """A campaign to be made. It begins as a draft."""

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\s\x00-\x1f\x7f]+$")
    ] = Field(description="Its name, without white space.", examples=["candidates-2024"])
    asset: Code = Field(description="The asset of its pool.", examples=["USDC"])
    delivery: Literal["wallet", "direct", "claim"] = Field(
        "wallet",
        description="wallet: prizes stay in the wallet; direct: they are paid out at once; claim: not served yet.",
    )


class FundBody(Body):
    """Money that came in for a pool."""

    amount: Decimal = Field(description="In the campaign's asset.", examples=["48000.00"])
    reference: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="What it came by, for people.", examples=["wire 2024-04-02"]
    )


class PayoutBody(Body):
    """A payout that the player wants."""

    asset: Code = Field(examples=["USDC"])
    amount: Decimal = Field(examples=["125.50"])
    method_id: UUID | None = Field(None, description="A method of the player; without it, the default one.")
    pay_asset: Code | None = Field(
        None, description="What is to arrive; another asset than that of the wallet needs a quote."
    )


class CancelBody(Body):
    """Why a payout should be stopped."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)] = "cancelled by the player"
