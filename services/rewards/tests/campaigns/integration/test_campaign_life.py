"""Campaigns over a real database: settings with versions, withdrawals, pools that become low, caps."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, Caps
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.prizes.handlers import give_back
from services.rewards.tests.rig import START, Match, Rig
from services.rewards.tests.sql import refused, refused_to_the_owner


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


def caps(**bounds: int) -> CampaignSettings:
    return CampaignSettings(caps=Caps(**bounds))


async def withdraw(rig: Rig, campaign: UUID, amount: str | None, **headers: str) -> httpx.Response:
    async with rig.client("boss", "admin") as admin:
        return await admin.post(
            f"/api/campaigns/{campaign}/withdraw",
            json={"reason": "the rest"} if amount is None else {"amount": amount, "reason": "the rest"},
            headers=headers or key(),
        )


async def put_settings(rig: Rig, campaign: UUID, **body: Any) -> httpx.Response:
    async with rig.client("boss", "admin") as admin:
        return await admin.put(f"/api/campaigns/{campaign}/settings", json=body)


async def test_the_rest_of_a_pool_is_withdrawn(rig: Rig) -> None:
    """A part, then the rest: published, audited with its reason, and in the ledger."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "40.00")]))
    part = await withdraw(rig, campaign, "10.00")
    assert part.status_code == 201, part.text
    assert (part.json()["withdrawn"], part.json()["available"]) == ("10.00", "50.00")
    rest = await withdraw(rig, campaign, None)
    assert (rest.json()["withdrawn"], rest.json()["available"]) == ("60.00", "0.00")
    published = [event["data"] for event in await rig.events("campaign.withdrawn")]
    assert [(one["amount"], one["withdrawn_total"]) for one in published] == [
        ("10.00", "10.00"),
        ("50.00", "60.00"),
    ]
    assert await rig.balance(Kind.EXTERNAL_OUT, "world") == 6_000
    audited = await rig.rows("SELECT reason FROM audit_log WHERE action = 'campaign.withdrawn'")
    assert audited == [{"reason": "the rest"}] * 2
    async with rig.client("boss", "admin") as admin:
        sheet = (await admin.get(f"/api/campaigns/{campaign}/balance-sheet")).json()
    assert (sheet["funded"], sheet["withdrawn"], sheet["wallets"]) == ("100.00", "60.00", "40.00")
    assert await rig.breaches() == []


async def test_a_withdrawal_happens_once_for_its_key(rig: Rig) -> None:
    """Ten concurrent copies of a request withdraw the money once."""
    campaign = await rig.campaign(funded=10_000)
    same = key()
    answers = await asyncio.gather(*(withdraw(rig, campaign, "70.00", **same) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert await rig.balance(Kind.POOL, campaign) == 3_000


@pytest.mark.parametrize(
    ("amount", "code"), [("100.01", "pool_insufficient"), ("0.00", "amount_not_positive")]
)
async def test_a_withdrawal_above_the_pool_is_refused(rig: Rig, amount: str, code: str) -> None:
    """Nothing moves, also where the pool is empty."""
    campaign = await rig.campaign(funded=10_000)
    answer = await withdraw(rig, campaign, amount)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert ("100.01 USDC: 100.00 USDC is available" in answer.json()["detail"]) == (amount == "100.01")
    empty = await withdraw(rig, await rig.campaign(), None)
    assert (empty.json()["code"], empty.json()["detail"]) == ("pool_insufficient", "the pool is empty")
    assert await rig.balance(Kind.POOL, campaign) == 10_000


async def test_a_pool_with_waiting_rounds_is_not_withdrawn(rig: Rig) -> None:
    """While a round waits, the pool is kept for it."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "200.00")]))
    answer = await withdraw(rig, campaign, "1.00")
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign_has_unfunded")
    assert await rig.balance(Kind.POOL, campaign) == 10_000


async def states(rig: Rig) -> list[str]:
    """The states that the events of campaigns name, from the first on."""
    return [event["data"]["state"] for event in await rig.events("campaign.state_changed")]


async def test_a_campaign_with_waiting_rounds_is_exhausted_once_it_is_activated(rig: Rig) -> None:
    """A campaign that is paused and activated while a round waits is exhausted, and another round that waits publishes
    nothing more. Once both rounds are paid, it is active.
    """
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "200.00")]))
    await rig.change(campaign, "paused")
    await rig.change(campaign, "active")
    assert await states(rig) == ["active", "exhausted", "paused", "active", "exhausted"]
    async with rig.client("boss", "admin") as admin:
        assert (await admin.get(f"/api/campaigns/{campaign}")).json()["state"] == "exhausted"
    published = len(await rig.events("pool.exhausted"))
    await rig.settle(Match(campaign, [("bob", "5.00")]))
    assert len(await rig.events("pool.exhausted")) == published == 2
    await rig.fund(campaign, 10_500)
    assert await rig.release() == 2
    assert (await states(rig))[-1] == "active"
    assert await rig.breaches() == []


@pytest.mark.parametrize("first", ["draft", "paused"])
async def test_rounds_that_waited_for_an_activation_make_it_exhausted(rig: Rig, first: str) -> None:
    """Rounds that waited because the campaign was a draft or paused: the pool is published as exhausted once."""
    campaign = await rig.campaign(active=first == "paused")
    if first == "paused":
        await rig.change(campaign, "paused")
    await rig.settle(Match(campaign, [("ann", "200.00")]))
    assert await rig.events("pool.exhausted") == []
    async with rig.client("boss", "admin") as admin:
        answer = await admin.post(f"/api/campaigns/{campaign}/activate")
    assert (answer.status_code, answer.json()["state"]) == (200, "exhausted")
    assert (await states(rig))[-2:] == ["active", "exhausted"]
    assert [event["subject"] for event in await rig.events("pool.exhausted")] == [str(campaign)]
    await rig.settle(Match(campaign, [("bob", "5.00")]))
    assert len(await rig.events("pool.exhausted")) == 1
    assert await rig.breaches() == []


async def test_a_repeated_change_leaves_no_audit_record(rig: Rig) -> None:
    """A campaign that has the state already is as it was, and nobody else is named for what the first person decided."""
    campaign = await rig.campaign(active=False, funded=10_000)
    async with rig.client("boss", "admin") as boss, rig.client("late", "admin") as late:
        for verb, state in (("activate", "active"), ("pause", "paused"), ("end", "ended")):
            for admin in (boss, late):
                answer = await admin.post(f"/api/campaigns/{campaign}/{verb}")
                assert (answer.status_code, answer.json()["state"]) == (200, state)
    records = await rig.rows("SELECT actor, action FROM audit_log ORDER BY sequence")
    assert [(row["actor"], row["action"]) for row in records] == [
        ("boss", "campaign.active"),
        ("boss", "campaign.paused"),
        ("boss", "campaign.ended"),
    ]


async def test_concurrent_withdrawals_and_settlements_never_overdraw(rig: Rig) -> None:
    """The first one gets the money. The pool never becomes negative, and the ledger balances."""
    campaign = await rig.campaign(funded=10_000)
    matches = [Match(campaign, [(f"p{n}", "10.00")]) for n in range(15)]
    await asyncio.gather(
        *(rig.settle(match) for match in matches), *(withdraw(rig, campaign, "10.00") for _ in range(15))
    )
    [row] = await rig.rows("SELECT funded, granted, withdrawn FROM campaigns")
    assert row["granted"] + row["withdrawn"] + await rig.balance(Kind.POOL, campaign) == 10_000
    assert await rig.balance(Kind.POOL, campaign) == 0
    assert await rig.breaches() == []


async def test_the_database_protects_counters_and_settings(rig: Rig) -> None:
    """Counters only grow, settings change only with their version, and old versions cannot be changed."""
    campaign = await rig.campaign(funded=10_000, settings=caps(per_player=1))
    await withdraw(rig, campaign, "10.00")
    for change in (
        "withdrawn = 0",
        "withdrawn = 999999",
        "settings_version = 0",
        "capped = false",
        "settings = jsonb_set(settings, '{low_water}', '5')",
    ):
        state, _ = await refused(rig, lambda tx, sql=change: tx.execute(text(f"UPDATE campaigns SET {sql}")))
        assert state == ("42501" if change.startswith("withdrawn") else "23514"), change
        assert (await refused_to_the_owner(rig, f"UPDATE campaigns SET {change}"))[0] == "23514", change
    for statement in ("UPDATE campaign_settings SET actor = 'eve'", "DELETE FROM campaign_settings"):
        assert (await refused(rig, lambda tx, sql=statement: tx.execute(text(sql))))[0] == "42501"
        assert (await refused_to_the_owner(rig, statement))[0] == "23000"


async def test_settings_are_versioned_and_audited(rig: Rig) -> None:
    """Every version is kept. The same settings again make no version. Invalid settings are refused."""
    campaign = await rig.campaign()
    body = {
        "low_water": "50.00",
        "caps": {"per_player": "10.00"},
        "claim": {"expires_s": 60},
        "risk": {"velocity": {"count": 2, "window_s": 60}, "kyc_above": "1.00"},
    }
    first, again = await put_settings(rig, campaign, **body), await put_settings(rig, campaign, **body)
    assert (first.status_code, first.json()["settings_version"]) == (200, 2)
    assert again.json() == first.json()
    shown = first.json()
    assert shown["caps"] == {
        "per_player": "10.00",
        "per_player_day": None,
        "per_campaign_day": None,
        "per_campaign": None,
    }
    assert shown["claim"] == {"expires_s": 60, "review_deadline_s": 259_200, "at_deadline": "reject"}
    assert (shown["risk"]["velocity"], shown["risk"]["kyc_above"]) == ({"count": 2, "window_s": 60}, "1.00")
    rows = await rig.rows("SELECT version, actor FROM campaign_settings ORDER BY version")
    assert rows == [{"version": 1, "actor": "admin"}, {"version": 2, "actor": "boss"}]
    assert len(await rig.rows("SELECT 1 FROM audit_log WHERE action = 'campaign.settings'")) == 2
    for wrong, status, code in (
        ({"risk": {"amount": "0.00"}}, 422, "settings_invalid"),
        ({"caps": {"per_player": "1.001"}}, 422, "amount_too_many_decimals"),
        ({"caps": {"per_week": "1.00"}}, 400, "invalid_request"),
    ):
        answer = await put_settings(rig, campaign, **wrong)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_campaign_is_created_with_its_settings(rig: Rig) -> None:
    """The settings at creation are version 1. Claim terms do not make a claim campaign of points possible."""
    async with rig.client("boss", "admin") as admin:
        made = await admin.post(
            "/api/campaigns",
            json={"name": "cup", "asset": "USDC", "delivery": "claim", "low_water": "1.00"},
            headers=key(),
        )
    assert made.status_code == 201, made.text
    assert (made.json()["delivery"], made.json()["low_water"]) == ("claim", "1.00")
    assert made.json()["settings_version"] == 1


async def test_pool_low_is_published_once_until_the_pool_has_risen(rig: Rig) -> None:
    """The first round below the mark publishes it, further rounds do not. After funding above the mark it can be published
    again.
    """
    campaign = await rig.campaign(funded=10_000, settings=CampaignSettings(low_water=5_000))

    async def levels() -> list[str]:
        return [event["data"]["available"] for event in await rig.events("pool.low")]

    await rig.settle(Match(campaign, [("ann", "50.00")]))
    assert await levels() == []
    await rig.settle(Match(campaign, [("ann", "0.01")]))
    await rig.settle(Match(campaign, [("ann", "1.00")]))
    assert await levels() == ["49.99"]
    await rig.fund(campaign, 2_000)
    assert await levels() == ["49.99"]
    await withdraw(rig, campaign, "60.00")
    assert await levels() == ["49.99", "8.99"]
    versions = [e["aggregateversion"] for e in await rig.events() if e["subject"] == str(campaign)]
    assert versions == list(range(1, len(versions) + 1))
    assert await rig.breaches() == []


async def test_a_raised_mark_publishes_pool_low(rig: Rig) -> None:
    """A pool can become low by a change of settings."""
    campaign = await rig.campaign(funded=10_000)
    await put_settings(rig, campaign, low_water="100.01")
    assert [event["data"]["available"] for event in await rig.events("pool.low")] == ["100.00"]


async def rewards(rig: Rig, match: Match) -> list[tuple[str, str, str | None]]:
    rows = await rig.rows(
        "SELECT player, state, note FROM rewards WHERE round_id = :id ORDER BY line", id=match.round_id
    )
    return [(row["player"], row["state"], row["note"]) for row in rows]


async def test_a_line_that_would_pass_a_cap_is_held(rig: Rig) -> None:
    """The line is held whole with the cap's code, and its money stays reserved. The others are paid."""
    campaign = await rig.campaign(funded=100_000, settings=caps(per_player=10_000, per_campaign=25_000))
    first = Match(campaign, [("ann", "80.00"), ("bob", "100.01"), ("cid", "100.00")], platform="5.00")
    second = Match(campaign, [("ann", "20.01"), ("bob", "60.00"), ("dan", "20.00")])
    await rig.settle(first, second)
    assert await rewards(rig, first) == [
        ("ann", "credited", None),
        ("bob", "held", "cap_player"),
        ("cid", "credited", None),
    ]
    assert await rewards(rig, second) == [
        ("ann", "held", "cap_player"),
        ("bob", "credited", None),
        ("dan", "held", "cap_campaign"),
    ]
    assert await rig.winnings("bob") == 6_000
    assert await rig.balance(Kind.RESERVED, first.round_id) == 10_001
    assert await rig.balance(Kind.RESERVED, second.round_id) == 2_001 + 2_000
    assert await rig.breaches() == []


async def test_a_waiting_round_uses_the_caps_of_its_settlement(rig: Rig) -> None:
    """Caps are checked when the round is settled, and lines are held when its money comes."""
    campaign = await rig.campaign(settings=caps(per_player=1_000))
    match = Match(campaign, [("ann", "10.00"), ("bob", "10.01")])
    await rig.settle(match)
    rig.clock.advance(timedelta(days=3))
    await rig.fund(campaign, 10_000)
    assert await rig.release() == 1
    assert await rewards(rig, match) == [("ann", "credited", None), ("bob", "held", "cap_player")]
    assert {str(row["day"]) for row in await rig.rows("SELECT day FROM cap_lines")} == {
        START.date().isoformat()
    }
    assert await rig.breaches() == []


async def test_daily_caps_count_one_utc_day(rig: Rig) -> None:
    """On the next UTC day player and campaign can be granted more."""
    campaign = await rig.campaign(funded=100_000, settings=caps(per_player_day=1_000, per_campaign_day=1_500))
    for player, state in (("ann", "credited"), ("bob", "held")):
        match = Match(campaign, [(player, "10.00")])
        await rig.settle(match)
        assert [found for _, found, _ in await rewards(rig, match)] == [state]
    rig.clock.advance(timedelta(hours=12))
    match = Match(campaign, [("bob", "10.00"), ("ann", "10.00")])
    await rig.settle(match)
    assert await rewards(rig, match) == [("bob", "credited", None), ("ann", "held", "cap_campaign_day")]
    assert await rig.breaches() == []


async def test_the_first_caps_count_earlier_grants(rig: Rig) -> None:
    """A cap that is set late counts the whole campaign. After it is removed, counting goes on."""
    campaign = await rig.campaign(funded=100_000)
    await rig.settle(Match(campaign, [("ann", "80.00"), ("bob", "10.00")]))
    assert await rig.rows("SELECT 1 FROM cap_lines") == []
    await put_settings(rig, campaign, caps={"per_player": "100.00"})
    late = Match(campaign, [("ann", "20.01"), ("bob", "90.00")])
    await rig.settle(late)
    assert await rewards(rig, late) == [("ann", "held", "cap_player"), ("bob", "credited", None)]
    assert await rig.breaches() == []
    await put_settings(rig, campaign)
    free = Match(campaign, [("ann", "500.00")])
    await rig.settle(free)
    assert await rewards(rig, free) == [("ann", "credited", None)]
    [row] = await rig.rows("SELECT used FROM cap_usage WHERE cap = 'cap_player' AND player = 'ann'")
    assert row["used"] == 58_000
    assert await rig.breaches() == []


@pytest.mark.parametrize(("lines_per_part", "parts"), [(None, 1), (2, 2)])
async def test_counts_follow_corrections_and_voids(rig: Rig, lines_per_part: int | None, parts: int) -> None:
    """A player who loses a prize can be granted more, a player who gets it has used the cap; in one part and in several."""
    campaign = await rig.campaign(funded=100_000, settings=caps(per_player=10_000))
    others = [("cid", "1.00"), ("dan", "1.00")]
    match = Match(campaign, [("ann", "100.00"), *others], final=False, lines_per_part=lines_per_part)
    await rig.settle(match)
    await rig.work_on(limit=2)
    await rig.feed(rig.settlements, *match.corrected([("bob", "100.00"), *others], at=parts + 1))
    await rig.work_on(limit=2)
    assert await rig.breaches() == []
    later = Match(campaign, [("ann", "100.00"), ("bob", "0.01")])
    await rig.settle(later)
    assert await rewards(rig, later) == [("ann", "credited", None), ("bob", "held", "cap_player")]
    await rig.feed(rig.settlements, match.voided(at=2 * parts + 1))
    await rig.work_on(limit=2)
    assert await rig.breaches() == []
    last = Match(campaign, [("ann", "0.01"), ("bob", "100.00")])
    await rig.settle(last)
    assert await rewards(rig, last) == [("ann", "held", "cap_player"), ("bob", "credited", None)]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


async def test_caps_hold_lines_of_a_round_in_parts(rig: Rig) -> None:
    """The last part decides which lines are held, whatever chunk books them."""
    campaign = await rig.campaign(funded=100_000, settings=caps(per_player=1_000, per_campaign=2_500))
    lines = [("ann", "10.00"), ("bob", "10.01"), ("cid", "10.00"), ("dan", "10.00"), ("eve", "5.00")]
    match = Match(campaign, lines, lines_per_part=2)
    await rig.settle(match)
    await rig.work_on(limit=2)
    assert await rewards(rig, match) == [
        ("ann", "credited", None),
        ("bob", "held", "cap_player"),
        ("cid", "credited", None),
        ("dan", "held", "cap_campaign"),
        ("eve", "credited", None),
    ]
    assert await rig.balance(Kind.RESERVED, match.round_id) == 2_001
    assert await rig.breaches() == []


async def test_concurrent_rounds_do_not_pass_a_cap(rig: Rig) -> None:
    """Twenty concurrent rounds of one player grant exactly the cap."""
    campaign = await rig.campaign(funded=100_000, settings=caps(per_player=5_000))
    matches = [Match(campaign, [("ann", "10.00")]) for _ in range(20)]
    await asyncio.gather(*(rig.settle(match) for match in matches))
    assert await rig.winnings("ann") == 5_000
    states = [state for match in matches for _, state, _ in await rewards(rig, match)]
    assert sorted(states) == ["credited"] * 5 + ["held"] * 15
    assert await rig.breaches() == []


async def test_an_expired_prize_no_longer_counts(rig: Rig) -> None:
    """Money that went back to the pool can be granted again."""
    campaign = await rig.campaign(funded=100_000, delivery=Delivery.CLAIM, settings=caps(per_player=1_000))
    first, second = Match(campaign, [("ann", "10.00")]), Match(campaign, [("ann", "10.00")])
    await rig.settle(first)
    rig.clock.advance(timedelta(days=31))
    jobs = {job.name: job for job in rig.built.jobs}
    assert await jobs["claims.expire"].run() is True
    assert await jobs["claims.expire"].run() is False
    await rig.settle(second)
    assert await rewards(rig, second) == [("ann", "claimable", None)]
    assert await rig.breaches() == []


async def test_a_refused_settlement_does_not_count(rig: Rig) -> None:
    """Only booked and queued rounds count."""
    campaign = await rig.campaign(funded=100_000, settings=caps(per_player=1_000))
    match = Match(campaign, [("ann", "10.00")])
    await rig.feed(rig.settlements, *match.events(digest="00" * 32))
    assert await rig.stuck() == [("parked", "digest_mismatch")]
    assert await rig.rows("SELECT 1 FROM cap_lines") == []
    assert await rig.rows("SELECT 1 FROM cap_usage WHERE used > 0") == []


async def test_verify_reports_a_wrong_count(rig: Rig) -> None:
    """The check compares the counts with the prizes that count."""
    campaign = await rig.campaign(funded=100_000, settings=caps(per_player=1_000))
    match = Match(campaign, [("ann", "10.00")])
    await rig.settle(match)
    async with rig.db.transaction() as tx:
        await tx.execute(text("UPDATE cap_usage SET used = used - 1 WHERE cap = 'cap_campaign'"))
    assert [breach.partition(":")[0] for breach in await rig.breaches()] == ["caps_add_up"]


async def test_counts_are_given_back_in_the_database(rig: Rig) -> None:
    """The function that corrections and voids call, over real tables: in part, whole, and repeated without effect."""
    campaign_id = await rig.campaign(funded=100_000, settings=caps(per_player=10_000))
    match = Match(campaign_id, [("ann", "10.00"), ("bob", "20.00")])
    await rig.settle(match)
    ann, bob = (match.reward_id(player) for player in ("ann", "bob"))
    steps: Sequence[tuple[dict[UUID, int | None], int]] = (
        ({ann: 400, uuid4(): 5}, 2_600),
        ({ann: None}, 2_000),
        ({ann: None, bob: 2_000}, 0),
    )
    for returned, left in steps:
        async with rig.db.transaction() as tx:
            ports = rig.ports_of(tx)
            campaign = (await ports.campaigns.lock([campaign_id]))[campaign_id]
            await give_back(returned, campaign=campaign, ports=ports)
        [row] = await rig.rows("SELECT used FROM cap_usage WHERE cap = 'cap_campaign'")
        assert row["used"] == left
        assert await rig.breaches() == []
    assert await rig.rows("SELECT 1 FROM cap_lines") == []


async def test_the_audit_names_the_asset_of_money(rig: Rig) -> None:
    """What came in for a campaign and what was taken back, each with its asset."""
    campaign = await rig.campaign(funded=0, asset="XLM", active=False)
    moved = {
        "fund": {"amount": "2.0000001", "reference": "bank-7"},
        "withdraw": {"amount": "1.0", "reason": "too much"},
    }
    async with rig.client("boss", "admin") as boss:
        for verb, body in moved.items():
            answer = await boss.post(
                f"/api/campaigns/{campaign}/{verb}", json=body, headers={"Idempotency-Key": verb}
            )
            assert answer.status_code == 201, answer.text
    rows = await rig.rows("SELECT action, detail FROM audit_log WHERE detail ? 'amount' ORDER BY sequence")
    assert [(row["action"], row["detail"]["amount"], row["detail"]["asset"]) for row in rows] == [
        ("campaign.funded", "2.0000001", "XLM"),
        ("campaign.withdrawn", "1.0", "XLM"),
    ]
