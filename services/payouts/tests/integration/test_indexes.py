"""Every index has a query that needs it."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from prizewire_chassis.stuck_events import replays
from prizewire_chassis.testing import (
    IndexTests,
    Statement,
    UniqueOnly,
    chassis_queries,
    needed,
    with_literals,
)
from prizewire_devstack.testing import DatabaseFactory
from prizewire_payouts.approval import storage as approval
from prizewire_payouts.batches import storage as batches
from prizewire_payouts.gates import storage as gates
from prizewire_payouts.methods import storage as methods
from prizewire_payouts.payouts.storage import figures, lineage, queries, statements
from prizewire_payouts.rails import storage as rail_rows
from prizewire_payouts.reviews import storage as evidence
from prizewire_payouts.screening import storage as screenings
from prizewire_payouts.signer_audit.storage import RECORDS
from prizewire_payouts.stellar.storage import endings, leases, reviews, rows
from prizewire_payouts.stellar.storage import lineage as stellar_lineage
from prizewire_payouts.tax_list import storage as tax_list
from prizewire_payouts.verification import storage as verifications


def listing(**wanted: Any) -> Statement:
    """A page of payouts, as ``GET /api/payouts`` reads it."""
    statement, _ = queries.listing(queries.PayoutFilter(**wanted))
    return statement


def queue(by: queries.SortBy, **wanted: Any) -> Statement:
    """A page of the queue in an order of its own."""
    return listing(states=("held",), order=queries.Order(by=by, descending=False), **wanted)


QUERIES: dict[str, Statement | UniqueOnly] = {
    **chassis_queries(),
    "attempt_transitions_attempt": lineage._ATTEMPTS,
    "attempts_one_open": UniqueOnly("a second open attempt of a payout"),
    "attempts_reference": statements.LOOK_UP_NOW,
    "method_verifications_method": verifications._LATEST,
    "pauses_in_force_by_person": approval._PAUSES,
    "payout_evidence_filed": evidence._FILED,
    "payout_evidence_one": UniqueOnly(
        "a second evidence of an attempt beside one that is filed or confirmed"
    ),
    "payout_evidence_payout": evidence._OF,
    "payout_methods_default": methods._SEVERAL_DEFAULTS,
    "payout_methods_registered": UniqueOnly("a second active method of a player with the same destination"),
    "payout_methods_payout": UniqueOnly("a second method of one payout's details"),
    "payout_methods_mac": methods._PLAYERS_OF_DESTINATIONS,
    "payout_methods_account": gates._TO_DESTINATION,
    "signer_audit_records_correlation": (
        f"{RECORDS._select} WHERE correlation_id = :correlation_id ORDER BY sequence LIMIT 500"
    ),
    "payouts_address": gates._TO_DESTINATION,
    "payout_methods_player": methods._OF_PLAYER,
    "payout_transitions_correlation": lineage._TRANSITIONS,
    "payout_transitions_payout": approval._MISCOUNTED,
    "payout_batches_listing": batches._PAGE,
    "payouts_batch_lines": batches._MEMBERS,
    "payouts_asset": listing(asset="x"),
    "payouts_paid": with_literals(tax_list.LINES, above="NULL", begin="now()", campaign="NULL", end="now()"),
    "payouts_payee": listing(payee="x"),
    "payouts_campaign": listing(campaign="x"),
    "payouts_competition": listing(competition="x"),
    "payouts_source": listing(source="x"),
    "payouts_code": listing(code="x"),
    "payouts_correlation": lineage._PAYOUTS,
    "payouts_due": figures._WAITING,
    "payouts_held_amount": queue(queries.SortBy.AMOUNT, asset="x"),
    "payouts_held_asset": queue(queries.SortBy.ASSET),
    "payouts_held_player": queue(queries.SortBy.PLAYER),
    "payouts_held_rail": queue(queries.SortBy.RAIL),
    "payouts_listing": listing(),
    "payouts_method": listing(method_id=UUID(int=1)),
    "payouts_one_retry": UniqueOnly("a second payout that retries the same one"),
    "payout_retries_one_live": UniqueOnly(
        "a second request to retry a payout beside one that is open or was filed"
    ),
    "payouts_player": listing(player="x"),
    "payouts_rail": listing(rail="x"),
    "payouts_state": figures._COUNTS,
    "payouts_stored": queries.changed_listing(since=None, before=None, limit=50)[0],
    "rail_rows_payout": rail_rows.page_of(payout_ids=True),
    "rail_rows_state": rail_rows.page_of(states=True),
    "screenings_payout": screenings._OF_CORRELATION,
    "stellar_attempts_channel": with_literals(leases._HELD, holding=f"'{{{','.join(rows.HOLDING_STATES)}}}'"),
    "stellar_attempts_ended": endings._ENDED,
    "stellar_attempts_due": with_literals(rows._FIRST_DUE, state="'sent'"),
    "stellar_evidence_attempt": reviews._EVIDENCE,
    "stellar_evidence_one": UniqueOnly(
        "a second evidence of an attempt beside one that is filed or confirmed"
    ),
    "stellar_items_op": UniqueOnly("two payments with the same operation of a transaction"),
    "stellar_items_payment": stellar_lineage._STEPS,
    "stellar_payments_attempt_id": rows._HELD,
    "stellar_payments_group": leases._QUEUE_GROUP,
    "stellar_payments_one_live": UniqueOnly("a second payment of a payout that is queued, batched or paid"),
    "stellar_payments_queue": leases._QUEUE_HEAD,
    "stellar_signing_results_correlation": stellar_lineage._SIGNER,
    "stellar_signing_results_subject": stellar_lineage._SIGNER,
    "stellar_slots_one_open": leases._OPEN_SLOT,
    "stellar_transitions_attempt": reviews._ONE,
    "stuck_events_correlation": with_literals(replays._PAGE, correlation_id="'x'"),
    "stuck_events_parked": replays._HEAD_ID,
}
"""Index; a query that needs it."""
ROWS = {
    "payout_methods": (
        "INSERT INTO payout_methods (method_id, player, type, rail_types, version, state, verified, is_default, details, "
        "details_key, destination_mac, registered_by, registered_at, usable_from, changed_at) SELECT gen_random_uuid(), 'player-' || n, "
        "'fake', '{fake}', 1, 'active', true, n % 10 = 0, '', '', CAST(CAST(n AS text) AS bytea), 'ann', now(), now(), now() "
        "FROM generate_series(1, 1000) n"
    ),
    "payout_evidence": (
        "ALTER TABLE payout_evidence DROP CONSTRAINT payout_evidence_payout_id_attempt_no_fkey; "
        "INSERT INTO payout_evidence (evidence_id, payout_id, attempt_no, rail, state, finding, reference, note, filed_by, filed_at) "
        "SELECT gen_random_uuid(), gen_random_uuid(), 1, 'bank', 'filed', 'paid', 'r', 'n', 'ann', now() "
        "FROM generate_series(1, 2000) n"
    ),
    "rail_rows": (
        "INSERT INTO rail_rows (rail, collection, name, state, payout_id, document, version, changed_at) SELECT 'bank', 'lines', "
        "'row-' || n, 'state-' || n % 500, gen_random_uuid(), '{}', 1, now() FROM generate_series(1, 5000) n"
    ),
    "payouts": (
        "ALTER TABLE payouts DISABLE TRIGGER USER; ALTER TABLE payouts DROP CONSTRAINT payouts_asset_fkey; "
        "INSERT INTO payouts (payout_id, correlation_id, causation_id, player, campaign, asset, amount_minor, method_type, "
        "rail_type, filed_by, reward_ids, intent, intent_signature, intent_expires_at, needs_closure, state, rail, attempts, code, "
        "hold_no, approvers_needed, expiry_told, version, close_version, due_at, polls, requested_at, changed_at) "
        "SELECT gen_random_uuid(), 'corr-' || n, '', 'player-' || n % 100, 'campaign-' || n % 50, 'asset-' || n % 50, n, 'fake', "
        "'fake', 'rewards', '[]', '{}', '', now(), false, (ARRAY['held', 'approved', 'failed', 'rejected'])[n % 4 + 1], "
        "'rail-' || n % 200, 1, CASE n % 3 WHEN 0 THEN 'code-' || n % 20 END, 0, 0, false, 1, 0, now(), 0, "
        "now() - n * interval '1 minute', now() FROM generate_series(1, 20000) n"
    ),
    "stellar_payments": (
        "ALTER TABLE stellar_payments DROP CONSTRAINT stellar_payments_payout_id_fkey; "
        "INSERT INTO stellar_payments (provider_key, payout_id, attempt_no, rail, asset, amount_minor, stroops, destination, "
        "account, memo, state, offered, rebuilds, refusals, due_at, queued_at, changed_at) SELECT gen_random_uuid(), "
        "gen_random_uuid(), 1, 'stellar', 'USDC', 1, 1, 'G' || repeat('A', 55), 'G' || repeat('A', 55), 'memo-' || n % 500, 'queued', false, 0, 0, now(), now(), "
        "now() FROM generate_series(1, 1000) n"
    ),
}
"""Over empty tables the plans with other indexes of these tables cost the same."""


@pytest.fixture(scope="module")
async def indexes(make_module_database: DatabaseFactory) -> AsyncIterator[IndexTests]:
    """A database with the service's tables and these rows."""
    opened = await IndexTests.open(make_module_database("payouts", migrated=True).migration)
    await opened.fill(ROWS)
    yield opened
    await opened.close()


async def test_every_index_names_its_query(indexes: IndexTests) -> None:
    """An index without a query is found, and so is a query whose index was dropped."""
    await indexes.check_listed(QUERIES)


@pytest.mark.parametrize("index", needed(QUERIES))
async def test_the_query_needs_its_index(indexes: IndexTests, index: str) -> None:
    """The plan of the query uses the index, and costs more without it."""
    await indexes.check_needed(index, QUERIES[index])
