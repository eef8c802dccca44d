"""Prize arithmetic: from a rule and a result to lines that sum exactly.

1. Fees come off the gross prize, each rounded down (``prizewire_money.split_fees``); the rest is the net prize.
2. Every paid place gets its amount. Percentages of the net prize are shared out over all places at once by the
   largest remainder method; among equal remainders the better place gets the unit. A range's percentage is
   shared equally by its places. Fixed amounts are what they say.
3. Players are ranked. Tied players hold as many places as they are, and share the sum of those places' amounts
   equally, as golf does, also where a tie reaches past the last paid place; the units that do not divide go one
   each to the tied players in the order of their identifiers (by code point). So the order in which a result
   lists its players never matters.
4. Amounts per point are added to a player's place prize: one for each whole step of the score; a score below
   zero earns nothing.
5. What no player took (places without a player, percentages below 100, fixed amounts below the net prize) is
   ``unclaimed`` and goes back to the pool: lines + unclaimed = net, always.

Places as stated are honoured and never improved: after 1, 2, 2 a stated 3 holds place 4, and a gap in the stated
places leaves its prize unclaimed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import lcm
from typing import Final

from prizewire_money import FeeSplit, allocate, split_fees
from prizewire_settlement.domain.errors import Reason, ReportRefused
from prizewire_settlement.domain.model import Line, PlaceRange, PlayerResult, Rule, TiePolicy

__all__ = ["PERCENT_WHOLE", "Plan", "Prizes", "check_results", "place_amounts", "plan_of", "settle_result"]

PERCENT_WHOLE: Final = 100_000_000
"""The whole in millionths of a percent."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rule pays whatever the result: fees, and the amount of each paid place from the first on."""

    fees: FeeSplit
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prizes:
    """A result in money: ``fees.net`` = sum of the lines + ``unclaimed``."""

    fees: FeeSplit
    unclaimed: int
    lines: tuple[Line, ...]


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


@lru_cache(maxsize=1024)
def plan_of(rule: Rule) -> Plan:
    """The part of a settlement that follows from the rule alone; worked out once for each rule."""
    fees = split_fees(rule.gross, platform_bps=rule.platform_bps, organizer_bps=rule.organizer_bps)
    return Plan(fees, place_amounts(net=fees.net, places=rule.places))


def check_results(*, rule: Rule, results: Sequence[PlayerResult]) -> None:
    """Refuse results that the rule cannot rank or pay.

    Raises:
        ReportRefused: ``duplicate_player`` or ``score_missing``.
    """
    if len({result.player for result in results}) != len(results):
        seen: set[str] = set()
        twice = next(r.player for r in results if r.player in seen or seen.add(r.player))  # type: ignore[func-returns-value] # add answers None
        raise ReportRefused(Reason.DUPLICATE_PLAYER, f"{twice} stands twice in the result")
    by = rule.rank_by.score
    wanted = {score for score in (by, rule.per_point.score if rule.per_point else None) if score is not None}
    for result in results:
        if by is None and result.place is None:
            raise ReportRefused(Reason.SCORE_MISSING, f"{result.player} has no place")
        for score in wanted:
            if score not in result.scores:
                raise ReportRefused(Reason.SCORE_MISSING, f"{result.player} has no score {score}")


def settle_result(*, rule: Rule, results: Sequence[PlayerResult]) -> Prizes:
    """Work out a whole result under a rule.

    Raises:
        ReportRefused: ``duplicate_player``, ``score_missing``, ``tie_refused``, or ``invalid_amount`` where amounts
            per point and places together exceed the net prize.
    """
    check_results(rule=rule, results=results)
    plan = plan_of(rule)
    paid = len(plan.amounts)
    refuse = rule.ties is TiePolicy.REFUSE
    lines: list[Line] = []
    total = 0
    for place, tied in _ranked(rule=rule, results=results):
        if refuse and len(tied) > 1 and place <= paid:
            names = ", ".join(result.player for result in tied[:3])
            raise ReportRefused(Reason.TIE_REFUSED, f"{len(tied)} players share place {place}: {names}")
        if place > paid and rule.per_point is None:
            break
        base, odd = divmod(sum(plan.amounts[place - 1 : place - 1 + len(tied)]), len(tied))
        for index, result in enumerate(tied):
            amount = base + (index < odd) + _points(rule, result)
            if amount:
                total += amount
                lines.append(Line(len(lines) + 1, result.player, place, amount))
    if total > plan.fees.net:
        detail = (
            f"the prizes come to {total} minor units of {rule.asset.code}, the net prize is {plan.fees.net}"
        )
        raise ReportRefused(Reason.INVALID_AMOUNT, detail)
    return Prizes(fees=plan.fees, unclaimed=plan.fees.net - total, lines=tuple(lines))


def _points(rule: Rule, result: PlayerResult) -> int:
    if rule.per_point is None:
        return 0
    return max(0, result.scores[rule.per_point.score] // rule.per_point.per) * rule.per_point.amount


def _ranked(*, rule: Rule, results: Sequence[PlayerResult]) -> Iterator[tuple[int, list[PlayerResult]]]:
    """Groups of equal players from the best on, with the place that each group holds; players sorted inside."""
    score = rule.rank_by.score
    if score is None:
        keyed = sorted((result.place or 0, result.player, index) for index, result in enumerate(results))
    else:
        sign = -1 if rule.rank_by.descending else 1
        keyed = sorted((sign * r.scores[score], r.player, index) for index, r in enumerate(results))
    free = 1
    start = 0
    while start < len(keyed):
        end = start + 1
        while end < len(keyed) and keyed[end][0] == keyed[start][0]:
            end += 1
        place = max(free, keyed[start][0]) if score is None else free
        yield place, [results[index] for _, _, index in keyed[start:end]]
        free = place + end - start
        start = end
