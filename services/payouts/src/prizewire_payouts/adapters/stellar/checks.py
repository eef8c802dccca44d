"""What must hold among the rows of the Stellar execution, at any moment."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http.parts import Check, rows_of

__all__ = ["CHECKS"]

_PAID_ELSEWHERE = text(
    "SELECT p.payout_id FROM stellar_payments p LEFT JOIN stellar_attempts a USING (attempt_id) "
    "LEFT JOIN stellar_slots s USING (slot_id) WHERE p.state = 'paid' AND (a.state IS DISTINCT FROM 'succeeded' "
    "OR a.result_ledger <> p.ledger OR (a.kind <> 'payment' AND s.consumed_by_hash = a.tx_hash)) LIMIT 100"
)
_UNPAID_IN_SUCCESS = text(
    "SELECT p.payout_id FROM stellar_attempts a JOIN stellar_items i USING (attempt_id) "
    "JOIN stellar_payments p USING (provider_key) "
    "WHERE a.state = 'succeeded' AND i.op IS NOT NULL AND i.code IS NULL AND p.state <> 'paid' LIMIT 100"
)
_TWO_SLOTS = text(
    "SELECT p.payout_id FROM stellar_payments p JOIN stellar_items i USING (provider_key) "
    "JOIN stellar_attempts a ON a.attempt_id = i.attempt_id JOIN stellar_slots s USING (slot_id) "
    "WHERE i.op IS NOT NULL AND a.state NOT IN ('refused', 'released') AND s.state = 'open' "
    "AND NOT (a.state = 'dead' AND a.signed_xdr IS NULL) "
    "GROUP BY p.payout_id HAVING count(DISTINCT s.slot_id) > 1 LIMIT 100"
)
_REVIEW = text("SELECT account FROM stellar_attempts WHERE state = 'review' ORDER BY account")


async def _payments(tx: AsyncConnection) -> list[str]:
    breaches = [f"payout {row[0]} is paid without a transaction" for row in await tx.execute(_PAID_ELSEWHERE)]
    unpaid = await tx.execute(_UNPAID_IN_SUCCESS)
    return breaches + [f"payout {row[0]} stands in an applied transaction and is not paid" for row in unpaid]


async def _slots(tx: AsyncConnection) -> list[str]:
    return [f"payout {row[0]} may be signed for on two open slots" for row in await tx.execute(_TWO_SLOTS)]


async def _quarantine(tx: AsyncConnection) -> list[str]:
    return [f"channel {row[0]} waits for two persons' decision" for row in await tx.execute(_REVIEW)]


CHECKS = (
    Check("stellar_payments_match_transactions", _payments, count=rows_of("stellar_payments")),
    Check("stellar_payout_on_one_open_slot", _slots, count=rows_of("stellar_slots")),
    Check("stellar_no_channel_in_quarantine", _quarantine, count=rows_of("stellar_attempts")),
)
"""Each a sentence about rows; an empty list means that it holds."""
