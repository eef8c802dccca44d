"""Invariants: checks read everything, watches a bounded part in each run, and both find breaches."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from prizewire_chassis.logging import get_logger
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.checks import slices as checks
from prizewire_rewards.checks.invariants import Invariant, WatchResult
from prizewire_rewards.checks.slices import BalanceWatch, build_watches, sum_up
from prizewire_rewards.jobs import Watch, build_ledger_jobs
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from services.rewards.tests.money import entered, opened, spent_and_disputed, top_up
from services.rewards.tests.rig import INTENTS, Match, Rig, method_event
from services.rewards.tests.sql import as_owner, insert, refused

ALL_AT_ONCE = 10_000


async def run(rig: Rig, watch: Watch) -> WatchResult:
    async with rig.db.transaction() as tx:
        return await watch.run(tx)


async def summed_up(rig: Rig, *, rows_max: int = ALL_AT_ONCE) -> tuple[int, int]:
    async with rig.db.transaction() as tx:
        return await sum_up(tx, rows_max=rows_max)


async def played(rig: Rig, *, rounds: int = 4) -> None:
    """Rounds whose prizes are requested directly."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"), method_event("bob"))
    for _ in range(rounds):
        await rig.settle(
            Match(campaign, [("ann", "2.00"), ("bob", "1.00"), ("cid", "1.00")], platform="0.50")
        )


async def paid_in(rig: Rig) -> None:
    """A top-up with a partial refund, and one with an entry fee in escrow."""
    session = await top_up(rig, "dan", "20.00")
    await rig.feed(rig.payouts, session.reversal("refunded", "re_1", "5.00"))
    match = Match(await rig.campaign(), [])
    await rig.feed(rig.settlements, opened(match), entered(match, "dan", version=2))


async def played_all(rig: Rig) -> None:
    """The same, with claimable prizes and a partly recovered debt."""
    await played(rig)
    claims = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM)
    await rig.settle(Match(claims, [("kim", "2.00")]))
    await spent_and_disputed(rig, "leo", "5.00")
    wallets = await rig.campaign(funded=100_000)
    await rig.settle(Match(wallets, [("leo", "3.00")]))


async def change_rows(rig: Rig, *statements: str) -> None:
    """Change rows without any guard, as only a superuser of the database can."""
    tables = (
        "ledger_accounts",
        "ledger_groups",
        "ledger_transfers",
        "rewards",
        "payouts",
        "rounds",
        "campaigns",
        "entries",
        "entry_rounds",
        "topups",
        "topup_reversals",
        "receivables",
        "money_in",
        "transitions",
    )
    off = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables]
    await as_owner(rig, *off, *statements)


BELOW_ZERO = "UPDATE ledger_accounts SET balance = -1 WHERE owner = 'cid'"
BREAKS = [
    (Invariant.BALANCES_ARE_SUMS, "UPDATE ledger_accounts SET balance = balance + 1 WHERE owner = 'cid'"),
    (Invariant.ASSETS_SUM_TO_ZERO, "UPDATE ledger_accounts SET balance = balance + 1 WHERE owner = 'cid'"),
    (
        Invariant.BOUNDS_HOLD,
        "ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_floor; " + BELOW_ZERO,
    ),
    (Invariant.GRANTED_WITHIN_FUNDED, "UPDATE campaigns SET funded = funded + 1"),
    (Invariant.ROUNDS_ADD_UP, "UPDATE rewards SET amount = amount + 1 WHERE player = 'cid'"),
    (Invariant.LINES_AS_SETTLED, "UPDATE rewards SET place = place + 1 WHERE player = 'cid'"),
    (Invariant.LINES_AS_SETTLED, "UPDATE rewards SET player = 'eve' WHERE player = 'cid'"),
    (Invariant.INTENTS_SIGNED, """UPDATE payouts SET intent = intent || '{"pay_amount": "400.00"}'"""),
    (Invariant.ONE_PAYOUT_PER_REWARD, "UPDATE rewards SET player = 'eve' WHERE player = 'ann'"),
    (Invariant.PAYOUTS_CONSISTENT, "UPDATE payouts SET amount = amount + 1"),
    (Invariant.ENTRIES_IN_ESCROW, "UPDATE entries SET from_topup = 400, from_winnings = 100"),
    (Invariant.ENTRIES_IN_ESCROW, "UPDATE entry_rounds SET open = false, ended_as = 'earned'"),
    (Invariant.ENTRIES_IN_ESCROW, "UPDATE entries SET state = 'earned'"),
    (Invariant.TOPUPS_ADD_UP, "UPDATE topups SET reversed = reversed + 1 WHERE player = 'dan'"),
    (Invariant.TOPUPS_ADD_UP, "UPDATE topups SET credited = credited + 1"),
    (
        Invariant.TOPUPS_ADD_UP,
        "UPDATE topup_reversals SET taken = taken - 1 WHERE kind = 'refund'; UPDATE topups SET reversed = 499",
    ),
    (Invariant.MONEY_IS_DOCUMENTED, "DELETE FROM money_in"),
    (Invariant.MONEY_IS_DOCUMENTED, "UPDATE money_in SET amount = amount + 1"),
    (Invariant.MONEY_IS_DOCUMENTED, "UPDATE money_in SET id = gen_random_uuid()"),
    (Invariant.MONEY_IS_DOCUMENTED, "UPDATE topups SET player = 'eve'"),
    (Invariant.MONEY_IS_DOCUMENTED, "UPDATE topups SET correlation_id = 'other'"),
    (
        Invariant.MONEY_IS_DOCUMENTED,
        (
            "UPDATE ledger_groups SET cause = 'round/x/1' "
            "WHERE no IN (SELECT group_no FROM ledger_transfers WHERE type = 'prize_reserved')"
        ),
    ),
    (Invariant.TRANSITIONS_UNBROKEN, "UPDATE payouts SET state = 'failed'"),
    (Invariant.TRANSITIONS_UNBROKEN, "UPDATE entries SET state = 'earned'"),
    (
        Invariant.TRANSITIONS_UNBROKEN,
        "DELETE FROM transitions WHERE from_state = '' AND machine = 'campaign'",
    ),
    (Invariant.TRANSITIONS_UNBROKEN, "UPDATE transitions SET to_state = 'ended' WHERE to_state = 'draft'"),
    (Invariant.ONE_PAYOUT_PER_REWARD, "UPDATE rewards SET payout_ordinal = 2 WHERE player = 'ann'"),
    (Invariant.ROUNDS_ADD_UP, "UPDATE rewards SET line = 1 WHERE player = 'cid'"),
    (Invariant.ROUNDS_ADD_UP, "UPDATE rewards SET short = 1 WHERE player = 'cid'"),
    (Invariant.ROUNDS_ADD_UP, "UPDATE rewards SET state = 'held' WHERE player = 'cid'"),
    (Invariant.PRIZES_AS_BOOKED, "UPDATE rewards SET short = 1 WHERE player = 'cid'"),
    (Invariant.PRIZES_AS_BOOKED, "UPDATE rewards SET state = 'reversed' WHERE player = 'cid'"),
    (Invariant.CLAIMABLE_IS_OWED, "UPDATE rewards SET amount = amount + 1 WHERE player = 'kim'"),
    (Invariant.RECEIVABLES_ADD_UP, "UPDATE receivables SET recovered = recovered + 1"),
    (
        Invariant.RECEIVABLES_ADD_UP,
        "UPDATE receivables SET recovered = recovered - 1, lifted = 1, restored = 0",
    ),
    *(
        (Invariant.DEBTS_HAVE_REASONS, f"UPDATE receivables SET {column} = {value}")
        for column, value in (
            ("player", "'eve'"),
            ("asset", "'EURC'"),
            ("amount", "amount + 1"),
            ("cause", "'correction/' || gen_random_uuid() || '/2'"),
            ("cause", "'none'"),
            ("reference", "'other'"),
            ("correlation_id", "'other'"),
            ("campaign", "(SELECT min(CAST(id AS text))::uuid FROM campaigns)"),
            ("lifted", "1"),
        )
    ),
    (Invariant.ROUND_MONEY, "UPDATE rounds SET platform_fee = platform_fee + 1"),
    (Invariant.ROUND_MONEY, "UPDATE rounds SET organizer_fee = 1"),
    (Invariant.ROUND_MONEY, "UPDATE rewards SET short = 1 WHERE player = 'kim'"),
    (Invariant.RECEIVABLES_ADD_UP, "UPDATE receivables SET written_off = 1, recovered = recovered - 1"),
    (
        Invariant.PARTS_COME,
        "INSERT INTO staged_parts SELECT id, 1, 1, 2, '{}', now() - interval '1 day' FROM rounds",
    ),
]


@pytest.mark.parametrize(
    ("invariant", "change"), BREAKS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(BREAKS)]
)
async def test_each_invariant_finds_its_breach(rig: Rig, invariant: Invariant, change: str) -> None:
    """Check and watch find the same change, and neither finds a breach before it."""
    await played_all(rig)
    await paid_in(rig)
    watches = {watch.name: watch for watch in build_watches(intents=INTENTS)}
    assert await rig.breaches() == []
    assert not any([(await run(rig, watch)).breaches for watch in watches.values()])
    await change_rows(rig, *change.split("; "))
    assert any(breach.startswith(f"{invariant}: ") for breach in await rig.breaches())
    assert (await run(rig, watches[invariant])).breaches


def watch_of(name: Invariant, *, weight: int) -> Watch:
    return next(watch for watch in build_watches(intents=INTENTS, weight=weight) if watch.name == name)


async def test_a_watch_reads_one_slice_in_a_run_and_says_which(rig: Rig) -> None:
    """Every payout is read once, the last run says so, and then the watch begins again."""
    await played(rig)
    watch = watch_of(Invariant.PAYOUTS_CONSISTENT, weight=3)
    results = [await run(rig, watch) for _ in range(4)]
    assert [result.checked for result in results] == [3, 3, 2, 3]
    assert [result.whole for result in results] == [False, False, True, False]
    first, second, third, again = (result.covered for result in results)
    assert first.startswith("3 payouts by id, from the first to ")
    assert second.startswith("3 payouts by id, after ")
    assert third.endswith(" to the last")
    assert again == first


async def test_a_round_counts_as_many_rows_as_it_has_lines(rig: Rig) -> None:
    """Three lines and the round itself count as four; a round larger than a slice is read too."""
    await played(rig)
    assert (await run(rig, watch_of(Invariant.ROUNDS_ADD_UP, weight=8))).checked == 2
    assert (await run(rig, watch_of(Invariant.ROUNDS_ADD_UP, weight=1))).checked == 1


async def test_a_known_breach_is_read_in_every_run(rig: Rig) -> None:
    """A known breach is read in every run until it is repaired."""
    await played(rig)
    [first] = await rig.rows("SELECT id FROM payouts ORDER BY id LIMIT 1")
    await change_rows(rig, f"UPDATE payouts SET amount = amount + 1 WHERE id = '{first['id']}'")
    watch = watch_of(Invariant.PAYOUTS_CONSISTENT, weight=3)
    results = [await run(rig, watch) for _ in range(3)]
    assert [len(result.breaches) for result in results] == [1, 1, 1]
    assert "again 1 that were broken" in results[1].covered
    await change_rows(rig, f"UPDATE payouts SET amount = amount - 1 WHERE id = '{first['id']}'")
    assert (await run(rig, watch)).breaches == []


async def test_the_check_reads_every_slice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check finds a breach in the last slice, or after the last step of transfers."""
    await played(rig)
    monkeypatch.setattr(checks, "SLICE_WEIGHT", 3)
    monkeypatch.setattr(checks._check_balances, "__kwdefaults__", {"stride": 5})
    assert await rig.breaches() == []
    [last] = await rig.rows("SELECT id FROM payouts ORDER BY id DESC LIMIT 1")
    await change_rows(
        rig,
        f"UPDATE payouts SET amount = amount + 1 WHERE id = '{last['id']}'",
        "UPDATE ledger_transfers SET amount = amount + 1 WHERE seq = (SELECT max(seq) FROM ledger_transfers)",
    )
    found = await rig.breaches()
    assert len([one for one in found if one.startswith("payouts_consistent")]) == 1
    assert len([one for one in found if one.startswith("balances_are_sums")]) == 2


async def test_balances_are_compared_with_the_checkpoint_and_later_transfers(rig: Rig) -> None:
    """Before, at and after the checkpoint the sums match, also of unbounded accounts; a changed sum is found."""
    watch = BalanceWatch(weight=ALL_AT_ONCE, tail_max=ALL_AT_ONCE)
    await played(rig)
    transfers = len(await rig.rows("SELECT 1 FROM ledger_transfers"))
    assert (await run(rig, watch)).covered.endswith(f"moved by the {transfers} transfers after number 0")
    assert await summed_up(rig) == (0, transfers), "a mark is set first"
    assert await summed_up(rig) == (transfers, 0)
    result = await run(rig, watch)
    assert (result.breaches, result.whole) == ([], True)
    assert "the 0 transfers after number" in result.covered
    await played(rig, rounds=1)
    assert (await run(rig, watch)).breaches == []
    await change_rows(
        rig, "UPDATE ledger_rollups SET balance = balance + 1", "UPDATE ledger_deltas SET delta = delta + 1"
    )
    [breach, *_] = (await run(rig, watch)).breaches
    assert "its transfers make" in breach


async def test_an_account_that_just_moved_is_read_in_every_run(rig: Rig) -> None:
    """A wrong balance of an account that just moved is found at once, however many accounts there are."""
    await played(rig)
    for _ in range(2):
        await summed_up(rig)
    watch = BalanceWatch(weight=1, tail_max=ALL_AT_ONCE)
    await run(rig, watch)
    campaign = await rig.campaign(funded=5_000)
    await change_rows(rig, f"UPDATE ledger_accounts SET balance = balance + 7 WHERE owner = '{campaign}'")
    [breach] = (await run(rig, watch)).breaches
    assert f"pool of {campaign} holds 50.07 USDC, its transfers make 50.00 USDC" in breach


async def test_too_many_transfers_since_the_checkpoint_are_reported(rig: Rig) -> None:
    """If the transfers since the checkpoint are too many, the run reports that it read nothing."""
    await played(rig)
    result = await run(rig, BalanceWatch(weight=ALL_AT_ONCE, tail_max=3))
    assert (result.checked, result.whole) == (0, False)
    assert "transfers are still to be summed up" in result.covered


async def test_the_checkpoint_moves_in_bounded_steps(rig: Rig) -> None:
    """Each step sums a bounded number of transfers; sums of zero are not stored."""
    await played(rig)
    total = len(await rig.rows("SELECT 1 FROM ledger_transfers"))
    await summed_up(rig)
    steps = []
    while not steps or steps[-1]:
        summed, _ = await summed_up(rig, rows_max=7)
        steps.append(summed)
    assert steps == [*[7] * (total // 7), total % 7, *([0] if total % 7 else [])]
    kept = await rig.rows(
        "SELECT s.total, b.balance FROM ledger_sums s JOIN ledger_balances b ON b.id = s.account"
    )
    assert all(row["total"] == row["balance"] != 0 for row in kept)
    assert len(kept) == len(await rig.rows("SELECT 1 FROM ledger_balances WHERE balance <> 0"))


async def test_the_checkpoint_waits_for_smaller_numbers_that_are_not_committed(rig: Rig) -> None:
    """A transfer with a smaller number that commits later is not missed."""
    campaign = await rig.campaign(funded=5_000)
    pool, world = Account(Kind.POOL, str(campaign), "USDC"), Account(Kind.EXTERNAL_IN, "world", "USDC")
    for _ in range(2):
        await summed_up(rig)
    drawn, commit = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with rig.db.transaction() as tx:
            await insert(tx, "campaign_funded", world, pool, 11)
            drawn.set()
            await commit.wait()

    writing = asyncio.create_task(slow())
    await drawn.wait()
    await rig.owe("ann", 100)
    steps = [await summed_up(rig) for _ in range(3)]
    assert steps == [(0, 2)] * 3, "the mark lies behind a transaction that is not through"
    commit.set()
    await writing
    assert await summed_up(rig) == (2, 0)
    assert (await run(rig, BalanceWatch(weight=ALL_AT_ONCE, tail_max=0))).breaches == []


async def test_the_service_does_not_write_the_sums(rig: Rig) -> None:
    """Only the database writes the sums of the checkpoint, in a transaction without earlier writes."""
    for statement in (
        "UPDATE ledger_sums SET total = 0",
        "INSERT INTO ledger_sums VALUES (gen_random_uuid(), 1)",
        "DELETE FROM ledger_sums",
        "UPDATE ledger_checkpoint SET seq = 0",
        "DELETE FROM ledger_checkpoint",
    ):
        state, _ = await refused(rig, lambda tx, sql=statement: tx.execute(text(sql)))
        assert state == "42501", statement
    await rig.campaign(funded=100)

    async def late(tx: AsyncConnection) -> None:
        await tx.execute(text("UPDATE campaigns SET queue_tail = queue_tail"))
        await sum_up(tx, rows_max=1)

    state, message = await refused(rig, late)
    assert (state, "transaction of its own" in message) == ("25000", True)


async def test_the_job_reports_breaches_and_what_it_covered(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run reads each invariant once, and the checkpoint has a job of its own."""
    await played(rig)
    asked: list[int] = []

    async def summing(_: AsyncConnection, rows_max: int) -> tuple[int, int]:
        asked.append(rows_max)
        return (rows_max, 5) if len(asked) == 1 else (0, 0)

    async def folding(_: AsyncConnection, rows_max: int) -> int:
        return min(0, rows_max)

    watches: Sequence[Watch] = build_watches(intents=INTENTS)
    jobs = build_ledger_jobs(
        db=rig.db, roll_up=folding, sum_up=summing, watches=watches, invariants_interval_s=300
    )
    by_name = {job.name: job for job in jobs}
    assert [await by_name["ledger.sum_up"].run() for _ in range(2)] == [True, False]
    # A logger that was used before keeps its former configuration.
    monkeypatch.setattr("prizewire_rewards.jobs._log", get_logger("test"))
    with capture_logs() as lines:
        await by_name["invariants"].run()
    (covered,) = (line["covered"] for line in lines if line["event"] == "invariants checked")
    assert any("all 8 payouts" in one for one in covered.values())


async def test_breaches_that_are_not_named_yet_are_read_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run with the most breaches that are named, the next run reads the same rounds again, until all are
    repaired.
    """
    monkeypatch.setattr(checks, "BREACHES_MAX", 1)
    await played(rig, rounds=2)
    first, second = sorted(str(row["id"]) for row in await rig.rows("SELECT id FROM rounds"))
    await change_rows(rig, "UPDATE rewards SET amount = amount + 1 WHERE player = 'cid'")
    [watch] = [one for one in build_watches(intents=INTENTS, weight=1) if one.name is Invariant.ROUNDS_ADD_UP]
    for _ in range(3):
        result = await run(rig, watch)
        assert not result.whole
        assert [first in breach for breach in result.breaches] == [True]
    await change_rows(
        rig, f"UPDATE rewards SET amount = amount - 1 WHERE player = 'cid' AND round_id = '{first}'"
    )
    assert list((await run(rig, watch)).breaches) == []
    result = await run(rig, watch)
    assert [second in breach for breach in result.breaches] == [True]
