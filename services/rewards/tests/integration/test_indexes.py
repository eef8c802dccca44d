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
    sent_by,
    with_literals,
)
from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards import lineage
from prizewire_rewards.assignments import storage as assignments
from prizewire_rewards.campaigns.storage import campaigns, caps
from prizewire_rewards.campaigns.storage import views as campaign_views
from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.checks.questions import QUESTIONS
from prizewire_rewards.claims import storage as claims
from prizewire_rewards.entries import storage as entries
from prizewire_rewards.fees import storage as fees
from prizewire_rewards.ledger.storage import accounts, receivables
from prizewire_rewards.payouts.storage import batches, funding, payouts
from prizewire_rewards.payouts.storage import views as payout_views
from prizewire_rewards.prizes.storage import rounds, staging
from prizewire_rewards.prizes.storage import views as prize_views
from prizewire_rewards.rounds import storage as disownments
from prizewire_rewards.wallets.storage import balances, histories


def prizes(**wanted: Any) -> str:
    """A page of prizes, as ``GET /api/rewards`` reads it."""
    nothing: dict[str, Any] = dict.fromkeys(("player", "round_id", "correlation_id", "after"))
    return sent_by(lambda tx: prize_views.list_prizes(tx, limit=50, **{**nothing, **wanted}))


def claims_of(**wanted: Any) -> str:
    """A page of claims, as ``GET /api/claims`` reads it."""
    nothing: dict[str, Any] = dict.fromkeys(("player", "campaign", "state", "before"))
    return sent_by(lambda tx: claims.list_claims(tx, limit=50, **{**nothing, **wanted}))


def changes(page: Any) -> str:
    """A page of what changed, the last change first."""
    return sent_by(lambda tx: page(tx, since=None, before=None, limit=50))


QUERIES: dict[str, Statement | UniqueOnly] = {
    **chassis_queries(),
    "auto_withdrawals_due": funding._LOCK_DUE,
    # From campaigns_count_funds() of the database.
    "campaigns_pool": (
        "UPDATE campaigns c SET funded = c.funded + m.added "
        "FROM unnest(CAST(:pools AS uuid[]), CAST(:added AS bigint[])) AS m(pool, added) WHERE c.pool = m.pool"
    ),
    "campaigns_waiting": campaigns._NEXT,
    "cap_lines_campaign": caps._BEGIN,
    "claims_campaign": claims_of(campaign=UUID(int=1)),
    "claims_due": claims._DUE,
    "claims_opened": claims_of(),
    "claims_player": claims_of(player="x"),
    "claims_round": lineage._STEPS,
    "corrections_correlation": lineage._CORRECTIONS,
    "disowned_events_correlation": lineage._DISOWNED_EVENTS,
    "entries_stored": changes(entries.changed_entries),
    "entries_correlation": lineage._ENTRIES,
    "entries_listed": entries._LISTED,
    "entries_paid": entries._LOCK_UNCLOSED,
    "entries_round": entries._EARNED,
    "entry_rounds_closing_next": entries._LOCK_CLOSING,
    "fee_withdrawals_any_case": fees._EARLIER,
    "fee_withdrawals_listed": fees._PAGE,
    "fee_withdrawals_reference_once": UniqueOnly(
        "the same withdrawal of fees twice, where the second says that it repeats none"
    ),
    "ledger_groups_debts": QUESTIONS[Invariant.RECEIVABLES_ADD_UP].breaches,
    "ledger_groups_correlation": lineage._TRANSFERS,
    # From ledger_sum_up() of the database.
    "ledger_sums_zero": "DELETE FROM ledger_sums s WHERE s.total = 0",
    "ledger_transfers_debts": histories._PERIOD,
    # From checks.slices._count; the slices of the check read it too.
    "ledger_transfers_documented": f"SELECT count(*) FROM ({QUESTIONS[Invariant.MONEY_IS_DOCUMENTED].subjects}) s",
    "ledger_transfers_group": lineage._TRANSFERS,
    "ledger_transfers_wallet_credits": histories._OPENING,
    "ledger_transfers_wallet_debits": histories._OPENING,
    "money_in_any_case": accounts._EARLIER,
    "money_in_reference_once": UniqueOnly(
        "a second booking of an account under a reference that repeats none"
    ),
    "payee_assignments_listed": assignments._PAGE,
    "payee_assignments_one": UniqueOnly("a second proposed assignment of a player, or a second one in force"),
    "payee_assignments_payee": assignments._CHAINED,
    "payee_assignments_player": assignments._IN_FORCE,
    "payout_methods_default": payouts._DEFAULTS,
    "payouts_by_funding": payout_views._FUNDINGS,
    "payouts_campaign": campaign_views._SHEET,
    "payout_batches_newest": sent_by(lambda tx: batches.list_batches(tx, limit=50, before=None)),
    "payouts_one_of_inline": UniqueOnly("a second payout to the details of one request"),
    "payouts_one_of_line": payouts._OF_BATCH,
    "payouts_one_of_reference": UniqueOnly("a second payout of a funding account under one reference"),
    "payouts_one_retry": UniqueOnly("a second payout that retries the same one"),
    "payouts_quote_once": UniqueOnly("a second payout with one quote"),
    "payouts_stored": changes(payout_views.changed_payouts),
    "payouts_correlation": lineage._PAYOUTS,
    "payouts_player": payouts._REQUESTED,
    "payouts_round": QUESTIONS[Invariant.ONE_PAYOUT_PER_REWARD].breaches,
    "players_address": claims._SHARING,
    "players_device": claims._SHARING,
    "receivables_campaign": campaign_views._SHEET,
    "receivables_correlation": lineage._RECEIVABLES,
    "receivables_listed": receivables._LISTED,
    "receivables_owed": balances._BALANCES,
    "receivables_unpaid": receivables._LOCK_OF,
    "rewards_held": campaign_views._CAMPAIGNS,
    "rewards_listed": prizes(player="x"),
    "rewards_payout": UniqueOnly("two prizes with the same payout"),
    "rewards_round": rounds._CHUNK,
    "rewards_short": rounds._SHORTAGE,
    "round_disownments_listed": disownments._PAGE,
    "round_disownments_one": rounds._LOCK_SETTLED,
    "round_refusals_correlation": lineage._REFUSALS,
    "round_work_round": staging._PENDING_WORK,
    "rounds_campaign": campaign_views._SHEET,
    "rounds_stored": changes(disownments.changed_rounds),
    "rounds_correlation": lineage._ROUNDS,
    "rounds_settled": prizes(),
    "rounds_waiting": rounds._LOCK_QUEUE,
    "staged_lines_line": staging._LINES,
    "staged_lines_player": staging._LINES_FOR,
    "stuck_events_correlation": with_literals(replays._PAGE, correlation_id="'x'"),
    "stuck_events_parked": replays._HEAD_ID,
    "topup_reversals_topup": lineage._REVERSALS,
    "topups_correlation": lineage._TOPUPS,
    "transitions_subject": QUESTIONS[Invariant.TRANSITIONS_UNBROKEN].breaches,
}
"""Index; a query that needs it."""


@pytest.fixture(scope="module")
async def indexes(make_module_database: DatabaseFactory) -> AsyncIterator[IndexTests]:
    """A database with the service's tables."""
    opened = await IndexTests.open(make_module_database("rewards", migrated=True).migration)
    yield opened
    await opened.close()


async def test_held_prizes_need_their_index(indexes: IndexTests) -> None:
    """The listing of held prizes reads only them, however many prizes there are."""
    await indexes.check_needed("rewards_held", prizes(held=True))


async def test_every_index_names_its_query(indexes: IndexTests) -> None:
    """An index without a query is found, and so is a query whose index was dropped."""
    await indexes.check_listed(QUERIES)


@pytest.mark.parametrize("index", needed(QUERIES))
async def test_the_query_needs_its_index(indexes: IndexTests, index: str) -> None:
    """The plan of the query uses the index, and costs more without it."""
    await indexes.check_needed(index, QUERIES[index])
