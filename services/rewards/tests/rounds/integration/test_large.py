"""Large rounds: staged until complete, money moved at once, lines booked in chunks that survive crashes between them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from prizewire_chassis.logging import get_logger
from prizewire_chassis.testing import watch_statements
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.checks.slices import staged_parts
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.rounds.handlers.large import work_on_next
from services.rewards.tests.rig import Match, Rig, method_event

PLAYERS = [f"p{n:02}" for n in range(11)]
LINES = [(player, "1.50") for player in PLAYERS]
TOTAL = 150 * len(PLAYERS)


def large(campaign: Any, *, lines: Any = LINES, **changes: Any) -> Match:
    """A round of eleven lines in parts of three."""
    return Match(campaign, lines, lines_per_part=3, **changes)


async def one_chunk(rig: Rig, *, limit: int = 4) -> bool:
    """Do one chunk of four lines, as the job does. Returns whether there was one."""
    async with rig.db.transaction() as tx:
        done = await work_on_next(ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now(), limit=limit)
    return done is not None


async def winnings(rig: Rig) -> list[int]:
    return [await rig.winnings(player) for player in PLAYERS]


async def state_of(rig: Rig, match: Match) -> str:
    [row] = await rig.rows("SELECT state FROM rounds WHERE id = :id", id=match.round_id)
    return str(row["state"])


async def test_the_money_moves_at_once_and_the_lines_in_chunks(rig: Rig) -> None:
    """The last part reserves the gross prize; all checks hold after each chunk, and all lines are published by part."""
    campaign = await rig.campaign(funded=10_000)
    match = large(campaign, platform="2.00", unclaimed="1.00")
    *first, last = match.events()
    await rig.feed(rig.settlements, *first)
    assert await rig.balance(Kind.POOL, campaign) == 10_000
    await rig.feed(rig.settlements, last)
    assert await rig.balance(Kind.RESERVED, match.round_id) == TOTAL + 200
    assert await rig.balance(Kind.POOL, campaign) == 10_000 - TOTAL - 200
    assert await state_of(rig, match) == "booking"
    chunks = 0
    while await one_chunk(rig):
        chunks += 1
        assert await rig.breaches() == []
    assert chunks > 6
    assert await winnings(rig) == [150] * len(PLAYERS)
    assert await rig.balance(Kind.RESERVED, match.round_id) == 0
    assert await rig.balance(Kind.FEES, "platform") == 200
    assert await state_of(rig, match) == "final"
    published = await rig.events("reward.allocated")
    assert [line["player"] for event_ in published for line in event_["data"]["lines"]] == PLAYERS
    assert {line["state"] for event_ in published for line in event_["data"]["lines"]} == {"credited"}
    versions = [e["aggregateversion"] for e in await rig.events() if e["subject"] == str(match.round_id)]
    assert versions == list(range(1, len(versions) + 1))
    for table in ("staged_parts", "staged_lines", "round_work"):
        assert await rig.rows(f"SELECT 1 FROM {table}") == []
    assert await rig.breaches() == []


async def test_a_large_round_that_is_not_covered_waits(rig: Rig) -> None:
    """Its prizes are listed as unfunded; after funding they are paid in chunks, and are final if the round became final
    meanwhile.
    """
    campaign = await rig.campaign(funded=100)
    match = large(campaign, platform="2.00", final=False)
    await rig.settle(match)
    assert await rig.work_on(limit=4) > 0
    assert await state_of(rig, match) == "unfunded"
    states = [line["state"] for e in await rig.events("reward.allocated") for line in e["data"]["lines"]]
    assert states == ["unfunded"] * len(PLAYERS)
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, match.finalized(version=5))
    await rig.work_on(limit=4)
    await rig.fund(campaign, TOTAL + 100)
    assert await rig.release() == 1
    assert await state_of(rig, match) == "booking"
    await rig.work_on(limit=4)
    assert await winnings(rig) == [150] * len(PLAYERS)
    assert (await state_of(rig, match), await rig.balance(Kind.POOL, campaign)) == ("final", 0)
    assert await rig.breaches() == []


async def test_finality_waits_for_the_chunks(rig: Rig) -> None:
    """Finality comes while lines are booked, and is applied after them, in chunks of its own."""
    campaign = await rig.campaign(funded=10_000)
    match = large(campaign, platform="2.00", final=False)
    await rig.feed(rig.settlements, *match.events())
    assert await one_chunk(rig)
    await rig.feed(rig.settlements, match.finalized(version=5))
    assert await rig.stuck() == []
    await rig.work_on(limit=4)
    assert await winnings(rig) == [150] * len(PLAYERS)
    assert await rig.balance(Kind.FEES, "platform") == 200
    assert await state_of(rig, match) == "final"
    assert await rig.breaches() == []


async def test_a_void_waits_for_the_chunks(rig: Rig) -> None:
    """All booked money goes back, and so does the money of lines that were not booked yet."""
    campaign = await rig.campaign(funded=10_000)
    match = large(campaign, platform="2.00", final=False)
    await rig.feed(rig.settlements, *match.events())
    for _ in range(5):
        assert await one_chunk(rig)
    await rig.feed(rig.settlements, match.voided(at=5))
    while await one_chunk(rig):
        assert await rig.breaches() == []
    assert await rig.balance(Kind.POOL, campaign) == 10_000
    assert await state_of(rig, match) == "voided"
    assert await rig.rows("SELECT DISTINCT state FROM rewards") == [{"state": "reversed"}]
    reversed_ = [line["player"] for e in await rig.events("reward.reversed") for line in e["data"]["lines"]]
    assert reversed_ == PLAYERS
    await rig.feed(rig.settlements, match.finalized(version=6))
    assert await rig.stuck() == [("parked", "illegal_transition")]


async def test_a_void_of_a_large_round_that_waits(rig: Rig) -> None:
    """The round leaves the queue and took no money."""
    campaign = await rig.campaign()
    match = large(campaign, final=False)
    await rig.feed(rig.settlements, *match.events(), match.voided(at=5))
    await rig.work_on(limit=4)
    assert await state_of(rig, match) == "voided"
    assert await rig.rows("SELECT state, queued FROM campaigns") == [{"state": "active", "queued": 0}]
    assert await rig.rows("SELECT 1 FROM ledger_transfers") == []
    assert await rig.breaches() == []


CORRECTED = [("new", "4.00"), *((player, "1.00") for player in PLAYERS[3:]), (PLAYERS[0], "3.00")]


@pytest.mark.parametrize("early", [0, 2, 5, 50])
@pytest.mark.parametrize("final", [False, True])
async def test_a_correction_waits_for_the_chunks(rig: Rig, early: int, final: bool) -> None:
    """A correction in parts comes after any number of chunks; in the end each player has its amount."""
    campaign = await rig.campaign(funded=10_000)
    match = large(campaign, platform="2.00", final=final)
    await rig.feed(rig.settlements, *match.events())
    for _ in range(early):
        await one_chunk(rig)
    await rig.feed(rig.settlements, *match.corrected(CORRECTED, at=5))
    while await one_chunk(rig):
        assert await rig.breaches() == []
    assert await rig.stuck() == []
    kind = Kind.WINNINGS if final else Kind.PENDING
    should = {"new": 400, **dict.fromkeys(PLAYERS[3:], 100), PLAYERS[0]: 300, PLAYERS[1]: 0, PLAYERS[2]: 0}
    assert {player: await rig.balance(kind, player) for player in should} == should
    assert await rig.balance(Kind.POOL, campaign) == 10_000 - sum(should.values()) - 200
    assert await state_of(rig, match) == ("final" if final else "reserved")
    if not final:
        await rig.feed(rig.settlements, match.finalized(version=9))
        await rig.work_on(limit=4)
        assert {player: await rig.winnings(player) for player in should} == should
    assert await rig.breaches() == []


async def test_a_correction_of_many_lines_that_the_pool_cannot_cover(rig: Rig) -> None:
    """Money that came back pays in the order of lines; the rest waits in the queue for the pool's money."""
    campaign = await rig.campaign(funded=TOTAL)
    match = large(campaign, lines=LINES[:6], unclaimed="7.50")
    await rig.settle(match)
    await rig.work_on(limit=4)
    await rig.settle(Match(campaign, [("eve", "7.50")]))
    await rig.feed(rig.settlements, *match.corrected(LINES[1:], at=3))
    while await one_chunk(rig):
        assert await rig.breaches() == []
    short = await rig.rows("SELECT player FROM rewards WHERE short > 0 ORDER BY line")
    assert [row["player"] for row in short] == PLAYERS[7:]
    assert await rig.winnings(PLAYERS[6]) == 150
    [row] = await rig.rows(
        "SELECT state, short, queue_position FROM rounds WHERE id = :id", id=match.round_id
    )
    assert row == {"state": "final", "short": 600, "queue_position": 1}
    await rig.fund(campaign, 600)
    assert await rig.release() == 1
    await rig.work_on(limit=4)
    assert await winnings(rig) == [0, *[150] * 10]
    assert (await rig.rows("SELECT state, queued FROM campaigns")) == [{"state": "active", "queued": 0}]
    assert await rig.breaches() == []


async def test_the_longest_waiting_line_is_paid_first_across_chunks(rig: Rig) -> None:
    """All prizes after one that the money does not cover wait, also in later chunks; the rest goes to the pool."""
    campaign = await rig.campaign(funded=1_500)
    match = large(campaign, lines=LINES[:6], unclaimed="6.00")
    await rig.settle(match)
    await rig.work_on(limit=4)
    await rig.settle(Match(campaign, [("eve", "6.00")]))
    lines = [*LINES[1:4], ("big", "3.00"), *LINES[4:6], ("small", "1.00")]
    await rig.feed(rig.settlements, *match.corrected(lines, at=3))
    await rig.work_on(limit=4)
    short = await rig.rows("SELECT player FROM rewards WHERE short > 0 ORDER BY line")
    assert [row["player"] for row in short] == ["big", "small"]
    assert await rig.balance(Kind.POOL, campaign) == 150, "what the small one would have taken"
    await rig.fund(campaign, 250)
    assert await rig.release() == 1
    await rig.work_on(limit=4)
    assert (await rig.winnings("big"), await rig.winnings("small")) == (300, 100)
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_late_correction_of_many_lines_leaves_debts(rig: Rig) -> None:
    """Paid-out money is owed, the cancellation of its payout is requested, and a restored prize cancels the debt."""
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, *(method_event(player) for player in PLAYERS[:2]))
    match = large(campaign)
    await rig.settle(match)
    await rig.work_on(limit=4)
    await rig.feed(rig.settlements, *match.corrected(LINES[2:], at=5))
    await rig.work_on(limit=4)
    assert [await rig.balance(Kind.RECEIVABLE, player) for player in PLAYERS[:3]] == [-150, -150, 0]
    assert len(await rig.events("payout.cancel_requested")) == 2
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, *match.corrected([*LINES[2:], LINES[0]], at=8))
    await rig.work_on(limit=4)
    assert [await rig.balance(Kind.RECEIVABLE, player) for player in PLAYERS[:2]] == [0, -150]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_round_grows_and_shrinks_past_one_part(rig: Rig) -> None:
    """A correction may change a round from one part to more, and back."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, LINES[:2], unclaimed="13.50", final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, *match.corrected(LINES, at=2, lines_per_part=3))
    assert await state_of(rig, match) == "booking"
    await rig.work_on(limit=4)
    await rig.feed(rig.settlements, *match.corrected(LINES[4:6], at=6, lines_per_part=None))
    await rig.work_on(limit=4)
    await rig.feed(rig.settlements, match.finalized(version=7))
    await rig.work_on(limit=4)
    assert await winnings(rig) == [0, 0, 0, 0, 150, 150, 0, 0, 0, 0, 0]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_chunk_that_fails_at_any_statement_is_done_completely_or_not_at_all(rig: Rig) -> None:
    """A worker dies at each statement of each chunk: the next attempt continues after the last commit."""
    campaign = await rig.campaign(funded=100_000)
    match = large(campaign, platform="2.00")
    await rig.feed(rig.settlements, *match.events())
    died = attempt = 0
    sent: list[str] = []

    def fail(statement: str) -> None:
        sent.append(statement)
        if len(sent) == attempt:
            raise ZeroDivisionError

    more = True
    with watch_statements(rig.db, fail):
        while more:
            attempt += 1
            sent.clear()
            try:
                more = await one_chunk(rig)
            except ZeroDivisionError:
                died += 1
            else:
                attempt = 0
    assert died > 30
    assert await winnings(rig) == [150] * len(PLAYERS)
    assert await rig.breaches() == []


async def test_two_workers_share_the_work(rig: Rig) -> None:
    """The later worker finds the chunk done: every line is booked once."""
    campaign = await rig.campaign(funded=100_000)
    matches = [large(campaign, lines=LINES, match_id=f"shared-{n}") for n in range(3)]
    await rig.settle(*matches)

    async def worker() -> None:
        while await rig.db.run(
            lambda tx: work_on_next(ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now(), limit=4)
        ):
            continue

    await asyncio.gather(*(worker() for _ in range(4)))
    assert await winnings(rig) == [450] * len(PLAYERS)
    assert await rig.breaches() == []


async def test_parts_that_do_not_match_the_digest_are_refused(rig: Rig) -> None:
    """Unordered lines, a repeated player, a repeated part: the last part parks, and after its replacement all is
    booked.
    """
    campaign = await rig.campaign(funded=100_000)
    twice = large(campaign, lines=[("ann", "1.00"), *LINES[:4], ("ann", "1.00")])
    await rig.settle(twice)
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await rig.rows("SELECT part FROM staged_parts") == [{"part": 1}]
    wrong = large(campaign)
    values = wrong.events()
    forged = wrong.events(lines=[{"line": 10, "player": "eve", "place": 10, "amount": "9.99"}])[3]
    await rig.feed(rig.settlements, *values[:3], forged)
    assert [reason for _, reason in await rig.stuck()] == ["event_mismatch", "digest_mismatch"]
    assert await rig.rows("SELECT 1 FROM rounds") == []
    assert {breach.partition(":")[0] for breach in await rig.breaches()} == {"parts_come"}


async def test_a_missing_part_is_reported(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing part is counted, logged with its age, and a breach of the invariant."""
    campaign = await rig.campaign(funded=100_000)
    match = large(campaign)
    await rig.feed(rig.settlements, *match.events()[:2])
    jobs = {job.name: job for job in rig.built.jobs}
    monkeypatch.setattr("prizewire_rewards.rounds.jobs._log", get_logger("test"))
    with capture_logs() as lines:
        await jobs["rounds.staged"].run()
    assert lines == []
    rig.clock.advance(timedelta(seconds=901))
    with capture_logs() as lines:
        await jobs["rounds.staged"].run()
    [line] = lines
    assert (line["log_level"], line["round_id"], line["parts"]) == ("warning", str(match.round_id), "2 of 4")
    async with rig.db.transaction() as tx:
        seen = await staged_parts(tx, now=rig.clock.now(), wait_s=900)
    assert (len(seen.late), seen.oldest_s) == (1, 901.0)
    [breach] = await rig.breaches()
    assert breach.startswith("parts_come: ")
    await rig.feed(rig.settlements, *match.events()[2:])
    await rig.work_on()
    assert await rig.breaches() == []


async def test_a_chunk_of_a_thousand_lines_costs_as_many_statements_as_one_of_ten(rig: Rig) -> None:
    """The number of statements of a chunk does not grow with its lines, and no statement reads more than a chunk."""
    campaign = await rig.campaign(funded=10_000_000)
    lines = [(f"q{n:04}", "1.00") for n in range(2_400)]
    match = Match(campaign, lines, lines_per_part=1_000)
    await rig.settle(match)
    counts: list[int] = []
    sent: list[str] = []
    with watch_statements(rig.db, sent.append):
        while True:
            sent.clear()
            if not await one_chunk(rig, limit=1_000):
                break
            counts.append(len(sent))
    assert 0 < max(counts) < 30, counts
    assert await rig.rows(
        "SELECT count(*) AS n, sum(balance) AS total FROM ledger_accounts WHERE owner LIKE 'q%'"
    ) == [{"n": 2_400, "total": 240_000}]
    async with rig.db.transaction() as tx:
        plan = "\n".join(
            row[0]
            for row in await tx.execute(
                text(
                    "EXPLAIN SELECT id FROM rewards WHERE round_id = :id AND line > 1000 ORDER BY line LIMIT 1000"
                ),
                {"id": match.round_id},
            )
        )
    assert "Seq Scan" not in plan
    assert await rig.breaches() == []
