"""What settlement reads from its environment, beside what every service reads."""

from decimal import Decimal
from typing import Final

from pydantic import Field

from prizewire_chassis.settings import ApiSettings

_BPS_PER_PERCENT: Final = 100


class Settings(ApiSettings):
    """Fees are percentages of the gross prize with at most two decimals; a competition may set its own."""

    platform_fee_percentage: Decimal = Field(
        Decimal(10),
        ge=0,
        le=100,
        decimal_places=2,
        description="The platform's part of a gross prize, in percent, for competitions that name none.",
    )
    organizer_fee_percentage: Decimal = Field(
        Decimal(5),
        ge=0,
        le=100,
        decimal_places=2,
        description="The organizer's part of a gross prize, in percent, where a competition names an organizer and "
        "no fee.",
    )
    finality_interval_s: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="Seconds between two searches for rounds whose dispute window has passed.",
    )

    results_incomplete_after_s: float = Field(
        300.0,
        gt=0,
        le=30 * 86_400,
        description="Seconds after the first part of a result after which a missing part is reported in log and metrics.",
    )
    results_incomplete_interval_s: float = Field(
        15.0,
        gt=0,
        le=3600,
        description="Seconds between two searches for results with missing parts.",
    )
    rounds_refused_interval_s: float = Field(
        15.0,
        gt=0,
        le=3600,
        description="Seconds between two counts of the rounds that rewards refuses for good.",
    )
    source_token_days_max: int = Field(
        366,
        ge=1,
        le=3660,
        description="The longest validity of an API token of a game server, in days.",
    )

    @property
    def platform_fee_bps(self) -> int:
        """The platform's default fee in basis points."""
        return int(self.platform_fee_percentage * _BPS_PER_PERCENT)

    @property
    def organizer_fee_bps(self) -> int:
        """The organizer's default fee in basis points."""
        return int(self.organizer_fee_percentage * _BPS_PER_PERCENT)
