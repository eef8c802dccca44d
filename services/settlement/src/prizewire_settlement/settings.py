"""What settlement reads from its environment, beside what every service reads."""

from decimal import Decimal
from typing import Final

from pydantic import Field

from prizewire_chassis.settings import ServiceSettings

__all__ = ["Settings"]

_BPS_PER_PERCENT: Final = 100


class Settings(ServiceSettings):
    """Fees are percentages of the gross prize with at most two decimals; a competition may set its own."""

    platform_fee_percentage: Decimal = Field(
        Decimal(10),
        ge=0,
        le=100,
        decimal_places=2,
        description="The platform's part of a gross prize, in percent, where a competition does not say.",
    )
    organizer_fee_percentage: Decimal = Field(
        Decimal(5),
        ge=0,
        le=100,
        decimal_places=2,
        description="The organizer's part of a gross prize, in percent, where a competition does not say.",
    )
    finality_interval_s: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="Seconds between two looks for rounds whose dispute window has passed.",
    )

    @property
    def platform_fee_bps(self) -> int:
        """The platform's default fee in basis points."""
        return int(self.platform_fee_percentage * _BPS_PER_PERCENT)

    @property
    def organizer_fee_bps(self) -> int:
        """The organizer's default fee in basis points."""
        return int(self.organizer_fee_percentage * _BPS_PER_PERCENT)
