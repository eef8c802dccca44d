"""A row that a service could not read stops its worker for everybody: the database refuses it."""

import asyncpg
import pytest

from prizewire_devstack.testing import DatabaseFactory

SERVICES = ("payouts", "rewards", "settlement", "signer", "webhooks")
# Columns that a role may write without a bound, each with its reason.
TIMES_WITHOUT = {"audit_log.at": "the check of the chain reports a record with any time"}
_MESSAGE = "a message's own number: Python reads it, and nobody raises it"
COUNTERS_WITHOUT = {
    "applied_versions.version": _MESSAGE,
    "attempts.latency_ms": "a measured time",
    "attempts.status": "an HTTP status",
    "auto_withdrawals.hour_utc": "an hour, from 0 to 23",
    "campaigns.version": _MESSAGE,
    "idempotency_keys.status": "an HTTP status",
    "method_verifications.wrong_answers": "a count from 0 to 5",
    "payout_batches.lines": "a number of lines, at most 2,000",
    "payout_methods.version": _MESSAGE,
    "payouts.batch_line": "the number of a line, at most 2,000",
    "rewards.line": _MESSAGE,
    "rewards.part": _MESSAGE,
    "rewards.place": _MESSAGE,
    "rewards.settlement_version": _MESSAGE,
    "round_work.after_line": "the place in a list of lines, with a largest number for its end",
    "round_results.parts": _MESSAGE,
    "round_results.players": _MESSAGE,
    "rounds.lines_total": _MESSAGE,
    "rounds.parts": _MESSAGE,
    "rounds.result_version": _MESSAGE,
    "rounds.settlement_version": _MESSAGE,
    "stuck_events.version": _MESSAGE,
}

_UNBOUND_TIMES = """
    SELECT c.relname || '.' || a.attname FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
    AND (has_column_privilege(c.oid, a.attnum, 'INSERT') OR has_column_privilege(c.oid, a.attnum, 'UPDATE'))
    AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'
        AND k.conname = c.relname || '_times' AND a.attnum = ANY (k.conkey))
"""
_UNBOUND_COUNTERS = """
    SELECT c.relname || '.' || a.attname FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND a.atttypid IN ('integer'::regtype, 'smallint'::regtype) AND has_column_privilege(c.oid, a.attnum, 'UPDATE')
    AND (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled = 'O'
        AND t.tgfoid = to_regproc('refuse_counter') AND (t.tgname = c.relname || '_counters_first'
        OR t.tgname = c.relname || '_counters_leap' AND a.attnum = ANY (t.tgattr))) < 2
"""


@pytest.mark.parametrize("service", SERVICES)
async def test_every_time_and_counter_that_a_role_may_write_is_bound(
    make_database: DatabaseFactory, service: str
) -> None:
    """A new column of time needs ``bound_times``, one that counts ``bound_counters``, or a reason here."""
    connection = await asyncpg.connect(make_database(service, migrated=True).runtime)
    times = {row[0] for row in await connection.fetch(_UNBOUND_TIMES)}
    counters = {row[0] for row in await connection.fetch(_UNBOUND_COUNTERS)}
    await connection.close()
    assert times - TIMES_WITHOUT.keys() == set()
    assert counters - COUNTERS_WITHOUT.keys() == set()
