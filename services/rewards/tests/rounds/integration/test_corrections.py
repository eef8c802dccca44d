"""Corrected rounds through the real inbox on real PostgreSQL: only differences move, in order."""

import asyncio
import itertools
from typing import Any
from uuid import UUID

import pytest

from prizewire_contracts import ids
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig, closed_event, closure_of, method_event, paid_event

BEFORE = [("ann", "50.00"), ("bob", "30.00"), ("cat", "20.00")]
AFTER = [("bob", "50.00"), ("dan", "30.00"), ("cat", "20.00")]


async def lines_of(rig: Rig, kind: str) -> list[tuple[str, str, str]]:
    """(player, amount, state) of all lines in events of one type."""
    return [
        (line["player"], line["amount"], line["state"])
        for event in await rig.events(kind)
        for line in event["data"]["lines"]
    ]


async def rewards_of(rig: Rig) -> dict[str, tuple[int, str, int, int]]:
    """(amount, state, short, version) of each player's prize."""
    rows = await rig.rows("SELECT player, amount, state, short, settlement_version AS v FROM rewards")
    return {row["player"]: (row["amount"], row["state"], row["short"], row["v"]) for row in rows}


async def open_payout(rig: Rig, player: str = "ann") -> UUID:
    """The requested payout of a player's direct prize."""
    rows = await rig.rows(
        "SELECT id FROM payouts WHERE player = :player ORDER BY requested_at", player=player
    )
    found: UUID = rows[-1]["id"]
    return found


async def test_inside_the_window_only_differences_move(rig: Rig) -> None:
    """Excess amounts come out of pending, new winners are paid from them, and other prizes do not move."""
    campaign = await rig.campaign(funded=20_000)
    match = Match(campaign, BEFORE, platform="4.00", final=False)
    await rig.settle(match)
    before = await rig.rows("SELECT count(*) AS n FROM ledger_transfers")
    await rig.feed(rig.settlements, *match.corrected(AFTER, at=2))
    assert await rig.stuck() == []
    pending = {player: await rig.balance(Kind.PENDING, player) for player in ("ann", "bob", "cat", "dan")}
    assert pending == {"ann": 0, "bob": 5_000, "cat": 2_000, "dan": 3_000}
    after = await rig.rows("SELECT count(*) AS n FROM ledger_transfers")
    assert after[0]["n"] - before[0]["n"] == 3, "ann less, bob more, dan new, and cat untouched"
    assert await rewards_of(rig) == {
        "ann": (5_000, "reversed", 0, 2),
        "bob": (5_000, "pending", 0, 2),
        "cat": (2_000, "pending", 0, 2),
        "dan": (3_000, "pending", 0, 2),
    }
    assert await lines_of(rig, "reward.reversed") == [("ann", "50.00", "reversed")]
    assert (await lines_of(rig, "reward.allocated"))[3:] == [
        ("bob", "50.00", "pending"),
        ("dan", "30.00", "pending"),
    ]
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, match.finalized(version=3))
    assert [await rig.winnings(player) for player in ("ann", "bob", "cat", "dan")] == [0, 5_000, 2_000, 3_000]
    assert await rig.balance(Kind.FEES, "platform") == 400
    assert await rig.breaches() == []


async def test_what_a_correction_leaves_unclaimed_returns_to_the_pool(rig: Rig) -> None:
    """Fewer lines reduce the granted amount, and more lines take from the pool again."""
    campaign = await rig.campaign(funded=20_000)
    match = Match(campaign, BEFORE, final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, *match.corrected([("cat", "20.00")], at=2))
    assert await rig.balance(Kind.POOL, campaign) == 18_000
    await rig.feed(rig.settlements, *match.corrected(BEFORE, at=3))
    assert await rig.balance(Kind.POOL, campaign) == 10_000
    assert (await rewards_of(rig))["ann"] == (5_000, "pending", 0, 3)
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_late_correction_takes_winnings_and_opens_a_debt(rig: Rig) -> None:
    """Winnings are taken first; the rest is a debt to the campaign, and the next credit brings it to the pool."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, BEFORE)
    await rig.settle(match)
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "40.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers={"idempotency-key": "k"})
        assert answer.status_code == 202
    payout = await open_payout(rig)
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="40.00"))
    await rig.feed(rig.settlements, *match.corrected(AFTER, at=2))
    assert await rig.stuck() == []
    assert await rig.winnings("ann") == 0
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -4_000
    assert await rig.balance(Kind.CLEARING, "receivables") == 4_000
    assert (await rewards_of(rig))["dan"] == (3_000, "unfunded", 3_000, 2), (
        "ten came back, twenty are owed to bob"
    )
    [row] = await rig.rows("SELECT state, queued FROM campaigns")
    assert row == {"state": "exhausted", "queued": 1}
    [opened] = await rig.events("wallet.receivable_opened")
    assert (opened["data"]["amount"], opened["data"]["campaign"]) == ("40.00", str(campaign))
    assert opened["correlationid"] == match.correlation_id
    assert await rig.breaches() == []
    other = await rig.campaign(funded=10_000)
    await rig.settle(Match(other, [("ann", "45.00")]))
    assert await rig.winnings("ann") == 500
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    [recovered] = await rig.events("wallet.receivable_recovered")
    assert (recovered["data"]["amount"], recovered["data"]["open"]) == ("40.00", "0.00")
    assert await rig.breaches() == []
    assert await rig.release() == 1, "what was recovered pays who waited for it"
    waited = {"bob": await rig.winnings("bob"), "dan": await rig.winnings("dan")}
    assert waited == {"bob": 5_000, "dan": 3_000}
    assert await rig.rows("SELECT state, queued FROM campaigns WHERE id = :id", id=campaign) == [
        {"state": "active", "queued": 0}
    ]
    assert await rig.breaches() == []


async def test_a_new_round_waits_for_an_earlier_short_line(rig: Rig) -> None:
    """The longest waiting comes first, whether it is a line or a round."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, [("ann", "60.00")], unclaimed="40.00", final=False)
    await rig.settle(match, Match(campaign, [("bob", "30.00")]))
    await rig.feed(rig.settlements, *match.corrected([("ann", "60.00"), ("cat", "40.00")], at=2))
    assert (await rewards_of(rig))["cat"] == (4_000, "unfunded", 4_000, 2)
    await rig.settle(Match(campaign, [("dan", "5.00")]))
    assert await rig.winnings("dan") == 0
    await rig.fund(campaign, 3_000)
    assert await rig.release() == 1
    assert await rig.balance(Kind.PENDING, "cat") == 4_000
    assert await rig.release() == 0
    await rig.fund(campaign, 500)
    assert await rig.release() == 1
    assert await rig.winnings("dan") == 500
    assert await rig.breaches() == []


async def test_a_short_prize_grows_and_shrinks(rig: Rig) -> None:
    """A small prize grows beyond the pool's money, and shrinks again to less than it was short of."""
    campaign = await rig.campaign(funded=4_000)
    match = Match(campaign, [("ann", "1.00")], unclaimed="39.00", final=False)
    await rig.settle(match, Match(campaign, [("eve", "39.00")]))
    await rig.feed(rig.settlements, *match.corrected([("ann", "40.00")], at=2))
    assert await rewards_of(rig) == {"ann": (4_000, "pending", 3_900, 2), "eve": (3_900, "credited", 0, 1)}
    await rig.feed(rig.settlements, *match.corrected([("ann", "2.00")], at=3))
    assert (await rewards_of(rig))["ann"] == (200, "pending", 100, 3)
    await rig.feed(rig.settlements, *match.corrected([("ann", "0.50")], at=4))
    assert (await rewards_of(rig))["ann"] == (50, "pending", 0, 4)
    assert await rig.stuck() == []
    assert await rig.rows("SELECT state, queued FROM campaigns") == [{"state": "active", "queued": 0}]
    assert await rig.breaches() == []


async def test_an_unfunded_round_only_gets_new_lines(rig: Rig) -> None:
    """An unfunded round has no money, so nothing moves; later the corrected lines are paid."""
    campaign = await rig.campaign()
    match = Match(campaign, BEFORE, final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, *match.corrected(AFTER, at=2))
    assert await rig.rows("SELECT 1 FROM ledger_transfers") == []
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, match.finalized(version=3))
    await rig.fund(campaign, 10_000)
    assert await rig.release() == 1
    assert [await rig.winnings(player) for player in ("ann", "bob", "cat", "dan")] == [0, 5_000, 2_000, 3_000]
    assert await rig.breaches() == []


async def direct(rig: Rig) -> tuple[UUID, Match, UUID]:
    """A direct campaign with 60.00, and a round whose only prize is requested."""
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "40.00")])
    await rig.settle(match)
    return campaign, match, await open_payout(rig)


async def test_the_cancellation_of_an_open_payout_is_requested(rig: Rig) -> None:
    """The debt stays until payouts decides; money that is given back pays it."""
    campaign, match, payout = await direct(rig)
    await rig.feed(rig.settlements, *match.corrected([("ann", "10.00")], at=2))
    [requested_event] = await rig.events("payout.cancel_requested")
    assert (requested_event["subject"], requested_event["data"]["by"]) == (str(payout), "rewards:correction")
    assert requested_event["data"]["code"] == "winnings_taken_back"
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -3_000
    assert await rig.breaches() == []
    await rig.feed(rig.payouts, closed_event(payout, "cancelled", closure=closure_of(payout)))
    assert await rig.winnings("ann") == 1_000
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    assert await rig.balance(Kind.POOL, campaign) == 9_000
    assert await rig.rows("SELECT granted FROM campaigns") == [{"granted": 1_000}]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_payout_paid_in_spite_of_the_cancellation_leaves_the_debt(rig: Rig) -> None:
    """Only payouts decides a cancellation; paid money is owed."""
    campaign, match, payout = await direct(rig)
    await rig.feed(rig.settlements, *match.corrected([("ann", "10.00")], at=2))
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="40.00"))
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -3_000
    assert await rig.balance(Kind.POOL, campaign) == 6_000
    assert await rig.breaches() == []


async def test_a_restored_prize_cancels_its_debt(rig: Rig) -> None:
    """The player has the money already: the debt is lifted although the pool is empty, and nothing is paid twice."""
    campaign, match, payout = await direct(rig)
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="40.00"))
    await rig.settle(Match(campaign, [("eve", "60.00")]))
    await rig.feed(rig.settlements, *match.corrected([], at=2))
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -4_000
    await rig.feed(rig.settlements, *match.corrected([("ann", "40.00")], at=3))
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    assert await rig.balance(Kind.POOL, campaign) == 0
    assert (await rewards_of(rig))["ann"] == (4_000, "credited", 0, 3)
    assert len(await rig.events("payout.requested")) == 1
    [debt] = await rig.rows("SELECT amount, recovered, lifted FROM receivables")
    assert debt == {"amount": 4_000, "recovered": 0, "lifted": 4_000}
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_more_of_a_direct_prize_is_another_payout(rig: Rig) -> None:
    """The difference is requested as the payout with the next number; the prize shows the last one."""
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "40.00")], unclaimed="20.00")
    await rig.settle(match)
    await rig.feed(rig.settlements, *match.corrected([("ann", "55.00")], at=2))
    requested_event = [
        (e["data"]["payout_id"], e["data"]["intent"]["pay_amount"])
        for e in await rig.events("payout.requested")
    ]
    expected = [ids.payout_id_for_round(round_id=match.round_id, player="ann", ordinal=n) for n in (1, 2)]
    assert requested_event == [(str(expected[0]), "40.00"), (str(expected[1]), "15.00")]
    [row] = await rig.rows("SELECT payout_id, payout_ordinal FROM rewards")
    assert row == {"payout_id": expected[1], "payout_ordinal": 2}
    assert await rig.breaches() == []


async def test_other_payouts_are_cancelled_only_as_needed(rig: Rig) -> None:
    """Payouts of this prize come first, then the latest of the others until their sum covers the debt."""
    campaign = await rig.campaign(funded=10_000)
    await rig.feed(rig.payouts, method_event("ann"))
    match = Match(campaign, [("ann", "50.00")])
    await rig.settle(match, Match(campaign, [("ann", "10.00")]))
    async with rig.client("ann") as ann:
        for n in range(3):
            body = {"asset": "USDC", "amount": "20.00"}
            await ann.post("/api/wallet/payout-request", json=body, headers={"idempotency-key": f"k{n}"})
    rows = await rig.rows("SELECT id FROM payouts ORDER BY requested_at DESC, id DESC")
    await rig.feed(rig.settlements, *match.corrected([("ann", "15.00")], at=2))
    requested_event = {event["subject"] for event in await rig.events("payout.cancel_requested")}
    assert requested_event == {str(row["id"]) for row in rows[:2]}
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -3_500
    assert await rig.breaches() == []


async def test_claimable_prizes_change_in_the_claimable_account(rig: Rig) -> None:
    """Unclaimed prizes shrink and grow in the claimable account and never touch a wallet."""
    campaign = await rig.campaign(funded=20_000, delivery=Delivery.CLAIM)
    match = Match(campaign, BEFORE, final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, match.finalized())
    assert await rig.balance(Kind.CLAIMABLE, campaign) == 10_000
    assert {state for _, state, _, _ in (await rewards_of(rig)).values()} == {"claimable"}
    assert await rig.breaches() == []
    await rig.feed(rig.settlements, *match.corrected([("bob", "50.00"), ("dan", "30.00")], at=3, final=True))
    assert await rig.balance(Kind.CLAIMABLE, campaign) == 8_000
    assert await rig.balance(Kind.POOL, campaign) == 12_000
    assert await rewards_of(rig) == {
        "ann": (5_000, "reversed", 0, 2),
        "bob": (5_000, "claimable", 0, 2),
        "cat": (2_000, "reversed", 0, 2),
        "dan": (3_000, "claimable", 0, 2),
    }
    assert [await rig.winnings(player) for player, _ in BEFORE] == [0, 0, 0]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"settlement_version": 3}, "event_mismatch"),
        ({"settlement_version": 1}, "event_mismatch"),
        ({"rule_version": 2}, "event_mismatch"),
        ({"gross": "101.00"}, "event_mismatch"),
        ({"digest": "00" * 32}, "digest_mismatch"),
        ({"final": False}, "event_mismatch"),
    ],
)
async def test_a_correction_that_does_not_match_its_round_is_parked(
    rig: Rig, changes: dict[str, Any], reason: str
) -> None:
    """A correction must be the next version of the same round and change only its lines."""
    campaign = await rig.campaign(funded=20_000)
    match = Match(campaign, BEFORE)
    await rig.settle(match)
    match.lines, match.version = AFTER, 2
    await rig.feed(rig.settlements, *match.events(kind="corrected", at=2, reason="x", **changes))
    assert await rig.stuck() == [("parked", reason)]
    assert await rig.winnings("ann") == 5_000
    assert await rig.breaches() == []


async def test_a_correction_of_an_unsettled_round_is_parked(rig: Rig) -> None:
    """A round that was never settled cannot be corrected."""
    campaign = await rig.campaign(funded=20_000)
    await rig.feed(rig.settlements, *Match(campaign, BEFORE).corrected(AFTER, at=1))
    assert await rig.stuck() == [("parked", "illegal_transition")]


async def test_everything_in_one_batch(rig: Rig) -> None:
    """A round is settled, corrected, finalized and corrected again in one batch with other rounds, as if they came one
    by one.
    """
    campaign = await rig.campaign(funded=30_000)
    match, other = Match(campaign, BEFORE, final=False), Match(campaign, [("eve", "1.00")])
    first = match.events()
    second = match.corrected(AFTER, at=2)
    final = match.finalized(version=3)
    third = match.corrected(BEFORE, at=4, final=True)
    await rig.feed(rig.settlements, *first, *second, *other.events(), final, *third)
    assert await rig.stuck() == []
    assert [await rig.winnings(player) for player in ("ann", "bob", "cat", "dan", "eve")] == [
        5_000, 3_000, 2_000, 0, 100,
    ]  # fmt: skip
    assert await rig.balance(Kind.POOL, campaign) == 19_900
    assert await rig.breaches() == []


async def test_a_correction_and_a_payout_request_race_for_the_same_winnings(rig: Rig) -> None:
    """The first one gets the winnings: they are requested and owed, or taken back and not requested."""
    campaign = await rig.campaign(funded=60_000)
    players = [f"racer{n}" for n in range(6)]
    await rig.feed(rig.payouts, *(method_event(player) for player in players))
    matches = [Match(campaign, [(player, "50.00")]) for player in players]
    await rig.settle(*matches)

    async def request(player: str) -> int:
        async with rig.client(player) as client:
            body = {"asset": "USDC", "amount": "50.00"}
            answer = await client.post(
                "/api/wallet/payout-request", json=body, headers={"idempotency-key": "race"}
            )
        return answer.status_code

    async def correct(match: Match) -> None:
        await rig.feed(rig.settlements, *match.corrected([], at=2))

    answers = await asyncio.gather(*map(request, players), *map(correct, matches))
    for player, status in zip(players, answers, strict=False):
        owed = await rig.balance(Kind.RECEIVABLE, player)
        assert (status, owed) in ((202, -5_000), (422, 0))
        assert await rig.winnings(player) == 0
    assert await rig.stuck() == []
    assert await rig.breaches() == []


STEPS = ("down", "up", "final", "fund", "pay")


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="-".join)
async def test_every_order_of_events_leads_to_the_same_amounts(
    rig_of_orders: Rig, order: tuple[str, ...]
) -> None:
    """A round is corrected down and up, becomes final, gets money, and its payout ends, in every order: in the end each
    player has the amount of the last version, and all accounts are correct.
    """
    rig = rig_of_orders
    tag = "".join(step[:2] for step in order)
    ann, bob = f"ann-{tag}", f"bob-{tag}"
    campaign = await rig.campaign(funded=4_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event(ann))
    match = Match(campaign, [(ann, "40.00")], unclaimed="20.00", final=False)
    await rig.settle(match)
    at = 2
    for step in order:
        if step == "fund":
            await rig.fund(campaign, 6_000)
        elif step == "final":
            await rig.feed(rig.settlements, match.finalized(version=at))
            match.final = True
            at += 1
        elif step == "pay":
            for row in await rig.rows("SELECT id, amount FROM payouts WHERE player = :p", p=ann):
                amount = f"{row['amount'] // 100}.{row['amount'] % 100:02}"
                await rig.feed(rig.payouts, paid_event(row["id"], player=ann, amount=amount))
        else:
            lines = [(ann, "15.00"), (bob, "5.00")] if step == "down" else [(bob, "20.00"), (ann, "40.00")]
            await rig.feed(rig.settlements, *match.corrected(lines, at=at))
            at += 1
        await rig.release()
    assert await rig.stuck() == []
    assert await rig.breaches() == []
    last = "down" if order.index("down") > order.index("up") else "up"
    owed = {ann: 1_500, bob: 500} if last == "down" else {ann: 4_000, bob: 2_000}
    for player, should in owed.items():
        held = sum(
            [
                await rig.winnings(player),
                *(
                    row["amount"]
                    for row in await rig.rows("SELECT amount FROM payouts WHERE player = :p", p=player)
                ),
            ]
        )
        assert held + await rig.balance(Kind.RECEIVABLE, player) == should, player


@pytest.fixture(scope="module")
async def rig_of_orders(make_module_database: Any) -> Any:
    """One database for all orders: each has players and a campaign of its own."""
    made = await Rig.open(make_module_database("rewards", migrated=True))
    yield made
    await made.close()
