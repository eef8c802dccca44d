"""Requests of rewards: new payouts, cancels, renewed intents. Applied in batches, in their order."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode, RefusalCode
from prizewire_contracts.ids import inline_method_id
from prizewire_contracts.rails import SIGNER_RAILS
from prizewire_payouts.inline.domain import Sealed, Unusable
from prizewire_payouts.inline.handlers import VERSION, InlineRules, read_inline
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.methods.ports import Methods, MethodTypes
from prizewire_payouts.payouts.domain.change import Change, close, hold_expired, request_cancel
from prizewire_payouts.payouts.domain.model import (
    PAYEE,
    REGISTRANT,
    Command,
    IntentTerms,
    Party,
    Payout,
    RefuseRetry,
    Rejection,
    RenewIntent,
    RequestCancel,
    RequestPayout,
    ways_to,
)
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL, CancelRefused, PayoutState
from prizewire_payouts.payouts.handlers.retries import check_retried, note_retried, refuse_retry
from prizewire_payouts.payouts.ports import Admission, Payouts
from prizewire_payouts.rails.handlers import choose
from prizewire_payouts.rails.ports import Rail

_RENEWABLE = frozenset({PayoutState.REQUESTED, PayoutState.HELD, PayoutState.APPROVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What requests are checked against: the network that intents must name, the configured rails, the installed method types, and
    what details in a request become a method by.
    """

    network: str
    rails: Sequence[Rail]
    types: MethodTypes
    inline: InlineRules

    def on_chain_type(self, *, rail_type: str, address: str, memo: str | None) -> str | None:
        """The method type that an address is of: one that a rail of this type serves, else any. None if no type accepts it."""
        served = {
            name
            for rail in self.rails
            if rail.capabilities.type == rail_type
            for name in rail.capabilities.method_types
        }
        for among in (served, self.types.names()):
            found = self.types.on_chain(among=among, address=address, memo=memo)
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _New:
    """A payout to be added: ``inline`` is the method of the details in its request, ``unusable`` says why these cannot be used."""

    payout: Payout
    inline: Method | None = None
    unusable: Unusable | None = None


async def apply_commands(
    payouts: Payouts,
    methods: Methods,
    admission: Admission,
    commands: Sequence[Command],
    *,
    rules: Rules,
    now: datetime,
) -> dict[int, Rejection]:
    """Apply commands in their order; returns the rejected ones by their index. Several may concern one payout."""
    retried = {one.retry_of for one in commands if isinstance(one, RequestPayout) and one.retry_of}
    changes = await payouts.lock({command.payout_id for command in commands} | retried)
    requests = [command for command in commands if isinstance(command, RequestPayout)]
    found = await methods.find({one.method_id for one in requests if one.method_id is not None})
    new = {
        index: _new_payout(command, found, changes, rules=rules, now=now)
        for index, command in enumerate(commands)
        if isinstance(command, RequestPayout) and command.payout_id not in changes
    }
    added = [one for one in new.values() if isinstance(one, _New)]
    inline = {one.inline.method_id: one.inline for one in added if one.inline is not None}
    await methods.add_inline(list(inline.values()))
    await admission.prepare([one.payout for one in added if one.unusable is None], now=now)
    rejections: dict[int, Rejection] = {}
    for index, command in enumerate(commands):
        change = changes.get(command.payout_id)
        if change is None and isinstance(command, RequestPayout):
            made = new[index]
            if isinstance(made, Rejection):
                rejections[index] = made
                continue
            if command.retry_of is not None:
                note_retried(command, changes[command.retry_of], now=now)
            change = changes[command.payout_id] = payouts.add(made.payout)
            if made.unusable is None:
                admission.decide(change=change, cause=command.cause, now=now)
                route(change=change, rails=rules.rails, cause=command.cause, now=now)
            else:
                _fail(change, made.unusable, cause=command.cause, now=now)
            continue
        rejection = _apply(command, change, rules=rules, now=now)
        if rejection is not None:
            rejections[index] = rejection
    await payouts.save()
    await admission.save(now=now)
    return rejections


def _fail(change: Change, unusable: Unusable, *, cause: str, now: datetime) -> None:
    """End a payout whose details cannot be used: its money goes back."""
    close(
        change=change,
        to=PayoutState.CLOSING_FAILED,
        code=unusable.code,
        reason=unusable.reason,
        cause=cause,
        actor="details",
        now=now,
    )


def _apply(command: Command, change: Change | None, *, rules: Rules, now: datetime) -> Rejection | None:
    """Apply a command to the payout that it names."""
    if change is None:
        detail = f"there is no payout {command.payout_id}"
        return Rejection(code=RefusalCode.ILLEGAL_TRANSITION, detail=detail, park=True)
    if isinstance(command, RequestPayout):
        return _repeated(command, change.payout)
    if isinstance(command, RefuseRetry):
        refuse_retry(command, change, now=now)
        return None
    if isinstance(command, RequestCancel):
        # a payout that ended before the request arrived has its own event
        with suppress(CancelRefused):
            request_cancel(
                change=change,
                by=command.by,
                code=command.code,
                reason=command.reason,
                cause=command.cause,
                now=now,
            )
        return None
    return _renew(command, change, rules=rules)


def _repeated(command: RequestPayout, payout: Payout) -> Rejection | None:
    if command.terms.same_terms(payout.intent):
        return None
    detail = "a payout with this id was requested before on other terms"
    return Rejection(code=RefusalCode.EVENT_MISMATCH, detail=detail, park=True, second_payment=True)


def _new_payout(
    command: RequestPayout,
    methods: Mapping[UUID, Method],
    changes: Mapping[UUID, Change],
    *,
    rules: Rules,
    now: datetime,
) -> _New | Rejection:
    terms = command.terms
    if (wrong := _terms_wrong(command, rules)) is not None:
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=wrong)
    inline = None if command.sealed is None else _inline(command, command.sealed, rules, now)
    if isinstance(inline, Unusable):
        destination: _Destination | str = _unread(command, inline)
    else:
        method = inline or (None if command.method_id is None else methods.get(command.method_id))
        destination = _destination(command, method, changes, rules)
    if isinstance(destination, str):
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=destination)
    if command.retry_of is not None:
        differs = check_retried(command, changes.get(command.retry_of))
        if differs is not None:
            return differs
    payout = Payout(
        payout_id=command.payout_id,
        correlation_id=command.correlation_id,
        causation_id=command.cause,
        player=command.player,
        payee=terms.payee,
        campaign=terms.campaign,
        competition=terms.competition,
        source=terms.source,
        amount=terms.amount,
        method_id=command.method_id if destination.has_method else None,
        method_version=command.method_version if destination.has_method else None,
        method_type=destination.method_type,
        rail_type=destination.rail_type,
        address=destination.address,
        memo=destination.memo,
        filed_by=command.filed_by,
        reward_ids=command.reward_ids,
        intent=terms.json,
        intent_signature=terms.signature,
        intent_expires_at=terms.expires_at,
        needs_closure=terms.needs_closure,
        sources=(*_payee(terms), *destination.registrant, *command.parties),
        one_person=command.one_person,
        retry_of=command.retry_of,
        quote=command.quote,
        # a retry is approved by itself
        batch=command.batch if command.retry_of is None else None,
        requested_at=now,
        changed_at=now,
    )
    # the limits of the rail over which it would be paid count, and approvers see this rail
    planned = choose(payout=payout, rails=rules.rails)
    if not isinstance(planned, PayoutCode):
        payout = replace(payout, rail=planned.name)
    if isinstance(inline, Unusable):
        return _New(payout=payout, unusable=inline)
    return _New(payout=payout, inline=inline)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Destination:
    """Where a payout is paid, by its intent and by its method."""

    method_type: str
    rail_type: str
    address: str | None
    memo: str | None
    has_method: bool = False
    registrant: tuple[Party, ...] = ()


def _payee(terms: IntentTerms) -> tuple[Party, ...]:
    return () if terms.payee is None else ((PAYEE, terms.payee),)


def _inline(command: RequestPayout, sealed: Sealed, rules: Rules, now: datetime) -> Method | Unusable:
    return read_inline(
        sealed,
        payout_id=command.payout_id,
        player=command.player,
        filed_by=command.filed_by,
        types=rules.types,
        rules=rules.inline,
        now=now,
    )


def _unread(command: RequestPayout, unusable: Unusable) -> _Destination:
    """Where a payout would have been paid whose details cannot be used: no method is made of them."""
    first = command.terms.allowed[0]
    return _Destination(
        method_type=unusable.type, rail_type=first.rail, address=first.destination, memo=first.memo
    )


def _destination(
    command: RequestPayout, method: Method | None, changes: Mapping[UUID, Change], rules: Rules
) -> _Destination | str:
    """The destination, or what is wrong with it."""
    if command.method_id is None:
        first = command.terms.allowed[0]
        if first.destination is None:
            return "a payout without a method does not name an on-chain address"
        method_type = rules.on_chain_type(rail_type=first.rail, address=first.destination, memo=first.memo)
        if method_type is None:
            return "no installed method type accepts the address of a payout without a method"
        if first.amount_max < command.terms.amount:
            return "the intent allows less than its amount"
        return _Destination(
            method_type=method_type, rail_type=first.rail, address=first.destination, memo=first.memo
        )
    person = command.player if command.terms.payee is None else command.terms.payee
    if method is None or method.player != person:
        return "the person who is paid has no such method"
    if method.payout_id not in (None, command.payout_id):
        retried = None if command.retry_of is None else changes.get(command.retry_of)
        if retried is None or retried.payout.method_id != method.method_id:
            return "the method is kept for another payout, which this one does not retry"
    if command.method_version is None or command.method_version > method.version:
        return "the method has no such version yet"
    ways = ways_to(allowed=command.terms.allowed, method=method, amount=command.terms.amount)
    if not ways:
        return "the intent does not allow the method"
    return _Destination(
        method_type=method.type,
        rail_type=ways[0].rail,
        address=method.address,
        memo=method.memo,
        has_method=True,
        registrant=((REGISTRANT, method.registered_by),) if method.by_staff else (),
    )


def _terms_wrong(command: RequestPayout | RenewIntent, rules: Rules) -> str | None:
    """How the intent differs from the event around it, or why no such intent is accepted."""
    terms = command.terms
    if terms.network != rules.network:
        return "the intent is for another network"
    if terms.payout_id != str(command.payout_id):
        return "the intent is for another payout"
    if not terms.allowed:
        return "the intent allows no destination"
    if terms.amount.minor <= 0 or not terms.amount.asset.redeemable:
        return "the intent's amount cannot be paid out"
    if terms.debit.asset != terms.amount.asset:
        if terms.json["quote"] is None:
            return "the intent debits another asset than it pays, without a quote"
    elif terms.debit < terms.amount or (terms.player is None and terms.debit != terms.amount):
        return "the intent pays more than it debits, or less although no player bears a fee"
    return _request_wrong(command) if isinstance(command, RequestPayout) else None


def _request_wrong(command: RequestPayout) -> str | None:
    """How the intent of a request differs from the event around it, or what is wrong with its destination."""
    terms = command.terms
    if terms.correlation_id != command.correlation_id:
        return "the intent has another correlation id"
    if (wrong := _persons_wrong(command)) is not None:
        return wrong
    if command.player is not None and command.method_id is None:
        return "a player's payout names a payout method"
    of_details = (inline_method_id(command.payout_id), VERSION)
    if command.sealed is not None and (command.method_id, command.method_version) != of_details:
        return f"details in a request are the method {of_details[0]} of version {VERSION}, and no other"
    return None


def _persons_wrong(command: RequestPayout) -> str | None:
    terms = command.terms
    if terms.player != command.player:
        return "the intent is for another player"
    if terms.payee is not None and terms.payee == terms.player:
        return "the payee of the intent is the player"
    if terms.payee is not None and terms.player is None:
        return "an operator's payout has no payee"
    return None


def _renew(command: RenewIntent, change: Change, *, rules: Rules) -> Rejection | None:
    payout = change.payout
    if (wrong := _terms_wrong(command, rules)) is not None:
        return Rejection(code=RefusalCode.INTENT_INVALID, detail=wrong)
    if not command.terms.same_terms(payout.intent):
        return Rejection(code=RefusalCode.INTENT_INVALID, detail="a renewal may change nothing but its times")
    ending = payout.state in CLOSING or payout.ends_as is not None
    if ending or payout.state in FINAL or payout.state is PayoutState.PAID:
        return None
    if payout.state not in _RENEWABLE:
        detail = f"the payout is {payout.state}: an intent is renewed only where no attempt is open"
        return Rejection(code=RefusalCode.ILLEGAL_TRANSITION, detail=detail, park=True)
    if command.terms.expires_at <= payout.intent_expires_at:
        return None
    change.set(
        intent=command.terms.json,
        intent_signature=command.terms.signature,
        intent_expires_at=command.terms.expires_at,
        expiry_told=False,
    )
    return None


_BATCH = 200


def route(*, change: Change, rails: Sequence[Rail], cause: str, now: datetime) -> None:
    """Give an approved payout its rail, or fail it where no rail can carry it.

    One that was attempted on a rail of the signer never takes another type of rail: the signer could still sign for it. It ends
    instead, and its money goes back once the signer has closed it.
    """
    payout = change.payout
    if payout.state is not PayoutState.APPROVED:
        return
    # only the rail that named the price keeps it
    able = [rail for rail in rails if payout.quote is None or rail.name == payout.quote.rail]
    chosen = choose(payout=payout, rails=able)
    offered = payout.attempts > 0 and payout.rail_type in SIGNER_RAILS
    if isinstance(chosen, Rail) and offered and chosen.capabilities.type != payout.rail_type:
        chosen = PayoutCode.RAIL_UNSUPPORTED
    if isinstance(chosen, PayoutCode):
        close(change=change, to=PayoutState.CLOSING_FAILED, code=chosen, cause=cause, actor="router", now=now)
    else:
        change.set(rail=chosen.name, rail_type=chosen.capabilities.type)


async def route_again(payouts: Payouts, *, rails: Sequence[Rail], now: datetime) -> bool:
    """Route approved payouts whose rail is no longer configured; True if there may be more."""
    changes = await payouts.lock_unrouted(rails=[rail.name for rail in rails], limit=_BATCH)
    for change in changes:
        route(change=change, rails=rails, cause="reroute", now=now)
    await payouts.save()
    return len(changes) == _BATCH


async def hold_all_expired(payouts: Payouts, *, now: datetime) -> bool:
    """Hold payouts whose intent has expired before anything was sent, and request renewals from rewards; True if there
    may be more.
    """
    changes = await payouts.lock_expired(now=now, limit=_BATCH)
    for change in changes:
        hold_expired(change=change, cause="expiry", now=now)
    await payouts.save()
    return len(changes) == _BATCH
