"""The lines of a year's list, and the limits of a year."""

from dataclasses import dataclass
from datetime import UTC, datetime

from prizewire_money import Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxLine:
    """What one person was paid out of one campaign in one asset, less what was returned. ``campaign`` is None for withdrawals of
    a wallet. The states are those of the person now; None where they were never reported.
    """

    person: str
    campaign: str | None
    payouts: int
    paid: Amount
    tax_state: str | None
    identity_state: str | None
    identity_until: datetime | None


def bounds_of(year: int) -> tuple[datetime, datetime]:
    """The first moment of a year (UTC), and the first of the next one."""
    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
