"""Settled rounds through the real inbox on real PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from prizewire_chassis.db import Conflict
from prizewire_chassis.testing import watch_statements
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig, method_event


async def test_a_final_round_is_credited_whole(rig: Rig) -> None:
    """Prizes are credited to winnings, fees are booked, the unclaimed rest goes back, and the reserve is empty."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(
        campaign,
        [("ann", "500.00"), ("bob", "300.00")],
        platform="100.00",
        organizer="50.00",
        unclaimed="50.00",
    )
    await rig.settle(match)
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 50_000
    assert await rig.winnings("bob") == 30_000
    assert await rig.balance(Kind.POOL, campaign) == 5_000
    assert await rig.balance(Kind.RESERVED, match.round_id) == 0
    assert await rig.balance(Kind.FEES, "platform") == 10_000
    assert await rig.balance(Kind.FEES, "organizer") == 5_000
    assert await rig.balance(Kind.EXTERNAL_IN, "world") == -100_000
    assert await rig.breaches() == []
    [event_] = await rig.events("reward.allocated")
    assert event_["subject"] == str(match.round_id)
    assert event_["correlationid"] == match.correlation_id
    assert event_["aggregateversion"] == 1
    assert [(line["player"], line["amount"], line["state"]) for line in event_["data"]["lines"]] == [
        ("ann", "500.00", "credited"),
        ("bob", "300.00", "credited"),
    ]


async def test_prizes_are_pending_in_the_dispute_window(rig: Rig) -> None:
    """Prizes are pending and fees reserved until round.finalized makes them payable."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(
        campaign,
        [("ann", "500.00")],
        platform="50.00",
        organizer="25.00",
        organizer_player="olaf",
        final=False,
    )
    await rig.settle(match)
    assert await rig.balance(Kind.PENDING, "ann") == 50_000
    assert await rig.balance(Kind.RESERVED, match.round_id) == 7_500
    assert await rig.winnings("ann") == 0
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, match.finalized())
    assert await rig.balance(Kind.PENDING, "ann") == 0
    assert await rig.winnings("ann") == 50_000
    assert await rig.winnings("olaf") == 2_500
    assert await rig.balance(Kind.FEES, "platform") == 5_000
    assert await rig.balance(Kind.RESERVED, match.round_id) == 0
    [released] = await rig.events("reward.released")
    assert (released["aggregateversion"], released["data"]["lines"][0]["state"]) == (2, "credited")
    assert await rig.breaches() == []


async def test_settled_and_finalized_in_one_batch(rig: Rig) -> None:
    """Both events of a round in one batch lead to the same state as in two."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "500.00"), ("bob", "1.00")], platform="50.00", final=False)
    await rig.feed(rig.settlements, *match.events(), match.finalized())
    assert await rig.winnings("ann") == 50_000
    assert await rig.balance(Kind.PENDING, "ann") == 0
    assert await rig.stuck() == []
    assert await rig.breaches() == []
    versions = [e["aggregateversion"] for e in await rig.events() if e["subject"] == str(match.round_id)]
    assert versions == [1, 2]


async def test_a_prize_of_zero_settles_with_no_lines(rig: Rig) -> None:
    """A round without prizes is final and published, and moves nothing."""
    campaign = await rig.campaign()
    await rig.settle(Match(campaign, []))
    [event_] = await rig.events("reward.allocated")
    assert event_["data"]["lines"] == []
    assert await rig.rows("SELECT 1 FROM ledger_transfers") == []
    assert await rig.breaches() == []


async def test_a_round_that_the_pool_cannot_cover_waits(rig: Rig) -> None:
    """A round that exceeds its pool waits, later ones wait too although the pool would cover them, and they are paid in
    order.
    """
    campaign = await rig.campaign(funded=10_000)
    first = Match(campaign, [("ann", "60.00")])
    second = Match(campaign, [("bob", "50.00"), ("cat", "1.00")])
    third = Match(campaign, [("dan", "5.00")])
    await rig.settle(first, second)
    await rig.settle(third)
    assert await rig.winnings("ann") == 6_000
    assert [await rig.winnings(player) for player in ("bob", "cat", "dan")] == [0, 0, 0]
    assert await rig.balance(Kind.POOL, campaign) == 4_000
    assert [event_["data"]["state"] for event_ in await rig.events("campaign.state_changed")] == [
        "active",
        "exhausted",
    ]
    assert [event_["data"]["available"] for event_ in await rig.events("pool.exhausted")] == ["40.00"]
    states = [line["state"] for e in await rig.events("reward.allocated") for line in e["data"]["lines"]]
    assert states == ["credited", "unfunded", "unfunded", "unfunded"]
    assert await rig.release() == 0
    await rig.fund(campaign, 1_099)
    assert await rig.release() == 0, "a cent is missing for the first that waits"
    await rig.fund(campaign, 1)
    assert await rig.release() == 1
    assert await rig.winnings("bob") == 5_000
    assert await rig.winnings("dan") == 0
    await rig.fund(campaign, 500)
    assert await rig.release() == 1
    assert await rig.winnings("dan") == 500
    assert [e["subject"] for e in await rig.events("reward.released")] == [
        str(second.round_id),
        str(third.round_id),
    ]
    [row] = await rig.rows("SELECT state, queued FROM campaigns")
    assert row == {"state": "active", "queued": 0}
    assert await rig.breaches() == []


async def test_an_unfunded_round_that_became_final_is_credited_when_paid(rig: Rig) -> None:
    """A waiting round is marked as final; when money comes its prizes are payable at once."""
    campaign = await rig.campaign()
    match = Match(campaign, [("ann", "60.00")], platform="4.00", final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, match.finalized())
    await rig.fund(campaign, 6_400)
    assert await rig.release() == 1
    assert await rig.winnings("ann") == 6_000
    assert await rig.balance(Kind.FEES, "platform") == 400
    assert await rig.breaches() == []


async def test_a_paused_campaign_lets_rounds_wait(rig: Rig) -> None:
    """Nothing is booked while the campaign is paused or a draft; after activation rounds are paid in order."""
    campaign = await rig.campaign(funded=10_000, active=False)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    assert await rig.winnings("ann") == 0
    assert await rig.release() == 0
    await rig.change(campaign, "active")
    assert await rig.release() == 1
    await rig.change(campaign, "paused")
    await rig.settle(Match(campaign, [("ann", "7.00")]))
    assert await rig.winnings("ann") == 1_000
    await rig.change(campaign, "active")
    assert await rig.release() == 1
    assert await rig.winnings("ann") == 1_700
    assert await rig.breaches() == []


async def test_twenty_concurrent_rounds_for_the_last_unit(rig: Rig) -> None:
    """Of 20 concurrent rounds for a pool that covers one, exactly one is paid, and none in part."""
    campaign = await rig.campaign(funded=100)
    matches = [Match(campaign, [(f"p{n}", "0.60"), (f"q{n}", "0.40")]) for n in range(20)]
    await asyncio.gather(*(rig.settle(match) for match in matches))
    rows = await rig.rows("SELECT state, count(*) AS n FROM rounds GROUP BY state ORDER BY state")
    assert rows == [{"state": "final", "n": 1}, {"state": "unfunded", "n": 19}]
    assert await rig.balance(Kind.POOL, campaign) == 0
    [total] = await rig.rows("SELECT sum(balance) AS n FROM ledger_accounts WHERE kind = 'wallet:winnings'")
    assert total["n"] == 100
    positions = await rig.rows("SELECT queue_position AS n FROM rounds WHERE state = 'unfunded' ORDER BY 1")
    assert [row["n"] for row in positions] == list(range(1, 20))
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_opposite_wallet_orders_never_leave_a_partial_posting(rig: Rig) -> None:
    """Concurrent batches that credit the same wallets in opposite orders are all booked completely."""
    campaigns = [await rig.campaign(funded=100_000) for _ in range(4)]
    players = [f"p{n}" for n in range(12)]
    batches = [
        [Match(campaign, [(p, "1.00") for p in (players if n % 2 else players[::-1])]) for _ in range(5)]
        for n, campaign in enumerate(campaigns)
    ]
    await asyncio.gather(*(rig.settle(*batch) for batch in batches))
    assert {await rig.winnings(player) for player in players} == {2_000}
    assert await rig.breaches() == []


async def test_a_batch_is_one_set_of_statements(rig: Rig) -> None:
    """Forty rounds need as many statements as one."""
    campaign = await rig.campaign(funded=1_000_000)
    with counted(rig) as one:
        await rig.settle(Match(campaign, [("ann", "1.00"), ("bob", "1.00")], platform="1.00"))
    with counted(rig) as forty:
        lines = [(f"p{n}", "1.00") for n in range(8)]
        await rig.settle(*(Match(campaign, lines, platform="1.00") for _ in range(40)))
    assert len(one) == len(forty) == 9, forty
    assert await rig.winnings("p3") == 4_000


async def test_direct_payouts_of_a_batch_need_five_more_statements(rig: Rig) -> None:
    """Besides those of a batch: the locks of payee assignments, the assignments, the default methods, the payouts, and what is
    stored after them. Nothing is sent early.
    """
    campaign = await rig.campaign(funded=1_000_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    with counted(rig) as seen:
        await rig.settle(*(Match(campaign, [("ann", "1.00")]) for _ in range(3)))
    assert len(seen) == 14, seen
    assert len(await rig.events("payout.requested")) == 3


@contextmanager
def counted(rig: Rig) -> Iterator[list[str]]:
    """The statements sent to the database."""
    seen: list[str] = []
    with watch_statements(rig.db, seen.append):
        yield seen


async def test_a_conflict_on_any_statement_is_retried_whole(rig: Rig) -> None:
    """After a serialization failure at any statement the batch is booked once and completely."""
    campaign = await rig.campaign(funded=1_000_000)
    with counted(rig) as statements:
        await rig.settle(Match(campaign, [("warm", "1.00")], platform="1.00"))
    assert len(statements) == 9
    for failing, statement in enumerate(statements):
        player = f"p{failing}"
        with failing_at(rig, failing) as failed:
            await rig.settle(Match(campaign, [(player, "2.00")], platform="1.00"))
        assert failed
        assert await rig.winnings(player) == 200, statement
    assert await rig.stuck() == []
    assert await rig.breaches() == []


@contextmanager
def failing_at(rig: Rig, number: int) -> Iterator[list[str]]:
    """Make the ``number``-th statement from now on fail once with a serialization failure."""
    failed: list[str] = []
    sent = 0

    def fail(statement: str) -> None:
        nonlocal sent
        sent += 1
        if sent == number + 1 and not failed:
            failed.append(statement)
            raise Conflict("another transaction was first")

    with watch_statements(rig.db, fail):
        yield failed


async def test_a_repeated_settlement_has_no_effect(rig: Rig) -> None:
    """The same messages, in one batch or alone, credit nothing more."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, [("ann", "10.00")])
    [value] = match.events()
    await rig.feed(rig.settlements, value, value)
    await rig.feed(rig.settlements, value)
    assert await rig.winnings("ann") == 1_000
    assert await rig.stuck() == []


async def test_parts_wait_for_each_other(rig: Rig) -> None:
    """A settlement in parts is booked with its last part; each part has its event."""
    campaign = await rig.campaign(funded=100_000)
    lines = [(f"p{n}", "1.50") for n in range(7)]
    match = Match(campaign, lines, lines_per_part=3, platform="2.00")
    values = match.events()
    assert len(values) == 3
    await rig.feed(rig.settlements, *values[:2])
    assert await rig.winnings("p0") == 0
    assert await rig.rows("SELECT 1 FROM rounds") == []
    await rig.feed(rig.settlements, values[2])
    assert await rig.work_on() > 0
    assert [await rig.winnings(player) for player, _ in lines] == [150] * 7
    assert await rig.rows("SELECT 1 FROM staged_parts") == await rig.rows("SELECT 1 FROM staged_lines") == []
    published = await rig.events("reward.allocated")
    assert [(e["aggregateversion"], e["data"]["part"], len(e["data"]["lines"])) for e in published] == [
        (1, 1, 3),
        (2, 2, 3),
        (3, 3, 1),
    ]
    assert await rig.breaches() == []


async def test_all_parts_in_one_batch(rig: Rig) -> None:
    """All parts of one batch are booked together."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [(f"p{n}", "1.50") for n in range(7)], lines_per_part=2)
    await rig.settle(match)
    assert await rig.work_on() > 0
    assert await rig.winnings("p6") == 150
    assert await rig.rows("SELECT 1 FROM staged_parts") == []
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"digest": "00" * 32}, "digest_mismatch"),
        ({"lines_total": 3}, "digest_mismatch"),
        ({"gross": "11.01"}, "event_mismatch"),
        ({"unclaimed": "1.00"}, "event_mismatch"),
        ({"asset": "NOPE"}, "asset_unknown"),
        ({"gross": "11.001"}, "invalid_amount"),
        ({"settlement_version": 2}, "event_mismatch"),
        ({"part": 2}, "event_mismatch"),
    ],
)
async def test_a_settlement_with_wrong_sums_is_parked(
    rig: Rig, overrides: dict[str, Any], reason: str
) -> None:
    """It moves nothing and parks with a stable reason; other rounds of the batch are booked."""
    campaign = await rig.campaign(funded=100_000)
    wrong = Match(campaign, [("ann", "10.00")], platform="1.00")
    good = Match(campaign, [("bob", "5.00")])
    await rig.feed(rig.settlements, *wrong.events(**overrides), *good.events())
    assert await rig.stuck() == [("parked", reason)]
    assert await rig.winnings("ann") == 0
    assert await rig.winnings("bob") == 500
    assert await rig.breaches() == []


async def test_a_wrong_part_leaves_the_others_untouched(rig: Rig) -> None:
    """The digest covers all parts: a changed line in the last part parks that part, and nothing is booked."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00"), ("bob", "5.00")], lines_per_part=1)
    first, _ = match.events()
    forged_line = [{"line": 2, "player": "eve", "place": 2, "amount": "5.00"}]
    second = match.events(lines=forged_line)[1]
    await rig.feed(rig.settlements, first, second)
    assert await rig.stuck() == [("parked", "digest_mismatch")]
    assert await rig.winnings("ann") == 0
    assert await rig.winnings("eve") == 0


async def test_a_part_with_another_head_is_parked(rig: Rig) -> None:
    """All parts must have the same head."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00"), ("bob", "5.00")], lines_per_part=1)
    first, _ = match.events()
    second = match.events(rule_version=2)[1]
    await rig.feed(rig.settlements, first, second)
    assert await rig.stuck() == [("parked", "event_mismatch")]


async def test_finality_of_an_unknown_round_is_parked(rig: Rig) -> None:
    """There is no round to make payable."""
    campaign = await rig.campaign()
    await rig.feed(rig.settlements, Match(campaign, []).finalized(version=1))
    assert await rig.stuck() == [("parked", "illegal_transition")]


async def test_repeated_finality_has_no_effect(rig: Rig) -> None:
    """A round that is final already stays unchanged."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00")])
    await rig.feed(rig.settlements, *match.events(), match.finalized(version=2), match.finalized(version=3))
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 1_000
    assert await rig.events("reward.released") == []


async def test_finality_of_another_version_is_parked(rig: Rig) -> None:
    """Only the booked settlement version can become final."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00")], final=False)
    other = match.settlement_event(
        "prizewire.round.finalized.v1",
        {"round_id": str(match.round_id), "settlement_version": 2},
        version=2,
    )
    await rig.feed(rig.settlements, *match.events(), other)
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await rig.balance(Kind.PENDING, "ann") == 1_000


async def test_an_event_is_about_its_own_subject(rig: Rig) -> None:
    """Versions are counted by subject: an event whose data names another round is dead."""
    campaign = await rig.campaign(funded=100_000)
    match, other = Match(campaign, [("ann", "10.00")]), Match(campaign, [("bob", "10.00")])
    await rig.feed(rig.settlements, *match.events(round_id=str(other.round_id)))
    assert await rig.stuck() == [("dead", "event_mismatch")]


async def test_a_direct_campaign_requests_payouts(rig: Rig) -> None:
    """A final prize is requested at once to the default method; without a method it stays in winnings, with a note."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann", memo="tag-7"))
    match = Match(campaign, [("ann", "500.00"), ("bob", "300.00")])
    await rig.settle(match)
    assert await rig.winnings("ann") == 0
    assert await rig.winnings("bob") == 30_000
    [requested_event] = await rig.events("payout.requested")
    data = requested_event["data"]
    assert requested_event["correlationid"] == match.correlation_id
    assert data["reward_ids"] == [str(match.reward_id("ann"))]
    assert (data["intent"]["pay_amount"], data["intent"]["campaign"]) == ("500.00", str(campaign))
    assert data["intent"]["allowed"][0]["memo"] == "tag-7"
    assert await rig.balance(Kind.PAYOUT_PENDING, data["payout_id"]) == 50_000
    [published] = await rig.events("reward.allocated")
    assert [line["note"] for line in published["data"]["lines"]] == [None, "no_payout_method"]
    order = [event_["type"].split(".")[1:3] for event_ in await rig.events()][-2:]
    assert order == [["reward", "allocated"], ["payout", "requested"]]
    assert await rig.breaches() == []


async def test_a_direct_prize_is_requested_only_once_final(rig: Rig) -> None:
    """Nothing is requested in the dispute window."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "500.00")], final=False)
    await rig.settle(match)
    assert await rig.events("payout.requested") == []
    await rig.feed(rig.settlements, match.finalized())
    assert len(await rig.events("payout.requested")) == 1
    assert await rig.breaches() == []


async def test_a_direct_prize_that_waited_is_requested_when_paid(rig: Rig) -> None:
    """Booking a waiting round requests the same payout."""
    campaign = await rig.campaign(delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.settle(Match(campaign, [("ann", "5.00")]))
    await rig.fund(campaign, 500)
    assert await rig.release() == 1
    assert len(await rig.events("payout.requested")) == 1
    assert await rig.breaches() == []


async def test_points_are_won_but_stay(rig: Rig) -> None:
    """A wallet campaign in season points credits them like money."""
    campaign = await rig.campaign(funded=100, asset="SEASON")
    await rig.settle(
        Match(campaign, [("ann", "70")], asset="SEASON", platform="0", organizer="0", unclaimed="0")
    )
    assert await rig.winnings("ann", "SEASON") == 70
    assert await rig.breaches() == []


async def test_a_debt_is_recovered_from_the_next_credits(rig: Rig) -> None:
    """Every credit to winnings recovers receivables in the same transaction, until they are paid."""
    campaign = await rig.campaign(funded=100_000)
    await rig.owe("ann", 1_500)
    await rig.settle(
        Match(campaign, [("ann", "10.00"), ("bob", "1.00")]), Match(campaign, [("ann", "10.00")])
    )
    assert await rig.winnings("ann") == 500
    assert await rig.winnings("bob") == 100
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    moved = await rig.rows(
        "SELECT type, amount FROM ledger_transfers WHERE type LIKE 'receivable%' ORDER BY seq"
    )
    assert [(row["type"].removeprefix("receivable_"), row["amount"]) for row in moved] == [
        ("opened", 1_500),
        ("recovered", 1_000),
        ("settled", 1_000),
        ("recovered", 500),
        ("settled", 500),
    ]
    assert await rig.balance(Kind.EXTERNAL_OUT, "world") == 1_500, "nobody's pool gets it back"
    assert await rig.breaches() == []


async def test_a_debtors_direct_payout_is_the_prize_minus_the_debt(rig: Rig) -> None:
    """The payout is the prize minus the debt; a prize that only pays a debt requests nothing."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    await rig.owe("ann", 1_200)
    await rig.settle(Match(campaign, [("ann", "10.00")]), Match(campaign, [("ann", "5.00")]))
    [requested_event] = await rig.events("payout.requested")
    assert requested_event["data"]["intent"]["pay_amount"] == "3.00"
    assert await rig.winnings("ann") == 0
    assert await rig.breaches() == []
