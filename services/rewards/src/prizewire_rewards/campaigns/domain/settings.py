"""The settings of a campaign: what it may grant to whom, when its pool counts as low, how its prizes are claimed."""

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Final

from prizewire_rewards.errors import InvalidRequest

DAY_S: Final = 86_400
SPAN_S_MAX: Final = 5 * 365 * DAY_S
"""The longest that a claim may stay open, be reviewed, or look back."""
COUNT_MAX: Final = 1_000


class AtDeadline(StrEnum):
    """What becomes of a held claim that nobody has decided in time."""

    REJECT = "reject"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that a campaign grants, in minor units; None: no bound. A day is a day of UTC, that of settlement."""

    per_player: int | None = None
    per_player_day: int | None = None
    per_campaign_day: int | None = None
    per_campaign: int | None = None

    @property
    def any(self) -> bool:
        """Whether one of them bounds anything."""
        return any(getattr(self, one.name) is not None for one in fields(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSettings:
    """How prizes are claimed, in seconds from finality and from the moment that a claim is held."""

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
    """Where each risk rule begins to look closer; None: the rule is not asked. Amounts are minor units."""

    velocity: Velocity | None = None
    amount: int | None = None
    new_account_s: int | None = None
    collusion_winners: int | None = None
    kyc_above: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """All of them; ``low_water`` is what the pool must hold not to count as low."""

    low_water: int | None = None
    caps: Caps = field(default_factory=Caps)
    claim: ClaimSettings = field(default_factory=ClaimSettings)
    risk: RiskThresholds = field(default_factory=RiskThresholds)

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            InvalidRequest: ``settings_invalid``, with the name of what is wrong.
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
    raise InvalidRequest("settings_invalid", f"{name} must be at least {low}{upto}")


NO_SETTINGS: Final = CampaignSettings()
"""Those of a campaign that says nothing."""
