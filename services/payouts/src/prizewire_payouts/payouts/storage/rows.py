"""Payouts and attempts as rows, and rows as payouts and attempts."""

from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row

from prizewire_money import Amount, AssetRegistry
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.states import AttemptState, PayoutState

PAYOUT_FIXED: dict[str, str] = {
    "payout_id": "uuid",
    "correlation_id": "text",
    "causation_id": "text",
    "player": "text",
    "campaign": "text",
    "asset": "text",
    "amount_minor": "bigint",
    "method_id": "uuid",
    "method_version": "int",
    "method_type": "text",
    "rail_type": "text",
    "address": "text",
    "memo": "text",
    "filed_by": "text",
    "reward_ids": "jsonb",
    "sources": "jsonb",
    "one_person": "jsonb",
    "needs_closure": "boolean",
    "requested_at": "timestamptz",
}
"""Columns that are written once, when a payout is inserted."""
PAYOUT_COLUMNS: dict[str, str] = {
    "intent": "jsonb",
    "intent_signature": "text",
    "intent_expires_at": "timestamptz",
    "state": "text",
    "rail": "text",
    "attempts": "int",
    "attempts_waived": "int",
    "code": "text",
    "reason": "text",
    "ends_as": "text",
    "cancel_asked_by": "text",
    "cancel_code": "text",
    "cancel_reason": "text",
    "cancel_answer": "text",
    "hold_no": "int",
    "approvers_needed": "int",
    "expiry_told": "boolean",
    "version": "int",
    "close_version": "int",
    "closure": "text",
    "due_at": "timestamptz",
    "polls": "int",
    "provider_ref": "text",
    "proof": "jsonb",
    "fee_minor": "bigint",
    "fee_asset": "text",
    "fee_borne_by": "text",
    "paid_at": "timestamptz",
    "return_ref": "text",
    "returned_minor": "bigint",
    "changed_at": "timestamptz",
}
"""Columns that change."""
ATTEMPT_COLUMNS: dict[str, str] = {
    "payout_id": "uuid",
    "attempt_no": "int",
    "rail": "text",
    "provider_key": "uuid",
    "request_hash": "text",
    "state": "text",
    "provider_ref": "text",
    "code": "text",
    "answer": "jsonb",
    "opened_at": "timestamptz",
    "changed_at": "timestamptz",
}


def dumps(value: Any) -> str:
    """JSON text for a jsonb parameter."""
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: Any) -> str:
    """The driver's own UUID is a subclass that orjson does not know."""
    if isinstance(value, UUID):
        return str(value)
    msg = f"{type(value).__name__} has no JSON"
    raise TypeError(msg)


def payout_json(change: Change) -> dict[str, Any]:
    """A payout as a record of `jsonb_to_recordset`; its state is the one after the first transition of this change."""
    payout = change.payout
    state = change.transitions[0].new if change.transitions else payout.state
    return {
        "payout_id": payout.payout_id,
        "correlation_id": payout.correlation_id,
        "causation_id": payout.causation_id,
        "player": payout.player,
        "campaign": payout.campaign,
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
        campaign=row.campaign,
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
    )


def attempt_json(attempt: Attempt, *, state: AttemptState) -> dict[str, Any]:
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
    }


def attempt_from(row: Row[Any]) -> Attempt:
    """An attempt as stored."""
    return Attempt(
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
    )
