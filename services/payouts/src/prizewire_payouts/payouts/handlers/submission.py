"""From approved to the rail: the attempt is committed before the provider is called."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction, Quote
from prizewire_money import Amount
from prizewire_payouts.methods.domain import LOOK_AGAIN, Method, MethodState, MethodUnreadable, waits_for
from prizewire_payouts.methods.ports import Methods, Vault
from prizewire_payouts.payouts.domain.change import (
    UNASKED_PAUSE,
    Change,
    await_proof,
    begin_attempt,
    close,
    hold_expired,
    hold_quoted,
)
from prizewire_payouts.payouts.domain.model import Attempt, BoundQuote, Payout
from prizewire_payouts.payouts.domain.states import AttemptState, PayoutState
from prizewire_payouts.payouts.domain.waiting import wait
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.ports import Clearance, IntentCheck, Payouts, RailPermission
from prizewire_payouts.rails.handlers import serves
from prizewire_payouts.rails.ports import Rail


async def open_attempts(
    payouts: Payouts,
    methods: Methods,
    clearance: Clearance,
    *,
    rail: Rail,
    vault: Vault,
    intents: IntentCheck,
    permission: RailPermission,
    schedule: Schedule,
    now: datetime,
    limit: int,
) -> list[PayoutInstruction]:
    """Open an attempt for up to ``limit`` due payouts of ``rail``. Returns the calls to make once this transaction has
    committed.

    A payout whose intent or quote has expired is held. One that may have been paid by a transaction that payouts did not ask for waits until
    that is proved to be without effect. One with an attempt that is not proved to be without effect waits for that
    proof, so that it is not paid twice. One whose rail has no legal
    approval in force, or whose method must be verified first or is not usable yet, waits. A payout is failed whose method is removed or
    differs, whose rail cannot carry it, or whose intent rewards did not sign. One that
    ``clearance`` does not let go is held.
    """
    changes = await payouts.lock_approved(rail=rail.name, now=now, limit=limit)
    found = await methods.find(
        {method_id for change in changes if (method_id := change.payout.method_id) is not None}
    )
    await clearance.prepare([change.payout for change in changes])
    cause = f"worker:{rail.name}"
    permitted = not changes or await permission.may_pay(rail, now=now)
    instructions: list[PayoutInstruction] = []
    for change in changes:
        payout = change.payout
        if change.signed_unasked:
            change.set(due_at=now + UNASKED_PAUSE)
            continue
        if change.unproved:
            await_proof(change=change, code=PayoutCode.ATTEMPT_UNPROVED, cause=cause, actor=cause, now=now)
            continue
        if not payout.intent_alive(now=now):
            hold_expired(change=change, cause=cause, now=now)
            continue
        if not payout.quote_alive(now=now):
            hold_quoted(change=change, reason=PayoutCode.QUOTE_EXPIRED, cause=cause, now=now)
            continue
        details = (
            _details(payout, found, vault, intents)
            if serves(rail.capabilities, payout)
            else PayoutCode.RAIL_UNSUPPORTED
        )
        if isinstance(details, PayoutCode):
            close(
                change=change,
                to=PayoutState.CLOSING_FAILED,
                code=details,
                cause=cause,
                actor=cause,
                now=now,
            )
            continue
        if not permitted:
            wait(change=change, code=PayoutCode.RAIL_NOT_APPROVED, until=now + LOOK_AGAIN, cause=cause)
            continue
        method = None if payout.method_id is None else found[payout.method_id]
        waits = (
            None
            if method is None
            else waits_for(method=method, verified_types=rail.capabilities.verified_methods, now=now)
        )
        if waits is not None:
            wait(change=change, code=waits.code, until=waits.until, cause=cause)
            continue
        if not clearance.may_be_sent(change=change, cause=cause, now=now):
            continue
        instructions.append(
            _open(change, details=details, rail=rail, schedule=schedule, cause=cause, now=now)
        )
        clearance.begun(payout=change.payout, now=now)
    await payouts.save()
    await clearance.save(now=now)
    return instructions


def _details(
    payout: Payout, methods: Mapping[UUID, Method], vault: Vault, intents: IntentCheck
) -> Mapping[str, Any] | PayoutCode:
    method = None if payout.method_id is None else methods.get(payout.method_id)
    if not intents(payout, method):
        return PayoutCode.INTENT_INVALID
    if payout.method_id is None:
        return {"address": payout.address, "memo": payout.memo}
    if method is None or method.state is MethodState.REMOVED:
        return PayoutCode.METHOD_UNKNOWN
    if (method.address, method.memo, method.player) != (payout.address, payout.memo, payout.person):
        return PayoutCode.METHOD_MISMATCH
    try:
        opened = vault.open(method=method)
    except MethodUnreadable:
        return PayoutCode.METHOD_MISMATCH
    if method.commitment is not None:
        if vault.commitment(opened=opened) != method.commitment:
            return PayoutCode.METHOD_MISMATCH
    elif opened.details.get("address") != payout.address or opened.details.get("memo") != payout.memo:
        return PayoutCode.METHOD_MISMATCH
    return opened.details


def _open(
    change: Change, *, details: Mapping[str, Any], rail: Rail, schedule: Schedule, cause: str, now: datetime
) -> PayoutInstruction:
    payout = change.payout
    number = max(payout.attempts, change.last_attempt_no) + 1
    key = provider_key(payout_id=payout.payout_id, attempt_no=number)
    attempt = Attempt(
        payout_id=payout.payout_id,
        attempt_no=number,
        rail=rail.name,
        provider_key=key,
        request_hash=request_hash(
            payout_id=payout.payout_id,
            attempt_no=number,
            rail=rail.name,
            amount=payout.amount,
            intent=payout.intent,
        ),
        state=AttemptState.OPENED,
        provider_ref=None,
        code=None,
        answer=None,
        opened_at=now,
        changed_at=now,
    )
    begin_attempt(change=change, attempt=attempt, cause=cause, now=now, lease_ends=now + schedule.lease)
    return PayoutInstruction(
        payout_id=payout.payout_id,
        attempt_no=number,
        provider_key=key,
        correlation_id=payout.correlation_id,
        amount=payout.amount,
        method_type=payout.method_type,
        details=details,
        memo=payout.memo,
        quote=None if payout.quote is None else _quote_of(payout.quote),
    )


def _quote_of(bound: BoundQuote) -> Quote:
    return Quote(
        debit=bound.debit,
        pay=bound.pay,
        fee=bound.fee,
        fee_borne_by="recipient" if bound.fee_borne_by == "recipient" else "platform",
        expires_at=bound.expires_at,
        rate=bound.rate,
    )


def request_hash(
    *, payout_id: UUID, attempt_no: int, rail: str, amount: Amount, intent: Mapping[str, Any]
) -> str:
    """Hex SHA-256 of what was requested. The details are bound by the intent."""
    asked = [str(payout_id), attempt_no, rail, amount.asset.code, amount.to_wire()]
    return hashlib.sha256(json.dumps([*asked, intent], sort_keys=True).encode()).hexdigest()
