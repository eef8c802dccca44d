"""Invariants of the Stellar execution, as SQL. Each check returns its breaches as sentences."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.clock import Clock
from prizewire_payouts.stellar.adapters.transactions import read_contents
from prizewire_payouts.stellar.domain.model import STELLAR_DECIMALS, TxContents
from prizewire_payouts.stellar.handlers.comparing import OVERDUE, Comparison
from prizewire_payouts.stellar.storage.rows import HOLDING_STATES

_PAID_ELSEWHERE = text(
    "SELECT p.payout_id FROM stellar_payments p LEFT JOIN stellar_attempts a USING (attempt_id) "
    "LEFT JOIN stellar_slots s USING (slot_id) WHERE p.state = 'paid' AND (a.state IS DISTINCT FROM 'succeeded' "
    "OR a.result_ledger <> p.ledger OR (a.kind <> 'payment' AND s.consumed_by_hash = a.tx_hash)) LIMIT 100"
)
_UNPAID_IN_SUCCESS = text(
    "SELECT p.payout_id FROM stellar_attempts a JOIN stellar_items i USING (attempt_id) "
    "JOIN stellar_payments p USING (provider_key) "
    "WHERE a.state = 'succeeded' AND i.op IS NOT NULL AND p.state <> 'paid' LIMIT 100"
)
_TWO_SLOTS = text(
    "SELECT p.payout_id FROM stellar_payments p JOIN stellar_items i USING (provider_key) "
    "JOIN stellar_attempts a ON a.attempt_id = i.attempt_id JOIN stellar_slots s USING (slot_id) "
    "WHERE i.op IS NOT NULL AND a.state NOT IN ('refused', 'released') AND s.state = 'open' "
    "AND NOT (a.state = 'dead' AND a.signed_xdr IS NULL) "
    "GROUP BY p.payout_id HAVING count(DISTINCT s.slot_id) > 1 LIMIT 100"
)
_CONTRADICTED = text(
    "SELECT c.tx_hash, c.state, c.ledger, array_agg(p.payout_id ORDER BY i.op) FILTER (WHERE i.op IS NOT NULL) AS payouts "
    "FROM stellar_contradictions c LEFT JOIN stellar_items i USING (attempt_id) LEFT JOIN stellar_payments p USING (provider_key) "
    "GROUP BY c.tx_hash ORDER BY c.found_at LIMIT 100"
)
_STRANDED = text(
    "SELECT p.payout_id, a.attempt_id, a.state FROM stellar_payments p JOIN stellar_attempts a USING (attempt_id) "
    "WHERE p.state = 'batched' AND a.state <> ALL(CAST(:holding AS text[])) ORDER BY p.payout_id LIMIT 100"
)
# maxTime does not change, and a login may write every other time of the row. As a number, since the column holds any.
_OVERDUE = text(
    "SELECT a.attempt_id, a.state, a.account, floor((extract(epoch FROM now()) - a.max_time) / 60) AS minutes, "
    "array_agg(p.payout_id ORDER BY p.payout_id) FILTER (WHERE p.payout_id IS NOT NULL) AS payouts "
    "FROM stellar_attempts a LEFT JOIN stellar_payments p ON p.attempt_id = a.attempt_id AND p.state = 'batched' "
    "WHERE a.state IN ('built', 'exported', 'signed', 'sent', 'checking') "
    "AND a.max_time < extract(epoch FROM now()) - :grace GROUP BY a.attempt_id ORDER BY a.attempt_id LIMIT 100"
)
OVERDUE_S = 15 * 60
"""How long after its maxTime a transaction may be without an end, in seconds: some look-ups, and an outage of the nodes."""
_REVIEW = text("SELECT account FROM stellar_attempts WHERE state = 'review' ORDER BY account")


# A payment's operation in its transaction, whatever the state of the transaction.
_ASKED = text(
    "SELECT p.payout_id, p.asset, p.stroops, p.destination, p.amount_minor, o.asset AS payout_asset, "
    "o.amount_minor AS payout_minor, k.decimals, i.op, a.attempt_id, a.unsigned_xdr "
    "FROM stellar_payments p LEFT JOIN payouts o USING (payout_id) LEFT JOIN assets k ON k.code = p.asset "
    "LEFT JOIN stellar_items i ON i.provider_key = p.provider_key AND i.attempt_id = p.attempt_id AND i.op IS NOT NULL "
    "LEFT JOIN stellar_attempts a ON a.attempt_id = i.attempt_id AND a.kind = 'payment' "
    "WHERE p.stroops IS NOT NULL ORDER BY p.attempt_id"
)
_AT_ONCE = 500
_BREACHES_MAX = 100


def _disagreeing(rows: Sequence[Any]) -> list[str]:
    """How payments differ from their payouts and from their transactions' envelopes."""
    contents: dict[int, TxContents | None] = {}
    found: list[str] = []
    for row in rows:
        asked = Decimal(row.stroops).scaleb(-STELLAR_DECIMALS)
        due = None if row.decimals is None else Decimal(row.amount_minor).scaleb(-row.decimals)
        if (row.payout_asset, row.payout_minor) != (row.asset, row.amount_minor) or due != asked:
            found.append(
                f"payout {row.payout_id} is asked of Stellar as {asked} {row.asset}, which is not its amount"
            )
        if row.unsigned_xdr is None:
            continue
        if row.attempt_id not in contents:
            contents[row.attempt_id] = read_contents(row.unsigned_xdr)
        read = contents[row.attempt_id]
        paid = read.payments[row.op] if read is not None and row.op < len(read.payments) else None
        if paid is None:
            found.append(f"payout {row.payout_id} has no operation {row.op} in transaction {row.attempt_id}")
        elif (paid.stroops, paid.destination, paid.asset.code) != (row.stroops, row.destination, row.asset):
            of = Decimal(paid.stroops).scaleb(-STELLAR_DECIMALS)
            found.append(
                f"payout {row.payout_id} is asked of Stellar as {asked} {row.asset} to {row.destination}, its operation in "
                f"transaction {row.attempt_id} pays {of} {paid.asset.code} to {paid.destination}"
            )
    return found


async def _amounts(tx: AsyncConnection) -> list[str]:
    breaches: list[str] = []
    rows = await tx.stream(_ASKED)
    async for chunk in rows.partitions(_AT_ONCE):
        # reading envelopes takes the processor: it must not hold up the service
        breaches += await asyncio.to_thread(_disagreeing, chunk)
        if len(breaches) >= _BREACHES_MAX:
            break
    return breaches[:_BREACHES_MAX]


async def _payments(tx: AsyncConnection) -> list[str]:
    breaches = [f"payout {row[0]} is paid without a transaction" for row in await tx.execute(_PAID_ELSEWHERE)]
    unpaid = await tx.execute(_UNPAID_IN_SUCCESS)
    breaches += [f"payout {row[0]} stands in an applied transaction and is not paid" for row in unpaid]
    stranded = await tx.execute(_STRANDED, {"holding": HOLDING_STATES})
    return breaches + [
        f"payout {row.payout_id} waits in transaction {row.attempt_id}, which has ended as {row.state}"
        for row in stranded
    ]


async def _slots(tx: AsyncConnection) -> list[str]:
    return [f"payout {row[0]} may be signed for on two open slots" for row in await tx.execute(_TWO_SLOTS)]


async def _quarantine(tx: AsyncConnection) -> list[str]:
    return [f"channel {row[0]} waits for two persons' decision" for row in await tx.execute(_REVIEW)]


async def _ends(tx: AsyncConnection) -> list[str]:
    return [
        f"transaction {row.tx_hash} ended as {row.state}, and ledger {row.ledger} applied it: paid, although payouts has them as "
        f"unpaid: {', '.join(map(str, row.payouts)) if row.payouts else 'none'}"
        for row in await tx.execute(_CONTRADICTED)
    ]


async def _overdue(tx: AsyncConnection) -> list[str]:
    return [
        f"transaction {row.attempt_id} on channel {row.account} is {row.state} {row.minutes} minutes after its maxTime; its "
        f"payouts: {', '.join(map(str, row.payouts)) if row.payouts else 'none'}"
        for row in await tx.execute(_OVERDUE, {"grace": OVERDUE_S})
    ]


CHECKS = (
    Check("stellar_payments_match_transactions", _payments, count=rows_of("stellar_payments")),
    Check("stellar_amounts_as_asked", _amounts, count=rows_of("stellar_payments")),
    Check("stellar_payout_on_one_open_slot", _slots, count=rows_of("stellar_slots")),
    Check("stellar_ends_are_on_the_ledger", _ends, count=rows_of("stellar_attempts")),
    Check("stellar_no_transaction_is_overdue", _overdue, count=rows_of("stellar_attempts")),
    Check("stellar_no_channel_in_quarantine", _quarantine, count=rows_of("stellar_attempts")),
)
"""An empty list of breaches means that the invariant holds."""


def compared_check(comparison: Comparison, *, clock: Clock) -> Check:
    """The check that the ends of transactions are compared with the ledger, by this process and in time."""

    async def run(_tx: AsyncConnection) -> list[str]:
        minutes = int(OVERDUE.total_seconds() // 60)
        return [
            f"transaction {one.tx_hash} ({one.attempt_id}) ended as {one.state}, and was not compared with the ledger for "
            f"{minutes} minutes: a node does not answer, a job stands still, or too many transactions ended"
            for one in await comparison.overdue(now=clock.now())
        ]

    return Check("stellar_ends_are_compared", run, count=rows_of("stellar_attempts"))
