"""Answers of the routes of campaigns."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.campaigns.domain.model import CampaignState, Delivery
from prizewire_rewards.campaigns.domain.settings import AtDeadline
from prizewire_rewards.http.bodies import AssetCode, Money, SignedMoney

_Seconds = Annotated[int, Field(examples=[604_800])]


class CapsAnswer(AnswerModel):
    """The most that the campaign grants. Null: no cap. A day is the UTC day of the settlement."""

    per_player: Annotated[Money | None, Field(examples=["10000.00"])]
    per_player_day: Annotated[Money | None, Field(examples=["1000.00"])]
    per_campaign_day: Annotated[Money | None, Field(examples=[None])]
    per_campaign: Annotated[Money | None, Field(examples=[None])]


class ClaimTermsAnswer(AnswerModel):
    """How prizes are claimed."""

    expires_s: Annotated[
        int,
        Field(description="Seconds from finality until an unclaimed prize expires.", examples=[2_592_000]),
    ]
    review_deadline_s: Annotated[
        int, Field(description="Seconds that a held claim may wait for a decision.", examples=[259_200])
    ]
    at_deadline: Annotated[
        AtDeadline,
        Field(description="What happens with a held claim that is not decided in time.", examples=["reject"]),
    ]


class VelocityAnswer(AnswerModel):
    """The most claims and prizes of a player within a time."""

    count: Annotated[int, Field(examples=[5])]
    window_s: Annotated[int, Field(description="Seconds.", examples=[86_400])]


class RiskAnswer(AnswerModel):
    """Thresholds of the risk rules. Null: the rule is not applied."""

    velocity: VelocityAnswer | None
    amount: Annotated[
        Money | None, Field(description="A claim of this much or more is held.", examples=["2500.00"])
    ]
    new_account_s: Annotated[
        _Seconds | None,
        Field(description="Players registered for less than this many seconds are held.", examples=[604_800]),
    ]
    collusion_winners: Annotated[
        int | None,
        Field(
            description="Winners of one round are held where at least this many share a device or an address.",
            examples=[2],
        ),
    ]
    kyc_above: Annotated[
        Money | None,
        Field(
            description="A claim above this is held unless the player's identity is verified.",
            examples=["1000.00"],
        ),
    ]


class SettingsAnswer(AnswerModel):
    """The settings of a campaign."""

    low_water: Annotated[
        Money | None, Field(description="Below this the pool counts as low.", examples=["5000.00"])
    ]
    caps: CapsAnswer
    claim: ClaimTermsAnswer
    risk: RiskAnswer


class CampaignAnswer(SettingsAnswer):
    """A campaign: a pool of prizes with its rules."""

    id: Id
    name: Annotated[str, Field(examples=["candidates-2026"])]
    asset: AssetCode
    delivery: Annotated[
        Delivery,
        Field(
            description="What happens with a prize that is final. `wallet`: it stays in the wallet; `direct`: it is paid out "
            "at once; `claim`: the player claims it before it expires.",
            examples=["claim"],
        ),
    ]
    state: Annotated[CampaignState, Field(examples=["active"])]
    funded: Annotated[Money, Field(description="All money that came in.", examples=["50000.00"])]
    available: Annotated[Money, Field(description="The balance of the pool.", examples=["37915.00"])]
    reserved: Annotated[
        Money, Field(description="Reserved for rounds that are not final.", examples=["85.00"])
    ]
    granted: Annotated[
        Money,
        Field(
            description="The sum that rounds took from the pool for prizes and fees.", examples=["12000.00"]
        ),
    ]
    withdrawn: Annotated[
        Money, Field(description="The sum that admins withdrew from the pool.", examples=["0.00"])
    ]
    settings_version: Annotated[int, Field(description="From 1.", examples=[1])]
    unfunded_rounds: Annotated[int, Field(description="Rounds that wait for money.", examples=[0])]
    missing: Annotated[
        Money,
        Field(
            description="The amount that the pool lacks for the rounds that wait: with so much more, all of them are booked.",
            examples=["0.00"],
        ),
    ]
    created_at: Moment


class BalanceSheetAnswer(AnswerModel):
    """Where a campaign's money is by the ledger. `funded` is the sum of all others but `unfunded`."""

    campaign: Annotated[Id, Field(description="The campaign's id.")]
    asset: AssetCode
    funded: Annotated[Money, Field(examples=["50000.00"])]
    available: Annotated[Money, Field(description="In the pool.", examples=["37915.00"])]
    withdrawn: Annotated[Money, Field(description="Withdrawn by admins.", examples=["0.00"])]
    reserved: Annotated[Money, Field(description="Held back for rounds.", examples=["85.00"])]
    claimable: Annotated[Money, Field(description="Waits to be claimed.", examples=["500.00"])]
    platform_fees: Annotated[Money, Field(examples=["1000.00"])]
    organizer_fees: Annotated[
        Money, Field(description="Those of rounds without an organizer's wallet.", examples=["500.00"])
    ]
    wallets: Annotated[
        SignedMoney,
        Field(
            description="Money of the campaign that wallets received, whatever their players did with it since. Negative "
            "where a correction took more back from wallets than they received: prizes were paid directly, and the players "
            "returned them out of other winnings.",
            examples=["9500.00"],
        ),
    ]
    payout_pending: Annotated[
        Money, Field(description="In direct payouts that are not paid yet.", examples=["100.00"])
    ]
    paid: Annotated[
        Money, Field(description="Paid by rails, less what came back from them.", examples=["400.00"])
    ]
    unfunded: Annotated[
        Money, Field(description="Owed to rounds that wait for money; not held.", examples=["0.00"])
    ]
