"""The figures of campaigns and pools in metrics equal those of the API."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from prizewire_rewards import metrics
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import NO_SETTINGS, CampaignSettings, Caps
from prizewire_rewards.campaigns.storage.pools import pool_figures, sum_paid
from services.rewards.tests.rig import Match, Rig, method_event, paid_event

FIGURES = ("funded", "remaining", "reserved", "paid", "unfunded", "missing", "low")


async def show(rig: Rig) -> None:
    """Run the job that sets the gauges."""
    [job] = [job for job in rig.built.jobs if job.name == "campaigns.figures"]
    assert await job.run() is False


async def add_up(rig: Rig) -> None:
    """Move the ledger's checkpoint to its end, and add the transfers up to it to the stored sums."""
    jobs = {job.name: job for job in rig.built.jobs}
    for _ in range(2):  # the first run sets a mark, the second moves the checkpoint to it
        assert await jobs["ledger.sum_up"].run() is False
    assert await jobs["campaigns.paid"].run() is False
    [row] = await rig.rows(
        "SELECT p.seq, (SELECT max(seq) FROM ledger_transfers) AS last FROM campaign_paid_upto p"
    )
    assert row["seq"] == row["last"]


def shown(campaign: UUID | str, asset: str = "USDC") -> dict[str, float | None]:
    """The gauges of one pool."""
    return {
        figure: next(
            (
                sample.value
                for metric in REGISTRY.collect()
                if metric.name == f"prizewire_rewards_pool_{figure}"
                for sample in metric.samples
                if (sample.labels["campaign"], sample.labels["asset"]) == (str(campaign), asset)
            ),
            None,
        )
        for figure in FIGURES
    }


def series() -> set[tuple[str, str]]:
    """The labels of all pools that have a series, the same for each figure."""
    found = {
        name: {
            (sample.labels["campaign"], sample.labels["asset"])
            for metric in REGISTRY.collect()
            if metric.name == f"prizewire_rewards_pool_{name}"
            for sample in metric.samples
        }
        for name in FIGURES
    }
    assert len({frozenset(one) for one in found.values()}) == 1
    return found["funded"]


def held(name: str) -> float | None:
    """A figure of held prizes: of USDC, of the cap of a player, or of all."""
    labels = {"_amount": {"asset": "USDC"}, "": {"cap": "cap_player"}}.get(name, {})
    return REGISTRY.get_sample_value(f"prizewire_rewards_prizes_held{name}", labels)


async def ask(rig: Rig, path: str) -> Any:
    async with rig.client("boss", "admin") as admin:
        answer = await admin.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def equal_to_the_api(rig: Rig, campaign: UUID) -> dict[str, float | None]:
    """Compare the gauges with the campaign and its balance sheet, before and after the transfers were added up. A campaign
    without pending prizes and without fees of organizers in wallets paid what its sheet has outside of the pool.
    """
    await show(rig)
    before = shown(campaign)
    await add_up(rig)
    await show(rig)
    assert shown(campaign) == before
    found = await ask(rig, f"/api/campaigns/{campaign}")
    sheet = await ask(rig, f"/api/campaigns/{campaign}/balance-sheet")
    assert before["funded"] == float(found["funded"])
    assert before["remaining"] == float(found["available"])
    assert before["reserved"] == float(found["reserved"])
    assert before["unfunded"] == float(sheet["unfunded"])
    assert before["missing"] == float(found["missing"])
    assert before["paid"] == sum(float(sheet[name]) for name in ("wallets", "payout_pending", "paid"))
    assert await rig.breaches() == []
    return before


async def test_the_figures_of_a_pool_equal_the_api(rig: Rig) -> None:
    """Funding, a settled and a final round, a held line, a direct payout that is paid, a round without money, a correction that
    leaves a debt, its recovery, and a void.
    """
    campaign = await rig.campaign(
        funded=100_000,
        delivery=Delivery.DIRECT,
        settings=CampaignSettings(low_water=40_000, caps=Caps(per_player=60_000)),
    )
    assert await equal_to_the_api(rig, campaign) == {
        "funded": 1000.0,
        "remaining": 1000.0,
        "reserved": 0.0,
        "paid": 0.0,
        "unfunded": 0.0,
        "missing": 0.0,
        "low": 0.0,
    }
    await rig.feed(rig.payouts, method_event("ann"))
    first = Match(campaign, [("ann", "500.00"), ("bob", "100.00")], platform="10.00")
    await rig.settle(first)
    after = await equal_to_the_api(rig, campaign)
    assert (after["remaining"], after["paid"], after["low"]) == (390.0, 600.0, 1.0)

    [requested] = await rig.events("payout.requested")
    await rig.feed(rig.payouts, paid_event(requested["data"]["payout_id"], player="ann", amount="500.00"))
    await equal_to_the_api(rig, campaign)

    await rig.settle(Match(campaign, [("ann", "200.00")]))  # above the cap of ann
    assert (await equal_to_the_api(rig, campaign))["reserved"] == 200.0
    assert [held(name) for name in ("_amount", "")] == [200.0, 1.0]

    waiting = Match(campaign, [("dan", "400.00")])
    await rig.settle(waiting)
    after = await equal_to_the_api(rig, campaign)
    assert (after["unfunded"], after["remaining"], after["missing"]) == (400.0, 190.0, 210.0)
    assert REGISTRY.get_sample_value("prizewire_rewards_campaigns", {"state": "exhausted"}) == 1

    await rig.fund(campaign, 50_000)
    await rig.release()
    after = await equal_to_the_api(rig, campaign)
    assert (after["unfunded"], after["paid"], after["low"]) == (0.0, 1000.0, 1.0)

    await rig.feed(rig.settlements, *first.corrected([("bob", "100.00"), ("eve", "450.00")], at=2))
    await equal_to_the_api(rig, campaign)
    await rig.fund(campaign, 150_000)
    await rig.release()
    after = await equal_to_the_api(rig, campaign)
    assert (after["paid"], after["low"]) == (1450.0, 0.0)

    await rig.settle(Match(campaign, [("ann", "30.00")]))  # recovers a part of ann's debt
    after = await equal_to_the_api(rig, campaign)
    assert (after["paid"], after["remaining"]) == (1450.0, 1000.0 + 500.0 + 1500.0 - 10.0 - 200.0 - 1450.0)

    window = Match(campaign, [("fay", "20.00")], platform="5.00", final=False)
    await rig.settle(window)
    await show(rig)
    assert shown(campaign)["reserved"] == 200.0 + 5.0
    await rig.feed(rig.settlements, window.voided(at=2))
    assert (await equal_to_the_api(rig, campaign))["reserved"] == 200.0
    assert [held(name) for name in ("_amount", "")] == [200.0, 1.0]


async def test_prizes_to_be_claimed_are_paid_when_they_are_claimed(rig: Rig) -> None:
    """Claimable prizes are neither reserved nor paid. An expired one goes back to the pool."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM)
    match = Match(campaign, [("ann", "60.00"), ("bob", "40.00")], organizer="3.00")
    await rig.settle(match)
    after = await equal_to_the_api(rig, campaign)
    assert (after["remaining"], after["reserved"], after["paid"]) == (897.0, 0.0, 0.0)
    async with rig.client("ann") as ann:
        answer = await ann.post(
            f"/api/claims/{match.reward_id('ann')}", headers={"Idempotency-Key": "ann-claims"}
        )
    assert answer.status_code == 200, answer.text
    assert (await equal_to_the_api(rig, campaign))["paid"] == 60.0
    rig.clock.advance(timedelta(days=400))
    [expire] = [job for job in rig.built.jobs if job.name == "claims.expire"]
    assert await expire.run() is True
    after = await equal_to_the_api(rig, campaign)
    assert (after["remaining"], after["paid"]) == (937.0, 60.0)


async def test_a_prize_that_is_taken_back_is_subtracted(rig: Rig) -> None:
    """What a correction takes back is subtracted, also from a stored sum."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "60.00"), ("bob", "40.00")])
    await rig.settle(match)
    assert (await equal_to_the_api(rig, campaign))["paid"] == 100.0
    await rig.feed(rig.settlements, *match.corrected([("bob", "40.00")], at=2))
    assert (await equal_to_the_api(rig, campaign))["paid"] == 40.0


async def test_the_largest_campaigns_have_series_and_the_others_are_summed_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest of each asset come first, and ended campaigns last. A campaign that is no longer among them loses its
    series. The sum over all series stays the total.
    """
    monkeypatch.setattr(metrics, "CAMPAIGNS_SHOWN", 3)
    ended = await rig.campaign(funded=900_000)
    await rig.change(ended, "ended")
    small = [await rig.campaign(funded=1_000 * n, active=False) for n in (1, 2)]
    large = await rig.campaign(funded=50_000, settings=CampaignSettings(low_water=60_000))
    points = await rig.campaign(funded=7, asset="SEASON")
    await show(rig)
    assert series() == {
        (str(large), "USDC"), (str(points), "SEASON"), (str(small[1]), "USDC"), ("other", "USDC"),
    }  # fmt: skip
    assert shown(points, "SEASON")["funded"] == 7
    assert shown("other")["funded"] == 9000 + 10
    assert sum(shown(one)["funded"] or 0 for one in (large, small[1], "other")) == 9530

    await rig.fund(small[0], 5_000)
    await show(rig)
    assert (str(small[1]), "USDC") not in series()
    assert (str(small[0]), "USDC") in series()
    assert sum(shown(one)["funded"] or 0 for one in (large, small[0], "other")) == 9580


async def test_two_campaigns_with_one_name_have_series_of_their_own(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each series has the name of its campaign. The sum of the others has one series, whatever their names are."""
    monkeypatch.setattr(metrics, "CAMPAIGNS_SHOWN", 2)
    twins = [await rig.campaign(funded=funded, name="spring-cup") for funded in (9_000, 8_000)]
    for name in ("summer-cup", "autumn-cup"):
        await rig.campaign(funded=1_000, name=name)
    await show(rig)
    found = {
        (sample.labels["campaign"], sample.labels["name"]): sample.value
        for metric in REGISTRY.collect()
        if metric.name == "prizewire_rewards_pool_funded"
        for sample in metric.samples
    }
    assert found == {
        (str(twins[0]), "spring-cup"): 90,
        (str(twins[1]), "spring-cup"): 80,
        ("other", "other"): 20,
    }


async def test_a_low_campaign_that_is_summed_up_is_still_counted(rig: Rig) -> None:
    """The sum of smaller campaigns shows how many of them are low. Ended and draft campaigns are not low."""
    low = CampaignSettings(low_water=60_000)
    running = [await rig.campaign(funded=funded, settings=low) for funded in (50_000, 40_000, 30_000)]
    await rig.campaign(funded=20_000, settings=low, active=False)
    ended = await rig.campaign(funded=10_000, settings=low)
    await rig.change(ended, "ended")
    async with rig.db.transaction() as tx:
        found = {one.campaign: one.low for one in await pool_figures(tx, shown=1)}
    assert found == {str(running[0]): 1, "other": 2}


async def test_an_empty_pool_is_low_without_a_mark(rig: Rig) -> None:
    """Rounds of an active campaign may come at any time. A paused one, and one with any money, is not low without a mark."""
    active, paused, funded = [await rig.campaign(funded=funded) for funded in (500, 500, 501)]
    for campaign in (active, paused, funded):
        await rig.settle(Match(campaign, [("ann", "5.00")]))
    await rig.change(paused, "paused")
    await show(rig)
    assert [shown(one)["low"] for one in (active, paused, funded)] == [1, 0, 0]


async def test_held_prizes_are_shown_until_they_are_decided(rig: Rig) -> None:
    """Their number, their money and the age of the oldest; all are 0 where none is held."""
    await show(rig)
    assert [held(name) for name in ("", "_amount", "_oldest_seconds")] == [0, 0, 0]
    campaign = await rig.campaign(funded=100_000, settings=CampaignSettings(caps=Caps(per_player=1_000)))
    matches = [Match(campaign, [("ann", "20.00"), ("bob", "1.00")]), Match(campaign, [("ann", "30.00")])]
    for match in matches:
        await rig.settle(match)
        rig.clock.advance(timedelta(minutes=1))
    await show(rig)
    assert [held(name) for name in ("", "_amount", "_oldest_seconds")] == [2, 50, 120]
    async with rig.client("boss", "admin") as admin:
        for match, verb in zip(matches, ("release", "reject"), strict=True):
            answer = await admin.post(
                f"/api/rewards/{match.reward_id('ann')}/{verb}",
                json={"reason": "looked at"},
                headers={"Idempotency-Key": verb},
            )
            assert answer.status_code == 200
            await show(rig)
            assert held("_oldest_seconds") == (60 if verb == "release" else 0)
    assert [held(name) for name in ("", "_amount")] == [0, 0]


async def test_transfers_are_added_up_once_and_in_batches(rig: Rig) -> None:
    """Batches of few transfers give the same sums as one batch, and a second run adds nothing."""
    first, second = [await rig.campaign(funded=100_000, settings=NO_SETTINGS) for _ in range(2)]
    for _ in range(4):
        await rig.settle(Match(first, [("ann", "1.00"), ("bob", "2.00")]), Match(second, [("ann", "5.00")]))
    jobs = {job.name: job for job in rig.built.jobs}
    for _ in range(2):
        await jobs["ledger.sum_up"].run()
    batches = 1
    while await rig.db.run(lambda tx: sum_paid(tx, rows_max=3)):
        batches += 1
    assert batches > 3
    assert await rig.db.run(sum_paid) is False
    rows = await rig.rows("SELECT campaign, paid FROM campaign_paid")
    assert {row["campaign"]: row["paid"] for row in rows} == {first: 1_200, second: 2_000}


async def test_a_transfer_after_the_checkpoint_is_not_added_up(rig: Rig) -> None:
    """A transaction that began before may still commit a smaller number, so only the checkpoint is a safe end."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "1.00")]))
    assert await rig.db.run(sum_paid) is False
    assert await rig.rows("SELECT * FROM campaign_paid") == []
    async with rig.db.transaction() as tx:
        assert (await tx.execute(text("SELECT seq FROM campaign_paid_upto"))).scalar_one() == 0
