"""Approval of payouts: limits, parties, decisions of approvers, pauses."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.errors import CodedError
from prizewire_payouts.payouts.domain.change import INTENT_EXPIRED, Change, Hold, close, hold
from prizewire_payouts.payouts.domain.model import REGISTRANT, Party, Payout
from prizewire_payouts.payouts.domain.states import Approved, PayoutState

ABOVE_LIMIT = "above_automatic_limit"
"""The reason of a hold: the amount is above the automatic limit of its rail and asset."""
ABOVE_DAY_LIMIT = "above_day_limit"
"""The reason of a hold: the payout would exceed the day's limit of what is approved without a person."""
METHOD_BY_STAFF = "method_registered_by_staff"
"""The reason of a hold: another person than the player named the destination."""
ONE_PERSON = "one_person_chain"
"""The reason of a hold: one person wrote the rule and reported the result, or imported the balance."""
REJECTED_BY_APPROVER = "rejected_by_approver"
"""The code of a payout that an approver rejected."""
_ORDER: Final = (
    "filer",
    "payee",
    REGISTRANT,
    "assigner",
    "reporter",
    "rule_writer",
    "importer",
    "releaser",
    "funder",
)
_RANK: Final[Mapping[str, int]] = {role: rank for rank, role in enumerate(_ORDER)}


class ApprovalRefused(CodedError):
    """This person may not decide on this payout, or the payout waits for no decision."""


class PauseRefused(CodedError):
    """A pause cannot be set or lifted as requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicy:
    """Limits by asset code. An asset without an automatic limit, or without a limit of the day, is always held; one
    without a second limit never needs two approvers. Payouts that an operator requested or retried, payouts to a method that staff
    registered, and money for which one person alone decided who is paid always wait for another person. ``version`` is
    published with each approval.

    ``automatic_on_rail`` are automatic limits by (rail, asset code). Such a limit goes before the one of the asset.
    ``automatic_in_day`` is the most that is approved without a person within one day (UTC), over all rails.
    """

    version: int
    automatic_up_to: Mapping[str, Amount]
    automatic_in_day: Mapping[str, Amount]
    two_above: Mapping[str, Amount]
    automatic_on_rail: Mapping[tuple[str, str], Amount] = field(default_factory=dict)

    def automatic_limit(self, *, asset: str, rail: str | None) -> Amount | None:
        """The most that is paid in this asset over this rail without a person; None where a person must always decide."""
        on_rail = None if rail is None else self.automatic_on_rail.get((rail, asset))
        return self.automatic_up_to.get(asset) if on_rail is None else on_rail

    def automatic_somewhere(self, *, amount: Amount) -> bool:
        """Whether this amount may be approved without a person over one of the rails."""
        code = amount.asset.code
        limits = [limit for (_, asset), limit in self.automatic_on_rail.items() if asset == code]
        if code in self.automatic_up_to:
            limits.append(self.automatic_up_to[code])
        return any(amount <= limit for limit in limits)

    def approvers(self, *, amount: Amount) -> int:
        """The number of approvers that a held payout of this amount needs."""
        second = self.two_above.get(amount.asset.code)
        return 2 if second is not None and amount > second else 1

    def decide(
        self,
        *,
        amount: Amount,
        rail: str | None = None,
        by_operator: bool = False,
        registered_by_staff: bool = False,
        by_one_person: bool = False,
    ) -> Hold | None:
        """None if the payout may be approved without a person, within the day's allowance; else the reason of its hold.
        ``rail`` is the one over which it would be paid.
        """
        approvers = self.approvers(amount=amount)
        if by_operator:
            return Hold(reason="filed_by_operator", approvers=approvers)
        if registered_by_staff:
            return Hold(reason=METHOD_BY_STAFF, approvers=approvers)
        if by_one_person:
            return Hold(reason=ONE_PERSON, approvers=approvers)
        limit = self.automatic_limit(asset=amount.asset.code, rail=rail)
        if limit is None:
            return Hold(reason="no_automatic_limit", approvers=approvers)
        if amount > limit:
            return Hold(reason=ABOVE_LIMIT, approvers=approvers)
        return None


def day_of(now: datetime) -> date:
    """The day (UTC) whose limit counts at this moment."""
    return now.astimezone(UTC).date()


class DayAllowance:
    """The amounts that may still be approved without a person on one day, by asset code. ``used`` was approved before; an
    asset that is not in it has no allowance. ``taken`` is approved now, to be stored in the same transaction. The count is
    never reduced, even if a payout ends without effect.
    """

    def __init__(self, *, most: Mapping[str, Amount], used: Mapping[str, Amount]) -> None:
        self._left = {code: most[code] - amount for code, amount in used.items() if code in most}
        self.taken: dict[str, Amount] = {}

    def take(self, *, amount: Amount) -> bool:
        """Take this amount from the allowance; False where too little is left."""
        code = amount.asset.code
        left = self._left.get(code)
        if left is None or amount > left:
            return False
        self._left[code] = left - amount
        self.taken[code] = self.taken.get(code, Amount.zero(amount.asset)) + amount
        return True


def first_role(parties: Iterable[Party], *, subject: str) -> str | None:
    """The role in which this person is a party, the one nearest to the payment if there are several; None for no party."""
    roles = [role for role, name in parties if name == subject]
    return min(roles, key=lambda role: _RANK.get(role, len(_RANK)), default=None)


def decide_by_policy(
    *,
    change: Change,
    policy: ApprovalPolicy,
    allowance: DayAllowance,
    gated: Hold | None,
    cause: str,
    now: datetime,
) -> None:
    """Approve a new payout by policy, or hold it for approvers or for a renewed intent. ``gated`` is the hold by gates that it does
    not pass: it names the reason, and both may ask for two approvers. Only payouts that are approved here count against the
    day's allowance.
    """
    payout = change.payout
    terms = policy.decide(
        amount=payout.amount,
        rail=payout.rail,
        by_operator=payout.player is None or payout.retry_of is not None,
        registered_by_staff=payout.registered_by_staff,
        by_one_person=bool(payout.one_person),
    )
    if gated is not None:
        terms = Hold(reason=gated.reason, approvers=max(gated.approvers, terms.approvers if terms else 1))
    if not payout.intent_alive(now=now):
        terms = Hold(reason=INTENT_EXPIRED, approvers=terms.approvers if terms else 1)
    if terms is None and not allowance.take(amount=payout.amount):
        terms = Hold(reason=ABOVE_DAY_LIMIT, approvers=policy.approvers(amount=payout.amount))
    if terms is None:
        approve(change=change, policy=policy, approvers=(), cause=cause, actor="policy", now=now)
    else:
        hold(change=change, terms=terms, cause=cause, now=now)


def hold_again(
    *, change: Change, policy: ApprovalPolicy, gated: Hold | None, cause: str, now: datetime
) -> bool:
    """Hold an approved payout that may not be sent as it is: gates do not let it pass (``gated``), or policy approved it over a
    rail with a higher limit than the one that it is routed to now. False where it may be sent.

    Raises:
        IllegalTransition: it is not approved.
    """
    payout, terms = change.payout, gated
    limit = policy.automatic_limit(asset=payout.amount.asset.code, rail=payout.rail)
    by_policy = payout.hold_no == 0
    if terms is None and by_policy and (limit is None or payout.amount > limit):
        terms = Hold(reason=ABOVE_LIMIT, approvers=policy.approvers(amount=payout.amount))
    if terms is None:
        return False
    most = max(terms.approvers, payout.approvers_needed, policy.approvers(amount=payout.amount))
    hold(change=change, terms=Hold(reason=terms.reason, approvers=most), cause=cause, now=now)
    return True


def approve(
    *,
    change: Change,
    policy: ApprovalPolicy,
    approvers: tuple[str, ...],
    cause: str,
    actor: str,
    now: datetime,
) -> None:
    """Approve the payout; its first attempt is due at once.

    Raises:
        IllegalTransition: it is neither requested nor held.
    """
    change.move(to=PayoutState.APPROVED, cause=cause, actor=actor, now=now, due_at=now, reason=None)
    change.emit(event=Approved(policy_version=policy.version, approvers=approvers), cause=cause)


def check_approver(*, payout: Payout, approver: str, already: Collection[str], now: datetime) -> None:
    """Whether this person may approve this payout now.

    Raises:
        ApprovalRefused: ``not_held``, ``approver_is_…`` with the role of a party, ``already_approved`` or
            ``intent_expired`` or ``quote_expired``.
    """
    if payout.state is not PayoutState.HELD:
        raise ApprovalRefused(
            "not_held", f"the payout is {payout.state}: only a held payout is approved or rejected"
        )
    _check_no_party(payout, approver)
    if approver in already:
        raise ApprovalRefused("already_approved", "a second approval must come from another person")
    if not payout.intent_alive(now=now):
        raise ApprovalRefused("intent_expired", "the intent has expired; approve once rewards has renewed it")
    if not payout.quote_alive(now=now):
        raise ApprovalRefused(
            "quote_expired",
            "the quote of the payout has expired: reject the payout, which gives the money back at the quoted rate; the player "
            "then takes a new quote",
        )


def _check_no_party(payout: Payout, approver: str) -> None:
    role = first_role(payout.parties, subject=approver)
    if role is not None:
        detail = f"{approver} is the {role.replace('_', ' ')} of this payout; a person who is no party of it must decide"
        raise ApprovalRefused(f"approver_is_{role}", detail)


def reject(*, change: Change, approver: str, reason: str, cause: str, now: datetime) -> None:
    """Reject the payout, before anything was sent.

    Raises:
        ApprovalRefused: ``not_held``, or ``approver_is_…`` with the role of a party.
    """
    payout = change.payout
    if payout.state not in (PayoutState.REQUESTED, PayoutState.HELD):
        raise ApprovalRefused(
            "not_held", f"the payout is {payout.state}: only a held payout is approved or rejected"
        )
    _check_no_party(payout, approver)
    close(
        change=change,
        to=PayoutState.CLOSING_REJECTED,
        code=REJECTED_BY_APPROVER,
        reason=reason,
        cause=cause,
        actor=approver,
        now=now,
    )


class PauseScope(StrEnum):
    """The kind of thing that a pause stops."""

    RAIL = "rail"
    ASSET = "asset"
    CAMPAIGN = "campaign"
    COMPETITION = "competition"
    PLAYER = "player"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A switch that keeps new payments of a rail, an asset, a campaign, a competition or a player from starting."""

    pause_id: UUID
    scope: PauseScope
    value: str
    reason: str
    paused_by: str
    paused_at: datetime
    resumed_by: str | None = None
    resumed_at: datetime | None = None
