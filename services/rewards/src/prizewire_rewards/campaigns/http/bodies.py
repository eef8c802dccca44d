"""Request bodies of campaigns. Unknown members are refused."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_contracts.text import Line, Name, Reason
from prizewire_rewards.campaigns.domain.settings import COUNT_MAX, SPAN_S_MAX
from prizewire_rewards.http.bodies import Body, Code, Decimal, RepeatedReference

Seconds = Annotated[int, Field(strict=True, ge=1, le=SPAN_S_MAX)]


Count = Annotated[int, Field(strict=True, ge=1, le=COUNT_MAX)]


class CapsBody(Body):
    """The most that the campaign grants. A prize line that would pass a cap is held whole."""

    per_player: Decimal | None = Field(None, examples=["10000.00"])
    per_player_day: Decimal | None = Field(
        None, description="The UTC day of the settlement.", examples=["1000.00"]
    )
    per_campaign_day: Decimal | None = Field(None, examples=["20000.00"])
    per_campaign: Decimal | None = Field(None, examples=["250000.00"])


class ClaimBody(Body):
    """How prizes are claimed."""

    expires_s: Seconds = Field(
        2_592_000, description="Seconds from finality until an unclaimed prize expires.", examples=[2_592_000]
    )
    review_deadline_s: Seconds = Field(
        259_200, description="Seconds that a held claim may wait for a decision.", examples=[259_200]
    )
    at_deadline: Literal["reject", "release"] = Field(
        "reject",
        description="What happens with a held claim that is not decided in time.",
        examples=["reject"],
    )


class VelocityBody(Body):
    """The most claims and prizes of a player within a time."""

    count: Count = Field(examples=[5])
    window_s: Seconds = Field(examples=[86_400])


class RiskBody(Body):
    """Thresholds of the risk rules. A rule without a threshold is off."""

    velocity: VelocityBody | None = Field(None, examples=[{"count": 5, "window_s": 86_400}])
    amount: Decimal | None = Field(
        None, description="A claim of this much or more is held.", examples=["2500.00"]
    )
    new_account_s: Seconds | None = Field(
        None,
        description="Claims of players who registered less than this many seconds ago are held.",
        examples=[604_800],
    )
    collusion_winners: Annotated[int, Field(strict=True, ge=2, le=COUNT_MAX)] | None = Field(
        None,
        description="Winners of one round are held where at least this many share a device or an address.",
        examples=[2],
    )
    kyc_above: Decimal | None = Field(
        None,
        description="A claim above this is held unless the player's identity is verified; where the identity check "
        "was rejected, every claim is refused.",
        examples=["1000.00"],
    )


class SettingsBody(Body):
    """All settings of a campaign. A setting that is left out has its default."""

    low_water: Decimal | None = Field(
        None,
        description="Below this the pool is low. The event `pool.low` is published once until the pool has risen again.",
        examples=["5000.00"],
    )
    caps: CapsBody = Field(CapsBody(), examples=[{"per_player": "10000.00", "per_player_day": "1000.00"}])
    claim: ClaimBody = Field(ClaimBody(), examples=[{"expires_s": 2_592_000, "at_deadline": "reject"}])
    risk: RiskBody = Field(
        RiskBody(),
        examples=[
            {"velocity": {"count": 5, "window_s": 86_400}, "amount": "2500.00", "kyc_above": "1000.00"}
        ],
    )


class CampaignBody(SettingsBody):
    """A campaign to create. It begins as a draft."""

    name: Name = Field(description="Its name, without white space.", examples=["candidates-2024"])
    asset: Code = Field(description="The asset of its pool.", examples=["USDC"])
    delivery: Literal["wallet", "direct", "claim"] = Field(
        "wallet",
        description="wallet: prizes stay in the wallet; direct: they are paid out at once; claim: the player claims "
        "them before they expire.",
        examples=["claim"],
    )


class WithdrawBody(Body):
    """Money to withdraw from a pool."""

    amount: Decimal | None = Field(
        None,
        description="The amount in the campaign's asset. Without it, all of the pool.",
        examples=["1200.00"],
    )
    reason: Reason = Field(description="Why, for the audit.", examples=["the sponsor's share of the rest"])


class FundBody(Body):
    """Money that came in for a pool."""

    amount: Decimal = Field(description="The amount in the campaign's asset.", examples=["48000.00"])
    reference: Line = Field(
        description="The payment by which the money came. A pool is funded once under a reference, in any case.",
        examples=["wire 2024-04-02"],
    )
    repeated_reference: RepeatedReference = False
