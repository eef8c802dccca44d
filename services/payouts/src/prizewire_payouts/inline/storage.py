"""The check of inline details."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of

_OF_OTHERS = text(
    "SELECT m.method_id, p.payout_id FROM payout_methods m JOIN payouts p USING (method_id) "
    "LEFT JOIN payouts o ON o.payout_id = p.retry_of "
    "WHERE m.payout_id IS NOT NULL AND p.payout_id <> m.payout_id AND o.method_id IS DISTINCT FROM m.method_id LIMIT 100"
)
_WITHOUT_PAYOUT = text(
    "SELECT m.method_id, m.payout_id FROM payout_methods m LEFT JOIN payouts p ON p.payout_id = m.payout_id "
    "WHERE m.payout_id IS NOT NULL AND (p.method_id IS DISTINCT FROM m.method_id OR p.player IS DISTINCT FROM m.player) LIMIT 100"
)
_OTHER_DETAILS = text(
    "SELECT m.method_id, p.payout_id FROM payout_methods m JOIN payouts p USING (method_id) "
    "WHERE m.payout_id IS NOT NULL AND jsonb_typeof(p.intent -> 'allowed') = 'array' "
    "AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements(p.intent -> 'allowed') w "
    "WHERE w ->> 'commitment' IS NOT DISTINCT FROM m.commitment AND w ->> 'destination' IS NOT DISTINCT FROM m.address "
    "AND w ->> 'memo' IS NOT DISTINCT FROM m.memo) LIMIT 100"
)


async def _bound(tx: AsyncConnection) -> list[str]:
    return [
        *(
            f"payout {row.payout_id} names the inline method {row.method_id} of another payout, and does not retry it"
            for row in await tx.execute(_OF_OTHERS)
        ),
        *(
            f"the inline method {row.method_id} is kept for payout {row.payout_id}, which does not name it or is of another player"
            for row in await tx.execute(_WITHOUT_PAYOUT)
        ),
        *(
            f"the intent of payout {row.payout_id} allows no way to its inline method {row.method_id}"
            for row in await tx.execute(_OTHER_DETAILS)
        ),
    ]


CHECKS = (Check("payout_inline_methods_are_bound", _bound, count=rows_of("payout_methods")),)
"""A method of inline details belongs to one payout and to its retries, each with an intent that leads to exactly these details."""
