"""Sharing out integers without losing or making a single unit: allocation and fees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prizewire_money.errors import InvalidAllocation, InvalidAmount, InvalidBasisPoints

BPS_WHOLE: Final = 10_000
"""Basis points in the whole."""


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` minor units by weights with the largest remainder method; the shares sum to it exactly.

    Each share is first rounded down; the units left over go one each to the largest remainders. Among equal
    remainders the earlier index is served first, so the caller's order decides and the result is stable. A
    weight of zero gets nothing. Exact for integers of any size.

    Method: Hamilton's (largest remainder) apportionment.

    Raises:
        InvalidAllocation: a negative or non-integer number, or weights that are empty or all zero.
    """
    if type(total) is not int or total < 0:
        raise InvalidAllocation("the total to share must be a non-negative integer")
    if any(type(weight) is not int or weight < 0 for weight in weights):
        raise InvalidAllocation("weights must be non-negative integers")
    whole = sum(weights)
    if whole == 0:
        raise InvalidAllocation("there is no weight to share by")
    parts = [divmod(total * weight, whole) for weight in weights]
    shares = [share for share, _ in parts]
    left = total - sum(shares)
    # sorted() is stable: equal remainders keep the order of their indexes
    for index in sorted(range(len(parts)), key=lambda index: -parts[index][1])[:left]:
        shares[index] += 1
    return shares


def basis_points(amount: int, bps: int) -> int:
    """The part of `amount` minor units that `bps` hundredths of a percent make, rounded down.

    Raises:
        InvalidAmount: the amount is negative (`amount_negative`) or no integer (`amount_malformed`).
        InvalidBasisPoints: `bps` is no integer from 0 to 10000.
    """
    _check_amount(amount)
    _check_bps(bps)
    return amount * bps // BPS_WHOLE


@dataclass(frozen=True, slots=True)
class FeeSplit:
    """How a gross amount divides, all in minor units of one asset: platform + organizer + net = gross."""

    gross: int
    platform: int
    organizer: int
    net: int


def split_fees(gross: int, *, platform_bps: int, organizer_bps: int) -> FeeSplit:
    """Split both fees off a gross amount. Each fee is rounded down, so the players get the remainder.

    Raises:
        InvalidAmount: the gross amount is negative (`amount_negative`) or no integer (`amount_malformed`).
        InvalidBasisPoints: a fee is outside 0..10000, or both together exceed 10000.
    """
    platform = basis_points(gross, platform_bps)
    organizer = basis_points(gross, organizer_bps)
    if platform_bps + organizer_bps > BPS_WHOLE:
        raise InvalidBasisPoints(
            f"fees of {platform_bps} and {organizer_bps} exceed {BPS_WHOLE} basis points"
        )
    return FeeSplit(gross=gross, platform=platform, organizer=organizer, net=gross - platform - organizer)


def _check_amount(amount: int) -> None:
    if type(amount) is not int:
        raise InvalidAmount("amount_malformed", f"minor units are integers, not {type(amount).__name__}")
    if amount < 0:
        raise InvalidAmount("amount_negative", "fees are taken from non-negative amounts")


def _check_bps(bps: int) -> None:
    if type(bps) is not int or not 0 <= bps <= BPS_WHOLE:
        raise InvalidBasisPoints(f"basis points must be an integer from 0 to {BPS_WHOLE}")
