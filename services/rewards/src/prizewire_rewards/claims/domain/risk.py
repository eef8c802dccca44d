"""Risk rules: what makes a claim wait for a person, or fail. A table, each rule with its reason for operators.

Pure: what the rules look at was gathered before. A rule is asked where its campaign sets its threshold, and that of own
settings always. Nothing of what a rule found is ever told to a player.
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
    """The rules by name: also the classes in metrics."""

    VELOCITY = "velocity"
    AMOUNT = "amount"
    NEW_ACCOUNT = "new_account"
    COLLUSION = "collusion"
    KYC = "kyc"
    OWN_SETTINGS = "own_settings"


class Verdict(StrEnum):
    """What a rule asks for."""

    HOLD = "hold"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at. ``recent`` counts the player's other claims and prizes inside the window of velocity, at
    most as many as its threshold; ``sharing`` are other winners of the round with the player's device or address.
    ``amount`` is minor units of ``asset``, as thresholds are. ``wrote_settings`` says that the player made the campaign or
    ever changed its settings.
    """

    asset: Asset
    amount: int
    recent: int
    registered_at: datetime | None
    kyc_state: KycState | None
    sharing: Sequence[str]
    wrote_settings: bool = False


class Finding(NamedTuple):
    """What a rule found: for operators. ``saw`` and ``threshold`` are in words and plain numbers."""

    rule: RuleName
    verdict: Verdict
    saw: str
    threshold: str


class Rule(NamedTuple):
    """One rule. ``look`` answers what it saw, the threshold that it held it against and what it asks for, or None
    where there is nothing to say.
    """

    name: RuleName
    explanation: str
    look: Callable[[Facts, RiskThresholds, datetime], tuple[str, str, Verdict] | None]


def _velocity(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del now  # the window was laid when the facts were gathered
    limit = thresholds.velocity
    if limit is None or facts.recent < limit.count:
        return None
    saw = f"at least {facts.recent} other claims and prizes in the window"
    return saw, f"at most {limit.count} in {limit.window_s} s, this one included", Verdict.HOLD


def _amount(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del now
    if thresholds.amount is None or facts.amount < thresholds.amount:
        return None
    return _said(facts, facts.amount), f"below {_said(facts, thresholds.amount)}", Verdict.HOLD


def _new_account(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    least_s = thresholds.new_account_s
    if least_s is None:
        return None
    asked = f"registered at least {least_s} s ago"
    if facts.registered_at is None:
        return "nobody has told when the player registered", asked, Verdict.HOLD
    if facts.registered_at <= now - timedelta(seconds=least_s):
        return None
    return f"registered at {facts.registered_at.isoformat()}", asked, Verdict.HOLD


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
    asked = f"verified above {_said(facts, above)}, and never rejected"
    if facts.kyc_state is KycState.REJECTED:
        return "the player's identity check was rejected", asked, Verdict.REJECT
    if facts.amount <= above or facts.kyc_state is KycState.VERIFIED:
        return None
    state = facts.kyc_state or KycState.NONE
    return f"{_said(facts, facts.amount)} with an identity check that is {state}", asked, Verdict.HOLD


def _own_settings(facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[str, str, Verdict] | None:
    del thresholds, now
    if not facts.wrote_settings:
        return None
    return "the player wrote settings of the campaign", "written by others alone", Verdict.HOLD


def _said(facts: Facts, minor: int) -> str:
    return f"{Amount(facts.asset, minor).to_wire()} {facts.asset.code}"


RULES: Final[tuple[Rule, ...]] = (
    Rule(RuleName.KYC, "Large prizes go to players whose identity was checked.", _kyc),
    Rule(
        RuleName.COLLUSION,
        "Winners of one round who share a device or an address may be one person.",
        _collusion,
    ),
    Rule(RuleName.NEW_ACCOUNT, "Accounts made shortly before a prize are often made for it.", _new_account),
    Rule(RuleName.VELOCITY, "Many prizes in a short time may be automated or bought.", _velocity),
    Rule(RuleName.AMOUNT, "Large prizes are looked at by a person.", _amount),
    Rule(RuleName.OWN_SETTINGS, "Nobody sets the rules by which their own claim is judged.", _own_settings),
)
"""In the order of their weight: the first that found something names the class of the hold."""


def assess(*, facts: Facts, thresholds: RiskThresholds, now: datetime) -> tuple[Finding, ...]:
    """What the rules found, in their order."""
    found = ((rule.name, rule.look(facts, thresholds, now)) for rule in RULES)
    return tuple(
        Finding(name, answer[2], answer[0], answer[1]) for name, answer in found if answer is not None
    )


def together(judged: Iterable[Sequence[Finding]]) -> tuple[Finding, ...]:
    """What was found under several thresholds, each rule once, in the rules' order: of one rule the first finding."""
    first: dict[RuleName, Finding] = {}
    for findings in judged:
        for finding in findings:
            first.setdefault(finding.rule, finding)
    return tuple(first[rule.name] for rule in RULES if rule.name in first)


def verdict_of(findings: Sequence[Finding]) -> Verdict | None:
    """The gravest that was asked for; None where nothing was found."""
    asked = {finding.verdict for finding in findings}
    return next((verdict for verdict in (Verdict.REJECT, Verdict.HOLD) if verdict in asked), None)
