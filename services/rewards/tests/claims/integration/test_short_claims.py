"""Claimable prizes that wait for a part of their money and are lost meanwhile."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, ClaimSettings, RiskThresholds
from prizewire_rewards.claims.handlers.claims import claim, decide_claim, expire_due
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig

SETTINGS = CampaignSettings(claim=ClaimSettings(expires_s=3600), risk=RiskThresholds(amount=5_000))
Lose = Callable[[Rig, Match], Awaitable[None]]


async def take(rig: Rig, match: Match, player: str) -> None:
    """A player claims a prize."""
    async with rig.db.transaction() as tx:
        ports, now = rig.ports_of(tx), rig.clock.now()
        await claim(match.reward_id(player), player=player, ports=ports, tools=rig.tools, now=now)


async def expire(rig: Rig, match: Match) -> None:
    """Ann's claim expires."""
    rig.clock.advance(timedelta(hours=2))
    async with rig.db.transaction() as tx:
        done = await expire_due(ports=rig.ports_of(tx), now=rig.clock.now())
    assert done is not None
    assert [one.reward_id for one in done.claims] == [match.reward_id("ann")]


async def refuse(rig: Rig, match: Match) -> None:
    """Ann claims, and an operator refuses it."""
    await take(rig, match, "ann")
    async with rig.db.transaction() as tx:
        await decide_claim(
            match.reward_id("ann"),
            release=False,
            actor="olga",
            reason="no",
            ports=rig.ports_of(tx),
            now=rig.clock.now(),
        )


lost = pytest.mark.parametrize("lose", [expire, refuse], ids=["expired", "refused"])
sizes = pytest.mark.parametrize("lines_per_part", [None, 1], ids=["one part", "two parts"])


async def short_round(rig: Rig, *, bob: str, lines_per_part: int | None) -> Match:
    """A round corrected so that ann gets 100.00 instead of 60.00, and bob the given amount instead of 1.00, while the
    pool is empty. All prizes but ann's are claimed.
    """
    campaign = await rig.campaign(funded=14_000, delivery=Delivery.CLAIM, settings=SETTINGS)
    lines = [("ann", "60.00"), ("bob", "1.00")]
    match = Match(campaign, lines, unclaimed="79.00", lines_per_part=lines_per_part)
    other = Match(campaign, [("cat", "79.00")])
    for one, player in ((match, "bob"), (other, "cat")):
        await rig.settle(one)
        await rig.work_on()
        await take(rig, one, player)
    await rig.feed(
        rig.settlements,
        *match.corrected([("ann", "100.00"), ("bob", bob)], at=2 if lines_per_part is None else 3),
    )
    await rig.work_on()
    assert await rig.stuck() == []
    assert await rig.balance(Kind.POOL, campaign) == 0
    assert await rig.breaches() == []
    return match


async def campaign_of(rig: Rig) -> tuple[str, int]:
    """The campaign's state and the number of its waiting rounds."""
    [row] = await rig.rows("SELECT state, queued FROM campaigns")
    return row["state"], row["queued"]


@lost
@sizes
async def test_a_round_does_not_wait_for_a_lost_prize(
    rig: Rig, lose: Lose, lines_per_part: int | None
) -> None:
    """The paid part of a lost prize goes back to the pool and stays there. Its round leaves the queue, and the campaign
    becomes active again, with an event.
    """
    match = await short_round(rig, bob="1.00", lines_per_part=lines_per_part)
    assert await campaign_of(rig) == ("exhausted", 1)
    await lose(rig, match)
    assert await campaign_of(rig) == ("active", 0)
    assert (await rig.events("campaign.state_changed"))[-1]["data"]["state"] == "active"
    assert await rig.breaches() == []
    assert await rig.release() == 0
    assert await rig.balance(Kind.POOL, match.campaign) == 6_000
    assert await rig.balance(Kind.RESERVED, match.round_id) == 0


@lost
@sizes
async def test_a_round_still_waits_for_the_missing_amounts_of_others(
    rig: Rig, lose: Lose, lines_per_part: int | None
) -> None:
    """A round with one lost short prize waits for the missing amounts of the others only, and gets exactly these."""
    match = await short_round(rig, bob="11.00", lines_per_part=lines_per_part)
    await lose(rig, match)
    assert await campaign_of(rig) == ("exhausted", 1)
    assert [row["short"] for row in await rig.rows("SELECT short FROM rounds WHERE short > 0")] == [1_000]
    assert await rig.breaches() == []
    assert await rig.release() == 1
    await rig.work_on()
    assert await campaign_of(rig) == ("active", 0)
    assert await rig.winnings("bob") == 1_100
    assert await rig.balance(Kind.POOL, match.campaign) == 5_000
    assert await rig.balance(Kind.RESERVED, match.round_id) == 0
    assert await rig.breaches() == []
