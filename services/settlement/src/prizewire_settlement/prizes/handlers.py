"""What a result would pay, without any effect: this module has no port that writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.competitions.domain.rules import check_rule
from prizewire_settlement.prizes.domain import PlayerResult, Prizes, settle_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A result worked out under a rule."""

    rule: Rule
    prizes: Prizes


def preview(*, rule: Rule, results: Sequence[PlayerResult]) -> Preview:
    """Work a result out by the same steps, and under the same assertions, as a report of it would be.

    Raises:
        RuleInvalid: a rule that is not stored (version 0) makes no sense.
        ReportRefused: the result would be refused.
    """
    if not rule.version:
        check_rule(rule)
    return Preview(rule=rule, prizes=settle_result(rule=rule, results=results))
