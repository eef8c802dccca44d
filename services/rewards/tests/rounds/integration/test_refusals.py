"""Permanently refused settlements: published once, never parked, and replaced by a later version."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from prizewire_contracts.canonical import canonical_hash
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.lineage import lineage_of
from services.rewards.tests.money import entered, entry_of, opened, top_up, voided
from services.rewards.tests.rig import ASSETS, Match, Rig, method_event, paid_event

LINES = [("ann", "10.00"), ("bob", "5.00")]


def mended(match: Match, **changes: object) -> Match:
    """The next settlement version of the same round."""
    return replace(match, version=match.version + 1, **changes)  # type: ignore[arg-type]  # fields of a match


async def refusals(rig: Rig) -> list[tuple[int, int, int, str]]:
    """Aggregate version, settlement version, part and code of each refusal event."""
    return [
        (one["aggregateversion"], *(one["data"][name] for name in ("settlement_version", "part", "code")))
        for one in await rig.events("round.refused")
    ]


@pytest.mark.parametrize("reason", ["campaign_unknown", "asset_mismatch", "campaign_ended"])
async def test_a_refusal_is_published_and_replaced_by_the_next_version(rig: Rig, reason: str) -> None:
    """Nothing parks or moves; finality of the refused version has no effect; the next version is paid."""
    good = await rig.campaign(funded=100_000)
    bad = uuid4()
    if reason == "asset_mismatch":
        bad = await rig.campaign(funded=100_000, asset="EURC")
    elif reason == "campaign_ended":
        bad = await rig.campaign(funded=100_000)
        await rig.change(bad, "ended")
    match = Match(bad, LINES, final=False)
    await rig.feed(rig.settlements, *match.events(), match.finalized(version=2))
    assert await refusals(rig) == [(1, 1, 1, reason)]
    assert await rig.stuck() == []
    assert await rig.rows("SELECT 1 FROM rounds") == []

    await rig.feed(rig.settlements, *mended(match, campaign=good, final=True).events(at=3))
    assert await rig.winnings("ann") == 1_000
    assert [one["aggregateversion"] for one in await rig.events("reward.allocated")] == [2]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_refusal_replacement_and_correction_in_one_batch(rig: Rig) -> None:
    """A refused version and, in the same batch, the next version with its finality and a correction."""
    good, bad = await rig.campaign(funded=100_000), uuid4()
    match = Match(bad, LINES, final=False)
    second = mended(match, campaign=good)
    await rig.feed(
        rig.settlements,
        *match.events(),
        match.finalized(version=2),
        *second.events(at=3),
        second.finalized(version=4),
        *second.corrected([("bob", "15.00")], at=5, final=True),
    )
    assert await refusals(rig) == [(1, 1, 1, "campaign_unknown")]
    assert (await rig.winnings("ann"), await rig.winnings("bob")) == (0, 1_500)
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_correction_of_a_refused_round_is_refused_or_booked(rig: Rig) -> None:
    """A correction with the same mistake is refused as a version of its own; one without it is the first to be booked."""
    bad = uuid4()
    match = Match(bad, LINES, final=False)
    await rig.feed(rig.settlements, *match.events())
    await rig.feed(rig.settlements, *match.corrected([("bob", "15.00")], at=2))
    assert await refusals(rig) == [(1, 1, 1, "campaign_unknown"), (2, 2, 1, "campaign_unknown")]
    good = await rig.campaign(funded=100_000)
    await rig.feed(rig.settlements, *match.corrected([("ann", "15.00")], at=3, campaign=good, final=True))
    assert await rig.winnings("ann") == 1_500
    assert [one["aggregateversion"] for one in await rig.events("reward.allocated")] == [3]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_version_is_never_skipped(rig: Rig) -> None:
    """Only the version after the refused one books the round; another one parks."""
    good = await rig.campaign(funded=100_000)
    match = Match(uuid4(), LINES)
    await rig.settle(match)
    await rig.feed(rig.settlements, *mended(mended(match), campaign=good).events(at=2))
    assert await rig.stuck() == [("parked", "event_mismatch")]
    assert await rig.winnings("ann") == 0


async def test_several_parts_have_one_refusal(rig: Rig) -> None:
    """The parts come in one batch or one by one; the next version, in parts too, is booked."""
    good, bad = await rig.campaign(funded=100_000), uuid4()
    together = Match(bad, LINES, lines_per_part=1)
    alone = Match(bad, [("cyd", "10.00"), ("dan", "5.00")], lines_per_part=1)
    first, second = alone.events()
    await rig.feed(rig.settlements, *together.events(), first)
    await rig.feed(rig.settlements, second)
    assert await refusals(rig) == [(1, 1, 1, "campaign_unknown")] * 2
    await rig.feed(rig.settlements, *mended(together, campaign=good).events(at=3))
    assert await rig.work_on() > 0
    assert await rig.winnings("bob") == 500
    assert await rig.rows("SELECT 1 FROM staged_parts") == await rig.rows("SELECT 1 FROM staged_lines") == []
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_a_campaign_that_ends_between_two_parts(rig: Rig) -> None:
    """Staged parts of the settlement are deleted, and the refusal names the part that came after the campaign's end."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, LINES, lines_per_part=1)
    first, second = match.events()
    await rig.feed(rig.settlements, first)
    await rig.change(campaign, "ended")
    await rig.feed(rig.settlements, second)
    assert await refusals(rig) == [(1, 1, 2, "campaign_ended")]
    assert await rig.rows("SELECT 1 FROM staged_parts") == await rig.rows("SELECT 1 FROM staged_lines") == []
    await rig.feed(rig.settlements, match.voided(at=3))
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_entry_fees_are_not_earned_by_a_refused_settlement(rig: Rig) -> None:
    """Entry fees stay in escrow; a void refunds them, and a booked settlement earns them."""
    good, bad = await rig.campaign(funded=100_000), uuid4()
    await top_up(rig, "ann", "20.00")
    lost, won = Match(bad, LINES), Match(bad, LINES)
    for match in (lost, won):
        await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2), *match.events(at=3))
    states = "SELECT state FROM entries WHERE id = :id"
    assert await rig.rows(states, id=entry_of(lost, "ann")) == [{"state": "paid"}]
    await rig.feed(rig.settlements, voided(lost, version=4), *mended(won, campaign=good).events(at=4))
    assert await rig.rows(states, id=entry_of(lost, "ann")) == [{"state": "refunded"}]
    assert await rig.rows(states, id=entry_of(won, "ann")) == [{"state": "earned"}]
    assert await rig.balance(Kind.TOPUP, "ann") == 1_500
    assert await rig.breaches() == []


async def test_the_lineage_has_the_refusal(rig: Rig) -> None:
    """The lineage of the match has code, version and campaign."""
    campaign = await rig.campaign(funded=100_000, asset="EURC")
    match = Match(campaign, LINES)
    await rig.settle(match)
    async with rig.db.transaction() as tx:
        [step] = await lineage_of(tx, match.correlation_id, assets=ASSETS)
    assert (step.kind, step.detail["code"], step.detail["settlement_version"]) == (
        "round_refused",
        "asset_mismatch",
        1,
    )


async def test_the_sums_of_rounds_are_shown(rig: Rig) -> None:
    """State, version, number and sum of the prizes that were not reversed; refused and unknown rounds are left out."""
    campaign = await rig.campaign(funded=100_000)
    good, corrected, bad = Match(campaign, LINES), Match(campaign, LINES), Match(uuid4(), LINES)
    await rig.settle(good, corrected, bad)
    await rig.feed(rig.settlements, *corrected.corrected([("bob", "4.00")], at=2))
    ids = [str(match.round_id) for match in (good, corrected, bad)]
    async with rig.client("olga", "operator") as client:
        answer = await client.get("/api/rewards/rounds", params={"ids": ",".join([*ids, str(uuid4())])})
        shown = {one["round_id"]: one for one in answer.json()["items"]}
        refused = await client.get("/api/rewards/rounds", params={"ids": "r1"})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert shown.keys() == set(ids[:2])
    names = ("state", "final", "settlement_version", "gross", "prizes", "prizes_total")
    assert [shown[ids[0]][name] for name in names] == ["final", True, 1, "15.00", 2, "15.00"]
    assert [shown[ids[1]][name] for name in names] == ["final", True, 2, "15.00", 1, "4.00"]


async def test_the_sums_say_what_a_round_waits_for(rig: Rig) -> None:
    """A round that the pool does not cover waits for its gross prize, one that a correction made larger for the rest. Money ends
    both waits.
    """
    campaign = await rig.campaign(funded=10_000)
    short = Match(campaign, [("ann", "60.00")], unclaimed="40.00", final=False)
    waiting = Match(campaign, [("dan", "5.00")])
    await rig.settle(short, Match(campaign, [("bob", "30.00")]))
    await rig.feed(rig.settlements, *short.corrected([("ann", "60.00"), ("cat", "40.00")], at=2))
    await rig.settle(waiting)
    ids = [str(match.round_id) for match in (short, waiting)]

    async def waits() -> list[tuple[str, str]]:
        async with rig.client("olga", "operator") as client:
            answer = await client.get("/api/rewards/rounds", params={"ids": ",".join(ids)})
        shown = {one["round_id"]: one for one in answer.json()["items"]}
        return [(shown[one]["state"], shown[one]["waits_for"]) for one in ids]

    assert await waits() == [("reserved", "40.00"), ("unfunded", "5.00")]
    await rig.fund(campaign, 3_500)
    assert await rig.release() == 2
    assert [wait for _, wait in await waits()] == ["0.00", "0.00"]


async def pages(rig: Rig, path: str, **query: str) -> list[dict[str, Any]]:
    """All items, read in pages of one."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    async with rig.client("olga", "operator") as client:
        while True:
            params: dict[str, Any] = {"limit": 1, **query} | ({"cursor": cursor} if cursor else {})
            answer = await client.get(path, params=params)
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            cursor = answer.json()["next_cursor"]
            if cursor is None:
                return found


async def test_booked_rounds_are_listed_by_their_last_change(rig: Rig) -> None:
    """Each round has the head of its settlement; a correction moves it to the first place."""
    campaign = await rig.campaign(funded=100_000)
    first = Match(campaign, LINES, platform="2.00", organizer="1.00", organizer_player="club")
    second = Match(campaign, LINES)
    await rig.settle(first)
    rig.clock.advance(timedelta(minutes=1))
    await rig.settle(second)
    since = await rig.database_time()
    await rig.feed(rig.settlements, *first.corrected([("bob", "4.00")], at=2))
    found = await pages(rig, "/api/rewards/rounds/booked")
    assert [one["round_id"] for one in found] == [str(first.round_id), str(second.round_id)]
    assert [(one["settlement_version"], one["gross"]) for one in found] == [(2, "18.00"), (1, "15.00")]
    names = ("campaign", "asset", "platform_fee", "unclaimed", "final")
    assert [found[0][name] for name in names] == [str(campaign), "USDC", "2.00", "11.00", True]
    assert (found[0]["organizer_player"], found[0]["organizer_fee"]) == ("club", "1.00")
    assert found[0]["digest"] == canonical_hash([[1, "bob", 1, "4.00"]]).hex()
    later = await pages(rig, "/api/rewards/rounds/booked", since=since)
    assert [one["round_id"] for one in later] == [str(first.round_id)]


async def test_requested_payouts_are_listed_by_their_last_change(rig: Rig) -> None:
    """Payouts are also found by their ids; the amount is without the fee. A payout that has not changed since it was requested has one
    time for both.
    """
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await rig.feed(rig.payouts, method_event("ann"), method_event("bob"))
    await rig.settle(Match(campaign, [("ann", "6.00")]))
    rig.clock.advance(timedelta(minutes=1))
    await rig.settle(Match(campaign, [("bob", "7.00")]))
    found = await pages(rig, "/api/rewards/payouts/asked")
    names = ("player", "asset", "pay_amount", "state")
    assert [[one[name] for name in names] for one in found] == [
        ["bob", "USDC", "7.00", "requested"],
        ["ann", "USDC", "6.00", "requested"],
    ]
    assert [one["changed_at"] == one["requested_at"] for one in found] == [True, True]
    since = await rig.database_time()
    await rig.feed(rig.payouts, paid_event(found[1]["payout_id"], player="ann", amount="6.00"))
    [changed] = await pages(rig, "/api/rewards/payouts/asked", since=since)
    assert (changed["player"], changed["state"]) == ("ann", "paid")
    async with rig.client("olga", "operator") as client:
        ids = f"{changed['payout_id']},{uuid4()}"
        known = await client.get("/api/rewards/payouts", params={"ids": ids})
    assert known.json()["items"] == [changed]
