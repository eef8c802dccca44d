"""Rules of competitions, and how they divide a prize over places."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from math import lcm
from types import MappingProxyType
from typing import Final

from prizewire_money import FeeSplit, allocate, split_fees
from prizewire_settlement.competitions.domain.model import (
    Campaign,
    CampaignState,
    PlaceRange,
    Rule,
    Source,
    TiePolicy,
    Unclaimed,
)
from prizewire_settlement.errors import RuleInvalid

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


SCORE_SCALE: Final = 1_000_000
"""Scores are integers of millionths: 8.5 points are 8500000."""


PLACES_MAX: Final = 100_000
"""Paid places of one rule."""


RANGES_MAX: Final = 1_000


SOURCES_MAX: Final = 50


KEYS_PER_SOURCE_MAX: Final = 10


BPS_PER_PERCENT: Final = 100


DISPUTE_WINDOW_S_MAX: Final = 366 * 86_400


_PERCENT_UNIT: Final = PERCENT_WHOLE // 100


_PERCENT: Final = re.compile(r"(0|[1-9][0-9]{0,2})(?:\.([0-9]{1,6}))?", re.ASCII)


_PLACES: Final = re.compile(r"([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?", re.ASCII)


def _one_each(*percents: int) -> tuple[PlaceRange, ...]:
    return tuple(
        PlaceRange(first=place, last=place, percent_total=percent * _PERCENT_UNIT)
        for place, percent in enumerate(percents, start=1)
    )


TEMPLATES: Final[Mapping[str, tuple[PlaceRange, ...]]] = MappingProxyType(
    {
        "winner_takes_all": _one_each(100),
        "top3": _one_each(50, 30, 20),
        "top5": _one_each(40, 25, 15, 12, 8),
        "top10": _one_each(30, 20, 12, 10, 8, 6, 5, 4, 3, 2),
    }
)
"""The named templates and what they pay."""


def template_places(name: str) -> tuple[PlaceRange, ...]:
    """The places of a named template.

    Raises:
        RuleInvalid: ``template_unknown``.
    """
    try:
        return TEMPLATES[name]
    except KeyError:
        detail = f"there are {', '.join(TEMPLATES)}, and tables"
        raise RuleInvalid("template_unknown", field="template.name", detail=detail) from None


def percent_from_text(text: str, *, field: str) -> int:
    """Millionths of a percent of a decimal text such as ``2.5``. Zero is a percentage, as it is an amount: the place
    earns nothing.

    Raises:
        RuleInvalid: ``percent_invalid``: no plain decimal from 0 to 100 with at most six decimals.
    """
    found = _PERCENT.fullmatch(text)
    value = int(found[1]) * _PERCENT_UNIT + int((found[2] or "").ljust(6, "0")) if found else -1
    if not 0 <= value <= PERCENT_WHOLE:
        detail = f"{text[:20]!r} is no percentage from 0 to 100 with at most six decimals"
        raise RuleInvalid("percent_invalid", field=field, detail=detail)
    return value


def percent_to_text(percent: int) -> str:
    """The shortest decimal text of millionths of a percent."""
    whole, fraction = divmod(percent, _PERCENT_UNIT)
    return f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")


def places_from_text(text: str, *, field: str) -> tuple[int, int]:
    """First and last place of ``1`` or ``9-16``.

    Raises:
        RuleInvalid: ``places_invalid``.
    """
    found = _PLACES.fullmatch(text)
    if found is not None:
        first, last = int(found[1]), int(found[2] or found[1])
        if first <= last <= PLACES_MAX:
            return first, last
    detail = f"{text[:20]!r} is neither a place nor a range such as 9-16 up to {PLACES_MAX}"
    raise RuleInvalid("places_invalid", field=field, detail=detail)


def places_to_text(entry: PlaceRange) -> str:
    """``1`` or ``9-16``."""
    return str(entry.first) if entry.first == entry.last else f"{entry.first}-{entry.last}"


def check_campaign(rule: Rule, campaign: Campaign | None) -> None:
    """Refuse a rule whose prizes rewards could never book. ``campaign`` is the known state of the campaign that it names.

    Raises:
        RuleInvalid: ``campaign_unknown``, ``asset_mismatch`` or ``campaign_ended``.
    """
    if campaign is None:
        detail = (
            f"there is no campaign {rule.campaign} here; one that was made a moment ago may need a second to arrive: "
            "check the id, or try again"
        )
        raise RuleInvalid("campaign_unknown", field="campaign", detail=detail)
    if campaign.asset != rule.asset.code:
        detail = f"campaign {campaign.id} is in {campaign.asset}, not {rule.asset.code}: name its asset, or another campaign"
        raise RuleInvalid("asset_mismatch", field="asset", detail=detail)
    if campaign.state is CampaignState.ENDED:
        detail = f"campaign {campaign.id} has ended: name another one"
        raise RuleInvalid("campaign_ended", field="campaign", detail=detail)


def check_rule(rule: Rule) -> None:
    """Refuse a rule that could never be followed.

    Raises:
        RuleInvalid: with a stable code and the field.
    """
    if rule.gross < 0:
        raise RuleInvalid(
            "amount_negative",
            field="gross_prize",
            detail=f"the gross prize {rule.asset.describe(rule.gross)} is negative: give zero or more",
        )
    if not 0 <= rule.platform_bps + rule.organizer_bps <= 100 * BPS_PER_PERCENT:
        raise RuleInvalid("fees_invalid", field="platform_fee_bps", detail="the fees exceed the gross prize")
    if rule.organizer_bps and rule.organizer_player is None:
        detail = (
            f"an organizer's fee of {rule.organizer_bps} basis points needs an organizer: name organizer_player, "
            "or set organizer_fee_bps to 0"
        )
        raise RuleInvalid("organizer_missing", field="organizer_fee_bps", detail=detail)
    if not 0 <= rule.dispute_window.total_seconds() <= DISPUTE_WINDOW_S_MAX:
        raise RuleInvalid("dispute_window_invalid", field="dispute_window_s", detail="it is at most 366 days")
    if rule.entry_fee is not None and rule.entry_fee.amount <= 0:
        detail = "an entry fee is above zero; where entering is free there is none"
        raise RuleInvalid("entry_fee_invalid", field="entry_fee.amount", detail=detail)
    _check_places(rule.places)
    _check_points(rule)
    _check_ties(rule)
    _check_unclaimed(rule)
    _check_sources(rule.sources)
    plan = plan_of(rule)
    if sum(plan.amounts) > plan.fees.net:
        asset = rule.asset
        detail = f"the places earn {asset.describe(sum(plan.amounts))}, the net prize is {asset.describe(plan.fees.net)}"
        raise RuleInvalid("prizes_exceed_net", field="template.table", detail=detail)


def _check_places(places: Sequence[PlaceRange]) -> None:
    field = "template.table"
    if len(places) > RANGES_MAX:
        raise RuleInvalid("table_too_long", field=field, detail=f"at most {RANGES_MAX} rows")
    expected = 1
    for entry in places:
        if entry.first != expected or entry.last < entry.first:
            detail = f"the row {places_to_text(entry)} should begin with place {expected}"
            raise RuleInvalid("places_not_contiguous", field=field, detail=detail)
        expected = entry.last + 1
        if (entry.percent_total is None) == (entry.amount_each is None):
            detail = "a row has either percent_total or amount_each"
            raise RuleInvalid("row_invalid", field=field, detail=detail)
    if len({entry.amount_each is None for entry in places}) > 1:
        detail = "a table has percentages or fixed amounts, not both"
        raise RuleInvalid("table_mixed", field=field, detail=detail)
    if sum(entry.percent_total or 0 for entry in places) > PERCENT_WHOLE:
        raise RuleInvalid("percent_exceeds_whole", field=field, detail="the percentages exceed 100")


def _check_points(rule: Rule) -> None:
    points = rule.per_point
    if points is None:
        if not rule.places:
            detail = "a template pays places, points or both"
            raise RuleInvalid("template_empty", field="template.table", detail=detail)
        return
    if points.per <= 0 or points.amount <= 0:
        detail = f"per and amount are above zero (per in steps of 1/{SCORE_SCALE})"
        raise RuleInvalid("per_point_invalid", field="template.per_point", detail=detail)


def _check_ties(rule: Rule) -> None:
    if (rule.ties is TiePolicy.BREAK) != (rule.tie_break is not None):
        detail = "a score goes with the policy break, and only with it"
        raise RuleInvalid("tie_break_invalid", field="ties", detail=detail)
    if rule.tie_break is not None and rule.tie_break.score == rule.rank_by.score:
        detail = f"players with equal {rule.rank_by.score} stay equal under it"
        raise RuleInvalid("tie_break_invalid", field="ties.score", detail=detail)


def _check_unclaimed(rule: Rule) -> None:
    if rule.unclaimed is Unclaimed.SPREAD and not rule.places:
        detail = "only prizes of places are spread, and this rule pays for points alone"
        raise RuleInvalid("unclaimed_invalid", field="unclaimed", detail=detail)


def _check_sources(sources: Sequence[Source]) -> None:
    if len(sources) > SOURCES_MAX:
        detail = f"at most {SOURCES_MAX} sources may report its matches"
        raise RuleInvalid("sources_invalid", field="sources", detail=detail)
    if len({source.source for source in sources}) != len(sources):
        raise RuleInvalid("source_twice", field="sources", detail="a source stands twice")
    for source in sources:
        if len(source.keys) > KEYS_PER_SOURCE_MAX:
            detail = f"at most {KEYS_PER_SOURCE_MAX} keys"
            raise RuleInvalid("keys_invalid", field=f"sources.{source.source}", detail=detail)
        if len({key.keyid for key in source.keys}) != len(source.keys):
            raise RuleInvalid("key_twice", field=f"sources.{source.source}", detail="a keyid stands twice")
        for key in source.keys:
            if key.not_before >= key.not_after:
                detail = f"{key.keyid} ends before it begins"
                raise RuleInvalid("key_validity_invalid", field=f"sources.{source.source}", detail=detail)


def score_from_text(text: str) -> int:
    """Millionths of a decimal text with at most six decimals, as the contracts allow them."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    return sign * (int(whole) * SCORE_SCALE + int(fraction.ljust(6, "0")))


def score_to_text(score: int) -> str:
    """The shortest decimal text of millionths: 8500000 is ``8.5``."""
    return f"{Decimal(score) / SCORE_SCALE:f}"
