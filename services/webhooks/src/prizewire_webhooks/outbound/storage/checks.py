"""The invariants in SQL: each query answers its breaches as sentences."""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_webhooks.outbound.domain.invariants import Invariant
from prizewire_webhooks.outbound.domain.model import Unverified
from prizewire_webhooks.outbound.storage.deliveries import WANTED


async def breaches_of(tx: AsyncConnection, invariant: Invariant) -> list[str]:
    """At most a hundred breaches of one invariant, none when it holds."""
    found: list[str] = []
    for query in _QUERIES[invariant]:
        found += [row.breach for row in await tx.execute(text(f"{query} LIMIT 100"))]
    return found[:100]


_MISSING = (
    "SELECT format('event %s has no delivery to subscription %s', e.event_id, s.subscription_id) AS breach "  # noqa: S608 - constants
    f"FROM public_events e JOIN subscriptions s ON {WANTED} WHERE NOT EXISTS (SELECT 1 FROM deliveries d "
    "WHERE d.subscription_id = s.subscription_id AND d.event_id = e.event_id)"
)
_UNWANTED = (
    "SELECT format('delivery %s was not wanted by subscription %s', d.delivery_id, d.subscription_id) AS breach "  # noqa: S608 - constants
    "FROM deliveries d JOIN public_events e ON e.event_id = d.event_id "
    f"JOIN subscriptions s ON s.subscription_id = d.subscription_id WHERE NOT ({WANTED})"
)
_NOT_ONCE = (
    "SELECT format('delivery %s is %s with %s successful attempts', d.delivery_id, d.state, count(a.number)) AS breach "
    "FROM deliveries d LEFT JOIN attempts a ON a.delivery_id = d.delivery_id AND a.outcome = 'delivered' "
    "GROUP BY d.delivery_id HAVING count(a.number) <> CAST(d.state = 'delivered' AS int)"
)
_CODES = ", ".join(f"'{code}'" for code in Unverified)
# The history is read, since the login can change attempts.
_UNVERIFIED = (
    "SELECT DISTINCT format('delivery %s of event %s was refused: %s', d.delivery_id, d.event_id, t.cause) AS breach "  # noqa: S608 - constants
    "FROM transitions t JOIN deliveries d ON CAST(d.delivery_id AS text) = t.subject "
    f"WHERE t.machine = 'delivery' AND t.cause IN ({_CODES}) "
    "AND (t.to_state = 'dead' OR d.state IN ('pending', 'sending'))"
)
# The order of the history is the order of its inserts; clocks of workers are not compared, for an
# end may be stamped later than the claim that has already seen it. The end that counts is the last one.
_OVERTAKEN = (
    "WITH steps AS (SELECT CAST(subject AS bigint) AS delivery_id, min(id) FILTER (WHERE to_state = 'sending') "
    "AS claimed, max(id) AS latest FROM transitions WHERE machine = 'delivery' GROUP BY subject), "
    "lanes AS (SELECT d.delivery_id, s.claimed, max(ARRAY[CASE WHEN d.state IN ('pending', 'sending') "
    "THEN 9223372036854775807 ELSE s.latest END, d.delivery_id]) OVER (PARTITION BY d.subscription_id, "
    "d.correlation_id ORDER BY d.delivery_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier "
    "FROM deliveries d JOIN steps s ON s.delivery_id = d.delivery_id) "
    "SELECT format('delivery %s was sent before delivery %s had ended', delivery_id, earlier[2]) AS breach "
    "FROM lanes WHERE claimed < earlier[1]"
)


def _broken(machine: str, table: str, key: str) -> str:
    """Rows whose history has a gap, does not begin with a first state, or ends in another state than the row's."""
    return (
        "WITH steps AS (SELECT subject, from_state, to_state, lag(to_state, 1, '') OVER chain AS before, "  # noqa: S608 - constants
        f"lead(id) OVER chain AS following FROM transitions WHERE machine = '{machine}' "
        "WINDOW chain AS (PARTITION BY subject ORDER BY id)), "
        "gaps AS (SELECT DISTINCT subject FROM steps WHERE from_state <> before), "
        "ends AS (SELECT subject, to_state FROM steps WHERE following IS NULL) "
        f"SELECT format('{machine} %s: its history does not lead to %s', x.{key}, x.state) AS breach "
        f"FROM {table} x LEFT JOIN ends ON ends.subject = CAST(x.{key} AS text) "
        f"LEFT JOIN gaps ON gaps.subject = CAST(x.{key} AS text) "
        "WHERE ends.to_state IS DISTINCT FROM x.state OR gaps.subject IS NOT NULL"
    )


_QUERIES: Mapping[Invariant, Sequence[str]] = {
    Invariant.EVERY_EVENT_HAS_ITS_DELIVERIES: [_MISSING, _UNWANTED],
    Invariant.DELIVERED_ONCE: [_NOT_ONCE],
    Invariant.DELIVERIES_ARE_VERIFIED: [_UNVERIFIED],
    Invariant.LANES_IN_ORDER: [_OVERTAKEN],
    Invariant.TRANSITIONS_UNBROKEN: [
        _broken("subscription", "subscriptions", "subscription_id"),
        _broken("delivery", "deliveries", "delivery_id"),
    ],
}
