"""What a result would pay, without any effect: this module has no port that writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from prizewire_settlement.domain.invariants import assert_settlement
from prizewire_settlement.domain.model import PlayerResult, Rule
from prizewire_settlement.domain.prizes import Prizes, settle_result
from prizewire_settlement.domain.rules import check_rule
from prizewire_settlement.handlers.competitions import CompetitionMissing
from prizewire_settlement.ports import Queries


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A result worked out under a rule."""

    rule: Rule
    prizes: Prizes


async def known_rule(*, queries: Queries, competition_id: str, version: int | None) -> Rule:
    """A stored rule version, or the one in force.

    Raises:
        CompetitionMissing: there is no such competition, or no such version.
    """
    if version is None:
        found = await queries.competition(competition_id)
        rule = None if found is None else found.rule
    else:
        rule = await queries.rule(competition_id, version)
    if rule is None:
        raise CompetitionMissing(competition_id)
    return rule


def preview(*, rule: Rule, results: Sequence[PlayerResult]) -> Preview:
    """Work a result out by the same steps, and under the same assertions, as a report of it would be.

    Raises:
        RuleInvalid: a rule that is not stored (version 0) makes no sense.
        ReportRefused: the result would be refused.
    """
    if not rule.version:
        check_rule(rule)
    prizes = settle_result(rule=rule, results=results)
    assert_settlement(fees=prizes.fees, unclaimed=prizes.unclaimed, lines=prizes.lines)
    return Preview(rule=rule, prizes=prizes)
