"""References of payments outside, such as bank transfers: each moves money of one account once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from prizewire_money import Asset
from prizewire_rewards.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierBooking:
    """The first booking of an account under a reference: its ``amount`` in minor units, the person who made it, and its
    time. ``id`` is the id of the transfer or of the withdrawal of fees.
    """

    id: UUID
    amount: int
    by: str
    at: datetime


def check_reference(
    earlier: EarlierBooking | None, *, reference: str, asset: Asset, repeated: bool
) -> UUID | None:
    """Return the id of the earlier booking under the reference, None where there is none. ``repeated``: the person says
    that this is another payment under the same reference.

    Raises:
        InvalidRequest: ``reference_used``: there is an earlier booking, and ``repeated`` is false.
    """
    if earlier is None:
        return None
    if not repeated:
        at = earlier.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        raise InvalidRequest(
            "reference_used",
            f"the reference {reference} is used already, for {asset.describe(earlier.amount)} by {earlier.by} at {at} "
            f"(id {earlier.id}). If this is another payment under the same reference, send repeated_reference: true",
            earlier={
                "id": str(earlier.id),
                "asset": asset.code,
                "amount": asset.render(earlier.amount),
                "by": earlier.by,
                "at": at,
            },
        )
    return earlier.id
