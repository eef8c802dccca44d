"""Rewards' steps of a correlation id: entries, top-ups, rounds and their corrections, held prizes, transfers, debts, payout requests,
state changes.

Every step shows what happened at its time. The present state is in its detail under ``now``.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_contracts.text import counted
from prizewire_money import Amount, AssetRegistry
from prizewire_rewards.campaigns.domain.model import CampaignState
from prizewire_rewards.ledger.storage.accounts import group_id
from prizewire_rewards.lineage.held import CAMPAIGN_SWITCHES, HELD, SERVICE, campaign_switch, held_prize

ENTRIES_MAX = 5_000
"""The most entries of one kind. A round of a hundred thousand prizes is not shown prize by prize."""


async def lineage_of(
    tx: AsyncConnection, correlation_id: str, *, assets: AssetRegistry, entries_max: int = ENTRIES_MAX
) -> list[LineageEntry]:
    """Every step, in the order of time. Of one time, causes come before effects: rounds before their transfers, and transfers
    in the order of the ledger. The request and the states of a payout stand before the first transfer that they caused.

    Of each kind the first ``entries_max`` rows are shown. Where there are more, the last entry has the kind ``more`` and
    names their kinds.
    """
    entries: list[tuple[datetime, int, LineageEntry]] = []
    cut: list[str] = []
    for rank, (plural, statement, entries_of) in enumerate(_KINDS):
        rows = (await tx.execute(statement, {"id": correlation_id, "limit": entries_max + 1})).all()
        if len(rows) > entries_max:
            cut.append(plural)
        entries.extend(
            (entry.at, rank, entry) for row in rows[:entries_max] for entry in entries_of(row, assets)
        )
    found = _in_order(entries)
    if cut:
        summary = f"there are more {' and '.join(cut)} than the first {entries_max} shown here"
        detail = {"cut": cut, "told_of_each": entries_max}
        found.append(LineageEntry(found[-1].at, SERVICE, "more", correlation_id, summary, detail))
    return found


def _in_order(entries: Sequence[tuple[datetime, int, LineageEntry]]) -> list[LineageEntry]:
    """The entries, each with its time and the rank of its kind, by time and then from cause to effect."""
    transfers = [entry for _, _, entry in entries if entry.kind == "transfer"]
    place = {entry.id: number for number, entry in enumerate(transfers)}
    first: dict[tuple[datetime, str], int] = {}
    for number, entry in enumerate(transfers):
        for side in ("debit", "credit"):
            first.setdefault((entry.at, entry.detail[side]), number)

    def order(item: tuple[datetime, int, LineageEntry]) -> tuple[datetime, int, int, int]:
        at, rank, entry = item
        if entry.kind == "transfer":
            return at, rank, place[entry.id], len(_OF_PAYOUT)
        number = first.get((at, f"{_PAYOUT_ACCOUNT} {entry.id}")) if entry.kind in _OF_PAYOUT else None
        if number is None:
            return at, rank, 0, 0
        return at, _RANK_OF_TRANSFERS, number, _OF_PAYOUT.index(entry.kind)

    return [entry for _, _, entry in sorted(entries, key=order)]


def _wire(row: Row[Any], amount: int, assets: AssetRegistry) -> str:
    return Amount(assets[row.asset], amount).to_wire()


def _round(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    corrected = row.corrected_first
    detail = {
        "match_id": row.match_id,
        "competition": row.competition,
        "campaign": str(row.campaign),
        "rule_version": row.rule_version,
        "settlement_version": row.settlement_version if corrected is None else corrected - 1,
        "asset": row.asset,
        "gross": _wire(row, row.gross, assets),
        "net": _wire(row, row.net, assets),
        "now": {
            "state": row.state,
            "settlement_version": row.settlement_version,
            "lines": row.lines_total,
            "short": _wire(row, row.short, assets),
            "waits_for": None if row.missing is None else _awaited(row, assets),
        },
    }
    summary = f"round of {row.match_id}: {detail['gross']} {row.asset} gross, {detail['net']} {row.asset} net of fees"
    yield LineageEntry(row.settled_at, SERVICE, "round", str(row.id), summary, detail)


_STOPPED = {CampaignState.DRAFT: "is a draft", CampaignState.PAUSED: "is paused"}
"""The states of a campaign in which its rounds wait whatever its pool has."""


def _awaited(row: Row[Any], assets: AssetRegistry) -> str:
    """What a round in the queue of its campaign waits for. A round waits behind all rounds that are before it."""
    name, stopped = row.campaign_name, _STOPPED.get(row.campaign_state)
    if row.missing > 0:
        own, missing = _wire(row, row.wanted, assets), _wire(row, int(row.missing), assets)
        lack = f"{own} {row.asset}; the pool of campaign {name} lacks {missing} {row.asset} for it"
        if row.others_before:
            lack += " and the rounds before it in the queue"
        if stopped:
            return f"{lack}, and the campaign {stopped}: fund the campaign and set it active"
        return f"{lack}: fund the campaign"
    if stopped:
        return f"campaign {name}, which {stopped}: set it active"
    return f"its turn in the queue of campaign {name}"


def _step(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    of_player = "" if row.claim_player is None else f" of {row.claim_player}"
    summary = f"{row.machine} {row.subject}{of_player}: {row.from_state or 'new'} → {row.to_state}"
    if row.unfunded_gross is not None:
        summary += f", waits for {_wire(row, row.unfunded_gross, assets)} {row.asset} of its campaign"
        if stopped := _STOPPED.get(row.campaign_state):
            summary += f", which {stopped}"
    detail = {"from": row.from_state, "to": row.to_state, "cause": row.cause}
    yield LineageEntry(row.at, SERVICE, f"{row.machine}_state", str(row.subject), summary, detail)


def _transfer(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    detail = {
        "type": row.type,
        "debit": f"{row.debit_kind} {row.debit_owner}",
        "credit": f"{row.credit_kind} {row.credit_owner}",
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "group": str(group_id(row.cause)),
    }
    summary = f"{row.type}: {detail['amount']} {row.asset} from {detail['debit']} to {detail['credit']}"
    yield LineageEntry(row.at, SERVICE, "transfer", str(row.id), summary, detail)


def _payout(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    detail = {
        "player": row.player,
        "funding_account": row.funding_account,
        "campaign": None if row.campaign is None else str(row.campaign),
        "competition": row.competition,
        "source": row.source,
        "filed_by": row.filed_by,
        "retry_of": None if row.retry_of is None else str(row.retry_of),
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "fee": _wire(row, row.fee, assets),
        "rails": list(row.rail_types),
        "now": {
            "state": row.state,
            "intent_signature": row.intent_signature,
            "intent_issued_at": row.intent["issued_at"],
        },
    }
    whose = f"to {row.player}" if row.player else f"out of {row.funding_account}"
    summary = f"payout {row.id} of {detail['amount']} {row.asset} {whose} requested, intent signed"
    if row.retry_of is not None:
        summary += f", to retry payout {row.retry_of}"
    yield LineageEntry(row.requested_at, SERVICE, "payout_request", str(row.id), summary, detail)


def _entry(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    detail = {
        "round_id": str(row.round_id),
        "player": row.player,
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "now": {
            "state": row.state,
            "code": row.code,
            "from_topup": _wire(row, row.from_topup, assets),
            "from_winnings": _wire(row, row.from_winnings, assets),
        },
    }
    summary = f"entry of {row.player} asked for, fee {detail['amount']} {row.asset}"
    yield LineageEntry(row.entered_at, SERVICE, "entry", str(row.id), summary, detail)


def _topup(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    detail = {
        "player": row.player,
        "asset": row.asset,
        "credited": _wire(row, row.credited, assets),
        "rail": row.rail,
        "reference": row.reference,
        "now": {"reversed": _wire(row, row.reversed, assets)},
    }
    summary = f"top-up of {detail['credited']} {row.asset} by {row.player} over {row.rail}"
    yield LineageEntry(row.credited_at, SERVICE, "topup", str(row.id), summary, detail)


def _reversal(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    of = {"topup_id": str(row.topup_id), "kind": row.kind, "asset": row.asset}
    asked, restored = _wire(row, row.asked, assets), _wire(row, row.restored, assets)
    taken, owed = _wire(row, row.taken, assets), _wire(row, row.owed, assets)
    detail = {**of, "asked": asked, "taken": taken, "owed": owed}
    summary = f"{row.kind} {row.reference} of {asked} {row.asset}: {taken} taken back, {owed} owed"
    yield LineageEntry(row.reversed_at, SERVICE, "topup_reversal", row.reference, summary, detail)
    if row.won:
        detail = {**of, "restored": restored, "lifted": _wire(row, row.lifted, assets)}
        summary = f"{row.kind} {row.reference} won: {restored} {row.asset} restored"
        yield LineageEntry(row.changed_at, SERVICE, "topup_restored", row.reference, summary, detail)


def _correction(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    detail = {
        "settlement_version": row.settlement_version,
        "lines": row.lines_total,
        "unclaimed": _wire(row, row.unclaimed, assets),
        "asset": row.asset,
        "reason": row.reason,
        "cause": row.cause,
    }
    summary = f"corrected to {counted(row.lines_total, 'prize')} as settlement {row.settlement_version}: {row.reason}"
    yield LineageEntry(row.at, SERVICE, "correction", str(row.round_id), summary, detail)


def _refusal(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    del assets  # no amount moved
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
    yield LineageEntry(row.at, SERVICE, "round_refused", str(row.round_id), summary, detail)


def _receivable(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    names = ("open", "recovered", "written_off", "lifted", "restored")
    detail = {
        "player": row.player,
        "asset": row.asset,
        "amount": _wire(row, row.amount, assets),
        "reference": row.reference,
        "cause": row.cause,
        "now": {name: _wire(row, getattr(row, name), assets) for name in names},
    }
    summary = f"{row.player} owes {detail['amount']} {row.asset}"
    yield LineageEntry(row.opened_at, SERVICE, "receivable", str(row.id), summary, detail)


def _owed_less(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    """One step of a receivable, with the open amount after it."""
    amount, left = _wire(row, row.amount, assets), _wire(row, row.left_open, assets)
    summary = {
        "receivable_recovered": f"{amount} {row.asset} of what {row.player} owes recovered",
        "receivable_settled": f"{amount} {row.asset} of what {row.player} owes lifted",
        "receivable_written_off": f"{amount} {row.asset} of what {row.player} owes written off",
        "receivable_restored": f"{amount} {row.asset} restored, written off before of what {row.player} owed",
    }[row.what]
    kind = "receivable_lifted" if row.what == "receivable_settled" else row.what
    detail = {"player": row.player, "asset": row.asset, "amount": amount, "open": left, "cause": row.cause}
    yield LineageEntry(row.at, SERVICE, kind, str(row.id), f"{summary}, {left} open", detail)


def _cancel_requested(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    amount = _wire(row, row.amount, assets)
    detail = {
        "payout_id": str(row.payout_id),
        "player": row.player,
        "asset": row.asset,
        "amount": amount,
        "cause": row.cause,
    }
    summary = f"payout cancel asked: payout {row.payout_id} of {amount} {row.asset} to {row.player}"
    yield LineageEntry(row.at, SERVICE, "payout_cancel_asked", str(row.payout_id), summary, detail)


def _fee_withdrawal(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    amount = _wire(row, row.amount, assets)
    of = {"source": row.source, "asset": row.asset, "amount": amount, "reference": row.reference}
    what = f"withdrawal of {amount} {row.asset} of {row.source} fees"
    repeats = None if row.repeats is None else str(row.repeats)
    detail = {**of, "filed_by": row.filed_by, "repeats": repeats}
    summary = f"{what} filed by {row.filed_by}"
    yield LineageEntry(row.filed_at, SERVICE, "fee_withdrawal", str(row.id), summary, detail)
    if row.decided_at is not None:
        detail = {**of, "decided_by": row.decided_by, "reason": row.reason}
        summary = f"{what} {row.state} by {row.decided_by}"
        kind = f"fee_withdrawal_{row.state}"
        yield LineageEntry(row.decided_at, SERVICE, kind, str(row.id), summary, detail)


def _disownment(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    del assets  # a disownment has no amount
    detail = {"round_id": str(row.round_id), "reason": row.reason, "filed_by": row.filed_by}
    summary = f"disownment of the round filed by {row.filed_by}: {row.reason}"
    yield LineageEntry(row.filed_at, SERVICE, "disownment", str(row.id), summary, detail)
    if row.decided_at is not None:
        detail = {
            "round_id": str(row.round_id),
            "decided_by": row.decided_by,
            "decision": row.decision,
        }
        summary = f"disownment of the round {row.state} by {row.decided_by}"
        kind = f"disownment_{row.state}"
        yield LineageEntry(row.decided_at, SERVICE, kind, str(row.id), summary, detail)


def _disowned_event(row: Row[Any], assets: AssetRegistry) -> Iterator[LineageEntry]:
    del assets  # no amount moved
    detail = {
        "event": row.what,
        "settlement_version": row.settlement_version,
        "part": row.part,
        "reason": row.reason,
        "event_id": row.event_id,
    }
    what = {
        "settled": f"settlement {row.settlement_version}",
        "corrected": f"correction to settlement {row.settlement_version}",
        "finalized": f"finality of settlement {row.settlement_version}",
    }[row.what]
    if row.part is not None and row.part > 1:
        what = f"part {row.part} of {what}"
    summary = f"{what} has no effect: two admins disowned the round"
    yield LineageEntry(row.at, SERVICE, "disowned_event", str(row.round_id), summary, detail)


_ROUNDS = text(
    "SELECT r.*, (SELECT min(o.settlement_version) FROM corrections o WHERE o.round_id = r.id) AS corrected_first, "
    "c.name AS campaign_name, c.state AS campaign_state, CASE r.state WHEN 'unfunded' THEN r.gross ELSE r.short END AS wanted, "
    "EXISTS (SELECT 1 FROM rounds b WHERE b.campaign = r.campaign AND b.queue_position < r.queue_position) AS others_before, "
    "CASE WHEN r.queue_position IS NOT NULL THEN (SELECT sum(CASE q.state WHEN 'unfunded' THEN q.gross ELSE q.short END) "
    "FROM rounds q WHERE q.campaign = r.campaign AND q.queue_position <= r.queue_position) "
    "- coalesce(a.balance, 0) END AS missing "
    "FROM rounds r JOIN campaigns c ON c.id = r.campaign LEFT JOIN ledger_accounts a ON a.id = c.pool "
    "WHERE r.correlation_id = :id ORDER BY r.settled_at, r.id LIMIT :limit"
)
_STEPS = text(
    "SELECT t.*, w.gross AS unfunded_gross, w.asset, (SELECT c.to_state FROM transitions c WHERE c.subject = w.campaign "
    "AND c.id < t.id ORDER BY c.id DESC LIMIT 1) AS campaign_state, m.player AS claim_player FROM transitions t "
    "LEFT JOIN rounds w ON w.id = t.subject AND t.machine = 'round' AND t.to_state = 'unfunded' "
    "LEFT JOIN claims m ON m.reward_id = t.subject AND t.machine = 'claim' WHERE t.subject IN ("
    "SELECT id FROM rounds WHERE correlation_id = :id UNION SELECT id FROM payouts WHERE correlation_id = :id "
    "UNION SELECT c.reward_id FROM rounds r JOIN claims c ON c.round_id = r.id WHERE r.correlation_id = :id "
    "UNION SELECT id FROM entries WHERE correlation_id = :id) "
    "ORDER BY t.id LIMIT :limit"
)
_TRANSFERS = text(
    "SELECT t.*, d.owner AS debit_owner, c.owner AS credit_owner FROM ("
    "SELECT * FROM ledger_journal WHERE correlation_id = :id ORDER BY seq LIMIT :limit) t "
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
# The transfers of a step of a receivable have a cause of their own: the receivable's id and its version after the step.
_OWED_LESS = text(
    "SELECT s.*, r.player, r.asset, r.amount - CAST(sum(CASE s.what WHEN 'receivable_restored' THEN 0 "
    "ELSE s.amount END) OVER (PARTITION BY r.id ORDER BY s.seq) AS bigint) AS left_open FROM ("
    "SELECT min(t.type) AS what, max(t.amount) AS amount, t.cause, min(t.at) AS at, min(t.seq) AS seq, "
    "CAST(split_part(t.cause, '/', 2) AS uuid) AS id FROM ledger_journal t "
    "WHERE t.correlation_id = :id AND t.type IN ('receivable_recovered', 'receivable_settled', "
    "'receivable_written_off', 'receivable_restored') GROUP BY t.cause) s "
    "JOIN receivables r ON r.id = s.id ORDER BY s.seq LIMIT :limit"
)
# A payout is asked to cancel where its player owes the round money, so payouts are found by these players.
_CANCELS_ASKED = text(
    "SELECT t.id, t.at, t.cause, p.id AS payout_id, p.player, p.asset, p.amount FROM payouts p "
    "JOIN transitions t ON t.subject = p.id AND t.to_state = 'cancel_requested' "
    "WHERE p.player IN (SELECT player FROM receivables WHERE correlation_id = :id) "
    "AND t.cause IN (SELECT cause FROM corrections WHERE correlation_id = :id "
    "UNION SELECT s.cause FROM rounds r JOIN transitions s ON s.subject = r.id WHERE r.correlation_id = :id) "
    "ORDER BY t.id LIMIT :limit"
)
_DISOWNMENTS = text(
    "SELECT * FROM round_disownments WHERE round_id IN (SELECT id FROM rounds WHERE correlation_id = :id "
    "UNION SELECT round_id FROM entries WHERE correlation_id = :id) ORDER BY filed_at, id LIMIT :limit"
)
_DISOWNED_EVENTS = text(
    "SELECT * FROM disowned_events WHERE correlation_id = :id ORDER BY at, round_id, settlement_version, part LIMIT :limit"
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
    ("events of disowned rounds", _DISOWNED_EVENTS, _disowned_event),
    ("state changes", _STEPS, _step),
    ("pauses of campaigns", CAMPAIGN_SWITCHES, campaign_switch),
    ("held prizes", HELD, held_prize),
    ("transfers", _TRANSFERS, _transfer),
    ("receivables", _RECEIVABLES, _receivable),
    ("steps of receivables", _OWED_LESS, _owed_less),
    ("payout requests", _PAYOUTS, _payout),
    ("cancels asked for", _CANCELS_ASKED, _cancel_requested),
)
_RANK_OF_TRANSFERS = [statement for _, statement, _ in _KINDS].index(_TRANSFERS)
_OF_PAYOUT = ("payout_request", "payout_state")
"""The kinds of steps of a payout that come before its transfers, in their order."""
_PAYOUT_ACCOUNT = "payout_pending"
"""The kind of the account that holds the money of a requested payout; its owner is the payout's id."""
