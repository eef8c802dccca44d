"""The shown amounts of prizes, compared with what players got."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from prizewire_chassis.http.paging import encode_cursor
from prizewire_rewards.campaigns.domain.model import Delivery
from services.rewards.tests.rig import Match, Rig, method_event

PARTS = ("amount", "credited", "waiting", "short", "owed")


async def shown(rig: Rig, match: Match, *, to: str = "olga") -> dict[str, tuple[str, ...]]:
    """The shown amounts of the prizes of a round, by player."""
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
    lines = (await rig.events("reward.allocated"))[-1]["data"]["lines"]
    assert [(line["amount"], line["short"]) for line in lines] == [("50.00", "20.00"), ("30.00", "10.00")]
    assert await rig.breaches() == []


async def test_what_a_correction_could_not_take_back_is_owed(rig: Rig) -> None:
    """Ann requested a payout of her 50.00 and is corrected to 10.00: the prize is credited, and 40.00 are owed for it."""
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


async def test_prizes_that_are_not_credited_are_waiting_or_short(rig: Rig) -> None:
    """A pending prize, a claimable one, and one of a round that its pool does not cover."""
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


async def test_prizes_are_listed_newest_first(rig: Rig) -> None:
    """Each prize is on one page: the round settled last comes first, and lines are in their order. The order is the
    same for a player and for all, also where a correction added a prize later.
    """
    campaign = await rig.campaign(funded=1_000_000)
    matches = []
    for number in range(4):
        rig.clock.advance(timedelta(minutes=1))
        players = ["ann", "bob", "cid"] if number % 2 else ["cid", "ann"]
        matches.append(Match(campaign, [(player, "1.00") for player in players], final=False))
        await rig.settle(matches[-1])
    rig.clock.advance(timedelta(minutes=1))
    lines = [("cid", "0.50"), ("ann", "0.50"), ("bob", "1.00")]
    await rig.feed(rig.settlements, *matches[0].corrected(lines, at=2))
    wanted = [(str(match.round_id), player) for match in reversed(matches) for player, _ in match.lines]
    for who, query, mine in (
        ("olga", {}, {"ann", "bob", "cid"}),
        ("olga", {"player": "bob"}, {"bob"}),
        ("ann", {}, {"ann"}),
        ("olga", {"correlation_id": matches[3].correlation_id}, {"ann", "bob", "cid"}),
    ):
        expected = [
            (round_id, player)
            for round_id, player in wanted
            if player in mine and ("correlation_id" not in query or round_id == wanted[0][0])
        ]
        for limit in (1, 2, 3, 200):
            assert await pages(rig, who, {"limit": str(limit), **query}) == expected, (who, query, limit)


async def pages(rig: Rig, who: str, query: dict[str, str]) -> list[tuple[str, str]]:
    """(round, player) of all prizes, read page by page."""
    seen: list[tuple[str, str]] = []
    cursor: dict[str, str] = {}
    async with rig.client(who, "operator" if who == "olga" else "player") as client:
        while True:
            page = (await client.get("/api/rewards", params={**query, **cursor})).json()
            seen += [(item["round_id"], item["player"]) for item in page["items"]]
            if page["next_cursor"] is None:
                return seen
            cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize(
    "cursor",
    [
        ["2026-03-01T00:00:00", str(UUID(int=1)), 1],
        ["2026-03-01T00:00:00Z", str(UUID(int=1)), "1"],
        ["2026-03-01T00:00:00Z", str(UUID(int=1)), 2**31],
        ["2026-03-01T00:00:00Z", 1, 1],
        ["2026-03-01T00:00:00Z", str(UUID(int=1))],
    ],
)
async def test_an_invalid_cursor_of_prizes_is_refused(rig: Rig, cursor: list[object]) -> None:
    """A cursor of another form or type is refused before the database is read."""
    async with rig.client("ann") as ann:
        answer = await ann.get("/api/rewards", params={"cursor": encode_cursor(cursor)})
    assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")
