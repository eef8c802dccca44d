"""Voided rounds through the real inbox on real PostgreSQL."""

from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig


async def test_a_void_gives_everything_back(rig: Rig) -> None:
    """Pending prizes and reserved fees go back to the pool, counters change too, and each prize is published as
    reversed.
    """
    campaign = await rig.campaign(funded=100_000)
    match = Match(
        campaign, [("ann", "500.00"), ("bob", "300.00")], platform="50.00", unclaimed="7.00", final=False
    )
    await rig.feed(rig.settlements, *match.events(), match.voided(at=2))
    assert await rig.stuck() == []
    assert await rig.balance(Kind.POOL, campaign) == 100_000
    for kind, owner in ((Kind.PENDING, "ann"), (Kind.PENDING, "bob"), (Kind.RESERVED, match.round_id)):
        assert await rig.balance(kind, owner) == 0
    [round_] = await rig.rows("SELECT state, version FROM rounds")
    assert round_ == {"state": "voided", "version": 2}
    [counted] = await rig.rows("SELECT granted FROM campaigns")
    assert counted == {"granted": 0}
    [published] = await rig.events("reward.reversed")
    assert [(one["player"], one["amount"], one["state"]) for one in published["data"]["lines"]] == [
        ("ann", "500.00", "reversed"),
        ("bob", "300.00", "reversed"),
    ]
    assert await rig.breaches() == []


async def test_a_void_of_a_waiting_round_lets_the_next_go_on(rig: Rig) -> None:
    """The round leaves the queue; an exhausted campaign without waiting rounds becomes active again."""
    campaign = await rig.campaign(funded=1_000)
    first, second = Match(campaign, [("ann", "60.00")], final=False), Match(campaign, [("bob", "5.00")])
    await rig.settle(first, second)
    await rig.feed(rig.settlements, first.voided(at=2))
    assert await rig.release() == 1
    assert await rig.winnings("bob") == 500
    [row] = await rig.rows("SELECT state, queued, granted FROM campaigns")
    assert row == {"state": "active", "queued": 0, "granted": 500}
    assert await rig.breaches() == []


async def test_a_void_of_the_last_waiting_round_reopens_the_campaign(rig: Rig) -> None:
    """No round waits any more: the campaign is active at once."""
    campaign = await rig.campaign()
    match = Match(campaign, [("ann", "60.00")], final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, match.voided(at=2))
    assert await rig.rows("SELECT state, queued FROM campaigns") == [{"state": "active", "queued": 0}]
    assert await rig.rows("SELECT state, queue_position FROM rounds") == [
        {"state": "voided", "queue_position": None}
    ]
    assert await rig.breaches() == []


async def test_a_final_round_is_not_voided(rig: Rig) -> None:
    """A void of a final round parks and moves nothing."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00")])
    await rig.feed(rig.settlements, *match.events(), match.voided(at=2))
    assert await rig.stuck() == [("parked", "illegal_transition")]
    assert await rig.winnings("ann") == 1_000
    assert await rig.breaches() == []


async def test_a_void_of_an_unknown_round_moves_nothing(rig: Rig) -> None:
    """The round was voided before it was settled: nothing is stored, and nothing waits."""
    campaign = await rig.campaign(funded=1_000)
    await rig.feed(rig.settlements, Match(campaign, []).voided(at=1))
    assert await rig.stuck() == []
    assert await rig.rows("SELECT 1 FROM rounds") == []


async def test_a_voided_round_is_neither_corrected_nor_final(rig: Rig) -> None:
    """A voided round has no later lines and does not become payable; a second void changes nothing."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00")], final=False)
    await rig.feed(rig.settlements, *match.events(), match.voided(at=2), match.voided(at=3))
    await rig.feed(rig.settlements, match.finalized(version=4))
    await rig.feed(rig.settlements, *match.corrected([("bob", "10.00")], at=4))
    assert [reason for _, reason in await rig.stuck()] == ["illegal_transition", "subject_parked"]
    assert await rig.balance(Kind.POOL, campaign) == 100_000
    assert await rig.breaches() == []
