"""The prizes of a round are compared with the lines of its settlement, each line by its player, place and amount."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from services.rewards.tests.rig import Match, Rig
from services.rewards.tests.rounds.integration.test_disownments import disown
from services.rewards.tests.sql import insert, open_account


async def booked(rig: Rig, round_id: UUID) -> dict[str, Any]:
    """The round as the comparison with settlement reads it."""
    async with rig.client("admin", "admin") as client:
        answer = (await client.get("/api/rewards/rounds/booked")).json()
    [found] = [one for one in answer["items"] if one["round_id"] == str(round_id)]
    return dict(found)


async def as_settled(rig: Rig, match: Match) -> bool:
    """Whether the prizes make the digest that settlement sent, by the comparison and by the check."""
    assert await rig.breaches() == []
    found = await booked(rig, match.round_id)
    return bool(found["lines_digest"] == found["digest"])


async def move_prize(tx: AsyncConnection, match: Match, amount: int) -> None:
    """Move an amount of ann's prize to bob, in the rows and in the ledger, as the service's login can."""
    for player, change in (("ann", -amount), ("bob", amount)):
        await tx.exec_driver_sql(
            f"UPDATE rewards SET amount = amount + {change}, settlement_version = 2 "
            f"WHERE round_id = '{match.round_id}' AND player = '{player}'"
        )
    reserve = Account(Kind.RESERVED, str(match.round_id), "USDC")
    await open_account(tx, reserve)
    ann, bob = (Account(Kind.WINNINGS, player, "USDC") for player in ("ann", "bob"))
    of_round = {"cause": f"round/{match.round_id}/2", "correlation": match.correlation_id}
    await insert(tx, "prize_reversed", ann, reserve, amount, **of_round)
    await insert(tx, "prize_credited", reserve, bob, amount, **of_round)


async def test_a_prize_that_was_moved_to_another_player_is_a_breach(rig: Rig) -> None:
    """Count, sum, stored digest and ledger agree: only the lines differ."""
    match = Match(await rig.campaign(funded=20_000), [("ann", "100.00"), ("bob", "30.00")])
    await rig.settle(match)
    assert await as_settled(rig, match)
    async with rig.db.transaction() as tx:
        await move_prize(tx, match, 7_000)
    assert (await rig.winnings("ann"), await rig.winnings("bob")) == (3_000, 10_000)
    assert [one.split(":")[0] for one in await rig.breaches()] == [Invariant.LINES_AS_SETTLED]
    found = await booked(rig, match.round_id)
    assert found["lines_digest"] != found["digest"]


@pytest.mark.parametrize(
    ("asset", "amounts"),
    [("USDC", ("100.00", "0.01")), ("XLM", ("0.0000001", "12.5000000")), ("SEASON", ("7", "1000"))],
)
async def test_the_digest_of_a_genuine_round_is_the_one_of_settlement(
    rig: Rig, asset: str, amounts: tuple[str, str]
) -> None:
    """Names with marks and letters of any script, and amounts of each number of decimals."""
    campaign = await rig.campaign(funded=1_000_000_000, asset=asset)
    zero = {"USDC": "0.00", "XLM": "0.0000000", "SEASON": "0"}[asset]
    names = ('ann"the\\fox"', "bøb/雪<\U0001f98a>")
    fees = {"platform": zero, "organizer": zero, "unclaimed": zero}
    match = Match(campaign, list(zip(names, amounts, strict=True)), asset=asset, **fees)
    await rig.settle(match)
    assert await rig.stuck() == []
    assert await as_settled(rig, match)


async def test_corrected_and_empty_rounds_have_the_digest_of_the_version_that_stands(rig: Rig) -> None:
    """Removed prizes do not count, and a round without prizes has the digest of no lines."""
    campaign = await rig.campaign(funded=20_000)
    match, empty = (
        Match(campaign, [("ann", "100.00"), ("bob", "30.00")]),
        Match(campaign, [], unclaimed="1.00"),
    )
    await rig.settle(match, empty)
    assert await as_settled(rig, empty)
    await rig.feed(rig.settlements, *match.corrected([("cid", "90.00"), ("ann", "40.00")], at=2))
    assert await as_settled(rig, match)
    assert (await booked(rig, match.round_id))["settlement_version"] == 2


async def test_a_round_without_money_has_its_lines(rig: Rig) -> None:
    """They are compared before they are paid, so that a changed line is found in time."""
    match = Match(await rig.campaign(funded=100), [("ann", "100.00"), ("bob", "30.00")])
    await rig.settle(match)
    assert await as_settled(rig, match)


async def test_a_round_that_was_taken_back_is_not_compared(rig: Rig) -> None:
    """A disownment ends the breach: the prizes stay as they were changed, and no money belongs to them any more."""
    match = Match(await rig.campaign(funded=20_000), [("ann", "100.00"), ("bob", "30.00")])
    await rig.settle(match)
    async with rig.db.transaction() as tx:
        await move_prize(tx, match, 7_000)
    assert [one.split(":")[0] for one in await rig.breaches()] == [Invariant.LINES_AS_SETTLED]
    await disown(rig, match)
    found = await booked(rig, match.round_id)
    assert (found["state"], found["lines_digest"] == found["digest"]) == ("voided", False)
    assert await rig.breaches() == []


async def test_a_large_round_has_no_digest_while_its_lines_are_booked(rig: Rig) -> None:
    """Half of the lines are of no settlement. Once all are done, the digest is settlement's."""
    lines = [(f"p{n}", "1.00") for n in range(6)]
    match = Match(await rig.campaign(funded=20_000), lines, lines_per_part=2)
    await rig.settle(match)
    assert (await booked(rig, match.round_id))["lines_digest"] is None
    assert await rig.breaches() == []
    await rig.work_on(limit=2)
    assert await as_settled(rig, match)
    await rig.feed(rig.settlements, *match.corrected([("p9", "2.00"), *lines[:4]], at=4))
    assert (await booked(rig, match.round_id))["lines_digest"] is None
    assert await rig.breaches() == []
    await rig.work_on(limit=2)
    assert await as_settled(rig, match)


async def test_a_changed_digest_is_compared_again(rig: Rig) -> None:
    """The stored digest changes only with the version, and the next comparison reads the round, however old it is."""
    match = Match(await rig.campaign(funded=20_000), [("ann", "100.00"), ("bob", "30.00")])
    await rig.settle(match)
    since = await rig.database_time()
    listing = ("/api/rewards/rounds/booked", {"since": since})
    async with rig.client("admin", "admin") as client:
        assert (await client.get(listing[0], params=listing[1])).json()["items"] == []
        async with rig.db.transaction() as tx:
            await move_prize(tx, match, 7_000)
        made = (await booked(rig, match.round_id))["lines_digest"]
        async with rig.db.transaction() as tx:
            await tx.exec_driver_sql(
                f"UPDATE rounds SET digest = '{made}', settlement_version = 2 WHERE id = '{match.round_id}'"
            )
        assert await rig.breaches() == []
        [found] = (await client.get(listing[0], params=listing[1])).json()["items"]
    assert found["digest"] == made
