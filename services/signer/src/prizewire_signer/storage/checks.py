"""The queries of the continuous checks, and of the length of the queue."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_money import Asset
from prizewire_signer.domain.invariants import (
    DayUse,
    LiveDigest,
    SignedDigest,
    answers_counted,
    limits_kept,
    one_live_slot,
    signatures_approved,
)
from prizewire_signer.ports import QueueState


async def breaches_of(tx: AsyncConnection, now: datetime) -> dict[str, list[str]]:
    """Breaches by the name of the invariant; all lists empty where everything holds. The audit chain is the chassis' check."""
    found = await tx.execute(_LIVE, {"now": int(now.timestamp())})
    live = [LiveDigest(row.payout_id, row.slot_id) for row in found]
    signed = [
        SignedDigest(bytes(row.tx_hash).hex(), row.approvals, row.payouts, row.approved)
        for row in await tx.execute(_SIGNED)
    ]
    days = [
        DayUse(
            row.scope,
            Asset(row.asset, row.decimals, row.redeemable),
            row.window_start.isoformat(),
            row.used_minor,
            int(row.counted),
            row.ceiling_minor,
        )
        for row in await tx.execute(_DAYS)
    ]
    counters = (await tx.execute(_COUNTERS)).one()
    return {
        "one_live_slot": one_live_slot(live),
        "signatures_approved": signatures_approved(signed),
        "limits_kept": limits_kept(days),
        "answers_counted": answers_counted(
            watermark=counters.watermark, answers=counters.answers, highest=counters.highest
        ),
    }


async def queue_state(tx: AsyncConnection, now: datetime) -> QueueState:
    """How much waits, and how much of today's limits is used."""
    queue = (await tx.execute(_QUEUE)).one()
    limits = await tx.execute(_TODAY, {"day": now.date()})
    return QueueState(
        waiting=queue.waiting,
        oldest_s=0.0 if queue.oldest is None else max(0.0, (now - queue.oldest).total_seconds()),
        limits={(row.scope, row.asset): (row.used_minor, row.ceiling_minor) for row in limits},
        not_free_yet=(await tx.execute(_NOT_FREE, {"now": now})).scalar_one(),
    )


# A digest may be applied while its slot is open, whatever its maxTime, and before its maxTime, whatever the state of its
# slot. Only payouts with several live slots can be a breach, so only they leave the database.
_LIVE = text(
    "WITH live AS (SELECT DISTINCT p.payout_id, d.slot_id FROM digest_payouts p JOIN digests d USING (tx_hash) "
    "JOIN slots s USING (slot_id) WHERE s.state = 'open' OR d.max_time >= :now OR (s.state = 'succeeded' AND s.consumed_by = d.tx_hash)) "
    "SELECT payout_id, slot_id FROM live WHERE payout_id IN "
    "(SELECT payout_id FROM live GROUP BY payout_id HAVING count(*) > 1)"
)
_SIGNED = text(
    "SELECT d.tx_hash, count(DISTINCT d.approval) FILTER (WHERE d.approval ->> 'tx_hash' = encode(d.tx_hash, 'hex')) "
    "AS approvals, count(p.payout_id) AS payouts, "
    "count(p.payout_id) FILTER (WHERE d.approval -> 'items' ->> p.op::int = p.payout_id::text) AS approved "
    "FROM digests d LEFT JOIN digest_payouts p USING (tx_hash) "
    "WHERE EXISTS (SELECT 1 FROM signatures g WHERE g.tx_hash = d.tx_hash) GROUP BY d.tx_hash "
    "HAVING count(*) FILTER (WHERE d.approval ->> 'tx_hash' = encode(d.tx_hash, 'hex')) = 0 "
    "OR count(p.payout_id) <> count(p.payout_id) FILTER (WHERE d.approval -> 'items' ->> p.op::int = p.payout_id::text) "
    "OR count(p.payout_id) <> max(jsonb_array_length(d.approval -> 'items'))"
)
_DAYS = text(
    "SELECT l.scope, l.asset, l.window_start, l.used_minor, l.ceiling_minor, "
    "coalesce((SELECT sum(c.amount_minor) FROM limit_counts c WHERE c.day = l.window_start AND c.asset = l.asset "
    "AND (l.scope = 'day' OR c.again)), 0) + coalesce((SELECT sum(p.amount_minor) FROM payouts p "
    "WHERE p.closed_on = l.window_start AND p.asset = l.asset AND l.scope = 'again'), 0) AS counted, "
    "coalesce(k.decimals, 0) AS decimals, coalesce(k.redeemable, true) AS redeemable "
    "FROM limit_use l LEFT JOIN assets k ON k.code = l.asset WHERE l.scope IN ('again', 'day')"
)
_COUNTERS = text(
    "SELECT (SELECT counter FROM watermark) AS watermark, count(*) AS answers, coalesce(max(counter), 0) AS highest "
    "FROM answers"
)
_QUEUE = text(
    "SELECT count(*) AS waiting, min(received_at) AS oldest FROM signing_work WHERE state IN ('queued', 'recorded')"
)
_TODAY = text(
    "SELECT scope, asset, used_minor, ceiling_minor FROM limit_use WHERE scope IN ('again', 'day') "
    "AND window_start = :day"
)
_NOT_FREE = text("SELECT count(*) FROM payouts WHERE free_at > :now")
