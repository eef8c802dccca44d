"""Payouts, their attempts and the steps that they take, as they are stored. Immutable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from prizewire_money import Amount, InvalidAmount
from prizewire_payouts.inline.domain import Sealed
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.payouts.domain.states import ATTEMPT_OPEN, AttemptState, PayoutEvent, PayoutState

Party = tuple[str, str]
"""Role and subject of a person who may not decide on a payout, as in ``prizewire_contracts.parties``."""


PAYEE: Final = "payee"
"""The role of the person who is paid, and of the player whose money it is."""


REGISTRANT: Final = "registrant"
"""The role of the person who named the destination in a player's place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at one rail. ``provider_key`` is the key under which the rail knows it, stored before the call.

    ``authentic`` is False for a stored row that payouts did not write: its MAC is wrong. Its state proves nothing, and its
    ``provider_ref`` is None. ``latency_ms`` is how long the rail took to answer the call that began it, None where no call of
    this process ended.
    """

    payout_id: UUID
    attempt_no: int
    rail: str
    provider_key: UUID
    request_hash: str
    state: AttemptState
    provider_ref: str | None
    code: str | None
    answer: Mapping[str, Any] | None
    opened_at: datetime
    changed_at: datetime
    authentic: bool = True
    latency_ms: int | None = None

    @property
    def proved(self) -> bool:
        """Whether the rail has proved that it had no effect."""
        return self.authentic and self.state is AttemptState.NO_EFFECT


def deciding_attempt(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt on which the outcome of a payout depends: the open one, else the one with an effect, else the first that is
    not proved to be without effect, else the last. None if there are no attempts.
    """
    effects = (AttemptState.EFFECTED, AttemptState.REVERSED)
    for one in (
        *(one for one in attempts if one.state in ATTEMPT_OPEN),
        *(one for one in attempts if one.state in effects),
        *(one for one in attempts if not one.proved),
    ):
        return one
    return attempts[-1] if attempts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlace:
    """The place of a payout in the batch that it was requested with: line ``line`` of ``lines``, counted from 1."""

    batch_id: UUID
    line: int
    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundQuote:
    """The quote that an intent names. ``document`` is the quote with payouts' signature, as it is stored; the other fields are
    read from it. ``rail`` is the configured rail that named the price.
    """

    document: Mapping[str, Any]
    rail: str
    debit: Amount
    pay: Amount
    fee: Amount
    fee_borne_by: str
    rate: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """One payout, from request to end. ``quote`` is the quote at which it is paid, None where none was taken.

    ``payee`` is the person who is paid in the player's place, by a payee assignment; None where the player is paid. ``campaign``,
    ``competition`` and ``source`` (of the match) say which prize it pays; all are None for a withdrawal of a
    wallet and for an operator's payout. ``intent`` is the JSON of the intent that rewards signed; ``needs_closure`` says that it allows a rail that
    the signer serves. ``rail`` and ``rail_type`` are of the chosen rail; before the choice ``rail_type`` is the first type that
    the intent allows. ``due_at`` is when a worker must handle it next. ``version`` counts its events,
    ``close_version`` the requests to the signer to close it. ``attempts`` counts all attempts, ``attempts_waived``
    those of them that ended for a passing reason and are not counted. ``ends_as`` is the closing state it returns to when
    a close was refused and then proved to be without effect. ``sources`` are the parties that rewards and the
    method named; ``one_person`` are those who alone said who is paid some of the money. ``retry_of`` is the ended payout that
    it retries, ``retried_by`` the payout that retries it. ``batch`` is its place in a batch, None for a payout that was requested
    alone.
    """

    payout_id: UUID
    correlation_id: str
    causation_id: str
    player: str | None
    campaign: str | None
    competition: str | None
    source: str | None
    amount: Amount
    method_id: UUID | None
    method_version: int | None
    method_type: str
    rail_type: str
    address: str | None
    memo: str | None
    filed_by: str
    reward_ids: tuple[UUID, ...]
    intent: Mapping[str, Any]
    intent_signature: str
    intent_expires_at: datetime
    needs_closure: bool
    requested_at: datetime
    changed_at: datetime
    state: PayoutState = PayoutState.REQUESTED
    rail: str | None = None
    attempts: int = 0
    attempts_waived: int = 0
    code: str | None = None
    reason: str | None = None
    ends_as: PayoutState | None = None
    cancel_asked_by: str | None = None
    cancel_code: str | None = None
    cancel_reason: str | None = None
    cancel_answer: str | None = None
    hold_no: int = 0
    approvers_needed: int = 0
    expiry_told: bool = False
    version: int = 0
    close_version: int = 0
    closure: str | None = None
    due_at: datetime | None = None
    polls: int = 0
    provider_ref: str | None = None
    proof: Mapping[str, Any] | None = None
    fee: Amount | None = None
    fee_borne_by: str | None = None
    paid_at: datetime | None = None
    return_ref: str | None = None
    returned: Amount | None = None
    sources: tuple[Party, ...] = ()
    one_person: tuple[str, ...] = ()
    retry_of: UUID | None = None
    retried_by: UUID | None = None
    quote: BoundQuote | None = None
    batch: BatchPlace | None = None
    payee: str | None = None

    @property
    def person(self) -> str | None:
        """The person who is paid: the payee of an assignment, or the player. None for an operator's payout."""
        return self.player if self.payee is None else self.payee

    @property
    def debit(self) -> Amount | None:
        """What rewards took for it, by its intent: ``amount`` and what a rule took from the player. None where the
        intent says no such amount: it was changed in the database.
        """
        try:
            found = Amount.parse(self._least.asset, self.intent.get("debit_amount"))
        except InvalidAmount:
            return None
        return found if found >= self._least else None

    @property
    def player_fee(self) -> Amount | None:
        """What a rule, or the quote within one asset, took from the player. None where ``debit`` is."""
        return None if self.debit is None else self.debit - self._least

    @property
    def _least(self) -> Amount:
        """What the debit is for: the paid amount, or in another asset the debit of the quote."""
        if self.quote is None or self.quote.debit.asset == self.amount.asset:
            return self.amount
        return self.quote.debit

    def quote_alive(self, *, now: datetime) -> bool:
        """Whether its quote, if it has one, still names the price."""
        return self.quote is None or now < self.quote.expires_at

    @property
    def rail_types(self) -> tuple[str, ...]:
        """The rail types by which its intent allows this amount to its destination, in the order of the intent. None where the
        stored intent cannot be read: it was changed in the database.
        """
        try:
            return tuple(way["rail"] for way in self.intent["allowed"] if self._leads_here(way))
        except (InvalidAmount, KeyError, TypeError):
            return ()

    def _leads_here(self, way: Mapping[str, Any]) -> bool:
        most = Amount.parse(self.amount.asset, way["amount_max"])
        return (way["destination"], way["memo"]) == (self.address, self.memo) and most >= self.amount

    @property
    def parties(self) -> tuple[Party, ...]:
        """The persons who may not decide on it: filer, player, payee, and the parties of its money and its destination."""
        payee = () if self.player is None else ((PAYEE, self.player),)
        return (("filer", self.filed_by), *payee, *self.sources)

    @property
    def registered_by_staff(self) -> bool:
        """Whether another person than the player named its destination."""
        return any(role == REGISTRANT for role, _ in self.sources)

    @property
    def attempts_counted(self) -> int:
        """Attempts that count against the most there may be."""
        return self.attempts - self.attempts_waived

    def intent_alive(self, *, now: datetime) -> bool:
        """Whether the intent still allows this payment."""
        return now < self.intent_expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One edge of the payout's state machine that was taken, and why."""

    old: PayoutState
    new: PayoutState
    cause: str
    actor: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTransition:
    """One edge of an attempt's state machine that was taken, and why."""

    attempt_no: int
    old: AttemptState
    new: AttemptState
    cause: str
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent:
    """An event that is published with the change: its version on its subject, and the cause that it names."""

    version: int
    event: PayoutEvent
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedWay:
    """One way in which an intent allows the payment: rail type, destination, memo, and the most that may be paid in it."""

    rail: str
    destination: str | None
    commitment: str | None
    memo: str | None
    amount_max: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentTerms:
    """An intent whose signature was verified. ``json`` is the whole intent, the other fields are those that payouts
    compares. ``amount`` is to be paid, ``debit`` is what rewards has taken for it.
    """

    json: Mapping[str, Any]
    signature: str
    network: str
    payout_id: str
    correlation_id: str
    player: str | None
    payee: str | None
    campaign: str | None
    competition: str | None
    source: str | None
    amount: Amount
    debit: Amount
    allowed: tuple[AllowedWay, ...]
    expires_at: datetime
    needs_closure: bool

    def same_terms(self, other: Mapping[str, Any]) -> bool:
        """Whether ``other`` is this intent but for its times and its key."""
        renewable = {"issued_at", "expires_at", "key_id"}
        return {k: v for k, v in self.json.items() if k not in renewable} == {
            k: v for k, v in other.items() if k not in renewable
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPayout:
    """A new payout. ``parties`` are the persons behind the money, ``one_person`` those who decided alone who is paid. ``sealed`` are
    the details of a destination that the request names itself.
    """

    payout_id: UUID
    correlation_id: str
    cause: str
    player: str | None
    method_id: UUID | None
    method_version: int | None
    reward_ids: tuple[UUID, ...]
    filed_by: str
    terms: IntentTerms
    parties: tuple[Party, ...] = ()
    one_person: tuple[str, ...] = ()
    retry_of: UUID | None = None
    quote: BoundQuote | None = None
    sealed: Sealed | None = None
    batch: BatchPlace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseRetry:
    """Rewards files no new payout for an ended one; ``code`` says why."""

    payout_id: UUID
    cause: str
    retry_no: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancel:
    """A request to cancel a payout. ``code`` says who requested it, and becomes the payout's code once it is cancelled."""

    payout_id: UUID
    cause: str
    by: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewIntent:
    """The intent of a payout on the same terms, with a later expiry."""

    payout_id: UUID
    cause: str
    terms: IntentTerms


Command = RequestPayout | RequestCancel | RenewIntent | RefuseRetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A command that was not applied: a stable code, and whether its event is parked. ``second_payment``: it would have paid again."""

    code: str
    detail: str
    park: bool = False
    second_payment: bool = False


def ways_to(*, allowed: Sequence[AllowedWay], method: Method, amount: Amount) -> list[AllowedWay]:
    """The ways in which an intent allows this amount to exactly this method: destination or commitment, and memo."""
    return [
        one
        for one in allowed
        if one.amount_max >= amount
        and one.memo == method.memo
        and one.destination == method.address
        and (method.address is not None or one.commitment == method.commitment)
    ]
