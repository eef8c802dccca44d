"""Rewards' steps of a correlation id: entries, top-ups, rounds and their corrections, transfers, debts, payout requests,
state changes.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_money import Amount, AssetRegistry

__all__ = ["ENTRIES_MAX", "lineage_of"]

SERVICE = "rewards"
ENTRIES_MAX = 5_000
"""Entries of one kind: a round of a hundred thousand prizes is not told prize by prize."""


async def lineage_of(
    tx: AsyncConnection, correlation_id: str, *, assets: AssetRegistry, entries_max: int = ENTRIES_MAX
) -> list[LineageEntry]:
    """Every step in order of time; within one moment rounds come before the transfers and payouts they caused.

    Of each kind the first ``entries_max`` are told; where there are more, the last entry, of the kind ``more``, says
    of what.
    """
    entries: list[tuple[datetime, int, LineageEntry]] = []
    cut: list[str] = []
    for rank, (plural, statement, told) in enumerate(_KINDS):
        rows = (await tx.execute(statement, {"id": correlation_id, "limit": entries_max + 1})).all()
        if len(rows) > entries_max:
            cut.append(plural)
        entries.extend((entry.at, rank, entry) for entry in (told(row, assets) for row in rows[:entries_max]))
    found = [entry for _, _, entry in sorted(entries, key=lambda item: (item[0], item[1]))]
    if cut:
        summary = f"there are more {' and '.join(cut)} than the first {entries_max} told here"
        detail = {"cut": cut, "told_of_each": entries_max}
        found.append(LineageEntry(found[-1].at, SERVICE, "more", correlation_id, summary, detail))
    return found


def _wire(row: Row[Any], amount: int, assets: AssetRegistry) -> str:
    return Amount(assets[row.asset], amount).to_wire()


def _round(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "match_id": row.match_id,
        "competition": row.competition,
        "campaign": str(row.campaign),
        "rule_version": row.rule_version,
        "settlement_version": row.settlement_version,
        "asset": row.asset,
        "gross": _wire(row, row.gross, assets),
        "net": _wire(row, row.net, assets),
        "short": _wire(row, row.short, assets),
        "lines": row.lines_total,
        "state": row.state,
    }
    summary = f"round of {row.match_id}: {detail['gross']} {row.asset} in {row.lines_total} prizes"
    return LineageEntry(row.settled_at, SERVICE, "round", str(row.id), summary, detail)


def _step(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    del assets  # a step has no amount
    summary = f"{row.machine} {row.from_state or 'new'} → {row.to_state}"
    detail = {"from": row.from_state, "to": row.to_state, "cause": row.cause}
    return LineageEntry(row.at, SERVICE, f"{row.machine}_state", str(row.subject), summary, detail)


def _transfer(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "type": row.type,
        "debit": f"{row.debit_kind} {row.debit_owner}",
        "credit": f"{row.credit_kind} {row.credit_owner}",
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "group": str(row.group_id),
    }
    summary = f"{row.type}: {detail['amount']} {row.asset} from {detail['debit']} to {detail['credit']}"
    return LineageEntry(row.at, SERVICE, "transfer", str(row.id), summary, detail)


def _payout(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "player": row.player,
        "funding_account": row.funding_account,
        "filed_by": row.filed_by,
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "fee": _wire(row, row.fee, assets),
        "state": row.state,
        "intent_signature": row.intent_signature,
        "rails": list(row.rail_types),
    }
    whose = f"to {row.player}" if row.player else f"out of {row.funding_account}"
    summary = f"payout of {detail['amount']} {row.asset} {whose} requested, intent signed"
    return LineageEntry(row.requested_at, SERVICE, "payout_request", str(row.id), summary, detail)


def _entry(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "round_id": str(row.round_id),
        "player": row.player,
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "from_topup": _wire(row, row.from_topup, assets),
        "from_winnings": _wire(row, row.from_winnings, assets),
        "state": row.state,
        "code": row.code,
    }
    summary = f"entry of {row.player} for {detail['amount']} {row.asset}: {row.state}"
    return LineageEntry(row.entered_at, SERVICE, "entry", str(row.id), summary, detail)


def _topup(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "player": row.player,
        "asset": row.asset,
        "credited": _wire(row, row.credited, assets),
        "reversed": _wire(row, row.reversed, assets),
        "rail": row.rail,
        "reference": row.reference,
    }
    summary = f"top-up of {detail['credited']} {row.asset} by {row.player} over {row.rail}"
    return LineageEntry(row.credited_at, SERVICE, "topup", str(row.id), summary, detail)


def _reversal(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "topup_id": str(row.topup_id),
        "kind": row.kind,
        "asked": _wire(row, row.asked, assets),
        "taken": _wire(row, row.taken, assets),
        "owed": _wire(row, row.owed, assets),
        "restored": _wire(row, row.restored, assets),
    }
    summary = f"{row.kind} {row.reference} of {detail['asked']} {row.asset}"
    return LineageEntry(row.reversed_at, SERVICE, "topup_reversal", row.reference, summary, detail)


def _correction(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "settlement_version": row.settlement_version,
        "lines": row.lines_total,
        "unclaimed": _wire(row, row.unclaimed, assets),
        "asset": row.asset,
        "reason": row.reason,
        "cause": row.cause,
    }
    summary = f"corrected to {row.lines_total} prizes as settlement {row.settlement_version}: {row.reason}"
    return LineageEntry(row.at, SERVICE, "correction", str(row.round_id), summary, detail)


def _refusal(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    del assets  # nothing of it moved
    detail = {
        "settlement_version": row.settlement_version,
        "part": row.part,
        "code": row.code,
        "detail": row.detail,
        "campaign": str(row.campaign),
        "asset": row.asset,
        "cause": row.cause,
    }
    summary = (
        f"settlement {row.settlement_version} of {row.match_id} refused for good, {row.code}: {row.detail}"
    )
    return LineageEntry(row.at, SERVICE, "round_refused", str(row.round_id), summary, detail)


def _receivable(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    amounts = {
        name: _wire(row, getattr(row, name), assets)
        for name in ("amount", "open", "recovered", "written_off", "lifted", "restored")
    }
    detail = {
        "player": row.player,
        "asset": row.asset,
        **amounts,
        "reference": row.reference,
        "cause": row.cause,
    }
    summary = f"{row.player} owes {amounts['amount']} {row.asset}, of which {amounts['open']} is open"
    return LineageEntry(row.opened_at, SERVICE, "receivable", str(row.id), summary, detail)


def _fee_withdrawal(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    detail = {
        "source": row.source,
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "reference": row.reference,
        "state": row.state,
        "filed_by": row.filed_by,
        "decided_by": row.decided_by,
        "reason": row.reason,
    }
    decided = f"{row.state} by {row.decided_by}" if row.decided_by else "waits for another person"
    summary = f"withdrawal of {detail['amount']} {row.asset} of {row.source} fees filed by {row.filed_by}: {decided}"
    return LineageEntry(row.filed_at, SERVICE, "fee_withdrawal", str(row.id), summary, detail)


def _disownment(row: Row[Any], assets: AssetRegistry) -> LineageEntry:
    del assets  # it names no amount
    detail = {
        "round_id": str(row.round_id),
        "state": row.state,
        "reason": row.reason,
        "filed_by": row.filed_by,
        "decided_by": row.decided_by,
        "decision": row.decision,
    }
    decided = f"{row.state} by {row.decided_by}" if row.decided_by else "waits for another admin"
    summary = f"disownment of the round filed by {row.filed_by}: {decided}"
    return LineageEntry(row.filed_at, SERVICE, "disownment", str(row.id), summary, detail)


_ROUNDS = text("SELECT * FROM rounds WHERE correlation_id = :id ORDER BY settled_at, id LIMIT :limit")
_STEPS = text(
    "SELECT t.* FROM transitions t WHERE t.subject IN ("
    "SELECT id FROM rounds WHERE correlation_id = :id UNION SELECT id FROM payouts WHERE correlation_id = :id "
    "UNION SELECT c.reward_id FROM rounds r JOIN claims c ON c.round_id = r.id WHERE r.correlation_id = :id "
    "UNION SELECT id FROM entries WHERE correlation_id = :id) "
    "ORDER BY t.id LIMIT :limit"
)
_TRANSFERS = text(
    "SELECT t.*, d.owner AS debit_owner, c.owner AS credit_owner FROM ("
    "SELECT * FROM ledger_transfers WHERE correlation_id = :id ORDER BY seq LIMIT :limit) t "
    "JOIN ledger_accounts d ON d.id = t.debit_account JOIN ledger_accounts c ON c.id = t.credit_account "
    "ORDER BY t.seq"
)
_PAYOUTS = text("SELECT * FROM payouts WHERE correlation_id = :id ORDER BY requested_at, id LIMIT :limit")
_ENTRIES = text("SELECT * FROM entries WHERE correlation_id = :id ORDER BY entered_at, id LIMIT :limit")
_TOPUPS = text("SELECT * FROM topups WHERE correlation_id = :id ORDER BY credited_at, id LIMIT :limit")
_REVERSALS = text(
    "SELECT r.*, t.asset FROM topups t JOIN topup_reversals r ON r.topup_id = t.id WHERE t.correlation_id = :id "
    "ORDER BY r.reversed_at, r.rail, r.reference LIMIT :limit"
)
_CORRECTIONS = text("SELECT * FROM corrections WHERE correlation_id = :id ORDER BY at, round_id LIMIT :limit")
_REFUSALS = text(
    "SELECT * FROM round_refusals WHERE correlation_id = :id ORDER BY at, round_id, settlement_version LIMIT :limit"
)
_RECEIVABLES = text(
    "SELECT * FROM receivables WHERE correlation_id = :id ORDER BY opened_at, id LIMIT :limit"
)
_DISOWNMENTS = text(
    "SELECT * FROM round_disownments WHERE round_id IN (SELECT id FROM rounds WHERE correlation_id = :id "
    "UNION SELECT round_id FROM entries WHERE correlation_id = :id) ORDER BY filed_at, id LIMIT :limit"
)
_FEE_WITHDRAWALS = text(
    "SELECT * FROM fee_withdrawals WHERE CAST(id AS text) = :id ORDER BY filed_at, id LIMIT :limit"
)
_KINDS = (
    ("withdrawals of fees", _FEE_WITHDRAWALS, _fee_withdrawal),
    ("entries", _ENTRIES, _entry),
    ("top-ups", _TOPUPS, _topup),
    ("reversals of top-ups", _REVERSALS, _reversal),
    ("rounds", _ROUNDS, _round),
    ("corrections", _CORRECTIONS, _correction),
    ("refused settlements", _REFUSALS, _refusal),
    ("disownments", _DISOWNMENTS, _disownment),
    ("state changes", _STEPS, _step),
    ("transfers", _TRANSFERS, _transfer),
    ("receivables", _RECEIVABLES, _receivable),
    ("payout requests", _PAYOUTS, _payout),
)
