"""Rewards' steps of a correlation id: rounds, transfers, payout requests, state changes."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_money import Amount, AssetRegistry

__all__ = ["lineage_of"]

SERVICE = "rewards"
TRANSFERS_MAX = 5_000
"""A round of a hundred thousand prizes is not told transfer by transfer."""


async def lineage_of(
    tx: AsyncConnection, correlation_id: str, *, assets: AssetRegistry
) -> list[LineageEntry]:
    """Every step in order of time; within one moment rounds come before the transfers and payouts they caused."""
    entries: list[tuple[datetime, int, LineageEntry]] = []

    def add(rank: int, entry: LineageEntry) -> None:
        entries.append((entry.at, rank, entry))

    def wire(row: Any, amount: int) -> str:
        return Amount(assets[row.asset], amount).to_wire()

    for row in await tx.execute(_ROUNDS, {"id": correlation_id}):
        detail = {
            "match_id": row.match_id,
            "competition": row.competition,
            "campaign": str(row.campaign),
            "rule_version": row.rule_version,
            "settlement_version": row.settlement_version,
            "asset": row.asset,
            "gross": wire(row, row.gross),
            "net": wire(row, row.net),
            "lines": row.lines_total,
            "state": row.state,
        }
        summary = f"round of {row.match_id}: {detail['gross']} {row.asset} in {row.lines_total} prizes"
        add(0, LineageEntry(row.settled_at, SERVICE, "round", str(row.id), summary, detail))
    for row in await tx.execute(_STEPS, {"id": correlation_id}):
        summary = f"{row.machine} {row.from_state or 'new'} → {row.to_state}"
        detail = {"from": row.from_state, "to": row.to_state, "cause": row.cause}
        add(1, LineageEntry(row.at, SERVICE, f"{row.machine}_state", str(row.subject), summary, detail))
    for row in await tx.execute(_TRANSFERS, {"id": correlation_id, "limit": TRANSFERS_MAX}):
        detail = {
            "type": row.type,
            "debit": f"{row.debit_kind} {row.debit_owner}",
            "credit": f"{row.credit_kind} {row.credit_owner}",
            "asset": row.asset,
            "amount": wire(row, row.amount),
            "group": str(row.group_id),
        }
        summary = f"{row.type}: {detail['amount']} {row.asset} from {detail['debit']} to {detail['credit']}"
        add(2, LineageEntry(row.at, SERVICE, "transfer", str(row.id), summary, detail))
    for row in await tx.execute(_PAYOUTS, {"id": correlation_id}):
        detail = {
            "player": row.player,
            "asset": row.asset,
            "amount": wire(row, row.amount),
            "state": row.state,
            "intent_signature": row.intent_signature,
            "rails": list(row.rail_types),
        }
        summary = f"payout of {detail['amount']} {row.asset} to {row.player} requested, intent signed"
        add(3, LineageEntry(row.requested_at, SERVICE, "payout_request", str(row.id), summary, detail))
    return [entry for _, _, entry in sorted(entries, key=lambda item: (item[0], item[1]))]


_ROUNDS = text("SELECT * FROM rounds WHERE correlation_id = :id")
_STEPS = text(
    "SELECT t.* FROM transitions t WHERE t.subject IN ("
    "SELECT id FROM rounds WHERE correlation_id = :id UNION SELECT id FROM payouts WHERE correlation_id = :id) "
    "ORDER BY t.id"
)
_TRANSFERS = text(
    "SELECT t.*, d.owner AS debit_owner, c.owner AS credit_owner FROM ledger_transfers t "
    "JOIN ledger_accounts d ON d.id = t.debit_account JOIN ledger_accounts c ON c.id = t.credit_account "
    "WHERE t.correlation_id = :id ORDER BY t.seq LIMIT :limit"
)
_PAYOUTS = text("SELECT * FROM payouts WHERE correlation_id = :id")
