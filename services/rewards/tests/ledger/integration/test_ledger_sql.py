"""The database's own refusals, tested by SQL without the service's code."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.checks.slices import sum_up
from prizewire_rewards.ledger.domain.accounts import KINDS, Account, Kind
from prizewire_rewards.ledger.storage.accounts import roll_up
from services.rewards.tests.payouts.integration.test_payouts import requested
from services.rewards.tests.rig import FAKE_METHOD, FAKE_RAIL, START, Match, Rig, paid_event, returned_event
from services.rewards.tests.sql import insert, open_account, refused, refused_to_the_owner

POOL = Account(Kind.POOL, "p", "USDC")
WORLD = Account(Kind.EXTERNAL_IN, "world", "USDC")
RESERVED = Account(Kind.RESERVED, "r", "USDC")
WINNINGS = Account(Kind.WINNINGS, "ann", "USDC")
ENTRY_FEES = Account(Kind.ENTRY_FEES, "platform", "USDC")


async def with_funds(rig: Rig) -> Rig:
    """A pool with 100 minor units, and some empty accounts."""
    async with rig.db.transaction() as tx:
        for account in (POOL, WORLD, RESERVED, WINNINGS, ENTRY_FEES):
            await open_account(tx, account)
        await insert(tx, "campaign_funded", WORLD, POOL, 100)
    return rig


@pytest.fixture
async def funded(rig: Rig) -> Rig:
    """A ledger of the test's own."""
    return await with_funds(rig)


@pytest.fixture(scope="module")
async def shared(make_module_database: DatabaseFactory) -> AsyncIterator[Rig]:
    """A ledger for tests in which every write is refused."""
    rig = await Rig.open(make_module_database("rewards", migrated=True))
    yield await with_funds(rig)
    await rig.close()


async def test_a_transfer_moves_both_balances(funded: Rig) -> None:
    """An inserted transfer changes both balances; nothing else can change them."""
    async with funded.db.transaction() as tx:
        await insert(tx, "prize_reserved", POOL, RESERVED, 30)
    assert await funded.balance(Kind.POOL, "p") == 70
    assert await funded.balance(Kind.RESERVED, "r") == 30
    assert await funded.balance(Kind.EXTERNAL_IN, "world") == -100


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_transfers SET amount = 1",
        "DELETE FROM ledger_transfers",
        "TRUNCATE ledger_transfers",
        "UPDATE ledger_accounts SET balance = balance + 1",
        "DELETE FROM ledger_accounts",
        "UPDATE assets SET decimals = 3",
        "DELETE FROM assets",
        "INSERT INTO ledger_edges VALUES ('x', 'entry_fees', 'pool', false)",
        "UPDATE ledger_edges SET redeemable = false",
        "DELETE FROM ledger_edges",
        "INSERT INTO ledger_deltas (account, delta) VALUES (gen_random_uuid(), 1)",
        "UPDATE ledger_rollups SET balance = 0",
        "INSERT INTO ledger_rollups VALUES (gen_random_uuid(), 1)",
        "ALTER TABLE ledger_transfers DISABLE TRIGGER ALL",
        "UPDATE transitions SET to_state = 'final'",
        "DELETE FROM transitions",
        "INSERT INTO rewards_state_edges VALUES ('credited', 'unfunded')",
    ],
)
async def test_the_service_may_not_change_the_ledger(shared: Rig, statement: str) -> None:
    """The runtime role has no privilege for these statements."""
    state, _ = await refused(shared, lambda tx: tx.execute(text(statement)))
    assert state == "42501"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_transfers SET amount = 1",
        "DELETE FROM ledger_transfers",
        "TRUNCATE ledger_transfers",
        "UPDATE assets SET decimals = 3",
        "DELETE FROM ledger_edges",
        "UPDATE ledger_kinds SET bound = 'none'",
        "DELETE FROM transitions",
    ],
)
async def test_the_owner_cannot_change_append_only_tables(shared: Rig, statement: str) -> None:
    """A trigger refuses changes of append-only tables, also by the owner."""
    state, message = await refused_to_the_owner(shared, statement)
    assert state == "23000"
    assert "append-only" in message


@pytest.mark.parametrize(
    ("type_", "debit", "credit"),
    [
        ("entry_fee_earned", ENTRY_FEES, POOL),
        ("campaign_funded", ENTRY_FEES, POOL),
        ("prize_credited", POOL, WINNINGS),
        ("prize_credited", WINNINGS, RESERVED),
        ("made_up", POOL, RESERVED),
    ],
)
async def test_a_type_outside_the_allowlist_is_refused(
    shared: Rig, type_: str, debit: Account, credit: Account
) -> None:
    """Every (type, debit kind, credit kind) must be in ledger_edges; none leads from entry fees to a pool."""
    state, message = await refused(shared, lambda tx: insert(tx, type_, debit, credit, 1))
    assert state == "23503"
    assert message.endswith("is not allowed")


async def test_a_kind_that_differs_from_the_accounts_is_refused(shared: Rig) -> None:
    """The kinds in a transfer must be those of its accounts, so an entry-fee account cannot be used as an external one."""
    state, message = await refused(
        shared, lambda tx: insert(tx, "campaign_funded", ENTRY_FEES, POOL, 1, debit_kind="external_in")
    )
    assert state == "23503"
    assert "not open in this kind" in message


async def test_an_asset_that_differs_from_the_accounts_is_refused(shared: Rig) -> None:
    """Both accounts must have the transfer's asset."""
    state, _ = await refused(shared, lambda tx: insert(tx, "campaign_funded", WORLD, POOL, 1, asset="EURC"))
    assert state == "23503"


async def test_an_unknown_account_is_refused(shared: Rig) -> None:
    """Both accounts must exist."""
    nowhere = Account(Kind.RESERVED, "nobody's", "USDC")
    state, _ = await refused(shared, lambda tx: insert(tx, "prize_reserved", POOL, nowhere, 1))
    assert state == "23503"


@pytest.mark.parametrize(
    ("type_", "debit", "credit", "amount"),
    [
        ("prize_reserved", POOL, RESERVED, 101),
        ("prize_credited", RESERVED, WINNINGS, 1),
        ("receivable_recovered", WINNINGS, POOL, 1),
    ],
)
async def test_a_pool_or_wallet_never_goes_below_zero(
    shared: Rig, type_: str, debit: Account, credit: Account, amount: int
) -> None:
    """The transfer is refused and changes nothing."""

    async def attempt(tx: AsyncConnection) -> None:
        await open_account(tx, credit)
        await insert(tx, type_, debit, credit, amount)

    state, _ = await refused(shared, attempt)
    assert state == "23514"
    assert await shared.balance(Kind.POOL, "p") == 100


async def test_a_receivable_never_goes_above_zero(funded: Rig) -> None:
    """A debt cannot be reduced below zero."""
    owed = Account(Kind.RECEIVABLE, "ann", "USDC")
    clearing = Account(Kind.CLEARING, "receivables", "USDC")
    async with funded.db.transaction() as tx:
        await open_account(tx, owed)
        await open_account(tx, clearing)
        await insert(tx, "prize_reserved", POOL, RESERVED, 50)
        await insert(tx, "prize_credited", RESERVED, WINNINGS, 50)
        await insert(tx, "receivable_opened", owed, clearing, 10)
    state, message = await refused(funded, lambda tx: insert(tx, "receivable_settled", clearing, owed, 11))
    assert state == "23514"
    assert "ledger_accounts_ceiling" in message


@pytest.mark.parametrize("amount", [0, -5])
async def test_an_amount_is_above_zero(shared: Rig, amount: int) -> None:
    """An amount of zero or less is refused."""
    state, _ = await refused(shared, lambda tx: insert(tx, "prize_reserved", POOL, RESERVED, amount))
    assert state == "23514"


async def test_a_transfer_is_written_once(funded: Rig) -> None:
    """A second transfer with the same deterministic id is refused."""
    async with funded.db.transaction() as tx:
        written = await insert(tx, "prize_reserved", POOL, RESERVED, 1)
    state, _ = await refused(funded, lambda tx: insert(tx, "prize_reserved", POOL, RESERVED, 1, id=written))
    assert state == "23505"


async def test_points_cannot_leave(rig: Rig) -> None:
    """An asset that is not redeemable is refused on every edge that leads out."""
    points = {kind: Account(kind, "x", "SEASON") for kind in KINDS}
    async with rig.db.transaction() as tx:
        for account in points.values():
            await open_account(tx, account)
        await insert(tx, "campaign_funded", points[Kind.EXTERNAL_IN], points[Kind.POOL], 100)
        await insert(tx, "prize_reserved", points[Kind.POOL], points[Kind.RESERVED], 50)
        await insert(tx, "prize_credited", points[Kind.RESERVED], points[Kind.WINNINGS], 50)
        await insert(tx, "entry_fee_held", points[Kind.WINNINGS], points[Kind.ESCROW_WINNINGS], 5)
    edges = await rig.rows("SELECT type, debit_kind, credit_kind FROM ledger_edges WHERE redeemable")
    assert len(edges) == 32
    for edge in edges:
        debit, credit = points[Kind(edge["debit_kind"])], points[Kind(edge["credit_kind"])]
        state, message = await refused(
            rig, lambda tx, e=edge, d=debit, c=credit: insert(tx, e["type"], d, c, 1)
        )
        assert state == "23514", edge
        assert "not redeemable" in message


async def test_a_new_account_has_a_balance_of_zero(shared: Rig) -> None:
    """A new account must have a balance of zero."""
    state, _ = await refused(
        shared, lambda tx: open_account(tx, Account(Kind.WINNINGS, "eve", "USDC"), balance=5)
    )
    assert state == "23514"


async def test_a_wallet_needs_its_bound(shared: Rig) -> None:
    """A wallet cannot be opened as an unbounded account."""

    async def attempt(tx: AsyncConnection) -> None:
        await tx.execute(
            text(
                "INSERT INTO ledger_accounts (id, kind, owner, asset, bound, balance, opened_at) "
                "VALUES (gen_random_uuid(), 'wallet:winnings', 'eve', 'USDC', 'none', NULL, :at)"
            ),
            {"at": START},
        )

    state, _ = await refused(shared, attempt)
    assert state == "23503"


async def test_states_move_only_along_their_edges(rig: Rig) -> None:
    """The database has the same transition tables as the domain."""
    campaign = await rig.campaign(funded=100)
    await rig.settle(Match(campaign, [("ann", "1.00")]))
    for statement, what in (
        ("UPDATE campaigns SET state = 'draft'", "campaigns: active -> draft"),
        ("UPDATE rounds SET state = 'reserved'", "rounds: final -> reserved"),
        ("UPDATE rewards SET state = 'pending'", "rewards: credited -> pending"),
        ("UPDATE campaigns SET granted = funded + 1", "campaigns_granted"),
        ("UPDATE rewards SET state = 'unfunded', transfer_id = NULL", "rewards: credited -> unfunded"),
    ):
        state, message = await refused(rig, lambda tx, sql=statement: tx.execute(text(sql)))
        assert state == "23514"
        assert what in message


async def test_the_roll_up_changes_no_balance(funded: Rig) -> None:
    """The roll-up of unbounded accounts' movements is exact and complete."""
    async with funded.db.transaction() as tx:
        await insert(tx, "campaign_funded", WORLD, POOL, 23)
    before = await funded.balance(Kind.EXTERNAL_IN, "world")
    for _ in range(2):
        async with funded.db.transaction() as tx:
            await tx.execute(text("SELECT ledger_roll_up(1)"))
    assert await funded.rows("SELECT * FROM ledger_deltas") == []
    assert await funded.balance(Kind.EXTERNAL_IN, "world") == before == -123
    others = [
        found
        for found in await funded.breaches()
        if not found.startswith(("accounts_owned: ", "granted_within_funded: ", "money_is_documented: "))
    ]
    assert others == [], (
        "the pool of this test has no campaign, and no person is stored; nothing else may be off"
    )


async def test_the_intake_of_the_ledger_has_a_limit(rig: Rig) -> None:
    """At most 2^62 minor units of an asset may come in from outside. At the limit, checks and roll-ups still work."""
    topup = Account(Kind.TOPUP, "ann", "USDC")
    opening = Account(Kind.EXTERNAL_IN, "opening:winnings", "USDC")
    async with rig.db.transaction() as tx:
        for account in (POOL, WORLD, WINNINGS, topup, opening):
            await open_account(tx, account)
        await insert(tx, "topup_credited", WORLD, topup, 2**61)
        await insert(tx, "opening_balance", opening, WINNINGS, 2**61)
    for type_, debit, credit in (
        ("topup_credited", WORLD, topup),
        ("opening_balance", opening, WINNINGS),
        ("campaign_funded", WORLD, POOL),
    ):
        state, message = await refused(rig, lambda tx, a=type_, b=debit, c=credit: insert(tx, a, b, c, 1))
        assert (state, "came in" in message) == ("23514", True)
    async with rig.db.transaction() as tx:
        assert await roll_up(tx, rows_max=100) == 2
    assert await rig.balance(Kind.EXTERNAL_IN, "world") == -(2**61)


async def test_an_account_without_a_bound_keeps_the_limit(rig: Rig) -> None:
    """No other account bounds what rails charge, so the limit of an account stops it."""
    charged, treasury = Account(Kind.RAIL_FEES, "fake", "XLM"), Account(Kind.TREASURY, "fake", "XLM")
    async with rig.db.transaction() as tx:
        for account in (charged, treasury):
            await open_account(tx, account)
        await insert(tx, "rail_fee", charged, treasury, 2**62)
        await roll_up(tx, rows_max=100)
    state, message = await refused(rig, lambda tx: insert(tx, "rail_fee", charged, treasury, 1))
    assert (state, "would pass" in message) == ("23514", True)


async def test_sums_beyond_64_bits_break_no_check(rig: Rig) -> None:
    """The limit does not apply to movements before their roll-up, and their sums are exact."""
    charged, treasury = Account(Kind.RAIL_FEES, "fake", "XLM"), Account(Kind.TREASURY, "fake", "XLM")
    async with rig.db.transaction() as tx:
        for account in (charged, treasury):
            await open_account(tx, account)
        for _ in range(4):
            await insert(tx, "rail_fee", charged, treasury, 2**62)
    assert await rig.balance(Kind.TREASURY, "fake", "XLM") == 2**64
    async with rig.db.transaction() as tx:
        assert await roll_up(tx, rows_max=100) == 8
    for _ in range(2):
        async with rig.db.transaction() as tx:
            await sum_up(tx, rows_max=100)
    assert await rig.balance(Kind.RAIL_FEES, "fake", "XLM") == -(2**64)
    # no payout had these fees, and the sums are correct
    published = await rig.breaches()
    assert [found for found in published if not found.startswith("transfers_documented: ")] == []


@pytest.mark.parametrize(
    ("type_", "debit", "credit", "cause"),
    [
        ("opening_balance", Account(Kind.EXTERNAL_IN, "opening:winnings", "USDC"), WINNINGS, "import/x"),
        (
            "opening_balance",
            Account(Kind.EXTERNAL_IN, "opening:winnings", "USDC"),
            WINNINGS,
            f"opening/{uuid4()}",
        ),
        ("campaign_funded", WORLD, POOL, f"fund/{uuid4()}"),
        ("funding_added", WORLD, Account(Kind.FUNDING, "main", "USDC"), f"funding/{uuid4()}"),
        ("topup_credited", WORLD, Account(Kind.TOPUP, "ann", "USDC"), f"topup/{uuid4()}"),
        ("payout_returned", Account(Kind.TREASURY, "fake", "USDC"), WINNINGS, f"payout/{uuid4()}"),
    ],
    ids=["import", "opening", "campaign", "funding account", "topup", "returned payout"],
)
async def test_money_without_a_document_is_a_breach(
    rig: Rig, type_: str, debit: Account, credit: Account, cause: str
) -> None:
    """An attacker with the service's login can insert a transfer; the checks report it with amount and account."""
    async with rig.db.transaction() as tx:
        for account in (debit, credit):
            await open_account(tx, account)
        made = await insert(tx, type_, debit, credit, 90_000_000, cause=cause)
    breaches = [found for found in await rig.breaches() if found.startswith("money_is_documented: ")]
    assert len(breaches) == 1
    assert f"transfer {made} ({type_}) of 900000.00 USDC to {credit.kind} of {credit.owner}" in breaches[0]


async def test_a_second_return_of_a_payout_is_a_breach(rig: Rig) -> None:
    """A returned payout is the document of one transfer only, of its amount and to its player."""
    payout = await requested(rig, **FAKE_METHOD)
    await rig.feed(
        rig.payouts,
        paid_event(payout, player="ann", amount="500.00", **FAKE_RAIL),
        returned_event(payout, amount="500.00"),
    )
    assert await rig.breaches() == []
    [row] = await rig.rows("SELECT correlation_id FROM payouts")
    treasury = Account(Kind.TREASURY, "fake", "USDC")
    async with rig.db.transaction() as tx:
        await insert(
            tx,
            "payout_returned",
            treasury,
            WINNINGS,
            50_000,
            cause=f"payout/{payout}",
            correlation=row["correlation_id"],
        )
    assert any("it came back more than once" in found for found in await rig.breaches())
