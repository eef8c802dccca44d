"""What the controllers share: their parts, how errors are answered, how things are shown."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem
from prizewire_chassis.idempotency import idempotent
from prizewire_contracts.parties import PartyRole
from prizewire_money import AssetRegistry
from prizewire_payouts.domain.errors import (
    ApprovalRefused,
    CancelRefused,
    IllegalTransition,
    MethodError,
    PauseRefused,
    PayoutError,
    PayoutNotFound,
    ReviewNotFound,
    ReviewRefused,
)
from prizewire_payouts.domain.methods import mask
from prizewire_payouts.domain.model import Attempt, Method, Payout
from prizewire_payouts.domain.policy import ApprovalPolicy
from prizewire_payouts.domain.states import PayoutState
from prizewire_payouts.ports import AddressCheck, Rail, Store, Vault

__all__ = ["HttpParts", "Work", "act", "problem", "shown_method", "shown_parties", "shown_payout"]

Work = Callable[[AsyncConnection, Store, UUID | None], Awaitable[tuple[int, Any]]]

_STATUS: dict[type[PayoutError], int] = {
    PayoutNotFound: 404,
    ReviewNotFound: 404,
    ReviewRefused: 409,
    ApprovalRefused: 409,
    CancelRefused: 409,
    IllegalTransition: 409,
    PauseRefused: 422,
    MethodError: 422,
}
_STATUS_BY_CODE = {
    "method_not_found": 404,
    "pause_not_found": 404,
    **{f"approver_is_{role.value}": 403 for role in PartyRole},
    "decider_is_party": 403,
    "method_removed": 409,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """What the controllers work with."""

    db: Database
    store: Callable[[AsyncConnection], Store]
    audit: Audit
    clock: Clock
    vault: Vault
    policy: ApprovalPolicy
    rails: Sequence[Rail]
    assets: AssetRegistry
    address_kind: AddressCheck


async def act(
    parts: HttpParts,
    *,
    actor: Principal,
    route: str,
    key: str | None,
    body: Mapping[str, Any],
    key_required: bool,
    work: Work,
) -> Response[Any]:
    """Do ``work`` in one transaction, once for each idempotency key; without a key, where none is required, at
    each call.

    Raises:
        Problem: what the domain refused, with its code.
    """

    async def run(tx: AsyncConnection) -> Response[Any]:
        store = parts.store(tx)
        if key is None and not key_required:
            status, answer = await work(tx, store, None)
            return Response(answer, status_code=status)

        async def once(identifier: UUID) -> tuple[int, Any]:
            return await work(tx, store, identifier)

        found = await idempotent(
            tx,
            actor=actor.subject,
            route=route,
            key=key,
            body=dict(body),
            now=parts.clock.now(),
            work=once,
        )
        headers = {"idempotency-replayed": "true"} if found.replayed else {}
        return Response(found.body, status_code=found.status, headers=headers)

    try:
        return await parts.db.run(run)
    except PayoutError as error:
        raise problem(error) from None


def problem(error: PayoutError) -> Problem:
    """A refusal of the domain as an answer."""
    status = _STATUS_BY_CODE.get(error.code) or _STATUS.get(type(error), 409)
    return Problem(status=status, code=error.code, detail=str(error))


def shown_method(method: Method, *, destination: str, shared_with: int | None = None) -> dict[str, Any]:
    """A method as its owner and operators see it: never its details in full."""
    shown: dict[str, Any] = {
        "id": str(method.method_id),
        "version": method.version,
        "player": method.player,
        "type": method.type,
        "state": str(method.state),
        "is_default": method.is_default,
        "verified": method.verified,
        "destination": mask(destination),
        "memo": None if method.memo is None else mask(method.memo),
        "registered_by": "staff" if method.by_staff else "player",
        "registered_at": method.registered_at.isoformat(),
    }
    if shared_with is not None:
        shown["shared_with"] = shared_with
    return shown


def _next_attempt(payout: Payout) -> str | None:
    """When an approved payout is tried again; what it waits for is its code."""
    waits = payout.state is PayoutState.APPROVED and payout.attempts > 0 and payout.due_at is not None
    return payout.due_at.isoformat() if waits and payout.due_at is not None else None


def shown_parties(payout: Payout) -> dict[str, Any]:
    """Who may not decide on a payout, for staff alone; ``one_person`` decided alone who is paid some of it."""
    return {
        "parties": [{"role": role, "subject": subject} for role, subject in payout.parties],
        "one_person": list(payout.one_person),
    }


def shown_payout(payout: Payout, *, attempts: Sequence[Attempt] | None = None) -> dict[str, Any]:
    """A payout as its owner and operators see it."""
    proof = dict(payout.proof or {})
    shown: dict[str, Any] = {
        "payout_id": str(payout.payout_id),
        "correlation_id": payout.correlation_id,
        "player": payout.player,
        "state": str(payout.state),
        "code": payout.code,
        "reason": payout.reason,
        "asset": payout.amount.asset.code,
        "amount": payout.amount.to_wire(),
        "method_id": None if payout.method_id is None else str(payout.method_id),
        "method_type": payout.method_type,
        "rail": payout.rail,
        "filed_by": payout.filed_by,
        "attempts": payout.attempts,
        "attempts_waived": payout.attempts_waived,
        "next_attempt_at": _next_attempt(payout),
        "approvers_needed": payout.approvers_needed,
        "cancel_asked_by": payout.cancel_asked_by,
        "provider_ref": payout.provider_ref,
        "tx_hash": proof.get("tx_hash"),
        "ledger": proof.get("ledger"),
        "proof": proof or None,
        "fee": None if payout.fee is None else payout.fee.to_wire(),
        "fee_asset": None if payout.fee is None else payout.fee.asset.code,
        "requested_at": payout.requested_at.isoformat(),
        "changed_at": payout.changed_at.isoformat(),
        "paid_at": None if payout.paid_at is None else payout.paid_at.isoformat(),
    }
    if attempts is not None:
        shown["attempt_list"] = [
            {
                "attempt_no": attempt.attempt_no,
                "rail": attempt.rail,
                "state": str(attempt.state),
                "provider_key": str(attempt.provider_key),
                "provider_ref": attempt.provider_ref,
                "code": attempt.code,
                "opened_at": attempt.opened_at.isoformat(),
                "changed_at": attempt.changed_at.isoformat(),
            }
            for attempt in attempts
        ]
    return shown
