"""Prize arithmetic: from a rule and a result to lines that sum exactly.

1. Fees come off the gross prize, each rounded down (``prizewire_money.split_fees``); the rest is the net prize.
2. Every paid place gets its amount. Percentages of the net prize are shared out over all places at once by the
   largest remainder method; among equal remainders the better place gets the unit. A range's percentage is
   shared equally by its places. Fixed amounts are what they say.
3. Players are ranked. A tie may be broken by a named score, which every player must bring; a tie may be refused
   where it reaches a paid place. Players who are still equal hold as many places as there are players, and share the sum
   of those places' amounts equally, as golf does, also where a tie reaches past the last paid place; the units
   that do not divide go one each to the tied players in the order of their identifiers (by code point). So the
   order in which a result lists its players never matters.
4. Where the rule spreads, the amounts of the table's places that no player holds are added to the place prizes, pro
   rata to them by largest remainder. Tied players weigh equally, each with an equal part of what they share. Among
   equal remainders the better place gets the unit; within a tie those get it first who had no odd unit of 3.
   Where no player holds a paid place nothing is spread.
5. Amounts per point are added to a player's place prize: one for each whole step of the score; a score below
   zero earns nothing, and nothing is spread by them. Where they come to more than the places leave of the net prize,
   the rule refuses the result, or lets them share what is left pro rata, by largest remainder; among equal remainders
   the better place, and within a tie who comes first by identifier, gets the unit.
6. What no player took is ``unclaimed`` and goes back to the pool: lines + unclaimed = net, always. That is what the
   table never offered (percentages below 100, fixed amounts below the net prize), and, unless it is spread, the
   amounts of places without a player.

Places as stated are honoured and never improved: after 1, 2, 2 a stated 3 holds place 4, and a gap in the stated
places leaves its prize unclaimed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any, NamedTuple

from prizewire_money import FeeSplit, allocate
from prizewire_settlement.competitions.domain.model import Overflow, Rule, TiePolicy, Unclaimed
from prizewire_settlement.competitions.domain.rules import plan_of
from prizewire_settlement.errors import Reason, ReportRefused


class PlayerResult(NamedTuple):
    """One player's result: a stated place, named scores in millionths, or both."""

    player: str
    place: int | None
    scores: dict[str, int]


class Line(NamedTuple):
    """One prize: ``line`` counts from 1; the amount is never zero."""

    line: int
    player: str
    place: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prizes:
    """A result in money: ``fees.net`` = sum of the lines + ``unclaimed``."""

    fees: FeeSplit
    unclaimed: int
    lines: tuple[Line, ...]


def check_results(*, rule: Rule, results: Sequence[PlayerResult]) -> None:
    """Refuse results that the rule cannot rank or pay.

    Raises:
        ReportRefused: ``duplicate_player`` or ``score_missing``.
    """
    if len({result.player for result in results}) != len(results):
        seen: set[str] = set()
        twice = next(r.player for r in results if r.player in seen or seen.add(r.player))  # type: ignore[func-returns-value] # add answers None
        raise ReportRefused(
            Reason.DUPLICATE_PLAYER, f"player {twice} is in the result twice: name each player once"
        )
    by = rule.rank_by.score
    needed = (rule.rank_by, rule.tie_break, rule.per_point)
    wanted = sorted({one.score for one in needed if one is not None and one.score is not None})
    for result in results:
        if by is None and result.place is None:
            raise ReportRefused(
                Reason.SCORE_MISSING,
                f"player {result.player} has no place, by which the rule ranks: state one",
            )
        for score in wanted:
            if score not in result.scores:
                raise ReportRefused(
                    Reason.SCORE_MISSING,
                    f"player {result.player} has no score {score}, which the rule needs: state it",
                )


def settle_result(*, rule: Rule, results: Sequence[PlayerResult]) -> Prizes:
    """Work out a whole result under a rule.

    Raises:
        ReportRefused: ``duplicate_player``, ``score_missing``, ``tie_refused``, or ``invalid_amount`` where amounts
            per point and places together exceed the net prize, unless the rule pays points pro rata.
    """
    check_results(rule=rule, results=results)
    plan = plan_of(rule)
    placed = _placed(rule=rule, results=results, amounts=plan.amounts)
    if rule.unclaimed is Unclaimed.SPREAD:
        _spread(placed, left=sum(plan.amounts) - sum(group.total for group in placed))
    left = plan.fees.net - sum(sum(group.prizes) for group in placed)
    points = iter(_fitting(rule, [_points(rule, one) for group in placed for one in group.tied], left=left))
    lines: list[Line] = []
    for group in placed:
        for result, prize in zip(group.tied, group.prizes, strict=True):
            amount = prize + next(points)
            if amount:
                lines.append(Line(len(lines) + 1, result.player, group.place, amount))
    total = sum(line.amount for line in lines)
    prizes = Prizes(fees=plan.fees, unclaimed=plan.fees.net - total, lines=tuple(lines))
    _check_sums(prizes)
    return prizes


@dataclass(slots=True)
class _Group:
    """Players who share a place, in the order of their ids, and what each of them gets for it: the first ``odd`` of
    them a unit more than the others.
    """

    place: int
    tied: list[PlayerResult]
    total: int
    odd: int
    prizes: list[int]


def _placed(*, rule: Rule, results: Sequence[PlayerResult], amounts: Sequence[int]) -> list[_Group]:
    """Players who may earn something, from the best on, with their place prizes."""
    refuse = rule.ties is TiePolicy.REFUSE
    groups: list[_Group] = []
    for place, tied in _ranked(rule=rule, results=results):
        size = len(tied)
        if refuse and size > 1 and place <= len(amounts):
            names = ", ".join(result.player for result in tied[:3])
            raise ReportRefused(Reason.TIE_REFUSED, f"{size} players share place {place}: {names}")
        if place > len(amounts) and rule.per_point is None:
            break
        total = sum(amounts[place - 1 : place - 1 + size])
        base, odd = divmod(total, size)
        groups.append(_Group(place, tied, total, odd, [base + 1] * odd + [base] * (size - odd)))
    return groups


def _spread(placed: Sequence[_Group], *, left: int) -> None:
    """Add what is left of the table to the place prizes (4. above)."""
    paid = [group for group in placed if group.total]
    if not paid or not left:
        return
    common = lcm(*(len(group.tied) for group in paid))
    # Within a tie, players without an odd unit come first for this one: so tied players differ by one unit at most.
    order = [
        (group, index) for group in paid for index in (*range(group.odd, len(group.tied)), *range(group.odd))
    ]
    shares = allocate(left, [group.total * (common // len(group.tied)) for group, _ in order])
    for (group, index), share in zip(order, shares, strict=True):
        group.prizes[index] += share


def _points(rule: Rule, result: PlayerResult) -> int:
    if rule.per_point is None:
        return 0
    return max(0, result.scores[rule.per_point.score] // rule.per_point.per) * rule.per_point.amount


def _fitting(rule: Rule, points: list[int], *, left: int) -> list[int]:
    """What points earn of what the places ``left``."""
    total = sum(points)
    if total <= left:
        return points
    if rule.per_point is not None and rule.per_point.overflow is Overflow.PRO_RATA:
        return list(allocate(left, points))
    net = plan_of(rule).fees.net
    asset = rule.asset
    detail = (
        f"the prizes come to {asset.describe(net - left + total)}, the net prize is {asset.describe(net)}: "
        "raise the gross prize, or let per_point.overflow be pro_rata"
    )
    raise ReportRefused(Reason.INVALID_AMOUNT, detail)


def _ranked(*, rule: Rule, results: Sequence[PlayerResult]) -> Iterator[tuple[int, list[PlayerResult]]]:
    """Groups of equal players from the best on, with the place that each group holds; players sorted inside."""
    score = rule.rank_by.score
    sign = -1 if rule.rank_by.descending else 1
    keyed: list[tuple[Any, str, int]]
    if score is None:
        keyed = [(result.place or 0, result.player, index) for index, result in enumerate(results)]
    else:
        keyed = [(sign * r.scores[score], r.player, index) for index, r in enumerate(results)]
    if rule.tie_break is not None:
        name, turn = rule.tie_break.score, -1 if rule.tie_break.descending else 1
        keyed = [((key, turn * results[n].scores[name]), player, n) for key, player, n in keyed]
    keyed.sort()
    free = 1
    start = 0
    while start < len(keyed):
        end = start + 1
        while end < len(keyed) and keyed[end][0] == keyed[start][0]:
            end += 1
        stated = results[keyed[start][2]].place
        place = free if score is not None or stated is None else max(free, stated)
        yield place, [results[index] for _, _, index in keyed[start:end]]
        free = place + end - start
        start = end


def _check_sums(prizes: Prizes) -> None:
    """No unit is lost or made: gross = fees + net, net = lines + unclaimed, every line pays something.

    Raises:
        AssertionError: the arithmetic is wrong; the report is then parked, and nothing is paid.
    """
    fees, unclaimed, lines = prizes.fees, prizes.unclaimed, prizes.lines
    assert fees.gross == fees.platform + fees.organizer + fees.net, "gross is not fees and net"
    assert fees.net == sum(line.amount for line in lines) + unclaimed, "net is not lines and unclaimed"
    assert unclaimed >= 0, "the lines exceed the net prize"
    assert all(line.amount > 0 for line in lines), "a line pays nothing"
