"""Requests to retry ended payouts, and rewards' answers, over PostgreSQL."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.retries import Retry, RetryAnswer
from prizewire_payouts.payouts.storage.statements import dumps

_COLUMNS = (
    "payout_id",
    "retry_no",
    "asked_by",
    "reason",
    "method_id",
    "asked_at",
    "retried_by",
    "code",
    "detail",
    "answered_at",
)
_OF_PAYOUT = text(
    f"SELECT {', '.join(_COLUMNS)} FROM payout_retries WHERE payout_id = :id ORDER BY retry_no"  # noqa: S608 - column names of our own
)
_INSERT = text(
    "INSERT INTO payout_retries (payout_id, retry_no, asked_by, reason, method_id, asked_at) "
    "SELECT payout_id, retry_no, asked_by, reason, method_id, asked_at FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
    "AS r(payout_id uuid, retry_no int, asked_by text, reason text, method_id uuid, asked_at timestamptz)"
)
_ANSWER = text(
    "UPDATE payout_retries p SET retried_by = r.retried_by, code = r.code, detail = r.detail, answered_at = r.at "
    "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
    "AS r(payout_id uuid, retry_no int, retried_by uuid, code text, detail text, at timestamptz) "
    "WHERE p.payout_id = r.payout_id AND p.answered_at IS NULL AND p.retry_no = coalesce(r.retry_no, p.retry_no)"
)


async def retries_of(tx: AsyncConnection, payout_id: UUID) -> list[Retry]:
    """The requests to retry a payout, in their order."""
    return [Retry(**row) for row in (await tx.execute(_OF_PAYOUT, {"id": payout_id})).mappings()]


async def save_retries(tx: AsyncConnection, changes: Sequence[Change]) -> None:
    """Store new requests, and answers to open ones."""
    asked = [asdict(change.retry) for change in changes if isinstance(change.retry, Retry)]
    if asked:
        await tx.execute(_INSERT, {"rows": dumps(asked)})
    answered = [
        {"payout_id": change.payout.payout_id, **asdict(change.retry)}
        for change in changes
        if isinstance(change.retry, RetryAnswer)
    ]
    if answered:
        await tx.execute(_ANSWER, {"rows": dumps(answered)})
