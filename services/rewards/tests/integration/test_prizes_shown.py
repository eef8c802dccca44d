"""What a prize is said to be, and what of it its player really got."""

from decimal import Decimal
from typing import Any

from prizewire_rewards.domain.model import Delivery
from services.rewards.tests.rig import Match, Rig, method_event

PARTS = ("amount", "credited", "waiting", "short", "owed")


async def shown(rig: Rig, match: Match, *, to: str = "olga") -> dict[str, tuple[str, ...]]:
    """The amounts of the prizes of a round, by player."""
    async with rig.client(to, "operator" if to == "olga" else "player") as client:
        params = {"round_id": str(match.round_id)}
        items = (await client.get("/api/rewards", params=params)).json()["items"]
    return {one["player"]: tuple(one[part] for part in PARTS) for one in items}


async def wallet(rig: Rig, player: str) -> dict[str, Any]:
    """A player's balances in USDC."""
    async with rig.client(player) as client:
        [balance] = (await client.get("/api/wallet")).json()["balances"]
    return dict(balance)


async def test_what_a_correction_leaves_short_is_shown(rig: Rig) -> None:
    """Corrected to 50.00 and 30.00 while the pool is empty: 30.00 and 20.00 were credited, the rest is short."""
    campaign = await rig.campaign(funded=8_000)
    match = Match(campaign, [("ann", "30.00"), ("bob", "20.00")], unclaimed="30.00")
    await rig.settle(match, Match(campaign, [("cat", "30.00")]))
    await rig.feed(rig.settlements, *match.corrected([("ann", "50.00"), ("bob", "30.00")], at=2))
    assert await rig.stuck() == []
    found = await shown(rig, match)
    assert found == {
        "ann": ("50.00", "30.00", "0.00", "20.00", "0.00"),
        "bob": ("30.00", "20.00", "0.00", "10.00", "0.00"),
    }
    assert await shown(rig, match, to="ann") == {"ann": found["ann"]}
    winnings = {player: await rig.winnings(player) for player in found}
    assert {player: int(Decimal(parts[1]) * 100) for player, parts in found.items()} == winnings
    mine = await wallet(rig, "ann")
    assert (mine["lifetime_earnings"], mine["short"], mine["owed"]) == ("30.00", "20.00", "0.00")
    told = (await rig.events("reward.allocated"))[-1]["data"]["lines"]
    assert [(line["amount"], line["short"]) for line in told] == [("50.00", "20.00"), ("30.00", "10.00")]
    assert await rig.breaches() == []


async def test_what_a_correction_could_not_take_back_is_owed(rig: Rig) -> None:
    """Ann asked for her 50.00, and is to have 10.00 of them: the prize is credited, and 40.00 are owed for it."""
    campaign = await rig.campaign(funded=5_000)
    match = Match(campaign, [("ann", "50.00")])
    await rig.settle(match)
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "50.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers={"idempotency-key": "k"})
        assert answer.status_code == 202
    await rig.feed(rig.settlements, *match.corrected([("ann", "10.00"), ("bob", "40.00")], at=2))
    assert await shown(rig, match) == {
        "ann": ("10.00", "10.00", "0.00", "0.00", "40.00"),
        "bob": ("40.00", "0.00", "0.00", "40.00", "0.00"),
    }
    assert (await wallet(rig, "ann"))["owed"] == "40.00"
    other = await rig.campaign(funded=2_500)
    await rig.settle(Match(other, [("ann", "25.00")]))
    assert (await shown(rig, match))["ann"][-1] == "15.00", "25.00 of another prize were taken for it"
    await rig.feed(rig.settlements, *match.corrected([("bob", "50.00")], at=3))
    assert (await shown(rig, match))["ann"] == ("10.00", "0.00", "0.00", "0.00", "25.00")
    assert (await rig.stuck(), await rig.breaches()) == ([], [])


async def test_what_is_not_in_winnings_yet_is_waiting_or_short(rig: Rig) -> None:
    """A prize that is pending, one to be claimed, and one of a round that its pool does not cover."""
    campaign = await rig.campaign(funded=1_000)
    claims = await rig.campaign(funded=1_000, delivery=Delivery.CLAIM)
    pending = Match(campaign, [("ann", "6.00")], final=False)
    claimable, unfunded = Match(claims, [("ann", "7.00")]), Match(campaign, [("ann", "8.00")])
    await rig.settle(pending, claimable, unfunded)
    assert await shown(rig, pending) == {"ann": ("6.00", "0.00", "6.00", "0.00", "0.00")}
    assert await shown(rig, claimable) == {"ann": ("7.00", "0.00", "7.00", "0.00", "0.00")}
    assert await shown(rig, unfunded) == {"ann": ("8.00", "0.00", "0.00", "8.00", "0.00")}
    mine = await wallet(rig, "ann")
    assert [mine[name] for name in ("winnings", "pending", "held", "short")] == [
        "0.00",
        "6.00",
        "7.00",
        "8.00",
    ]
    assert await rig.breaches() == []
