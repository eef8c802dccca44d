"""A campaign's balance sheet: it shows the ledger, also where the ledger is wrong."""

import re
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from prizewire_rewards.campaigns.domain.commands import WithdrawFromCampaign
from prizewire_rewards.campaigns.domain.model import SHEET_AMOUNTS, Delivery
from prizewire_rewards.campaigns.handlers import withdraw_from_campaign
from prizewire_rewards.campaigns.storage.views import balance_sheet
from prizewire_rewards.claims.handlers.claims import claim, expire_due
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from services.rewards.tests.rig import (
    FAKE_METHOD,
    FAKE_RAIL,
    Match,
    Rig,
    closed_event,
    closure_of,
    method_event,
    paid_event,
    returned_event,
)
from services.rewards.tests.sql import as_owner, insert

PLACES = tuple(name for name in SHEET_AMOUNTS if name not in {"funded", "unfunded"})


async def sheet_of(rig: Rig, campaign: UUID) -> dict[str, int]:
    """The amounts of a sheet that are not zero (minor units)."""
    async with rig.db.transaction() as tx:
        sheet = await balance_sheet(tx, campaign)
    assert sheet is not None
    return {name: getattr(sheet, name) for name in SHEET_AMOUNTS if getattr(sheet, name)}


def adds_up(sheet: dict[str, int]) -> bool:
    return sheet["funded"] == sum(sheet.get(name, 0) for name in PLACES)


async def direct(rig: Rig, match: Match, *, returning: tuple[str, ...] = ()) -> dict[str, UUID]:
    """Settle a match of a campaign that pays out. The players ``returning`` are paid over a rail that may return money.
    Returns the payouts by player.
    """
    for player, _ in match.lines:
        await rig.feed(rig.payouts, method_event(player, **(FAKE_METHOD if player in returning else {})))
    await rig.settle(match)
    rows = await rig.rows("SELECT player, id FROM payouts WHERE round_id = :id", id=match.round_id)
    return {row["player"]: row["id"] for row in rows}


async def test_the_query_of_operators_shows_what_is_reserved(rig: Rig) -> None:
    """The query of docs/operations.md has the amounts that the list of campaigns has."""
    page = (Path(__file__).parents[5] / "docs" / "operations.md").read_text()
    [query] = [one for one in re.findall(r"```sql\n(.*?)```", page, re.DOTALL) if "AS reserved" in one]
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(
        Match(campaign, [("ann", "60.00")], platform="5.00", final=False), Match(campaign, [("bob", "30.00")])
    )
    [row] = await rig.rows(query)
    async with rig.client("olga", "operator") as client:
        [shown] = (await client.get("/api/campaigns")).json()["items"]
    assert (row["remaining"], row["reserved"]) == (500, 500)
    assert (shown["available"], shown["reserved"]) == ("5.00", "5.00")


async def test_an_organizers_fee_is_a_fee_or_in_a_wallet(rig: Rig) -> None:
    """A fee without an organizer's wallet is in fees, a credited fee is in wallets."""
    kept, given = await rig.campaign(funded=10_000), await rig.campaign(funded=10_000)
    await rig.settle(
        Match(kept, [("ann", "60.00")], platform="7.00", organizer="5.00"),
        Match(given, [("ann", "60.00")], platform="7.00", organizer="5.00", organizer_player="club"),
    )
    common = {"funded": 10_000, "available": 2_800, "platform_fees": 700}
    assert await sheet_of(rig, kept) == {**common, "organizer_fees": 500, "wallets": 6_000}
    assert await sheet_of(rig, given) == {**common, "wallets": 6_500}


async def test_the_sheet_shows_each_end_of_a_payout(rig: Rig) -> None:
    """Held, paid, given back, and returned in part. A rail's fee is the platform's and not in the sheet."""
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    lines = [("ann", "40.00"), ("bob", "30.00"), ("cid", "20.00"), ("dan", "10.00")]
    payouts = await direct(rig, Match(campaign, lines), returning=("cid",))
    assert await sheet_of(rig, campaign) == {"funded": 10_000, "payout_pending": 10_000}
    bob = payouts["bob"]
    await rig.feed(
        rig.payouts,
        paid_event(payouts["ann"], player="ann", amount="40.00", fee="0.01", fee_asset="USDC"),
        closed_event(bob, "failed", closure=closure_of(bob)),
        paid_event(payouts["cid"], player="cid", amount="20.00", **FAKE_RAIL),
        returned_event(payouts["cid"], amount="15.00"),
    )
    assert await rig.stuck() == []
    sheet = {"funded": 10_000, "paid": 4_500, "wallets": 4_500, "payout_pending": 1_000}
    assert await sheet_of(rig, campaign) == sheet


async def test_a_recovered_debt_is_in_no_wallet(rig: Rig) -> None:
    """Money that a credit pays for a debt to another pool leaves the wallets of that pool's campaign."""
    other = await rig.campaign(funded=10_000)
    await rig.settle(Match(other, [("ann", "20.00")]))
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    await rig.owe("ann", 1_500, campaign=other)
    await direct(rig, Match(campaign, [("ann", "40.00")]))
    sheet = await sheet_of(rig, campaign)
    assert sheet == {"funded": 10_000, "available": 6_000, "wallets": 1_500, "payout_pending": 2_500}
    assert await sheet_of(rig, other) == {"funded": 10_000, "available": 9_500, "wallets": 500}


async def test_rounds_with_the_same_correlation_id_are_separate(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two matches with the same correlation id count for their own campaigns only."""
    monkeypatch.setattr(Match, "correlation_id", property(lambda _: "one-for-both"))
    first, second = await rig.campaign(funded=10_000), await rig.campaign(funded=10_000)
    await rig.settle(Match(first, [("ann", "60.00")]), Match(second, [("ann", "25.00")]))
    assert await sheet_of(rig, first) == {"funded": 10_000, "available": 4_000, "wallets": 6_000}
    assert await sheet_of(rig, second) == {"funded": 10_000, "available": 7_500, "wallets": 2_500}


async def test_payouts_of_players_change_no_sheet(rig: Rig) -> None:
    """`wallets` is what wallets received, whatever players do with it."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "60.00")]))
    before = await sheet_of(rig, campaign)
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "60.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 202
    assert await sheet_of(rig, campaign) == before == {"funded": 10_000, "available": 4_000, "wallets": 6_000}


async def test_a_wrong_ledger_makes_a_wrong_sheet(rig: Rig) -> None:
    """The sums differ after a unit left the pool without a transfer, and after a prize without transfers."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, [("ann", "60.00")])
    await rig.settle(match)
    assert adds_up(await sheet_of(rig, campaign))
    pool, reserved = (
        Account(Kind.POOL, str(campaign), "USDC"),
        Account(Kind.RESERVED, str(match.round_id), "USDC"),
    )
    async with rig.db.transaction() as tx:
        await insert(tx, "prize_reserved", pool, reserved, 1)
        await insert(tx, "prize_credited", reserved, Account(Kind.WINNINGS, "ann", "USDC"), 1)
    assert not adds_up(await sheet_of(rig, campaign))
    await as_owner(rig, "ALTER TABLE rewards DISABLE TRIGGER ALL", "UPDATE rewards SET amount = amount - 1")
    assert (await sheet_of(rig, campaign))["wallets"] == 6_000


async def test_the_sheet_shows_claims_and_withdrawals(rig: Rig) -> None:
    """One prize is claimed, one expired, one is open, and a part of the pool is withdrawn."""
    campaign = await rig.campaign(funded=20_000, delivery=Delivery.CLAIM)
    match = Match(campaign, [("ann", "40.00"), ("bob", "30.00"), ("cid", "20.00")], platform="5.00")
    await rig.settle(match)
    assert await sheet_of(rig, campaign) == {
        "funded": 20_000,
        "available": 10_500,
        "claimable": 9_000,
        "platform_fees": 500,
    }
    async with rig.db.transaction() as tx:
        ports, now = rig.ports_of(tx), rig.clock.now()
        await claim(match.reward_id("ann"), player="ann", ports=ports, tools=rig.tools, now=now)
        await tx.execute(text("UPDATE claims SET deadline = opened_at WHERE player = 'bob'"))
    async with rig.db.transaction() as tx:
        await expire_due(ports=rig.ports_of(tx), now=rig.clock.now())
    async with rig.db.transaction() as tx:
        command = WithdrawFromCampaign(id=uuid4(), campaign=campaign, amount=1_000, actor="boss")
        await withdraw_from_campaign(command, ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
    sheet = await sheet_of(rig, campaign)
    assert sheet == {
        "funded": 20_000,
        "available": 12_500,
        "withdrawn": 1_000,
        "claimable": 2_000,
        "wallets": 4_000,
        "platform_fees": 500,
    }
    assert adds_up(sheet)
    assert await rig.breaches() == []


async def test_a_sheet_may_have_taken_more_from_wallets_than_it_gave(rig: Rig) -> None:
    """A prize that was paid directly and is corrected away is recovered from other winnings: the answer shows a negative
    amount.
    """
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.DIRECT)
    match = Match(campaign, [("ann", "40.00")])
    payouts = await direct(rig, match)
    await rig.feed(rig.payouts, paid_event(payouts["ann"], player="ann", amount="40.00"))
    await rig.settle(Match(await rig.campaign(funded=10_000), [("ann", "100.00")]))
    await rig.feed(rig.settlements, *match.corrected([], at=2))
    sheet = await sheet_of(rig, campaign)
    assert sheet == {"funded": 10_000, "available": 10_000, "wallets": -4_000, "paid": 4_000}
    assert adds_up(sheet)
    async with rig.client("boss", "admin") as client:
        shown = await client.get(f"/api/campaigns/{campaign}/balance-sheet")
    assert (shown.status_code, shown.json()["wallets"]) == (200, "-40.00")
