"""The queries of the continuous checks, and of the length of the queue."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_money import Asset
from prizewire_signer.domain.invariants import (
    ANSWER_WITHIN_S,
    Closing,
    DayUse,
    LiveDigest,
    SignedDigest,
    answers_counted,
    closings_answered,
    limits_kept,
    one_live_slot,
    requests_answered,
    signatures_approved,
)
from prizewire_signer.domain.model import AssetLimits
from prizewire_signer.ports import QueueState
from prizewire_signer.storage.limits import SCOPE_AGAIN, SCOPE_DAY


async def breaches_of(
    tx: AsyncConnection, now: datetime, *, limits: Mapping[str, AssetLimits]
) -> dict[str, list[str]]:
    """Breaches by the name of the invariant; all lists empty where everything holds. The audit chain is the chassis' check.

    ``limits`` are those of the policy. What was used today and yesterday is compared with them, since a ceiling in the
    database could have been raised.
    """
    since = (now.astimezone(UTC) - timedelta(days=1)).date()
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
            _allowed(limits, row.scope, row.asset) if row.window_start >= since else None,
        )
        for row in await tx.execute(_DAYS)
    ]
    closings = [
        Closing(row.payout_id, row.closed_on.isoformat(), None if row.day is None else row.day.isoformat())
        for row in await tx.execute(_CLOSINGS)
    ]
    counters = (await tx.execute(_COUNTERS)).one()
    back = (await tx.execute(_BACK)).scalars().all()
    waiting = await tx.execute(_WAITING, {"before": now - timedelta(seconds=ANSWER_WITHIN_S)})
    return {
        "one_live_slot": one_live_slot(live),
        "signatures_approved": signatures_approved(signed),
        "limits_kept": limits_kept(days),
        "closings_answered": closings_answered(closings),
        "answers_counted": answers_counted(
            watermark=counters.watermark, answers=counters.answers, highest=counters.highest, back=back
        ),
        "requests_answered": requests_answered((row.id, row.subject, row.received_at) for row in waiting),
    }


def _allowed(limits: Mapping[str, AssetLimits], scope: str, asset: str) -> int:
    """The policy's limit; nothing of an asset that it does not name."""
    if asset not in limits:
        return 0
    return limits[asset].again_minor_max if scope == SCOPE_AGAIN else limits[asset].day_minor_max


async def queue_state(tx: AsyncConnection, now: datetime, *, limits: Mapping[str, AssetLimits]) -> QueueState:
    """How much waits, and how much of today's limits is used. Of the limits of the policy, ``limits``, nothing is used before the
    first signature of the day.
    """
    queue = (await tx.execute(_QUEUE)).one()
    used = {
        (scope, asset): (0, _allowed(limits, scope, asset))
        for asset in limits
        for scope in (SCOPE_DAY, SCOPE_AGAIN)
    }
    for row in await tx.execute(_TODAY, {"day": now.date()}):
        used[row.scope, row.asset] = (row.used_minor, row.ceiling_minor)
    return QueueState(
        waiting=queue.waiting,
        oldest_s=0.0 if queue.oldest is None else max(0.0, (now - queue.oldest).total_seconds()),
        limits=used,
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
    "WITH counted AS (SELECT scope, day, asset, sum(greatest(amount_minor, 0)) AS counted FROM ("
    "SELECT 'day' AS scope, day, asset, amount_minor FROM limit_counts UNION ALL "
    "SELECT 'again', day, asset, amount_minor FROM limit_counts WHERE again UNION ALL "
    "SELECT 'again', closed_on, asset, amount_minor FROM payouts WHERE closed_on IS NOT NULL) c GROUP BY scope, day, asset), "
    "used AS (SELECT scope, window_start, asset, used_minor, ceiling_minor FROM limit_use WHERE scope IN ('again', 'day')) "
    "SELECT coalesce(l.scope, c.scope) AS scope, coalesce(l.asset, c.asset) AS asset, "
    "coalesce(l.window_start, c.day) AS window_start, coalesce(l.used_minor, 0) AS used_minor, "
    "coalesce(l.ceiling_minor, 0) AS ceiling_minor, coalesce(c.counted, 0) AS counted, "
    "coalesce(k.decimals, 0) AS decimals, coalesce(k.redeemable, true) AS redeemable "
    "FROM used l FULL JOIN counted c ON c.scope = l.scope AND c.day = l.window_start AND c.asset = l.asset "
    "LEFT JOIN assets k ON k.code = coalesce(l.asset, c.asset)"
)
_CLOSINGS = text(
    "SELECT p.payout_id, p.closed_on, (a.at AT TIME ZONE 'UTC')::date AS day FROM payouts p LEFT JOIN LATERAL ("
    "SELECT at FROM answers WHERE kind = 'closed' AND subject = CAST(p.payout_id AS text) ORDER BY counter LIMIT 1) a ON true "
    "WHERE p.closed_on IS NOT NULL AND (a.at IS NULL OR (a.at AT TIME ZONE 'UTC')::date <> p.closed_on) LIMIT 100"
)
# Several signers have several clocks.
_BACK = text(
    "SELECT counter FROM (SELECT counter, at, lag(at) OVER (ORDER BY counter) AS before FROM answers) a "
    "WHERE at < before - interval '5 minutes' ORDER BY counter LIMIT 100"
)
_COUNTERS = text(
    "SELECT (SELECT counter FROM watermark) AS watermark, count(*) AS answers, coalesce(max(counter), 0) AS highest "
    "FROM answers"
)
_WAITING = text(
    "SELECT id, subject, received_at FROM signing_work WHERE state IN ('queued', 'recorded') AND received_at < :before "
    "ORDER BY id LIMIT 100"
)
_QUEUE = text(
    "SELECT count(*) AS waiting, min(received_at) AS oldest FROM signing_work WHERE state IN ('queued', 'recorded')"
)
_TODAY = text(
    "SELECT scope, asset, used_minor, ceiling_minor FROM limit_use WHERE scope IN ('again', 'day') "
    "AND window_start = :day"
)
_NOT_FREE = text("SELECT count(*) FROM payouts WHERE free_at > :now")
