"""The gates, as pure functions of a payout, the facts about it, the limits and the time.

A gate that a payout does not pass is a finding. A payout with findings is held. Approvals of its hold let it pass these gates
once, as long as the fact of each finding is the same.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from prizewire_money import Amount
from prizewire_payouts.payouts.domain.change import Hold
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.players.domain import KycState, PlayerFacts, TaxState
from prizewire_payouts.screening.domain import Screening, Verdict, in_time


class GateCode(StrEnum):
    """Every gate, by the code of the payouts that it holds. The first finding in this order names the hold."""

    DESTINATION_DENIED = "destination_denied"
    SCREENING_HIT = "screening_hit"
    IDENTITY_CHECK = "identity_check"
    NEW_DESTINATION = "new_destination"
    DESTINATION_FREQUENT = "destination_frequent"
    WITHDRAWALS_FREQUENT = "withdrawals_frequent"
    TAX_FORM_MISSING = "tax_form_missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """The limits of the gates, amounts by asset code. A gate without a limit for an asset lets everything in it pass.

    A destination is new for ``destination_new_for`` after it was registered; one without a payout method is always new.
    ``withdrawals_max`` and ``withdrawals_sum`` are the most payouts of a player, and the most of an asset, within
    ``withdrawals_within``; the judged payout counts. ``two_approvers`` are the gates that two persons must let a payout pass.
    ``screened_within`` is how old the answer of the screening service may be with which a payout is sent; None where no service is
    asked. ``destination_max``, ``destination_sum`` and ``destination_within`` limit the payouts to one destination in the same way, over
    all players.
    """

    identity_above: Mapping[str, Amount] = field(default_factory=dict)
    new_destination_above: Mapping[str, Amount] = field(default_factory=dict)
    destination_new_for: timedelta = timedelta(hours=72)
    tax_above: Mapping[str, Amount] = field(default_factory=dict)
    withdrawals_max: int | None = None
    withdrawals_sum: Mapping[str, Amount] = field(default_factory=dict)
    withdrawals_within: timedelta = timedelta(hours=24)
    two_approvers: Collection[GateCode] = frozenset({GateCode.DESTINATION_DENIED, GateCode.SCREENING_HIT})
    screened_within: timedelta | None = None
    destination_max: int | None = None
    destination_sum: Mapping[str, Amount] = field(default_factory=dict)
    destination_within: timedelta = timedelta(hours=24)

    @property
    def needs_players(self) -> bool:
        """Whether a gate asks for the facts of players."""
        return bool(self.identity_above) or self.needs_year

    @property
    def needs_year(self) -> bool:
        """Whether a gate asks what a player is paid in a year."""
        return bool(self.tax_above)

    @property
    def needs_destination(self) -> bool:
        """Whether a gate asks since when a destination is known."""
        return bool(self.new_destination_above)

    @property
    def counts_destinations(self) -> bool:
        """Whether a gate asks for the earlier payouts to a destination."""
        return self.destination_max is not None or bool(self.destination_sum)

    @property
    def needs_withdrawals(self) -> bool:
        """Whether a gate asks for the earlier payouts of a player."""
        return self.withdrawals_max is not None or bool(self.withdrawals_sum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the gates ask about one payout. ``withdrawals`` and ``withdrawn`` count the player's payouts before it within the
    time of the limits, in its asset; those that ended without effect are left out. Where a payee is paid in the player's place,
    the payouts of both count. ``player`` are the facts of the person who is paid.
    ``before_in_year`` is what was requested for this person out of the same campaign, in the same asset, earlier in the year (UTC) of
    this request. ``screening`` is the latest answer of the screening service about this payout.
    ``destination`` marks the account that is paid, None where none is known; ``payouts_to`` and ``paid_to`` count the payouts to it
    before this one, as ``withdrawals`` and ``withdrawn`` do.
    """

    destination_since: datetime | None = None
    destination_denied: bool = False
    withdrawals: int = 0
    withdrawn: Amount | None = None
    player: PlayerFacts | None = None
    before_in_year: Amount | None = None
    screening: Screening | None = None
    destination: bytes | None = field(default=None, repr=False)
    payouts_to: int = 0
    paid_to: Amount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A gate that a payout does not pass. ``fact`` says in one word what was found: an approval counts for this fact.
    ``reason`` is a sentence for approvers; players never see it.
    """

    gate: GateCode
    fact: str
    reason: str


Gate = Callable[[Payout, Facts, GateLimits, datetime], Finding | None]


def _denied(payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> Finding | None:  # noqa: ARG001 - every gate takes the same
    if not facts.destination_denied:
        return None
    return Finding(
        gate=GateCode.DESTINATION_DENIED,
        fact="listed",
        reason="the destination is on the deny list: find out why it is there before you approve",
    )


def _screening(payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> Finding | None:  # noqa: ARG001 - every gate takes the same
    found = facts.screening
    if limits.screened_within is None or found is None or found.verdict is not Verdict.HIT:
        return None
    assert found.reference is not None
    said = f": {found.reason}" if found.reason else ""
    return Finding(
        gate=GateCode.SCREENING_HIT,
        fact=found.reference,
        reason=f"the screening service found something, by its reference {found.reference}{said}: look at its record before you approve",
    )


def _identity(payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> Finding | None:
    limit = limits.identity_above.get(payout.amount.asset.code)
    if payout.player is None or limit is None or payout.amount <= limit:
        return None
    known = facts.player
    state = (known.kyc_state if known is not None else None) or KycState.NONE
    until = None if known is None else known.kyc_expires_at
    if state is KycState.VERIFIED and (until is None or now < until):
        return None
    if state is KycState.VERIFIED and until is not None:
        fact, found = "expired", f"expired on {until.date().isoformat()}"
    else:
        fact, found = str(state), f"is {state}"
    return Finding(
        gate=GateCode.IDENTITY_CHECK,
        fact=fact,
        reason=f"the identity check of the player {found}, and {_said(payout.amount)} is above the {_said(limit)} that are paid "
        "without one: ask the player for it",
    )


def _new_destination(payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> Finding | None:
    limit = limits.new_destination_above.get(payout.amount.asset.code)
    if limit is None or payout.amount <= limit:
        return None
    since = facts.destination_since
    if since is not None and now >= since + limits.destination_new_for:
        return None
    hours = limits.destination_new_for // timedelta(hours=1)
    known = "has no payout method" if since is None else f"is registered since {since.isoformat()}"
    return Finding(
        gate=GateCode.NEW_DESTINATION,
        fact="new",
        reason=f"the destination {known}, and {_said(payout.amount)} is above the {_said(limit)} that go to one of less than "
        f"{hours} hours: ask the player whether it is theirs",
    )


def _destination(payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> Finding | None:  # noqa: ARG001 - every gate takes the same
    hours = limits.destination_within // timedelta(hours=1)
    count = facts.payouts_to + 1
    most = limits.destination_sum.get(payout.amount.asset.code)
    total = payout.amount if facts.paid_to is None else payout.amount + facts.paid_to
    if limits.destination_max is not None and count > limits.destination_max:
        found = (
            f"{count} payouts to the destination within {hours} hours are more than {limits.destination_max}"
        )
    elif most is not None and total > most:
        found = f"{_said(total)} to the destination within {hours} hours are more than {_said(most)}"
    else:
        return None
    return Finding(
        gate=GateCode.DESTINATION_FREQUENT,
        fact="frequent",
        reason=f"{found}: look which players are paid there, and whether they are one person",
    )


def _withdrawals(payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> Finding | None:  # noqa: ARG001 - every gate takes the same
    if payout.player is None:
        return None
    hours = limits.withdrawals_within // timedelta(hours=1)
    count = facts.withdrawals + 1
    if limits.withdrawals_max is not None and count > limits.withdrawals_max:
        return _frequent(
            f"{count} payouts to the player within {hours} hours are more than {limits.withdrawals_max}"
        )
    most = limits.withdrawals_sum.get(payout.amount.asset.code)
    total = payout.amount if facts.withdrawn is None else payout.amount + facts.withdrawn
    if most is not None and total > most:
        return _frequent(f"{_said(total)} to the player within {hours} hours are more than {_said(most)}")
    return None


def _tax_form(payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> Finding | None:  # noqa: ARG001 - every gate takes the same
    limit = limits.tax_above.get(payout.amount.asset.code)
    if payout.player is None or limit is None:
        return None
    total = payout.amount if facts.before_in_year is None else payout.amount + facts.before_in_year
    state = (facts.player.tax_state if facts.player is not None else None) or TaxState.MISSING
    if total <= limit or state is TaxState.FILED:
        return None
    return Finding(
        gate=GateCode.TAX_FORM_MISSING,
        fact=str(state),
        reason=f"the tax form of the player is {state}, and {_said(total)} of this year out of one campaign are above the "
        f"{_said(limit)} that are paid without one: ask the player for it",
    )


def _frequent(found: str) -> Finding:
    return Finding(
        gate=GateCode.WITHDRAWALS_FREQUENT,
        fact="frequent",
        reason=f"{found}: look whether somebody else uses the account",
    )


def _said(amount: Amount) -> str:
    return f"{amount} {amount.asset.code}"


GATES: Final[Mapping[GateCode, Gate]] = {
    GateCode.DESTINATION_DENIED: _denied,
    GateCode.SCREENING_HIT: _screening,
    GateCode.IDENTITY_CHECK: _identity,
    GateCode.NEW_DESTINATION: _new_destination,
    GateCode.DESTINATION_FREQUENT: _destination,
    GateCode.WITHDRAWALS_FREQUENT: _withdrawals,
    GateCode.TAX_FORM_MISSING: _tax_form,
}
"""Every gate."""


def judge(*, payout: Payout, facts: Facts, limits: GateLimits, now: datetime) -> tuple[Finding, ...]:
    """The gates that this payout does not pass, in the order of ``GateCode``."""
    found = (gate(payout, facts, limits, now) for gate in GATES.values())
    return tuple(finding for finding in found if finding is not None)


def lacks_screening(*, facts: Facts, limits: GateLimits, now: datetime) -> bool:
    """Whether a payout must wait for an answer of the screening service. A hit that persons let it pass is an answer too."""
    within = limits.screened_within
    return within is not None and not in_time(latest=facts.screening, valid_for=within, now=now)


def counted(*, facts: Facts, payout: Payout, earlier: Payout) -> Facts:
    """The facts about a payout with one more earlier payout of its player or its payee."""
    facts = replace(facts, withdrawals=facts.withdrawals + 1)
    if earlier.amount.asset != payout.amount.asset:
        return facts
    facts = replace(facts, withdrawn=_sum(facts.withdrawn, earlier.amount))
    if earlier.campaign != payout.campaign or earlier.person != payout.person:
        return facts
    return replace(facts, before_in_year=_sum(facts.before_in_year, earlier.amount))


def counted_to(*, facts: Facts, payout: Payout, earlier: Payout) -> Facts:
    """The facts about a payout with one more earlier payout to its destination."""
    facts = replace(facts, payouts_to=facts.payouts_to + 1)
    if earlier.amount.asset != payout.amount.asset:
        return facts
    return replace(facts, paid_to=_sum(facts.paid_to, earlier.amount))


def _sum(before: Amount | None, amount: Amount) -> Amount:
    return amount if before is None else before + amount


def hold_of(*, findings: Collection[Finding], limits: GateLimits, least: int = 1) -> Hold | None:
    """The hold for these findings, of ``least`` approvers or as many as one of the gates needs; None without findings."""
    for first in findings:
        two = any(finding.gate in limits.two_approvers for finding in findings)
        return Hold(reason=first.gate, approvers=max(least, 2 if two else 1))
    return None
