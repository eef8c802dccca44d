"""The steps of held prizes in a lineage: that a prize was held, and who released or rejected it."""

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Row, text

from prizewire_chassis.http import LineageEntry
from prizewire_money import Amount, AssetRegistry
from prizewire_rewards.ledger.domain.accounts import TransferType

SERVICE: Final = "rewards"


def held_prize(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    """A held prize, and the decision about it. While it is held, its present names the note of the rule.

    The amount is the one that was held last: after a correction, the step has the correction's time.
    """
    amount = Amount(assets[row.asset], row.amount).to_wire()
    of = {"round_id": str(row.round_id), "player": row.player, "asset": row.asset, "amount": amount}
    prize, waits = f"prize of {row.player}", row.decided_at is None
    now = {
        "state": row.state,
        "note": row.note,
        "waits_for": f"the release or rejection of {amount} {row.asset} of {row.player}, held by the rule {row.note}"
        if waits
        else None,
    }
    summary = f"{prize}: {amount} {row.asset} held in the reserve of its round"
    yield LineageEntry(row.held_at, SERVICE, "reward_held", str(row.reward), summary, {**of, "now": now})
    if waits:
        return
    decision = "rejected" if row.type == TransferType.PRIZE_RELEASED else "released"
    detail = {**of, "decided_by": row.actor, "reason": row.reason, "audit_record": row.sequence}
    summary = f"{prize}: {amount} {row.asset} {decision}"
    if row.actor is not None:
        summary += f" by {row.actor}: {row.reason}"
    yield LineageEntry(row.decided_at, SERVICE, f"reward_{decision}", str(row.reward), summary, detail)


# The transfer of a decision has a cause that names the prize. Who decided is in the audit, in the same transaction.
HELD = text(
    "SELECT DISTINCT ON (h.reward, h.decided_at) h.*, w.round_id, w.player, w.asset, w.state, w.note, "
    "a.sequence, a.actor, a.reason, coalesce((SELECT max(o.at) FROM corrections o WHERE o.round_id = w.round_id "
    "AND (h.decided_at IS NULL OR o.at <= h.decided_at)), (SELECT min(s.at) FROM transitions s "
    "WHERE s.subject = w.round_id AND s.to_state IN ('reserved', 'booking', 'final'))) AS held_at FROM ("
    "SELECT x.id AS reward, x.amount - x.short AS amount, CAST(NULL AS text) AS type, "
    "CAST(NULL AS timestamptz) AS decided_at FROM rounds r JOIN rewards x ON x.round_id = r.id AND x.state = 'held' "
    "WHERE r.correlation_id = :id UNION ALL "
    "SELECT CAST(split_part(t.cause, '/', 5) AS uuid), t.amount, t.type, t.at FROM ledger_journal t "
    "WHERE t.correlation_id = :id AND t.debit_kind = 'reserved' AND t.cause LIKE 'round/%/held/%') h "
    "JOIN rewards w ON w.id = h.reward LEFT JOIN audit_log a ON a.target = CAST(h.reward AS text) "
    "AND a.action IN ('reward.release', 'reward.reject') AND a.at >= h.decided_at "
    "ORDER BY h.reward, h.decided_at, a.sequence LIMIT :limit"
)


def campaign_switch(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    """A pause of the campaign that held a round, or what ended the pause. Who did it is in the audit."""
    del assets  # no amount moved
    what = {"campaign.paused": "paused", "campaign.active": "set active", "campaign.ended": "ended"}[
        row.action
    ]
    detail = {"campaign": str(row.campaign), "by": row.actor, "audit_record": row.sequence}
    kind = row.action.replace(".", "_")
    summary = f"campaign {row.name} {what} by {row.actor}"
    yield LineageEntry(row.at, SERVICE, kind, str(row.round_id), summary, detail)


CAMPAIGN_SWITCHES = text(
    "SELECT DISTINCT h.round_id, h.campaign, h.name, a.sequence, a.at, a.actor, a.action FROM ("
    "SELECT r.id AS round_id, r.campaign, c.name, p.at AS paused_at, p.to_state AS campaign_state, "
    "(SELECT min(n.at) FROM transitions n WHERE n.subject = r.id AND n.id > w.id) AS left_at "
    "FROM rounds r JOIN campaigns c ON c.id = r.campaign "
    "JOIN transitions w ON w.subject = r.id AND w.machine = 'round' AND w.to_state = 'unfunded' "
    "JOIN LATERAL (SELECT t.at, t.to_state FROM transitions t WHERE t.subject = r.campaign AND t.id < w.id "
    "ORDER BY t.id DESC LIMIT 1) p ON p.to_state = 'paused' WHERE r.correlation_id = :id) h "
    "JOIN audit_log a ON a.target = CAST(h.campaign AS text) "
    "AND a.action IN ('campaign.paused', 'campaign.active', 'campaign.ended') "
    "AND a.at >= h.paused_at AND a.at <= coalesce(h.left_at, 'infinity') ORDER BY a.sequence, h.round_id LIMIT :limit"
)
