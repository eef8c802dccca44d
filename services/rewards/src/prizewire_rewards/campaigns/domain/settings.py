"""The settings of a campaign: caps, low-water mark, claim terms and risk thresholds."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Final

from prizewire_rewards.errors import InvalidRequest

DAY_S: Final = 86_400
SPAN_S_MAX: Final = 5 * 365 * DAY_S
"""The maximum of the times in the settings, in seconds."""
COUNT_MAX: Final = 1_000


class AtDeadline(StrEnum):
    """What happens with a held claim that is not decided in time."""

    REJECT = "reject"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that a campaign grants, in minor units; None: no cap. A day is the UTC day of the settlement."""

    per_player: int | None = None
    per_player_day: int | None = None
    per_campaign_day: int | None = None
    per_campaign: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a cap."""
        return any(getattr(self, one.name) is not None for one in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSettings:
    """The time to claim a prize, in seconds from finality, and the time to decide a held claim, in seconds."""

    expires_s: int = 30 * DAY_S
    review_deadline_s: int = 3 * DAY_S
    at_deadline: AtDeadline = AtDeadline.REJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Velocity:
    """At most ``count`` claims and prizes of one player within ``window_s`` seconds."""

    count: int
    window_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskThresholds:
    """The thresholds of the risk rules; None: the rule is off. Amounts are minor units."""

    velocity: Velocity | None = None
    amount: int | None = None
    new_account_s: int | None = None
    collusion_winners: int | None = None
    kyc_above: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """All settings of a campaign. A pool below ``low_water`` (minor units) is low."""

    low_water: int | None = None
    caps: Caps = field(default_factory=Caps)
    claim: ClaimSettings = field(default_factory=ClaimSettings)
    risk: RiskThresholds = field(default_factory=RiskThresholds)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InvalidRequest: ``settings_invalid``; the text names the setting.
        """
        for name in ("per_player", "per_player_day", "per_campaign_day", "per_campaign"):
            _bounded(f"caps.{name}", getattr(self.caps, name), low=1, high=None)
        _bounded("low_water", self.low_water, low=1, high=None)
        _bounded("claim.expires_s", self.claim.expires_s, low=1, high=SPAN_S_MAX)
        _bounded("claim.review_deadline_s", self.claim.review_deadline_s, low=1, high=SPAN_S_MAX)
        risk = self.risk
        _bounded("risk.amount", risk.amount, low=1, high=None)
        _bounded("risk.kyc_above", risk.kyc_above, low=0, high=None)
        _bounded("risk.new_account_s", risk.new_account_s, low=1, high=SPAN_S_MAX)
        _bounded("risk.collusion_winners", risk.collusion_winners, low=2, high=COUNT_MAX)
        if risk.velocity is not None:
            _bounded("risk.velocity.count", risk.velocity.count, low=1, high=COUNT_MAX)
            _bounded("risk.velocity.window_s", risk.velocity.window_s, low=1, high=SPAN_S_MAX)


def _bounded(name: str, value: int | None, *, low: int, high: int | None) -> None:
    if value is None or (value >= low and (high is None or value <= high)):
        return
    upto = "" if high is None else f" and at most {high}"
    raise InvalidRequest("settings_invalid", f"{name} is {value}: it must be at least {low}{upto}")


NO_SETTINGS: Final = CampaignSettings()
"""The settings of a campaign that was created without any."""
