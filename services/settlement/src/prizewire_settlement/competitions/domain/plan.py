"""What a rule pays whatever the result: fees, and the amount of each paid place."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from typing import Final

from prizewire_money import FeeSplit, allocate, split_fees
from prizewire_settlement.competitions.domain.model import PlaceRange, Rule

PERCENT_WHOLE: Final = 100_000_000
"""The whole in millionths of a percent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rule pays whatever the result: fees, and the amount of each paid place from the first on."""

    fees: FeeSplit
    amounts: tuple[int, ...]


def place_amounts(*, net: int, places: Sequence[PlaceRange]) -> tuple[int, ...]:
    """The amount of each place, from 1 on, in minor units. Percentages and fixed amounts are not mixed."""
    if not places:
        return ()
    if places[0].amount_each is not None:
        return tuple(entry.amount_each or 0 for entry in places for _ in range(entry.first, entry.last + 1))
    sizes = [entry.last - entry.first + 1 for entry in places]
    common = lcm(*sizes)
    weights: list[int] = []
    for entry, size in zip(places, sizes, strict=True):
        weights += [(entry.percent_total or 0) * (common // size)] * size
    # What the percentages leave is shared out as one more place, the last, which nobody holds.
    rest = PERCENT_WHOLE * common - sum(weights)
    return tuple(allocate(net, [*weights, rest])[:-1])


def plan_of(rule: Rule) -> Plan:
    """The part of a settlement that follows from the rule alone; worked out once for each stored rule. A rule that is
    not stored (version 0) is not kept: previews would crowd out those that matches are settled under.
    """
    return _kept_plan(rule) if rule.version else _plan(rule)


@lru_cache(maxsize=1024)
def _kept_plan(rule: Rule) -> Plan:
    return _plan(rule)


def _plan(rule: Rule) -> Plan:
    fees = split_fees(rule.gross, platform_bps=rule.platform_bps, organizer_bps=rule.organizer_bps)
    return Plan(fees, place_amounts(net=fees.net, places=rule.places))
