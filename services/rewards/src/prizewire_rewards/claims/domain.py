"""Claims, and the rules that hold one for a person."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from prizewire_money import Amount, Asset
from prizewire_rewards.campaigns.domain.caps import CapCode
from prizewire_rewards.campaigns.domain.settings import RiskThresholds
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import Event
from prizewire_rewards.players.domain import KycState


class RuleName(StrEnum):
    """The names of the rules; metrics use them as labels."""

    VELOCITY = "velocity"
    AMOUNT = "amount"
    NEW_ACCOUNT = "new_account"
    COLLUSION = "collusion"
    KYC = "kyc"
    OWN_SETTINGS = "own_settings"


class HoldClass(StrEnum):
    """What a rule against abuse looks at: the label of metrics, which says less than the name of the rule."""

    IDENTITY = "identity"
    ACCOUNT = "account"
    DEVICE = "device"
    VELOCITY = "velocity"
    AMOUNT = "amount"
    OTHER = "other"


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


HOLD_CLASSES: Final[Mapping[str, HoldClass]] = {
    RuleName.KYC: HoldClass.IDENTITY,
    RuleName.COLLUSION: HoldClass.DEVICE,
    RuleName.NEW_ACCOUNT: HoldClass.ACCOUNT,
    RuleName.VELOCITY: HoldClass.VELOCITY,
    RuleName.AMOUNT: HoldClass.AMOUNT,
    RuleName.OWN_SETTINGS: HoldClass.OTHER,
    CapCode.PLAYER: HoldClass.AMOUNT,
    CapCode.PLAYER_DAY: HoldClass.VELOCITY,
    CapCode.CAMPAIGN_DAY: HoldClass.VELOCITY,
    CapCode.CAMPAIGN: HoldClass.AMOUNT,
}
"""The class of each rule that may hold a claim, and of each cap that may hold a prize line. ``OWN_SETTINGS`` does both."""


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


CLAIM_SYSTEM: Final = "rewards"
"""The decider of claims that no person decided."""


class ClaimState(StrEnum):
    """The state of a claim; the values are those in events and answers."""

    OPEN = "open"
    """Not claimed yet; it expires at the deadline."""
    HELD = "held"
    """ClaimResult, and under review; a decision is due at the deadline."""
    APPROVED = "approved"
    """The prize is in the winner's wallet."""
    REJECTED = "rejected"
    """Refused, or taken back by a correction; the money is back in the pool."""
    EXPIRED = "expired"
    """Not claimed in time; the money is back in the pool."""


class ClaimCode(StrEnum):
    """Why a claim waits or ended without money, as answers to its player and events say it."""

    UNDER_REVIEW = "under_review"
    """A person decides."""
    REFUSED = "refused"
    """A risk rule or a person refused it."""
    CORRECTED = "corrected"
    """A correction of the result took the prize away."""
    NOT_CLAIMED = "not_claimed"
    """The prize was not claimed in time."""


CLAIM_START: Final = frozenset({ClaimState.OPEN})


CLAIM_LIVE: Final = frozenset({ClaimState.OPEN, ClaimState.HELD})


CLAIM_EDGES: Final[Mapping[tuple[ClaimState, ClaimState], str]] = {
    (ClaimState.OPEN, ClaimState.APPROVED): "claimed, and no risk rule has a finding",
    (ClaimState.OPEN, ClaimState.HELD): "claimed, and a risk rule requires a person",
    (
        ClaimState.OPEN,
        ClaimState.REJECTED,
    ): "claimed and refused by a risk rule, or a correction took the prize back",
    (ClaimState.OPEN, ClaimState.EXPIRED): "not claimed in time",
    (
        ClaimState.HELD,
        ClaimState.APPROVED,
    ): "released by an operator, or by the campaign's setting at the deadline",
    (
        ClaimState.HELD,
        ClaimState.REJECTED,
    ): "refused by an operator, or by the campaign's setting at the deadline, or a correction took the prize back",
    (
        ClaimState.APPROVED,
        ClaimState.OPEN,
    ): "a correction took the prize back, and a later one gives it again",
    (
        ClaimState.REJECTED,
        ClaimState.OPEN,
    ): "a correction took the prize back, and a later one gives it again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One prize to be claimed. ``deadline`` is when it expires, or, for a held claim, when a decision is due.

    ``amount`` (minor units) is the amount of the prize. Only operators see ``findings``. ``decided_by`` is a person, or the
    service where a rule decided. ``version`` counts the claim's events. ``settings_version`` is the version of the
    campaign's settings at the claim's first opening.
    """

    reward_id: UUID
    round_id: UUID
    campaign: UUID
    player: str
    asset: str
    amount: int
    correlation_id: str
    state: ClaimState
    deadline: datetime
    opened_at: datetime
    claimed_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None
    findings: tuple[Finding, ...] = ()
    version: int = 1
    settings_version: int = 1

    @property
    def code(self) -> ClaimCode | None:
        """Why it waits or ended without money; None while it is open, and once it was credited. A correction has a code of
        its own; all other refusals have the same code, because a player does not see what a rule or a person found.
        """
        if self.state is ClaimState.REJECTED and self.corrected:
            return ClaimCode.CORRECTED
        return _CODES.get(self.state)

    @property
    def corrected(self) -> bool:
        """Whether a correction ended it. A person may write the same word as a reason, so the decider is compared too."""
        return self.decided_by == CLAIM_SYSTEM and self.reason == ClaimCode.CORRECTED


_CODES: Final[Mapping[ClaimState, ClaimCode]] = {
    ClaimState.HELD: ClaimCode.UNDER_REVIEW,
    ClaimState.REJECTED: ClaimCode.REFUSED,
    ClaimState.EXPIRED: ClaimCode.NOT_CLAIMED,
}


def claim_move(claim: Claim) -> Move:
    """The move of a claimed prize to its winner's wallet."""
    wallet = Account(Kind.WINNINGS, claim.player, claim.asset)
    return Move(TransferType.CLAIM_PAID, _claimable(claim), wallet, claim.amount)


def unclaimed_move(claim: Claim, *, expired: bool) -> Move:
    """The move of a refused or expired prize back to its pool."""
    type_ = TransferType.CLAIM_EXPIRED if expired else TransferType.CLAIM_REJECTED
    pool = Account(Kind.POOL, str(claim.campaign), claim.asset)
    return Move(type_, _claimable(claim), pool, claim.amount)


def _claimable(claim: Claim) -> Account:
    return Account(Kind.CLAIMABLE, str(claim.campaign), claim.asset)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMoved(Event):
    """A claim was opened or changed its state. ``code`` is public: it never says what a rule found."""

    claim: Claim
    actor: str
    code: str | None = None
    cause: str | None = None
