"""Payouts and attempts of one transaction: loaded as changes, and saved with transitions and events."""

import hmac
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause

from prizewire_chassis.batches import batch_of
from prizewire_chassis.db import after_commit
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import EncodedEvent
from prizewire_money import Amount, AssetRegistry
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Attempt, Payout, deciding_attempt
from prizewire_payouts.payouts.domain.retries import Retry
from prizewire_payouts.payouts.domain.states import (
    NOT_ARRIVED_YET,
    AttemptState,
    PayoutNotFound,
    PayoutState,
)
from prizewire_payouts.payouts.messages import payout_events
from prizewire_payouts.payouts.storage import statements as sql
from prizewire_payouts.payouts.storage.batches import batch_columns, batch_place, save_batches
from prizewire_payouts.payouts.storage.counting import count
from prizewire_payouts.payouts.storage.quotes import bound_quote
from prizewire_payouts.payouts.storage.retries import retries_of, save_retries
from prizewire_payouts.payouts.storage.statements import dumps
from prizewire_payouts.unit_of_work import UnitOfWork


class PayoutStorage:
    """`prizewire_payouts.payouts.ports.Payouts` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._unit_of_work = unit_of_work
        self._tx = unit_of_work.tx
        self._changes: list[Change] = []

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Change]:
        """See the port."""
        changes = await self._load(sql.LOCK_PAYOUTS, {"ids": list(ids)})
        return {change.payout.payout_id: change for change in changes}

    async def lock_one(self, payout_id: UUID) -> Change:
        """See the port."""
        for change in await self._load(sql.LOCK_PAYOUTS, {"ids": [payout_id]}):
            return change
        raise PayoutNotFound(f"there is no payout {payout_id}{NOT_ARRIVED_YET}")

    async def lock_approved(self, *, rail: str, now: datetime, limit: int) -> list[Change]:
        """See the port."""
        return await self._claim(sql.LOCK_APPROVED, {"rail": rail, "now": now, "limit": limit})

    async def lock_watched(self, *, rail: str, now: datetime, limit: int) -> list[Change]:
        """See the port."""
        return await self._claim(sql.LOCK_WATCHED, {"rail": rail, "now": now, "limit": limit})

    async def lock_expired(self, *, now: datetime, limit: int) -> list[Change]:
        """See the port."""
        return await self._claim(sql.LOCK_EXPIRED, {"now": now, "limit": limit})

    async def lock_unrouted(self, *, rails: Sequence[str], limit: int) -> list[Change]:
        """See the port."""
        return await self._claim(sql.LOCK_UNROUTED, {"rails": list(rails), "limit": limit})

    async def retries(self, payout_id: UUID) -> list[Retry]:
        """See the port."""
        return await retries_of(self._tx, payout_id)

    def add(self, payout: Payout) -> Change:
        """See the port."""
        change = Change(payout, is_new=True, touched=True)
        self._changes.append(change)
        return change

    async def look_up_now(
        self, *, keys: Sequence[UUID], references: Sequence[tuple[str, str]], now: datetime
    ) -> int:
        """See the port."""
        found = await self._tx.execute(
            sql.LOOK_UP_NOW,
            {
                "keys": list(keys),
                "rails": [rail for rail, _ in references],
                "references": [reference for _, reference in references],
                "now": now,
            },
        )
        if found.rowcount:
            after_commit(self._tx, self._unit_of_work.wake_workers)
        return found.rowcount

    async def look_up_payouts_now(self, ids: Sequence[UUID], *, now: datetime) -> None:
        """Make these payouts due whose outcome is open or may change, and wake the rails' workers."""
        await self._tx.execute(sql.LOOK_UP_PAYOUTS_NOW, {"ids": list(ids), "now": now})
        after_commit(self._tx, self._unit_of_work.wake_workers)

    async def save(self) -> None:
        """See the port."""
        changes = sorted(
            (change for change in self._changes if change.touched),
            key=lambda change: change.payout.payout_id,
        )
        self._changes = []
        if not changes:
            return
        await save_batches(self._tx, changes)
        await self._save_payouts(changes)
        await self._save_attempts(changes)
        await self._save_transitions(changes)
        await save_retries(self._tx, changes)
        outbox = self._unit_of_work.outbox
        events: list[EncodedEvent] = []
        for change in changes:
            events.extend(payout_events(change, outbox=outbox))
        await outbox.add(self._tx, events)
        if any(change.payout.state is PayoutState.APPROVED for change in changes):
            after_commit(self._tx, self._unit_of_work.wake_workers)

    async def _claim(self, claim: sql.Claim, wanted: Mapping[str, Any]) -> list[Change]:
        batch = batch_of(self._tx)
        values = {**wanted, "limit": batch.limit(wanted["limit"]), "without": batch.without}
        if not batch.alone:
            return await self._load(claim.rows, values)
        return await self._load(sql.LOCK_PAYOUTS, {"ids": await batch.claim(self._tx, claim.ids, values)})

    async def _load(self, query: TextClause, wanted: Mapping[str, Any]) -> list[Change]:
        assets, mac = self._unit_of_work.assets, self._unit_of_work.mac
        former = self._unit_of_work.former_macs
        changes = [Change(payout_from(row, assets)) for row in await self._tx.execute(query, wanted)]
        if changes:
            ids = [change.payout.payout_id for change in changes]
            attempts: dict[UUID, list[Attempt]] = defaultdict(list)
            for row in await self._tx.execute(sql.ATTEMPTS, {"ids": ids}):
                attempts[row.payout_id].append(attempt_from(row, mac, former))
            for change in changes:
                _attach(change, attempts[change.payout.payout_id])
        signed = [change.payout.payout_id for change in changes if change.payout.needs_closure]
        if signed:
            unasked = await self._unit_of_work.signed_unasked(self._tx, signed)
            for change in changes:
                change.signed_unasked = change.payout.payout_id in unasked
        self._changes += changes
        return changes

    async def _save_payouts(self, changes: Sequence[Change]) -> None:
        """Insert new payouts and update all. The trigger sees each transition: the first comes with the update, each
        further one by a statement of its own.
        """
        new = [payout_json(change) for change in changes if change.is_new]
        if new:
            await self._tx.execute(sql.INSERT_PAYOUTS, {"rows": dumps(new)})
        await self._tx.execute(
            sql.UPDATE_PAYOUTS, {"rows": dumps([payout_json(change) for change in changes])}
        )
        for index in range(1, max(len(change.transitions) for change in changes)):
            moving = [change for change in changes if index < len(change.transitions)]
            await self._tx.execute(
                sql.MOVE_PAYOUTS,
                {
                    "ids": [change.payout.payout_id for change in moving],
                    "states": [change.transitions[index].new for change in moving],
                },
            )

    async def _save_attempts(self, changes: Sequence[Change]) -> None:
        mac = self._unit_of_work.mac
        new = [
            attempt_json(change.attempt, state=AttemptState.OPENED, mac=mac)
            for change in changes
            if change.attempt is not None and change.attempt_is_new
        ]
        if new:
            await self._tx.execute(sql.INSERT_ATTEMPTS, {"rows": dumps(new)})
        for index in range(max(len(change.attempt_transitions) for change in changes)):
            moving = [
                attempt_json(change.attempt, state=change.attempt_transitions[index].new, mac=mac)
                for change in changes
                if change.attempt is not None and index < len(change.attempt_transitions)
            ]
            await self._tx.execute(sql.UPDATE_ATTEMPTS, {"rows": dumps(moving)})
        confirmed = [
            attempt_json(change.attempt, state=change.attempt.state, mac=mac)
            for change in changes
            if change.attempt is not None and change.attempt_confirmed
        ]
        if confirmed:
            await self._tx.execute(sql.UPDATE_ATTEMPTS, {"rows": dumps(confirmed)})

    async def _save_transitions(self, changes: Sequence[Change]) -> None:
        transitions = [
            {
                "payout_id": change.payout.payout_id,
                "from_state": one.old,
                "to_state": one.new,
                "cause": one.cause,
                "actor": one.actor,
                "code": one.code,
                "correlation_id": change.payout.correlation_id,
                "at": one.at,
            }
            for change in changes
            for one in change.transitions
        ]
        if transitions:
            await self._tx.execute(sql.INSERT_TRANSITIONS, {"rows": dumps(transitions)})
        of_attempts = [
            {
                "payout_id": change.payout.payout_id,
                "attempt_no": one.attempt_no,
                "from_state": one.old,
                "to_state": one.new,
                "cause": one.cause,
                "code": one.code,
                "at": one.at,
            }
            for change in changes
            for one in change.attempt_transitions
        ]
        if of_attempts:
            await self._tx.execute(sql.INSERT_ATTEMPT_TRANSITIONS, {"rows": dumps(of_attempts)})
        after_commit(self._tx, lambda: count(changes))


def _attach(change: Change, attempts: Sequence[Attempt]) -> None:
    change.attempt = deciding_attempt(attempts)
    change.others_unproved = any(one is not change.attempt and not one.proved for one in attempts)
    change.last_attempt_no = max((one.attempt_no for one in attempts), default=0)
    change.first_sent_at = min((one.opened_at for one in attempts), default=None)


def payout_json(change: Change) -> dict[str, Any]:
    """A payout as a record of `jsonb_to_recordset`; its state is the one after the first transition of this change."""
    payout = change.payout
    state = change.transitions[0].new if change.transitions else payout.state
    return {
        "payout_id": payout.payout_id,
        "correlation_id": payout.correlation_id,
        "causation_id": payout.causation_id,
        "player": payout.player,
        "payee": payout.payee,
        "campaign": payout.campaign,
        "competition": payout.competition,
        "source": payout.source,
        "asset": payout.amount.asset.code,
        "amount_minor": payout.amount.minor,
        "method_id": payout.method_id,
        "method_version": payout.method_version,
        "method_type": payout.method_type,
        "rail_type": payout.rail_type,
        "address": payout.address,
        "memo": payout.memo,
        "filed_by": payout.filed_by,
        "reward_ids": list(payout.reward_ids),
        "sources": payout.sources,
        "one_person": payout.one_person,
        "quote": None if payout.quote is None else payout.quote.document,
        "intent": payout.intent,
        "intent_signature": payout.intent_signature,
        "intent_expires_at": payout.intent_expires_at,
        "needs_closure": payout.needs_closure,
        "state": state,
        "rail": payout.rail,
        "attempts": payout.attempts,
        "attempts_waived": payout.attempts_waived,
        "code": payout.code,
        "reason": payout.reason,
        "ends_as": payout.ends_as,
        "cancel_asked_by": payout.cancel_asked_by,
        "cancel_code": payout.cancel_code,
        "cancel_reason": payout.cancel_reason,
        "cancel_answer": payout.cancel_answer,
        "hold_no": payout.hold_no,
        "approvers_needed": payout.approvers_needed,
        "expiry_told": payout.expiry_told,
        "version": payout.version,
        "close_version": payout.close_version,
        "closure": payout.closure,
        "due_at": payout.due_at,
        "polls": payout.polls,
        "provider_ref": payout.provider_ref,
        "proof": payout.proof,
        "fee_minor": None if payout.fee is None else payout.fee.minor,
        "fee_asset": None if payout.fee is None else payout.fee.asset.code,
        "fee_borne_by": payout.fee_borne_by,
        "paid_at": payout.paid_at,
        "return_ref": payout.return_ref,
        "returned_minor": None if payout.returned is None else payout.returned.minor,
        **batch_columns(payout.batch),
        "retry_of": payout.retry_of,
        "retried_by": payout.retried_by,
        "requested_at": payout.requested_at,
        "changed_at": payout.changed_at,
    }


def payout_from(row: Row[Any], assets: AssetRegistry) -> Payout:
    """A payout as stored."""
    asset = assets[row.asset]
    fee = None if row.fee_minor is None else Amount(assets[row.fee_asset], row.fee_minor)
    return Payout(
        payout_id=row.payout_id,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        player=row.player,
        payee=row.payee,
        campaign=row.campaign,
        competition=row.competition,
        source=row.source,
        amount=Amount(asset, row.amount_minor),
        method_id=row.method_id,
        method_version=row.method_version,
        method_type=row.method_type,
        rail_type=row.rail_type,
        address=row.address,
        memo=row.memo,
        filed_by=row.filed_by,
        reward_ids=tuple(UUID(value) for value in row.reward_ids),
        # only a change behind the service's back stores anything but an object; like an empty one, it is not signed
        intent=row.intent if isinstance(row.intent, dict) else {},
        intent_signature=row.intent_signature,
        intent_expires_at=row.intent_expires_at,
        needs_closure=row.needs_closure,
        requested_at=row.requested_at,
        changed_at=row.changed_at,
        state=PayoutState(row.state),
        rail=row.rail,
        attempts=row.attempts,
        attempts_waived=row.attempts_waived,
        code=row.code,
        reason=row.reason,
        ends_as=None if row.ends_as is None else PayoutState(row.ends_as),
        cancel_asked_by=row.cancel_asked_by,
        cancel_code=row.cancel_code,
        cancel_reason=row.cancel_reason,
        cancel_answer=row.cancel_answer,
        hold_no=row.hold_no,
        approvers_needed=row.approvers_needed,
        expiry_told=row.expiry_told,
        version=row.version,
        close_version=row.close_version,
        closure=row.closure,
        due_at=row.due_at,
        polls=row.polls,
        provider_ref=row.provider_ref,
        proof=row.proof,
        fee=fee,
        fee_borne_by=row.fee_borne_by,
        paid_at=row.paid_at,
        return_ref=row.return_ref,
        returned=None if row.returned_minor is None else Amount(asset, row.returned_minor),
        sources=tuple((role, subject) for role, subject in row.sources),
        one_person=tuple(row.one_person),
        retry_of=row.retry_of,
        retried_by=row.retried_by,
        quote=bound_quote(row.quote, assets=assets),
        batch=batch_place(row),
    )


def attempt_json(attempt: Attempt, *, state: AttemptState, mac: Callable[[bytes], bytes]) -> dict[str, Any]:
    """An attempt as a record of `jsonb_to_recordset`, in the state given."""
    return {
        "payout_id": attempt.payout_id,
        "attempt_no": attempt.attempt_no,
        "rail": attempt.rail,
        "provider_key": attempt.provider_key,
        "request_hash": attempt.request_hash,
        "state": state,
        "provider_ref": attempt.provider_ref,
        "code": attempt.code,
        "answer": attempt.answer,
        "opened_at": attempt.opened_at,
        "changed_at": attempt.changed_at,
        "latency_ms": attempt.latency_ms,
        "mac": "\\x" + mac(attempt_message(replace(attempt, state=state))).hex(),
    }


def attempt_message(attempt: Attempt) -> bytes:
    """What the MAC of an attempt covers: what it is, how far it came, and the rail's name for it."""
    return canonical_bytes(
        [
            str(attempt.payout_id),
            attempt.attempt_no,
            attempt.rail,
            str(attempt.provider_key),
            attempt.request_hash,
            str(attempt.state),
            attempt.provider_ref,
        ]
    )


def attempt_from(
    row: Row[Any], mac: Callable[[bytes], bytes], former: Sequence[Callable[[bytes], bytes]] = ()
) -> Attempt:
    """An attempt as stored, compared with its MAC by the present key or by ``former`` ones."""
    attempt = Attempt(
        payout_id=row.payout_id,
        attempt_no=row.attempt_no,
        rail=row.rail,
        provider_key=row.provider_key,
        request_hash=row.request_hash,
        state=AttemptState(row.state),
        provider_ref=row.provider_ref,
        code=row.code,
        answer=row.answer,
        opened_at=row.opened_at,
        changed_at=row.changed_at,
        latency_ms=row.latency_ms,
    )
    message = attempt_message(attempt)
    if row.mac is not None and any(hmac.compare_digest(one(message), row.mac) for one in (mac, *former)):
        return attempt
    return replace(attempt, authentic=False, provider_ref=None)
