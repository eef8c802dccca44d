"""Settled rounds through the real inbox on real PostgreSQL."""

from prizewire_rewards.domain.ledger import Kind
from services.rewards.tests.rig import Match, Rig


async def test_a_final_round_is_credited_whole(rig: Rig) -> None:
    """Prizes reach the winnings, fees are kept, the unclaimed rest returns, and nothing stays reserved."""
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
    [event] = await rig.events("reward.allocated")
    assert event["subject"] == str(match.round_id)
    assert event["correlationid"] == match.correlation_id
    assert event["aggregateversion"] == 1
    assert [(line["player"], line["amount"], line["state"]) for line in event["data"]["lines"]] == [
        ("ann", "500.00", "credited"),
        ("bob", "300.00", "credited"),
    ]
