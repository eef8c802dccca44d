"""The lineage of a correlation id on the chain and at the signer: from the queue to the ledger number."""

from typing import Any, Final

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_contracts.text import counted
from prizewire_payouts.stellar.domain.states import TransactionState

SERVICE = "payouts"
SIGNER = "signer"
_BEFORE_BUILD: Final = frozenset({TransactionState.LEASED, TransactionState.RELEASED})
"""The steps of a transaction that has no hash yet."""
_SUMS = "prizewire.signing.messages_refused.v1"

_STEPS = text(
    "SELECT t.at, t.from_state, t.to_state, t.reason, t.cause, a.attempt_id, a.account, a.revision, a.tx_hash, "
    "a.result_ledger, a.sent_ledger, a.fee_charged, s.sequence, s.slot_id, n.items "
    "FROM stellar_transitions t JOIN stellar_attempts a USING (attempt_id) "
    "LEFT JOIN stellar_slots s USING (slot_id) "
    "JOIN (SELECT i.attempt_id, count(*) AS items FROM stellar_items i JOIN stellar_payments p USING (provider_key) "
    "JOIN payouts o USING (payout_id) WHERE o.correlation_id = :correlation GROUP BY i.attempt_id) n USING (attempt_id) ORDER BY t.id"
)
_SIGNER = text(
    "SELECT r.event_id, r.type, r.subject, r.at, r.event FROM stellar_signing_results r WHERE r.event_id IN ("
    "SELECT event_id FROM stellar_signing_results WHERE correlation_id = :correlation "
    "UNION SELECT o.event_id FROM stellar_signing_results o WHERE o.subject IN ("
    "SELECT CAST(a.slot_id AS text) FROM stellar_attempts a JOIN stellar_items i USING (attempt_id) "
    "JOIN stellar_payments p USING (provider_key) JOIN payouts o USING (payout_id) "
    "WHERE o.correlation_id = :correlation AND a.slot_id IS NOT NULL)) "
    "ORDER BY r.at, r.event_id"
)


async def lineage(tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
    """Every step of each transaction that carries payments of this id, and every answer of the signer to them."""
    wanted = {"correlation": correlation_id}
    steps = [_step(row) for row in await tx.execute(_STEPS, wanted)]
    answers = (await tx.execute(_SIGNER, wanted)).all()
    # only the newest sum of refused messages is current
    sums = [row for row in answers if row.type == _SUMS][-1:]
    signer = [_signer(row) for row in [*sums, *(row for row in answers if row.type != _SUMS)]]
    return sorted(steps + signer, key=lambda entry: entry.at)


def _step(row: Row[Any]) -> LineageEntry:
    tx_hash = None if row.to_state in _BEFORE_BUILD else row.tx_hash
    detail = {
        "transaction": row.attempt_id,
        "items_of_this_id": row.items,
        "channel": row.account,
        "sequence": None if row.sequence is None else str(row.sequence),
        "revision": row.revision,
        "tx_hash": tx_hash,
        "reason": row.reason,
        "cause": row.cause,
    }
    ledger = row.result_ledger if row.to_state in ("succeeded", "failed") else None
    if ledger is not None:
        detail |= {"ledger": ledger, "fee_stroops": row.fee_charged}
    where = f" in ledger {ledger}" if ledger is not None else ""
    return LineageEntry(
        at=row.at,
        service=SERVICE,
        kind=f"stellar.{row.to_state}",
        id=tx_hash or str(row.attempt_id),
        summary=f"Stellar transaction {row.to_state}{where}: {counted(row.items, 'payment')} of this id",
        detail=detail,
    )


def _signer(row: Row[Any]) -> LineageEntry:
    data = row.event["data"]
    kind = row.type.removeprefix("prizewire.").removesuffix(".v1")
    detail = {"event_id": row.event_id, "counter": data.get("counter"), "keyid": row.event.get("keyid")}
    if "tx_hash" in data:
        detail |= {"tx_hash": data["tx_hash"], "revision": data["revision"], "slot": data["slot"]}
    if "signatures" in data:
        detail["signed_by"] = [one["public_key"] for one in data["signatures"]]
        summary = f"signed {data['tx_hash']} with {counted(len(data['signatures']), 'key')}"
    elif "kinds" in data:
        detail |= {"kinds": data["kinds"]}
        summary = f"refused {counted(sum(one['count'] for one in data['kinds']), 'message')} unread"
    elif "tx_hash" in data:
        detail |= {"code": data["code"], "items": data["items"]}
        summary = f"refused {data['tx_hash']}: {data['code']}"
    else:
        detail |= {"payout_id": data["payout_id"], "code": data.get("code")}
        refused = f"cannot close: {data.get('code') or 'a slot is bound'}"
        summary = "will never sign for this payout" if kind == "signing.closed" else refused
    return LineageEntry(at=row.at, service=SIGNER, kind=kind, id=row.subject, summary=summary, detail=detail)
