"""Two admins disown a forged round: unfunded, pending, final, large, or with entries only."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.db.transaction import send_now
from prizewire_chassis.inbox import Incoming, Refusal
from prizewire_chassis.testing import records
from prizewire_devstack.waiting import eventually
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, Caps
from prizewire_rewards.entries.handlers import ending as entry_ends
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.payouts.domain.commands import RequestPayout
from prizewire_rewards.payouts.handlers.requests import request_payout
from prizewire_rewards.rounds.handlers.disowning import DecideDisownment, decide_disownment
from services.rewards.tests.money import closed, entered, entry_of, opened, top_up
from services.rewards.tests.rig import Match, Rig, method_event
from services.rewards.tests.sql import as_owner, insert, open_account, refused, refused_to_the_owner

ROUTE = "/api/round-disownments"


async def call(
    rig: Rig, path: str, body: Any = None, *, by: str = "ada", role: str = "admin"
) -> httpx.Response:
    async with rig.client(by, role) as client:
        return await client.post(path, json=body, headers={"Idempotency-Key": uuid4().hex})


async def read(rig: Rig, path: str) -> Any:
    async with rig.client("olga", "operator") as client:
        return (await client.get(path)).json()


async def filed(rig: Rig, round_id: UUID) -> str:
    answer = await call(rig, ROUTE, {"round_id": str(round_id), "reason": "settlement never settled it"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["disownment_id"])


async def approve(rig: Rig, identifier: str, *, by: str = "boris") -> httpx.Response:
    return await call(rig, f"{ROUTE}/{identifier}/approve", by=by)


async def disown(rig: Rig, match: Match) -> str:
    """Two admins disown the round. Returns the disownment's id."""
    identifier = await filed(rig, match.round_id)
    done = await approve(rig, identifier)
    assert (done.status_code, done.json()["state"]) == (200, "approved"), done.text
    return identifier


async def disowned_events(rig: Rig, match: Match) -> list[dict[str, Any]]:
    """The events to settlement about the disowned round."""
    events = await rig.events("round.disowned")
    return [event for event in events if event["data"]["round_id"] == str(match.round_id)]


async def state_of(rig: Rig, match: Match) -> str:
    [row] = await rig.rows("SELECT state FROM rounds WHERE id = :id", id=match.round_id)
    return str(row["state"])


async def books(rig: Rig) -> dict[tuple[str, str], int]:
    """Every balance of pools, reserves, fees and wallets that is not zero."""
    rows = await rig.rows(
        "SELECT kind, owner, balance FROM ledger_balances WHERE balance <> 0 AND kind NOT IN ('external_in')"
    )
    return {(row["kind"], row["owner"]): int(row["balance"]) for row in rows}


async def history_of(rig: Rig, player: str) -> tuple[list[str], int]:
    """The types of the entries in a player's history, newest first, and their sum in minor units."""
    async with rig.client(player) as client:
        items = (await client.get("/api/wallet/transactions")).json()["items"]
    signs = {"credit": 1, "debit": -1, "internal": 0, "none": 0}
    total = sum(Decimal(one["amount"]) * signs[one["direction"]] for one in items)
    return [one["type"] for one in items], int(total * 100)


async def without_effect(rig: Rig, match: Match) -> list[str]:
    """The lines of the lineage about events of the disowned round that had no effect."""
    lineage = await read(rig, f"/api/services/rewards/lineage/{match.correlation_id}")
    return [one["summary"] for one in lineage["entries"] if one["kind"] == "disowned_event"]


NOTHING = {
    "complete": True,
    "prizes": [],
    "fees": [],
    "entries": [],
    "to_pool": [],
    "owed": [],
    "payouts_asked_to_cancel": [],
}
"""``taken_back`` of a disownment that moved nothing."""


def summed(count: int, amount: str, asset: str = "USDC") -> dict[str, Any]:
    return {"asset": asset, "count": count, "amount": amount}


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("per_part", [None, 1])
async def test_a_round_that_waits_for_money_is_disowned(rig: Rig, final: bool, per_part: int | None) -> None:
    """The round exceeds its pool, so no money of its campaign can be withdrawn, and the campaign cannot end; after the
    disownment both are possible.
    """
    campaign = await rig.campaign(funded=1_000)
    lines = [("ann", "60.00"), ("bob", "30.00")]
    match = Match(campaign, lines, platform="1.00", final=final, lines_per_part=per_part)
    await rig.settle(match)
    await rig.work_on()
    assert (await call(rig, f"/api/campaigns/{campaign}/end")).json()["code"] == "campaign_has_unfunded"
    before = await books(rig)

    identifier = await filed(rig, match.round_id)
    assert await state_of(rig, match) == "unfunded"
    own = await approve(rig, identifier, by="ada")
    assert (own.status_code, own.json()["code"]) == (403, "own_disownment")
    done = await approve(rig, identifier)
    assert (done.status_code, done.json()["decided_by"]) == (200, "boris"), done.text
    await rig.work_on()

    assert await state_of(rig, match) == "voided"
    assert await rig.rows("SELECT state, queued FROM campaigns") == [{"state": "active", "queued": 0}]
    assert await books(rig) == before
    published = [line for event in await rig.events("reward.reversed") for line in event["data"]["lines"]]
    assert [(line["player"], line["amount"]) for line in published] == lines
    [kept] = (await read(rig, ROUTE))["items"]
    whole = await read(rig, f"{ROUTE}/{identifier}")
    assert whole == {**kept, "taken_back": whole["taken_back"], "left": done.json()["left"]}
    assert whole["taken_back"] == {**NOTHING, "prizes": [summed(2, "90.00")]}, (
        "no money of them was there yet"
    )
    body = {"amount": "10.00", "reason": "the round was forged"}
    assert (await call(rig, f"/api/campaigns/{campaign}/withdraw", body)).status_code == 201
    assert (await call(rig, f"/api/campaigns/{campaign}/end")).status_code == 200
    audited = await rig.rows(
        "SELECT action, actor FROM audit_log WHERE target = :id ORDER BY sequence", id=str(match.round_id)
    )
    assert [tuple(row.values()) for row in audited] == [
        ("round_disownment.filed", "ada"),
        ("round_disownment.approved", "boris"),
    ]
    lineage = await read(rig, f"/api/services/rewards/lineage/{match.correlation_id}")
    assert "disownment" in {entry["kind"] for entry in lineage["entries"]}
    assert await rig.breaches() == []


@pytest.mark.parametrize("per_part", [None, 1])
async def test_a_pending_round_is_disowned(rig: Rig, per_part: int | None) -> None:
    """All reserved money is back in the pool, and it pays the next round in the queue."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(
        campaign, [("ann", "60.00"), ("bob", "30.00")], platform="1.00", final=False, lines_per_part=per_part
    )
    await rig.settle(match)
    await rig.work_on()
    settled = Match(campaign, [("cam", "95.00")])
    await rig.settle(settled)
    await disown(rig, match)
    await rig.work_on()
    assert await rig.release() == 1
    assert await books(rig) == {("pool", str(campaign)): 500, ("wallet:winnings", "cam"): 9_500}
    assert await rig.breaches() == []


@pytest.mark.parametrize("per_part", [None, 1])
async def test_a_final_round_is_disowned(rig: Rig, per_part: int | None) -> None:
    """Prizes and both fees go back. What a player and the organizer no longer have is owed, and the cancellation of
    their payouts is requested. All balances are as before the forged round, except for the spent money.
    """
    campaign = await rig.campaign(funded=20_000)
    await rig.settle(Match(campaign, [("dee", "5.00")], platform="1.00"))
    before = await books(rig)
    match = Match(
        campaign,
        [("ann", "60.00"), ("bob", "30.00"), ("cam", "2.00")],
        platform="3.00",
        organizer="2.00",
        organizer_player="org",
        lines_per_part=per_part,
    )
    await rig.settle(match)
    await rig.work_on()
    for player, amount in (("ann", "45.00"), ("org", "1.50")):
        await rig.feed(rig.payouts, method_event(player))
        async with rig.client(player) as client:
            asked = await client.post(
                "/api/wallet/payout-request",
                json={"asset": "USDC", "amount": amount},
                headers={"Idempotency-Key": uuid4().hex},
            )
            assert asked.status_code == 202, asked.text
    identifier = await filed(rig, match.round_id)
    done = (await approve(rig, identifier)).json()
    fees = [
        {"source": "platform", "asset": "USDC", "amount": "3.00"},
        {"source": "organizer", "asset": "USDC", "amount": "0.50"},
    ]
    assert (done["taken_back"]["fees"], done["taken_back"]["complete"]) == (fees, per_part is None)
    await rig.work_on(limit=1)

    whole = await read(rig, f"{ROUTE}/{identifier}")
    assert whole["taken_back"] == {
        "complete": True,
        "prizes": [summed(3, "92.00")],
        "fees": fees,
        "entries": [],
        "to_pool": [{"asset": "USDC", "amount": "50.50"}],
        "owed": [summed(2, "46.50")],
        "payouts_asked_to_cancel": [summed(2, "46.50")],
    }
    assert whole["left"] == done["left"]
    assert done["taken_back"] == whole["taken_back"] or per_part is not None
    assert await state_of(rig, match) == "voided"
    debts = await rig.rows("SELECT player, amount FROM receivables ORDER BY player")
    assert [tuple(row.values()) for row in debts] == [("ann", 4_500), ("org", 150)]
    now = await books(rig)
    assert now.pop(("pool", str(campaign))) == before.pop(("pool", str(campaign))) - 4_650
    spent = {
        key: value for key, value in now.items() if key[0] not in ("payout_pending", "receivable", "clearing")
    }
    assert spent == before
    for player, fee in (("org", True), ("bob", False), ("ann", False)):
        types, total = await history_of(rig, player)
        assert ("organizer_fee_reversed" in types) is fee
        assert total == await rig.winnings(player)
    asked_back = await rig.events("payout.cancel_requested")
    assert {one["data"]["by"] for one in asked_back} == {"rewards:disownment"}
    assert {one["data"]["code"] for one in asked_back} == {"winnings_taken_back"}
    assert len(asked_back) == 2
    assert await rig.breaches() == []


@pytest.mark.parametrize("funded", [20_000, 0])
@pytest.mark.parametrize("final", [True, False])
async def test_a_round_with_pending_work_is_disowned(rig: Rig, final: bool, funded: int) -> None:
    """A round that is not final, or waits for money, is taken back after its pending work; a final round with pending
    work is refused for now.
    """
    campaign = await rig.campaign(funded=funded)
    match = Match(
        campaign, [("ann", "60.00"), ("bob", "30.00")], platform="2.00", final=final, lines_per_part=1
    )
    await rig.settle(match)
    before = {("pool", str(campaign)): funded} if funded else {}
    identifier = await filed(rig, match.round_id)
    answer = await approve(rig, identifier)
    if final and funded:
        assert (answer.status_code, answer.json()["code"]) == (409, "round_busy")
        await rig.work_on()
        answer = await approve(rig, identifier)
    assert answer.status_code == 200, answer.text
    await rig.fund(campaign, 20_000)
    assert await rig.release() == 0
    await rig.work_on(limit=1)
    assert await rig.release() == 0
    assert await state_of(rig, match) == "voided"
    assert await books(rig) == {("pool", str(campaign)): before.get(("pool", str(campaign)), 0) + 20_000}
    assert await rig.rows("SELECT state, queued FROM campaigns") == [{"state": "active", "queued": 0}]
    assert await rig.rows("SELECT 1 FROM round_work") == []
    assert await rig.breaches() == []


async def test_a_disownment_ends_open_claims(rig: Rig) -> None:
    """A claimable prize is taken back with its claim; a claimed prize comes out of the wallet."""
    campaign = await rig.campaign(funded=10_000, delivery=Delivery.CLAIM)
    match = Match(campaign, [("ann", "60.00"), ("bob", "30.00")])
    await rig.settle(match)
    assert (await call(rig, f"/api/claims/{match.reward_id('bob')}", by="bob", role="player")).is_success
    assert await rig.winnings("bob") == 3_000
    await disown(rig, match)
    assert await books(rig) == {("pool", str(campaign)): 10_000}
    [claim] = await rig.rows("SELECT state, reason FROM claims WHERE player = 'ann'")
    assert claim == {"state": "rejected", "reason": "corrected"}
    late = await call(rig, f"/api/claims/{match.reward_id('ann')}", by="ann", role="player")
    assert (late.status_code, late.json()["code"]) == (409, "claim_final")
    assert await rig.breaches() == []


async def test_held_prizes_go_back_too(rig: Rig) -> None:
    """A held prize's money goes from the reserve to the pool, and it no longer counts for the cap."""
    settings = CampaignSettings(caps=Caps(per_player=5_000))
    campaign = await rig.campaign(funded=10_000, settings=settings)
    match = Match(campaign, [("ann", "60.00"), ("bob", "30.00")])
    await rig.settle(match)
    assert await rig.balance(Kind.RESERVED, match.round_id) == 6_000
    await disown(rig, match)
    assert await books(rig) == {("pool", str(campaign)): 10_000}
    late = await call(rig, f"/api/rewards/{match.reward_id('ann')}/release", {"reason": "seen"}, by="olga")
    assert (late.status_code, late.json()["code"]) == (409, "reward_not_held")
    await rig.settle(Match(campaign, [("bob", "50.00")]))
    assert await rig.winnings("bob") == 5_000
    assert await rig.breaches() == []


async def test_earned_points_are_not_refunded(rig: Rig) -> None:
    """Prizes in points go back to the pool with the fees; an entry fee paid in points stays earned."""
    campaign = await rig.campaign(funded=1_000, asset="SEASON")
    zero = {"asset": "SEASON", "platform": "0", "organizer": "0", "unclaimed": "0"}
    await rig.settle(Match(campaign, [("ann", "50")], **zero))
    before = await books(rig)
    match = Match(campaign, [("cam", "20")], **{**zero, "platform": "3"})
    await rig.feed(
        rig.settlements,
        opened(match, fee="5", asset="SEASON"),
        entered(match, "ann", version=2, fee="5", asset="SEASON"),
        *match.events(at=3),
    )
    await disown(rig, match)
    after = await books(rig)
    assert after.pop(("entry_fees", "platform")) == 5
    assert after == {**before, ("wallet:winnings", "ann"): 45}
    assert await rig.rows("SELECT state FROM entries") == [{"state": "earned"}]
    assert await rig.breaches() == []


async def test_a_disowned_round_that_was_not_taken_back_is_a_breach(rig: Rig) -> None:
    """An approval inserted by SQL takes nothing back, and the check reports what is left."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    match = Match(campaign, [("cam", "20.00")], platform="3.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2), *match.events(at=3))
    await filed(rig, match.round_id)
    assert await rig.breaches() == []
    change = "UPDATE round_disownments SET state = 'approved', decided_by = 'eve', decided_at = filed_at"
    async with rig.db.transaction() as tx:
        await tx.execute(text(change))
    [breach] = await rig.breaches()
    assert (
        "is approved: the round is final, of its fees 3.00 USDC were taken and 0.00 USDC came back" in breach
    )
    assert "1 of its entries have their fee taken" in breach


async def test_withdrawn_fees_prevent_a_disownment(rig: Rig) -> None:
    """The approval is refused with the missing amount, and nothing moves; fees of other rounds let it succeed."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "60.00")], platform="3.00", organizer="2.00")
    await rig.settle(match)
    for source in ("platform", "organizer"):
        body = {"source": source, "asset": "USDC", "amount": "2.00", "reference": "wire"}
        made = await call(rig, "/api/fee-withdrawals", body)
        path = f"/api/fee-withdrawals/{made.json()['withdrawal_id']}/approve"
        assert (await call(rig, path, by="boris")).status_code == 200
    identifier = await filed(rig, match.round_id)
    short = await approve(rig, identifier)
    assert (short.status_code, short.json()["code"]) == (409, "insufficient_fees")
    assert "3.00 USDC of platform fees" in short.json()["detail"]
    assert "2.00 USDC are missing" in short.json()["detail"]
    assert (await read(rig, f"{ROUTE}/{identifier}"))["state"] == "filed"
    assert await state_of(rig, match) == "final"
    assert await rig.winnings("ann") == 6_000
    await rig.settle(Match(campaign, [("bob", "1.00")], platform="2.00", organizer="2.00"))
    assert (await approve(rig, identifier)).status_code == 200
    assert await rig.balance(Kind.FEES, "platform") == 0
    assert await rig.breaches() == []


async def test_every_account_with_missing_fees_is_named(rig: Rig) -> None:
    """One refusal names every account of fees that holds too little, with asset and missing amount."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    match = Match(campaign, [("cam", "20.00")], platform="3.00", organizer="2.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2), *match.events(at=3))
    for source, amount in (("platform", "0.50"), ("organizer", "0.75"), ("entry_fees", "1.00")):
        body = {"source": source, "asset": "USDC", "amount": amount, "reference": "wire"}
        made = await call(rig, "/api/fee-withdrawals", body)
        path = f"/api/fee-withdrawals/{made.json()['withdrawal_id']}/approve"
        assert (await call(rig, path, by="boris")).status_code == 200
    short = await approve(rig, await filed(rig, match.round_id))
    assert (short.status_code, short.json()["code"]) == (409, "insufficient_fees")
    for gap in (
        "3.00 USDC of platform fees have to go back, the account holds 2.50 USDC: 0.50 USDC are missing",
        "2.00 USDC of organizer fees have to go back, the account holds 1.25 USDC: 0.75 USDC are missing",
        "5.00 USDC of entry fees have to go back, the account holds 4.00 USDC: 1.00 USDC are missing",
    ):
        assert gap in short.json()["detail"]
    assert await state_of(rig, match) == "final"
    assert await rig.breaches() == []


async def test_withdrawn_organizer_fees_prevent_a_disownment(rig: Rig) -> None:
    """An organizer's fee that is in the accounts of fees has to be there, as the platform's fee."""
    match = Match(await rig.campaign(funded=100_000), [("ann", "60.00")], organizer="2.00")
    await rig.settle(match)
    body = {"source": "organizer", "asset": "USDC", "amount": "0.50", "reference": "wire"}
    made = await call(rig, "/api/fee-withdrawals", body)
    path = f"/api/fee-withdrawals/{made.json()['withdrawal_id']}/approve"
    assert (await call(rig, path, by="boris")).status_code == 200
    short = await approve(rig, await filed(rig, match.round_id))
    assert (short.status_code, short.json()["code"]) == (409, "insufficient_fees")
    assert "2.00 USDC of organizer fees" in short.json()["detail"]
    assert "0.50 USDC are missing" in short.json()["detail"]
    assert await state_of(rig, match) == "final"
    assert await rig.breaches() == []


@pytest.mark.parametrize("inline", [200, 0])
async def test_earned_entry_fees_go_back_to_their_buckets(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, inline: int
) -> None:
    """Entry fees of a forged final round come out of the entry fees; a player's debt is recovered first; other rounds'
    fees stay.
    """
    monkeypatch.setattr(entry_ends, "CLOSED_INLINE_MAX", inline)
    monkeypatch.setattr(entry_ends, "CLOSED_AT_ONCE_MAX", 1)
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00"), ("bob", "10.00")]))
    await top_up(rig, "ann", "3.00")
    settled, match = Match(campaign, [("ann", "1.00")]), Match(campaign, [("cam", "20.00")])
    await rig.feed(
        rig.settlements, opened(settled), entered(settled, "bob", version=2), *settled.events(at=3)
    )
    await close_all(rig)
    before = await books(rig)
    await rig.feed(
        rig.settlements,
        opened(match),
        *(entered(match, player, version=at) for at, player in ((2, "ann"), (3, "bob"))),
        *match.events(at=4),
    )
    await close_all(rig)
    assert await rig.balance(Kind.ENTRY_FEES, "platform") == 1_500
    identifier = await disown(rig, match)
    taken = (await read(rig, f"{ROUTE}/{identifier}"))["taken_back"]
    assert (taken["complete"], taken["entries"]) == (bool(inline), [summed(2, "10.00")] if inline else [])
    if not inline:
        body = {"source": "entry_fees", "asset": "USDC", "amount": "5.01", "reference": "wire"}
        promised = await call(rig, "/api/fee-withdrawals", body)
        assert promised.json()["code"] == "insufficient_balance"
    await close_all(rig)
    taken = (await read(rig, f"{ROUTE}/{identifier}"))["taken_back"]
    assert taken == {
        **NOTHING,
        "prizes": [summed(1, "20.00")],
        "to_pool": [{"asset": "USDC", "amount": "20.00"}],
        "entries": [summed(2, "10.00")],
    }
    assert await books(rig) == before
    assert await rig.balance(Kind.TOPUP, "ann") == 300
    for player, buckets in (("ann", 2), ("bob", 1)):
        types, total = await history_of(rig, player)
        assert types[:buckets] == ["entry_fee_reversed"] * buckets
        assert total == await rig.winnings(player) + await rig.balance(Kind.TOPUP, player)
    published = await rig.events("entry.refunded")
    assert sorted(one["subject"] for one in published) == sorted(
        str(entry_of(match, player)) for player in ("ann", "bob")
    )
    assert await rig.breaches() == []


async def close_all(rig: Rig) -> None:
    """Close entries until no round waits for it, as the job does."""
    while True:
        async with rig.db.transaction() as tx:
            done = await entry_ends.close_next(ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
        if done is None:
            return


async def test_entry_fees_that_were_withdrawn_are_not_refunded(rig: Rig) -> None:
    """The approval is refused and the round stays unchanged; earned points are never refunded."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    match = Match(campaign, [("cam", "20.00")])
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2), *match.events(at=3))
    body = {"source": "entry_fees", "asset": "USDC", "amount": "1.00", "reference": "wire"}
    made = await call(rig, "/api/fee-withdrawals", body)
    path = f"/api/fee-withdrawals/{made.json()['withdrawal_id']}/approve"
    assert (await call(rig, path, by="boris")).status_code == 200
    short = await approve(rig, await filed(rig, match.round_id))
    assert (short.status_code, short.json()["code"]) == (409, "insufficient_fees")
    assert "1.00 USDC are missing" in short.json()["detail"]
    assert await rig.winnings("cam") == 2_000
    assert await rig.breaches() == []


async def test_a_round_of_entries_alone_is_disowned(rig: Rig) -> None:
    """Fees are refunded once; later entries are not charged, and later settlements of the round are not booked."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00"), ("bob", "10.00")]))
    before = await books(rig)
    match = Match(campaign, [("cam", "20.00")])
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    assert await rig.winnings("ann") == 500
    identifier = await disown(rig, match)
    taken = (await read(rig, f"{ROUTE}/{identifier}"))["taken_back"]
    assert taken == {**NOTHING, "entries": [summed(1, "5.00")]}
    assert await books(rig) == before
    await rig.feed(rig.settlements, entered(match, "bob", version=3))
    assert await books(rig) == before
    assert (await rig.rows("SELECT code FROM entries WHERE player = 'bob'")) == [{"code": "round_ended"}]
    assert [event["correlationid"] for event in await disowned_events(rig, match)] == [match.correlation_id]
    assert (await read(rig, f"{ROUTE}/{identifier}"))["left"] is not None
    await rig.feed(rig.settlements, match.voided(at=4))
    assert (await rig.stuck(), await books(rig)) == ([], before)
    assert (await read(rig, f"{ROUTE}/{identifier}"))["left"] is None
    await rig.feed(rig.settlements, *match.events(at=5))
    assert await rig.stuck() == []
    assert await without_effect(rig, match) == ["settlement 1 has no effect: two admins disowned the round"]
    assert await books(rig) == before
    assert await rig.rows("SELECT 1 FROM rounds WHERE id = :id", id=match.round_id) == []
    assert await rig.breaches() == []


@pytest.mark.parametrize("per_part", [None, 1])
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("first", ["correction", "disownment"])
async def test_a_correction_that_races_the_disownment_holds_no_void_back(
    rig: Rig, first: str, final: bool, per_part: int | None
) -> None:
    """Settlement corrected the round before it received the disownment. In both orders of arrival all money is back, and
    settlement's void of the round is applied.
    """
    campaign = await rig.campaign(funded=100_000)
    match = Match(
        campaign, [("ann", "60.00"), ("bob", "30.00")], platform="1.00", final=final, lines_per_part=per_part
    )
    await rig.settle(match)
    await rig.work_on()
    parts = 1 if per_part is None else 2
    corrected = match.corrected([("ann", "40.00"), ("cam", "50.00")], at=1 + parts)
    void = match.voided(at=1 + 2 * parts)
    if first == "correction":
        await rig.feed(rig.settlements, *corrected)
        await rig.work_on()
    identifier = await disown(rig, match)
    if first == "disownment":
        await rig.feed(rig.settlements, *corrected)
    await rig.feed(rig.settlements, void)
    await rig.work_on()

    assert await rig.stuck() == []
    assert await state_of(rig, match) == "voided"
    assert await books(rig) == {("pool", str(campaign)): 100_000}
    assert (await read(rig, f"{ROUTE}/{identifier}"))["left"] is None, "the void was applied"
    assert len(await without_effect(rig, match)) == (0 if first == "correction" else len(corrected))
    assert await rig.breaches() == []


@pytest.mark.parametrize("what", ["corrected", "finalized"])
async def test_an_event_that_waits_for_the_approval_has_no_effect(rig: Rig, what: str) -> None:
    """The event was read before the approval was committed, and waits for its locks."""
    match = Match(await rig.campaign(funded=100_000), [("ann", "10.00")], final=False)
    await rig.settle(match)
    identifier = await filed(rig, match.round_id)
    counted = REGISTRY.get_sample_value("prizewire_rewards_disowned_events_total") or 0
    command = DecideDisownment(id=UUID(identifier), approved=True, actor="boris", reason=None)
    events = (
        match.corrected([("bob", "10.00")], at=2) if what == "corrected" else [match.finalized(version=2)]
    )
    async with rig.db.transaction() as tx:
        await decide_disownment(command, ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
        await send_now(tx)
        coming = asyncio.create_task(rig.feed(rig.settlements, *events))
        await eventually(lambda: waiting_for_a_row(rig), deadline_s=600)
    await coming
    await rig.feed(rig.settlements, match.voided(at=3))
    assert await rig.stuck() == []
    assert await state_of(rig, match) == "voided"
    assert len(await without_effect(rig, match)) == 1
    assert REGISTRY.get_sample_value("prizewire_rewards_disowned_events_total") == counted + 1
    assert (await read(rig, f"{ROUTE}/{identifier}"))["left"] is None
    assert await rig.breaches() == []


async def test_parts_of_an_incomplete_settlement_are_deleted(rig: Rig) -> None:
    """A forged settlement with missing parts is disowned, and its last part books nothing."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00"), ("bob", "10.00")], lines_per_part=1)
    first, second = match.events()
    await rig.feed(rig.settlements, first)
    await disown(rig, match)
    assert await rig.rows("SELECT 1 FROM staged_parts") == []
    assert [event["correlationid"] for event in await disowned_events(rig, match)] == [match.correlation_id]
    await rig.feed(rig.settlements, second)
    assert await rig.stuck() == []
    assert await rig.rows("SELECT 1 FROM staged_parts") == []
    assert await without_effect(rig, match) == [
        "part 2 of settlement 1 has no effect: two admins disowned the round"
    ]
    assert await rig.breaches() == []


async def test_a_disowned_round_stays_voided(rig: Rig) -> None:
    """Later corrections, entries, voids and finality change nothing, and a second disownment is refused."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00")])
    await rig.settle(match)
    await disown(rig, match)
    [event] = await disowned_events(rig, match)
    [disownment] = (await read(rig, ROUTE))["items"]
    assert (event["subject"], event["aggregateversion"]) == (disownment["disownment_id"], 1)
    assert event["data"]["reason"] == disownment["reason"]
    before = await books(rig)
    path = f"{ROUTE}/{disownment['disownment_id']}"
    left = (await read(rig, path))["left"]
    assert (left["service"], left["body"]) == ("settlement", {"void": True})
    assert left["route"] == f"POST /api/rounds/{match.round_id}/resolve"
    taken = (await read(rig, path))["taken_back"]
    rig.clock.advance(timedelta(minutes=1))
    await rig.feed(
        rig.settlements, match.voided(at=2), match.finalized(version=3), entered(match, "ann", version=4)
    )
    assert await rig.stuck() == []
    voided = await read(rig, path)
    assert (voided["left"], voided["taken_back"]) == (None, taken), "the void moved nothing"
    assert voided["settlement_voided_at"] == rig.clock.now().isoformat().replace("+00:00", "Z")
    await rig.feed(rig.settlements, *match.corrected([("bob", "10.00")], at=5))
    assert await rig.stuck() == []
    assert await without_effect(rig, match) == [
        "finality of settlement 1 has no effect: two admins disowned the round",
        "correction to settlement 2 has no effect: two admins disowned the round",
    ]
    assert (await state_of(rig, match), await books(rig)) == ("voided", before)
    again = await call(rig, ROUTE, {"round_id": str(match.round_id), "reason": "again"})
    assert (again.status_code, again.json()["code"]) == (409, "disownment_exists")
    standing = f"disownment {disownment['disownment_id']} of round {match.round_id} was approved by boris"
    assert standing in again.json()["detail"]
    assert await rig.breaches() == []


@pytest.mark.parametrize("forged", ["voided", "closed"])
@pytest.mark.parametrize("booked", [True, False])
async def test_a_round_whose_version_was_forged_is_disowned(rig: Rig, booked: bool, forged: str) -> None:
    """A forged void, or another forged event, made settlement's own event dead: nothing is taken back, and settlement
    gets the event of the disownment.
    """
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "10.00")], final=False)
    if booked:
        await rig.settle(match)
    at = 2 if booked else 1
    before = {("pool", str(campaign)): 100_000}
    event = match.voided(at=at) if forged == "voided" else closed(match, version=at)
    settled = match.finalized(version=at) if booked else match.events(at=at)[0]
    await rig.feed(rig.settlements, event)
    await rig.feed(rig.settlements, settled)
    assert await rig.stuck() == [("dead", "version_conflict")]
    await disown(rig, match)
    assert len(await disowned_events(rig, match)) == 1
    await rig.feed(rig.settlements, match.voided(at=at + 1))
    assert (await rig.stuck(), await books(rig)) == ([("dead", "version_conflict")], before)
    assert not [breach for breach in await rig.breaches() if "none_contradicts" not in breach]


async def test_persons_who_may_not_decide_about_a_round(rig: Rig) -> None:
    """The filer may not approve; a person with a prize, the organizer's fee or an entry, and a party, may not decide."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("eve", "10.00")]))
    match = Match(campaign, [("ann", "10.00")], organizer="1.00", organizer_player="org", final=False)
    parties = [{"role": "reporter", "subject": "rita"}]
    # zoe has no money: her entry is refused, so she has no conflict of interest
    entries = [entered(match, player, version=at) for at, player in ((2, "eve"), (3, "zoe"))]
    await rig.feed(rig.settlements, opened(match), *entries, *match.events(at=4, parties=parties))
    identifier = await filed(rig, match.round_id)
    for person in ("ann", "org", "eve", "rita", "admin"):
        for path, body in (("approve", None), ("reject", {"reason": "mine"})):
            answer = await call(rig, f"{ROUTE}/{identifier}/{path}", body, by=person)
            assert (answer.status_code, answer.json()["code"]) == (403, "decider_is_party"), person
    twice = await call(rig, ROUTE, {"round_id": str(match.round_id), "reason": "again"}, by="boris")
    assert (twice.status_code, twice.json()["code"]) == (409, "disownment_exists")
    standing = f"disownment {identifier} of round {match.round_id} was filed by ada and is not decided yet"
    assert standing in twice.json()["detail"]
    shown = await read(rig, f"{ROUTE}/{identifier}")
    assert (shown["taken_back"], shown["left"]) == (None, None)
    back = await call(rig, f"{ROUTE}/{identifier}/reject", {"reason": "settlement has it"})
    assert (back.status_code, back.json()["decision"]) == (200, "settlement has it")
    late = await approve(rig, identifier)
    assert (late.status_code, late.json()["code"]) == (409, "disownment_final")
    assert await state_of(rig, match) == "reserved"
    assert (await read(rig, f"{ROUTE}?state=filed"))["items"] == []
    rig.clock.advance(timedelta(seconds=1))
    second = await filed(rig, match.round_id)
    assert [one["disownment_id"] for one in (await read(rig, ROUTE))["items"]] == [second, identifier]
    unknown = await call(rig, ROUTE, {"round_id": str(uuid4()), "reason": "which"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "round_unknown")
    assert (await approve(rig, second, by="zoe")).status_code == 200
    assert await rig.breaches() == []


async def test_a_filed_disownment_blocks_nothing(rig: Rig) -> None:
    """Events of settlement are booked meanwhile, and after a void the approval takes nothing back."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    match = Match(campaign, [("cam", "20.00")], final=False)
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    identifier = await filed(rig, match.round_id)
    await rig.feed(rig.settlements, *match.events(at=3))
    assert await rig.stuck() == []
    assert await state_of(rig, match) == "reserved"
    await rig.feed(rig.settlements, match.voided(at=4))
    assert await rig.stuck() == []
    before = await books(rig)
    rig.clock.advance(timedelta(seconds=1))
    late = await approve(rig, identifier)
    assert (late.status_code, late.json()["state"]) == (200, "approved")
    assert late.json()["taken_back"] == NOTHING
    assert late.json()["left"] is not None, "the void may have been forged"
    assert await books(rig) == before
    assert await rig.breaches() == []


async def test_entries_are_earned_while_a_disownment_is_only_filed(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job earns entry by entry, and none of them twice."""
    monkeypatch.setattr(entry_ends, "CLOSED_INLINE_MAX", 0)
    monkeypatch.setattr(entry_ends, "CLOSED_AT_ONCE_MAX", 1)
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00"), ("bob", "10.00")]))
    match = Match(campaign, [("cam", "20.00")])
    entries = [entered(match, player, version=at) for at, player in ((2, "ann"), (3, "bob"))]
    await rig.feed(rig.settlements, opened(match), *entries, *match.events(at=4))
    await filed(rig, match.round_id)
    await close_all(rig)
    assert [row["state"] for row in await rig.rows("SELECT state FROM entries")] == ["earned", "earned"]
    assert await rig.balance(Kind.ENTRY_FEES, "platform") == 1_000
    assert await rig.breaches() == []


@pytest.mark.parametrize("known_by", ["a refusal", "a part"])
async def test_a_round_that_was_never_booked_is_disowned_too(rig: Rig, known_by: str) -> None:
    """A round with a refused settlement or a staged part only: its id is blocked."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(uuid4(), [("cam", "20.00")])
    if known_by == "a part":
        match = Match(campaign, [("cam", "20.00"), ("bob", "20.00")], lines_per_part=1)
    first, *_ = match.events()
    await rig.feed(rig.settlements, first)
    await disown(rig, match)
    mended = replace(match, campaign=campaign, lines=[("cam", "20.00")], lines_per_part=None, version=2)
    await rig.feed(rig.settlements, *mended.events(at=2))
    assert await rig.stuck() == []
    assert await without_effect(rig, match) == ["settlement 2 has no effect: two admins disowned the round"]
    assert await rig.rows("SELECT 1 FROM rounds") == []
    assert await rig.breaches() == []


async def test_two_concurrent_decisions_have_one_result(rig: Rig) -> None:
    """The second decision waits for the first one, and is refused because it is decided."""
    match = Match(await rig.campaign(funded=100_000), [("ann", "10.00")])
    await rig.settle(match)
    identifier = await filed(rig, match.round_id)
    command = DecideDisownment(id=UUID(identifier), approved=True, actor="boris", reason=None)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with rig.db.transaction() as tx:
        await decide_disownment(command, ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
        second = asyncio.create_task(call(rig, f"{ROUTE}/{identifier}/reject", {"reason": "no"}, by="cleo"))

        async def waits() -> bool:
            return second.done() or bool(await rig.rows(waiting))

        await eventually(waits, deadline_s=600)
        assert not second.done()
    refused_ = await second
    assert (refused_.status_code, refused_.json()["code"]) == (409, "disownment_final")
    assert await state_of(rig, match) == "voided"
    assert await rig.breaches() == []


async def test_withdrawn_fees_are_not_taken_back_by_sql(rig: Rig) -> None:
    """An approval inserted by SQL takes at most what the account of fees holds."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    match = Match(campaign, [("cam", "20.00")], platform="3.00", organizer="2.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2), *match.events(at=3))
    for source in ("platform", "organizer", "entry_fees"):
        body = {"source": source, "asset": "USDC", "amount": "1.00", "reference": "wire"}
        made = await call(rig, "/api/fee-withdrawals", body)
        path = f"/api/fee-withdrawals/{made.json()['withdrawal_id']}/approve"
        assert (await call(rig, path, by="boris")).status_code == 200
    await filed(rig, match.round_id)
    approved = "UPDATE round_disownments SET state = 'approved', decided_by = 'eve', decided_at = filed_at"
    await as_owner(rig, approved)
    reserve = Account(Kind.RESERVED, str(match.round_id), "USDC")
    wallet = Account(Kind.WINNINGS, "ann", "USDC")
    by_round, by_entry = f"round/{match.round_id}/9", f"entry/{entry_of(match, 'ann')}/9"

    def moving(type_: str, debit: Account, credit: Account, amount: int, cause: str) -> Any:
        async def move(tx: Any) -> None:
            await insert(tx, type_, debit, credit, amount, cause=cause, correlation=match.correlation_id)

        return move

    for type_, kind, owner, amount, credit, cause in (
        ("platform_fee_reversed", Kind.FEES, "platform", 300, reserve, by_round),
        ("organizer_fee_reversed", Kind.FEES, "organizer", 200, reserve, by_round),
        ("entry_fee_reversed", Kind.ENTRY_FEES, "platform", 500, wallet, by_entry),
    ):
        debit = Account(kind, owner, "USDC")
        state, why = await refused(rig, moving(type_, debit, credit, amount, cause))
        assert (state, "more fees in USDC would leave than there are" in why) == ("23514", True), why
    platform = Account(Kind.FEES, "platform", "USDC")
    async with rig.db.transaction() as tx:
        await moving("platform_fee_reversed", platform, reserve, 200, by_round)(tx)


async def test_the_database_takes_back_only_what_two_admins_disowned(rig: Rig) -> None:
    """By SQL, no one voids a final round or moves its fees, and one person cannot approve alone."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    match = Match(campaign, [("cam", "20.00")], platform="3.00")
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2), *match.events(at=3))
    for table, change in (
        ("rounds", "state = 'voided'"),
        ("entries", "state = 'refunded'"),
        ("entry_rounds", "ended_as = 'refunded'"),
    ):
        state, said = await refused_to_the_owner(rig, f"UPDATE {table} SET {change}")
        assert (state, "have not disowned it" in said) == ("23514", True), said
    fees, reserve = (
        Account(Kind.FEES, "platform", "USDC"),
        Account(Kind.RESERVED, str(match.round_id), "USDC"),
    )
    revenue, wallet = Account(Kind.ENTRY_FEES, "platform", "USDC"), Account(Kind.WINNINGS, "ann", "USDC")
    values = {"correlation": match.correlation_id}

    async def a_fee(tx: Any) -> None:
        await insert(
            tx, "platform_fee_reversed", fees, reserve, 300, cause=f"round/{match.round_id}/1", **values
        )

    async def an_entry(tx: Any) -> None:
        cause = f"entry/{entry_of(match, 'ann')}/9"
        await insert(tx, "entry_fee_reversed", revenue, wallet, 500, cause=cause, **values)

    async def to_a_pool(tx: Any) -> None:
        pool = Account(Kind.POOL, "x", "USDC")
        await open_account(tx, pool)
        await insert(tx, "entry_fee_reversed", revenue, pool, 1)

    for attempt, state in ((a_fee, "23514"), (an_entry, "23514"), (to_a_pool, "23503")):
        assert (await refused(rig, attempt))[0] == state
    await filed(rig, match.round_id)
    for change in ("state = 'approved', decided_by = 'ada', decided_at = filed_at", "reason = 'other'"):
        state, _ = await refused_to_the_owner(rig, f"UPDATE round_disownments SET {change}")
        assert state == "23514"
    assert (await refused_to_the_owner(rig, "DELETE FROM round_disownments"))[0] == "23000"
    await approve(rig, (await read(rig, ROUTE))["items"][0]["disownment_id"])
    for attempt in (a_fee, an_entry):
        assert (await refused(rig, attempt))[0] == "23514"
    assert await rig.breaches() == []


async def test_a_disownment_is_written_once_and_decided_once(rig: Rig) -> None:
    """The owner of the tables cannot change a filed disownment, approve it without decider and time, or delete it."""
    match = Match(await rig.campaign(funded=100_000), [("ann", "10.00")])
    await rig.settle(match)
    identifier = await filed(rig, match.round_id)
    moment = "filed_at + interval '1 second'"
    for change, said in (
        ("id = gen_random_uuid()", "does not change"),
        ("round_id = gen_random_uuid()", "does not change"),
        ("reason = 'other'", "does not change"),
        ("filed_by = 'eve'", "does not change"),
        (f"filed_at = {moment}", "does not change"),
        (f"state = 'approved', decided_by = 'ada', decided_at = {moment}", "round_disownments_two_persons"),
        ("state = 'rejected'", "round_disownments_decided"),
        (f"decided_by = 'eve', decided_at = {moment}", "round_disownments_decided"),
        ("state = 'rejected', decided_by = 'eve'", "round_disownments_decided_at"),
        ("state = 'gone', decided_by = 'eve', decided_at = filed_at", "filed -> gone is not allowed"),
    ):
        state, why = await refused_to_the_owner(rig, f"UPDATE round_disownments SET {change}")
        assert (state, said in why) == ("23514", True), (change, why)
    for values, said in (
        ("'', 'filed', 'ada', NULL, NULL", "round_disownments_reason"),
        ("'forged', 'approved', 'ada', 'boris', now()", "-> approved is not allowed"),
        ("'forged', 'filed', 'ada', 'boris', now()", "round_disownments_decided"),
    ):
        state, why = await refused_to_the_owner(
            rig,
            "INSERT INTO round_disownments (id, round_id, reason, state, filed_by, decided_by, decided_at, filed_at) "
            f"VALUES (gen_random_uuid(), gen_random_uuid(), {values}, now())",
        )
        assert (state, said in why) == ("23514", True), (values, why)
    noted = "UPDATE round_disownments SET settlement_voided_at = now()"
    assert (await refused_to_the_owner(rig, noted))[0] == "23514", "it is not approved yet"
    for statement in ("DELETE FROM round_disownments", "TRUNCATE round_disownments"):
        assert (await refused_to_the_owner(rig, statement))[0] == "23000"
    assert (await approve(rig, identifier)).status_code == 200
    state, why = await refused_to_the_owner(rig, "UPDATE round_disownments SET state = 'rejected'")
    assert (state, "approved -> rejected is not allowed" in why) == ("23514", True), why
    await as_owner(rig, noted)
    for moment in ("NULL", "now() + interval '1 second'"):
        change = f"UPDATE round_disownments SET settlement_voided_at = {moment}"
        assert (await refused_to_the_owner(rig, change))[0] == "23514", change


async def test_fees_go_back_as_they_were_taken_and_once(rig: Rig) -> None:
    """Fees of a round move only by an approved disownment of this round, to the accounts that paid them, at most the
    taken amount, and once. The accounts of fees hold enough in this test.
    """
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "20.00"), ("bob", "20.00")]))
    match, other, settled = (
        Match(campaign, [("cam", "20.00")], platform="3.00", organizer="2.00") for _ in range(3)
    )
    for one in (match, other, settled):
        await rig.feed(
            rig.settlements, opened(one), entered(one, "ann", version=2), *with_more(one, "bob", version=3)
        )
    reserve = Account(Kind.RESERVED, str(match.round_id), "USDC")
    ann, bob = (Account(Kind.WINNINGS, player, "USDC") for player in ("ann", "bob"))
    topped_up = Account(Kind.TOPUP, "ann", "USDC")
    platform, organizer = (Account(Kind.FEES, owner, "USDC") for owner in ("platform", "organizer"))
    revenue = Account(Kind.ENTRY_FEES, "platform", "USDC")
    own, foreign = {"correlation": match.correlation_id}, {"correlation": settled.correlation_id}
    by_round = f"round/{match.round_id}/9"
    by_entry = f"entry/{entry_of(match, 'ann')}/9"

    def moving(type_: str, debit: Account, credit: Account, amount: int, **values: str) -> Any:
        async def move(tx: Any) -> None:
            await open_account(tx, credit)
            await insert(tx, type_, debit, credit, amount, **values)

        return move

    right = {
        "platform": moving("platform_fee_reversed", platform, reserve, 300, cause=by_round, **own),
        "organizer": moving("organizer_fee_reversed", organizer, reserve, 200, cause=by_round, **own),
        "entry": moving("entry_fee_reversed", revenue, ann, 500, cause=by_entry, **own),
    }
    wrong = {
        "too much of the platform": moving(
            "platform_fee_reversed", platform, reserve, 301, cause=by_round, **own
        ),
        "too much of the organizer": moving(
            "organizer_fee_reversed", organizer, reserve, 201, cause=by_round, **own
        ),
        "of another match": moving(
            "platform_fee_reversed", platform, reserve, 300, cause=by_round, **foreign
        ),
        "because of another round": moving(
            "platform_fee_reversed", platform, reserve, 300, cause=f"round/{settled.round_id}/9", **foreign
        ),
        "because of nothing": moving("platform_fee_reversed", platform, reserve, 300, cause="x", **own),
        "too much of an entry": moving("entry_fee_reversed", revenue, ann, 501, cause=by_entry, **own),
        "too little of an entry": moving("entry_fee_reversed", revenue, ann, 499, cause=by_entry, **own),
        "into the other bucket": moving("entry_fee_reversed", revenue, topped_up, 500, cause=by_entry, **own),
        "to another player": moving("entry_fee_reversed", revenue, bob, 500, cause=by_entry, **own),
        "an entry of another match": moving(
            "entry_fee_reversed", revenue, ann, 500, cause=by_entry, **foreign
        ),
        "an entry of another round": moving(
            "entry_fee_reversed", revenue, ann, 500, cause=f"entry/{entry_of(settled, 'ann')}/9", **foreign
        ),
    }

    async def is_refused(name: str, move: Any) -> None:
        state, why = await refused(rig, move)
        assert (state, "no disownment takes this back" in why) == ("23514", True), (name, why)

    for one in (match, other):
        await filed(rig, one.round_id)
    approved = "UPDATE round_disownments SET state = 'approved', decided_by = 'eve', decided_at = filed_at"
    await as_owner(rig, f"{approved} WHERE round_id = '{other.round_id}'")
    for name, move in (right | wrong).items():
        await is_refused(name, move)
    for change in (
        f"rounds SET state = 'voided' WHERE id = '{match.round_id}'",
        f"entries SET state = 'refunded' WHERE round_id = '{match.round_id}'",
        f"entry_rounds SET ended_as = 'refunded' WHERE id = '{match.round_id}'",
    ):
        state, why = await refused_to_the_owner(rig, f"UPDATE {change}")
        assert (state, "have not disowned it" in why) == ("23514", True), (change, why)
    await as_owner(rig, f"{approved} WHERE round_id = '{match.round_id}'")
    for name, move in wrong.items():
        await is_refused(name, move)
    for name, move in right.items():
        async with rig.db.transaction() as tx:
            await move(tx)
        await is_refused(f"{name} for a second time", move)


def with_more(match: Match, player: str, *, version: int) -> list[bytes]:
    """One more entry, and the settlement."""
    return [entered(match, player, version=version), *match.events(at=version + 1)]


async def test_a_settlement_concurrent_with_the_approval_is_not_booked(rig: Rig) -> None:
    """The settlement read no disownment, so the database aborts it; the retry has no effect."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("cam", "20.00")], final=False)
    await rig.feed(rig.settlements, opened(match))
    identifier = await filed(rig, match.round_id)
    command = DecideDisownment(id=UUID(identifier), approved=True, actor="boris", reason=None)

    def failed_for_now() -> float:
        labels = {"consumer": rig.settlements.name, "kind": "transient"}
        return REGISTRY.get_sample_value("prizewire_batch_retries_total", labels) or 0.0

    before = failed_for_now()
    async with rig.db.transaction() as tx:
        await decide_disownment(command, ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now())
        coming = asyncio.create_task(rig.feed(rig.settlements, *match.events(at=2)))
        await eventually(lambda: waiting_for_a_lock(rig))
    await coming
    assert failed_for_now() == before + 1
    assert await rig.stuck() == []
    assert len(await without_effect(rig, match)) == 1
    assert await rig.rows("SELECT 1 FROM rounds") == []
    assert await rig.breaches() == []


async def test_an_approval_concurrent_with_a_settlement_takes_it_back(rig: Rig) -> None:
    """The approval found no round and waits for the booking transaction; then it finds the round."""
    campaign = await rig.campaign(funded=100_000)
    before = await books(rig)
    match = Match(uuid4(), [("cam", "20.00")], final=False)
    await rig.feed(rig.settlements, *match.events())
    identifier = await filed(rig, match.round_id)
    booked, may_commit = asyncio.Event(), asyncio.Event()

    async def slowly(tx: AsyncConnection, events: Sequence[Incoming]) -> Mapping[int, Refusal]:
        refusals = await rig.settlements.handler(tx, events)
        await send_now(tx)
        booked.set()
        await may_commit.wait()
        return refusals

    mended = replace(match, campaign=campaign, version=2)
    batch = records(*mended.events(at=2), topic=rig.settlements.topic.name, start=90_000)
    coming = asyncio.create_task(rig.processor.process(replace(rig.settlements, handler=slowly), batch))
    await asyncio.wait_for(booked.wait(), timeout=600)
    approving = asyncio.create_task(approve(rig, identifier))
    await eventually(lambda: waiting_for_a_lock(rig), deadline_s=600)
    may_commit.set()
    await coming
    assert (await approving).status_code == 200
    assert await rig.stuck() == []
    assert (await state_of(rig, match), await books(rig)) == ("voided", before)
    assert await rig.breaches() == []


async def waiting_for_a_lock(rig: Rig) -> bool:
    return bool(await rig.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"))


@pytest.mark.parametrize("way", ["disownment", "correction"])
async def test_a_payout_requested_meanwhile_is_to_be_cancelled(rig: Rig, way: str) -> None:
    """A payout of the winnings is requested while they are taken back: the disownment waits for it and requests its
    cancellation.
    """
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [("ann", "60.00")])
    await rig.settle(match)
    await rig.feed(rig.payouts, method_event("ann"))
    identifier = await filed(rig, match.round_id)
    async with rig.db.transaction() as asking:
        command = RequestPayout(id=uuid4(), player="ann", asset="USDC", amount=6_000, method_id=None)
        await request_payout(command, ports=rig.ports_of(asking), tools=rig.tools, now=rig.clock.now())
        await send_now(asking)
        if way == "disownment":
            taking = asyncio.create_task(approve(rig, identifier))
        else:
            taking = asyncio.create_task(rig.feed(rig.settlements, *match.corrected([], at=2)))
        await eventually(lambda: waiting_for_a_row(rig), deadline_s=600)
    await taking
    states = await rig.rows("SELECT state FROM payouts")
    assert [row["state"] for row in states] == ["cancel_requested"]
    assert await rig.balance(Kind.RECEIVABLE, "ann") == -6_000
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def waiting_for_a_row(rig: Rig) -> bool:
    return bool(
        await rig.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype IN ('tuple', 'transactionid')")
    )
