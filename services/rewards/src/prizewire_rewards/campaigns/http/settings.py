"""Converts a campaign's settings between HTTP, with decimal texts, and the domain, in minor units."""

from prizewire_money import Asset
from prizewire_rewards.campaigns.domain.settings import (
    AtDeadline,
    CampaignSettings,
    Caps,
    ClaimSettings,
    RiskThresholds,
    Velocity,
)
from prizewire_rewards.campaigns.http.answers import (
    CapsAnswer,
    ClaimTermsAnswer,
    RiskAnswer,
    SettingsAnswer,
    VelocityAnswer,
)
from prizewire_rewards.campaigns.http.bodies import SettingsBody
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import Amounts

_CAPS = ("per_player", "per_player_day", "per_campaign_day", "per_campaign")


def settings_of(amounts: Amounts, body: SettingsBody, *, asset: Asset) -> CampaignSettings:
    """The settings of a body.

    Raises:
        Problem: 422 ``settings_invalid``, or the code of an amount that cannot be read.
    """

    def minor(amount: str | None, *, field: str) -> int | None:
        return None if amount is None else amounts.minor(asset, amount, field=field)

    risk = body.risk
    velocity = None
    if risk.velocity is not None:
        velocity = Velocity(count=risk.velocity.count, window_s=risk.velocity.window_s)
    try:
        return CampaignSettings(
            low_water=minor(body.low_water, field="low_water"),
            caps=Caps(**{name: minor(getattr(body.caps, name), field=f"caps.{name}") for name in _CAPS}),
            claim=ClaimSettings(
                expires_s=body.claim.expires_s,
                review_deadline_s=body.claim.review_deadline_s,
                at_deadline=AtDeadline(body.claim.at_deadline),
            ),
            risk=RiskThresholds(
                velocity=velocity,
                amount=minor(risk.amount, field="risk.amount"),
                new_account_s=risk.new_account_s,
                collusion_winners=risk.collusion_winners,
                kyc_above=minor(risk.kyc_above, field="risk.kyc_above"),
            ),
        )
    except InvalidRequest as error:
        raise STATUSES.refuse(error.code, error.detail) from None


def shown_settings(amounts: Amounts, settings: CampaignSettings, *, asset: str) -> SettingsAnswer:
    """The answer that shows settings."""

    def wire(minor: int | None) -> str | None:
        return None if minor is None else amounts.text(asset, minor)

    caps, claim, risk = settings.caps, settings.claim, settings.risk
    velocity = None
    if risk.velocity is not None:
        velocity = VelocityAnswer(count=risk.velocity.count, window_s=risk.velocity.window_s)
    return SettingsAnswer(
        low_water=wire(settings.low_water),
        caps=CapsAnswer(
            per_player=wire(caps.per_player),
            per_player_day=wire(caps.per_player_day),
            per_campaign_day=wire(caps.per_campaign_day),
            per_campaign=wire(caps.per_campaign),
        ),
        claim=ClaimTermsAnswer(
            expires_s=claim.expires_s,
            review_deadline_s=claim.review_deadline_s,
            at_deadline=claim.at_deadline,
        ),
        risk=RiskAnswer(
            velocity=velocity,
            amount=wire(risk.amount),
            new_account_s=risk.new_account_s,
            collusion_winners=risk.collusion_winners,
            kyc_above=wire(risk.kyc_above),
        ),
    )
