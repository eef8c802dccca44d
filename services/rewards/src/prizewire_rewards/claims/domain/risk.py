"""Risk rules, which hold or reject claims: a table with an explanation of each rule for operators.

The rules are pure functions over facts that were loaded before. A rule applies where its campaign sets its threshold; the
rule of own settings always applies. Findings are never shown to players.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from prizewire_money import Amount, Asset
from prizewire_rewards.campaigns.domain.settings import RiskThresholds
from prizewire_rewards.players.domain.facts import KycState


class RuleName(StrEnum):
    """The names of the rules; metrics use them as labels."""

    VELOCITY = "velocity"
    AMOUNT = "amount"
    NEW_ACCOUNT = "new_account"
    COLLUSION = "collusion"
    KYC = "kyc"
    OWN_SETTINGS = "own_settings"


class Verdict(StrEnum):
    """The action that a rule requires."""

    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The input of the rules. ``recent`` is the number of the player's other claims and prizes inside the velocity window,
    at most the threshold. ``sharing`` are other winners of the round with the player's device or address. ``amount`` and
    thresholds are minor units of ``asset``. ``wrote_settings``: the player created the campaign or ever changed its
    settings.
    """

    asset: Asset
    amount: int
    recent: int
    registered_at: datetime | None
    kyc_state: KycState | None
    sharing: Sequence[str]
    wrote_settings: bool = False


class Finding(NamedTuple):
    """The finding of a rule, for operators. ``saw`` and ``threshold`` are texts with decimal numbers."""

    rule: RuleName
    verdict: Verdict
    saw: str
    threshold: str


class Rule(NamedTuple):
    """One rule. ``check`` returns what it saw, the threshold and the verdict, or None where the rule finds nothing."""

    name: RuleName
    explanation: str
    check: Callable[[Facts, RiskThresholds, datetime], tuple[str, str, Verdict] | None]


def _velocity(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del now  # the facts were loaded for the window
    limit = thresholds.velocity
    if limit is None or facts.recent < limit.count:
        return None
    saw = f"at least {facts.recent} other claims and prizes in the window"
    return saw, f"at most {limit.count} in {limit.window_s} s, this one included", Verdict.HOLD


def _amount(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del now
    if thresholds.amount is None or facts.amount < thresholds.amount:
        return None
    return _text(facts, facts.amount), f"below {_text(facts, thresholds.amount)}", Verdict.HOLD


def _new_account(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    least_s = thresholds.new_account_s
    if least_s is None:
        return None
    required = f"registered at least {least_s} s ago"
    if facts.registered_at is None:
        return "the time of the player's registration is unknown", required, Verdict.HOLD
    if facts.registered_at <= now - timedelta(seconds=least_s):
        return None
    return f"registered at {facts.registered_at.isoformat()}", required, Verdict.HOLD


def _collusion(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del now
    fewest = thresholds.collusion_winners
    if fewest is None or len(facts.sharing) + 1 < fewest:
        return None
    saw = f"device or address shared with {', '.join(facts.sharing)}"
    return saw, f"fewer than {fewest} winners of a round who share one", Verdict.HOLD


def _kyc(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del now
    above = thresholds.kyc_above
    if above is None:
        return None
    required = f"verified above {_text(facts, above)}, and never rejected"
    if facts.kyc_state is KycState.REJECTED:
        return "the player's identity check was rejected", required, Verdict.REJECT
    if facts.amount <= above or facts.kyc_state is KycState.VERIFIED:
        return None
    state = facts.kyc_state or KycState.NONE
    return f"{_text(facts, facts.amount)} with an identity check that is {state}", required, Verdict.HOLD


def _own_settings(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del thresholds, now
    if not facts.wrote_settings:
        return None
    return "the player wrote settings of the campaign", "written by others alone", Verdict.HOLD


def _text(facts: Facts, minor: int) -> str:
    return f"{Amount(facts.asset, minor).to_wire()} {facts.asset.code}"


RULES: Final[tuple[Rule, ...]] = (
    Rule(RuleName.KYC, "Winners of large prizes need a verified identity.", _kyc),
    Rule(
        RuleName.COLLUSION,
        "Winners of one round who share a device or an address may be one person.",
        _collusion,
    ),
    Rule(
        RuleName.NEW_ACCOUNT,
        "Accounts created shortly before a prize are often created for it.",
        _new_account,
    ),
    Rule(RuleName.VELOCITY, "Many prizes in a short time may be automated or bought.", _velocity),
    Rule(RuleName.AMOUNT, "A person reviews large prizes.", _amount),
    Rule(RuleName.OWN_SETTINGS, "Players may not set the rules that judge their own claims.", _own_settings),
)
"""In the order of their weight: the first rule with a finding is the label of the hold in metrics."""


def assess(*, facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[Finding, ...]:
    """Apply the rules. Returns their findings in the rules' order."""
    found = ((rule.name, rule.check(facts, thresholds, now)) for rule in RULES)
    return tuple(
        Finding(name, answer[2], answer[0], answer[1]) for name, answer in found if answer is not None
    )


def merge_findings(judged: Iterable[Sequence[Finding]]) -> tuple[Finding, ...]:
    """Merge the findings under several thresholds, in the rules' order: of each rule the first finding."""
    first: dict[RuleName, Finding] = {}
    for findings in judged:
        for finding in findings:
            first.setdefault(finding.rule, finding)
    return tuple(first[rule.name] for rule in RULES if rule.name in first)


def verdict_of(findings: Sequence[Finding]) -> Verdict | None:
    """The strictest verdict of the findings; None where there are none."""
    verdicts = {finding.verdict for finding in findings}
    return next((verdict for verdict in (Verdict.REJECT, Verdict.HOLD) if verdict in verdicts), None)
