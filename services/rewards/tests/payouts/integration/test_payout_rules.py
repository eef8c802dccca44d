"""Payout requests under rules: limits, fees of players, and automatic withdrawals."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from prizewire_chassis.lifecycle import ConfigurationError
from prizewire_devstack.testing import DatabaseFactory
from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.payouts.adapters import load_payout_rules
from prizewire_rewards.payouts.handlers.withdrawals import WithdrawalAttempt, withdraw_next
from services.rewards.tests.rig import (
    ASSETS,
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
from services.rewards.tests.sql import refused, refused_to_the_owner

RULES = """
players:
  USDC:
    minimum: "10.00"
    maximum: "500.00"
    daily_limit: "800.00"
    fee: {flat: "0.25", bps: 150, borne_by: player}
  EURC: {fee: {flat: "0.25", borne_by: platform}}
"""


@pytest.fixture
async def ruled(make_database: DatabaseFactory, tmp_path: Path) -> AsyncIterator[Rig]:
    """A service with payout rules, and 2,000.00 USDC in ann's winnings."""
    path = tmp_path / "payout-rules.yaml"
    path.write_text(RULES)
    rig = await Rig.open(make_database("rewards", migrated=True), rules=path)
    rig.tools = replace(rig.tools, payout_rules=load_payout_rules(path, assets=ASSETS))
    campaign = await rig.campaign(funded=500_000)
    await rig.settle(Match(campaign, [("ann", "2000.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    yield rig
    await rig.close()


async def request(rig: Rig, amount: str, **more: str) -> Any:
    """Request a payout of ann's winnings."""
    async with rig.client("ann") as ann:
        return await ann.post(
            "/api/wallet/payout-request",
            json={"asset": "USDC", "amount": amount, **more},
            headers={"Idempotency-Key": uuid4().hex},
        )


@pytest.mark.parametrize(
    ("amount", "more", "code"),
    [
        ("9.99", {}, "amount_below_minimum"),
        ("500.01", {}, "amount_above_maximum"),
        ("2000.01", {}, "amount_above_maximum"),
        ("10.00", {"pay_asset": "EURC"}, "quote_required"),
    ],
)
async def test_a_request_outside_the_rules_is_refused(
    ruled: Rig, amount: str, more: dict[str, str], code: str
) -> None:
    """Each is refused with a stable code, and nothing moves."""
    answer = await request(ruled, amount, **more)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await ruled.winnings("ann") == 200_000
    assert await ruled.events("payout.requested") == []


async def test_the_limit_of_a_day_counts_requests_that_were_not_given_back(ruled: Rig) -> None:
    """Requests of a day (UTC) count together, without those that were given back; the next day begins at zero."""
    first = (await request(ruled, "500.00")).json()["payout_id"]
    assert (await request(ruled, "300.01")).json()["code"] == "daily_limit_exceeded"
    assert (await request(ruled, "300.00")).status_code == 202
    assert (await request(ruled, "10.00")).json()["code"] == "daily_limit_exceeded"
    await ruled.feed(ruled.payouts, closed_event(first, "failed", closure=closure_of(first)))
    assert (await request(ruled, "500.00")).status_code == 202
    ruled.clock.advance(timedelta(hours=12))
    assert (await request(ruled, "500.00")).status_code == 202
    assert await ruled.breaches() == []


async def test_concurrent_requests_do_not_exceed_the_limit(ruled: Rig) -> None:
    """Twenty concurrent requests of 100.00: eight succeed."""
    answers = await asyncio.gather(*(request(ruled, "100.00") for _ in range(20)))
    codes = [answer.json().get("code") for answer in answers]
    assert codes.count(None) == 8
    assert codes.count("daily_limit_exceeded") == 12
    assert await ruled.winnings("ann") == 120_000


async def test_a_fee_that_the_player_bears_is_booked_when_it_is_paid(ruled: Rig) -> None:
    """The requested amount is debited, the intent pays less, and the difference goes to the fees."""
    answer = (await request(ruled, "100.00")).json()
    assert (answer["player_fee"], answer["pay_amount"]) == ("1.75", "98.25")
    payout = UUID(answer["payout_id"])
    [requested_event] = await ruled.events("payout.requested")
    intent = requested_event["data"]["intent"]
    assert (intent["debit_amount"], intent["pay_amount"]) == ("100.00", "98.25")
    async with ruled.client("olga", "operator") as olga:
        for path, query in (("/asked", {}), ("", {"ids": str(payout)})):
            [compared] = (await olga.get(f"/api/rewards/payouts{path}", params=query)).json()["items"]
            assert compared["pay_amount"] == "98.25", "what payouts has of it"
    assert await ruled.balance(Kind.PAYOUT_PENDING, payout) == 10_000
    assert await ruled.balance(Kind.FEES, "platform") == 0
    await ruled.feed(ruled.payouts, paid_event(payout, player="ann", amount="98.25"))
    assert await ruled.stuck() == []
    assert await ruled.balance(Kind.PAYOUT_PENDING, payout) == 0
    assert await ruled.balance(Kind.FEES, "platform") == 175
    assert await ruled.balance(Kind.TREASURY, "stellar-main") == 9_825
    assert await ruled.breaches() == []


async def test_the_paid_amount_is_the_intents_pay_amount(ruled: Rig) -> None:
    """A payment of the whole debited amount does not match the intent."""
    payout = UUID((await request(ruled, "100.00")).json()["payout_id"])
    await ruled.feed(ruled.payouts, paid_event(payout, player="ann", amount="100.00"))
    assert await ruled.stuck() == [("parked", "event_mismatch")]
    assert await ruled.balance(Kind.PAYOUT_PENDING, payout) == 10_000


async def test_a_payout_that_fails_gives_its_fee_back_too(ruled: Rig) -> None:
    """A payout without effect gives the fee back."""
    payout = UUID((await request(ruled, "100.00")).json()["payout_id"])
    await ruled.feed(ruled.payouts, closed_event(payout, "rejected", closure=closure_of(payout)))
    assert await ruled.winnings("ann") == 200_000
    assert await ruled.balance(Kind.FEES, "platform") == 0
    assert await ruled.breaches() == []


@pytest.mark.parametrize(("amount", "stuck"), [("98.25", []), ("98.26", [("parked", "event_mismatch")])])
async def test_at_most_the_paid_amount_comes_back(
    ruled: Rig, amount: str, stuck: list[tuple[str, str]]
) -> None:
    """A return gives back at most the paid amount: the fee is not given back."""
    method = uuid4()
    await ruled.feed(ruled.payouts, method_event("ann", method_id=method, is_default=False, **FAKE_METHOD))
    payout = UUID((await request(ruled, "100.00", method_id=str(method))).json()["payout_id"])
    await ruled.feed(
        ruled.payouts,
        paid_event(payout, player="ann", amount="98.25", **FAKE_RAIL),
        returned_event(payout, amount=amount),
    )
    assert await ruled.stuck() == stuck
    assert await ruled.winnings("ann") == (199_825 if not stuck else 190_000)
    assert await ruled.balance(Kind.FEES, "platform") == 175
    assert await ruled.breaches() == []


async def test_no_rule_applies_to_direct_prizes(ruled: Rig) -> None:
    """A direct payout pays the whole prize."""
    campaign = await ruled.campaign(funded=100_000, delivery=Delivery.DIRECT)
    await ruled.settle(Match(campaign, [("ann", "1.00")]))
    [requested_event] = await ruled.events("payout.requested")
    assert requested_event["data"]["intent"]["pay_amount"] == "1.00"


async def test_a_fee_never_changes(ruled: Rig) -> None:
    """The fee of a payout never changes, also not by SQL."""
    await request(ruled, "100.00")
    for change in ("fee = 0", "funding_account = 'x'", "returned = 9900"):
        state, _ = await refused(ruled, lambda tx, sql=change: tx.execute(text(f"UPDATE payouts SET {sql}")))
        assert state == ("23514" if "returned" in change else "42501"), change
        state, _ = await refused_to_the_owner(ruled, f"UPDATE payouts SET {change}")
        assert state in {"23514", "23503"}, change


async def test_a_player_may_cancel_until_it_has_ended(ruled: Rig) -> None:
    """Players cancel their own payouts, once; the money comes back with the authentic closure, not before."""
    payout = (await request(ruled, "100.00")).json()["payout_id"]
    path = f"/api/wallet/payout-requests/{payout}/cancel"
    async with ruled.client("bob") as bob, ruled.client("ann") as ann:
        assert (await bob.post(path)).json()["code"] == "payout_unknown"
        assert (await ann.post(path)).json()["state"] == "cancel_requested"
        assert await ruled.winnings("ann") == 190_000
        await ruled.feed(
            ruled.payouts, closed_event(UUID(payout), "cancelled", closure=closure_of(UUID(payout)))
        )
        assert await ruled.winnings("ann") == 200_000
        late = await ann.post(path)
        assert (late.status_code, late.json()["code"]) == (409, "payout_final")
    assert len(await ruled.events("payout.cancel_requested")) == 1


async def test_a_wrong_file_stops_the_start(make_database: DatabaseFactory, tmp_path: Path) -> None:
    """A misspelt rule or a missing file stops the start."""
    path = tmp_path / "payout-rules.yaml"
    urls = make_database("rewards", migrated=True)
    with pytest.raises(ConfigurationError, match=r"payout-rules\.yaml"):
        await Rig.open(urls, rules=path)
    path.write_text("players: {USDC: {minimun: '1.00'}}")
    with pytest.raises(ConfigurationError, match="minimun"):
        await Rig.open(urls, rules=path)


# automatic withdrawal


async def set_auto_withdrawal(rig: Rig, **body: Any) -> Any:
    async with rig.client("ann") as ann:
        return await ann.put("/api/wallet/auto-withdraw/USDC", json=body)


async def due(rig: Rig) -> list[str | None]:
    """Run the job until no withdrawal is due. Returns the results."""
    outcomes = []
    while True:
        async with rig.db.transaction() as tx:
            tried: WithdrawalAttempt | None = await withdraw_next(
                ports=rig.ports_of(tx), tools=rig.tools, now=rig.clock.now()
            )
        if tried is None:
            return outcomes
        outcomes.append(tried.code)
        assert len(outcomes) < 20, "a failure must not loop"


async def shown(rig: Rig) -> dict[str, Any]:
    async with rig.client("ann") as ann:
        [item] = (await ann.get("/api/wallet/auto-withdraw")).json()["items"]
    return dict(item)


async def winning(rig: Rig, amount: str) -> None:
    campaign = await rig.campaign(funded=1_000_000)
    await rig.settle(Match(campaign, [("ann", amount)]))


async def test_winnings_are_requested_at_the_threshold(rig: Rig) -> None:
    """At the threshold the whole balance is requested like any other payout; below it nothing happens."""
    await rig.feed(rig.payouts, method_event("ann"))
    assert (await set_auto_withdrawal(rig, threshold="100.00")).status_code == 200
    await winning(rig, "99.99")
    assert await due(rig) == []
    await winning(rig, "0.01")
    assert await due(rig) == [None]
    assert await rig.winnings("ann") == 0
    [requested_event] = await rig.events("payout.requested")
    assert requested_event["data"]["intent"]["pay_amount"] == "100.00"
    assert (requested_event["data"]["filed_by"], requested_event["data"]["player"]) == (
        "rewards:auto_withdraw",
        "ann",
    )
    assert (await shown(rig))["last_payout_id"] == requested_event["data"]["payout_id"]
    await winning(rig, "250.00")
    assert await due(rig) == [None]
    assert len(await rig.events("payout.requested")) == 2
    assert await rig.breaches() == []


async def test_a_failed_withdrawal_is_noted_and_retried_the_next_day(rig: Rig) -> None:
    """Without a payout method nothing is requested: the player sees the code, and the job waits for the next day."""
    await set_auto_withdrawal(rig, threshold="100.00")
    await winning(rig, "150.00")
    assert await due(rig) == ["no_payout_method"]
    assert await due(rig) == []
    item = await shown(rig)
    assert (item["note"], item["next_at"]) == ("no_payout_method", "2026-03-02T00:00:00Z")
    await rig.feed(rig.payouts, method_event("ann"))
    rig.clock.advance(timedelta(hours=11, minutes=59))
    assert await due(rig) == []
    rig.clock.advance(timedelta(minutes=1))
    assert await due(rig) == [None]
    item = await shown(rig)
    assert (item["note"], item["noted_at"]) == (None, None)
    assert await rig.winnings("ann") == 0


async def test_a_schedule_requests_once_at_each_due_time(rig: Rig) -> None:
    """A payout is requested at each scheduled hour if the balance is enough; missed times are skipped."""
    await rig.feed(rig.payouts, method_event("ann"))
    await set_auto_withdrawal(rig, schedule="daily", hour_utc=18, minimum="10.00")
    await winning(rig, "9.99")
    assert await due(rig) == []
    rig.clock.advance(timedelta(hours=6))
    assert await due(rig) == ["below_minimum"]
    assert await due(rig) == []
    await winning(rig, "5.00")
    assert await due(rig) == []
    rig.clock.advance(timedelta(days=5, hours=1))
    assert await due(rig) == [None]
    assert await rig.winnings("ann") == 0
    assert (await shown(rig))["next_at"] == "2026-03-07T18:00:00Z"
    assert len(await rig.events("payout.requested")) == 1


async def test_a_withdrawal_keeps_to_the_rules(ruled: Rig) -> None:
    """Each request has the most that the rules allow, until the day's limit is used; the next one follows on the next
    day.
    """
    await set_auto_withdrawal(ruled, threshold="50.00")
    assert await due(ruled) == [None, None, "daily_limit_exceeded"]
    intents = [event["data"]["intent"] for event in await ruled.events("payout.requested")]
    assert [intent["debit_amount"] for intent in intents] == ["500.00", "300.00"]
    assert [intent["pay_amount"] for intent in intents] == ["492.25", "295.25"]
    assert await ruled.winnings("ann") == 120_000
    ruled.clock.advance(timedelta(hours=12))
    assert await due(ruled) == [None, None, "daily_limit_exceeded"]
    assert await ruled.breaches() == []


async def test_concurrent_jobs_request_once(rig: Rig) -> None:
    """Several instances run the job at the same time; one due time has one payout."""
    await rig.feed(rig.payouts, method_event("ann"))
    await set_auto_withdrawal(rig, schedule="daily", hour_utc=13)
    await winning(rig, "150.00")
    rig.clock.advance(timedelta(hours=2))
    tries = await asyncio.gather(*(due(rig) for _ in range(6)))
    assert [code for tried in tries for code in tried] == [None], "the others find nothing that is due"
    assert len(await rig.events("payout.requested")) == 1


async def test_a_withdrawal_can_be_changed_and_removed(rig: Rig) -> None:
    """The last settings apply; without settings nothing is requested."""
    await rig.feed(rig.payouts, method_event("ann"))
    await winning(rig, "150.00")
    await set_auto_withdrawal(rig, threshold="100.00")
    await set_auto_withdrawal(rig, schedule="monthly", hour_utc=3)
    item = await shown(rig)
    assert (item["threshold"], item["schedule"], item["next_at"]) == (
        None,
        "monthly",
        "2026-04-01T03:00:00Z",
    )
    assert await due(rig) == []
    async with rig.client("ann") as ann:
        assert (await ann.delete("/api/wallet/auto-withdraw/USDC")).status_code == 204
        assert (await ann.delete("/api/wallet/auto-withdraw/USDC")).json()["code"] == "withdrawal_unknown"
        assert (await ann.get("/api/wallet/auto-withdraw")).json()["items"] == []
    rig.clock.advance(timedelta(days=60))
    assert await due(rig) == []


@pytest.mark.parametrize(
    ("asset", "body", "status", "code"),
    [
        ("USDC", {}, 400, "invalid_request"),
        ("USDC", {"threshold": "1.00", "schedule": "daily"}, 400, "invalid_request"),
        ("USDC", {"threshold": "1.00", "minimum": "1.00"}, 400, "invalid_request"),
        ("USDC", {"schedule": "hourly"}, 400, "invalid_request"),
        ("USDC", {"schedule": "daily", "hour_utc": 24}, 400, "invalid_request"),
        ("USDC", {"threshold": "0.00"}, 422, "amount_not_positive"),
        ("USDC", {"threshold": "1.005"}, 422, "amount_too_many_decimals"),
        (
            "USDC",
            {"threshold": "1.00", "method_id": "11111111-1111-4111-8111-111111111111"},
            422,
            "method_unknown",
        ),
        ("SEASON", {"threshold": "1"}, 422, "asset_not_redeemable"),
        ("NOPE", {"threshold": "1"}, 404, "asset_unknown"),
    ],
)
async def test_a_wrong_withdrawal_is_refused(
    rig: Rig, asset: str, body: dict[str, Any], status: int, code: str
) -> None:
    """Settings need either a threshold or a schedule, and an asset that can be paid out."""
    async with rig.client("ann") as ann:
        answer = await ann.put(f"/api/wallet/auto-withdraw/{asset}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await rig.rows("SELECT 1 FROM auto_withdrawals") == []


async def test_a_player_sees_only_their_own_withdrawals(rig: Rig) -> None:
    """Operators have to name a player."""
    await set_auto_withdrawal(rig, threshold="100.00")
    async with rig.client("bob") as bob, rig.client("olga", "operator") as olga:
        assert (await bob.get("/api/wallet/auto-withdraw")).json()["items"] == []
        assert (await bob.get("/api/wallet/auto-withdraw", params={"player": "ann"})).status_code == 403
        seen = (await olga.get("/api/wallet/auto-withdraw", params={"player": "ann"})).json()["items"]
        assert [item["threshold"] for item in seen] == ["100.00"]
        assert (
            await olga.put("/api/wallet/auto-withdraw/USDC", json={"threshold": "1.00"})
        ).status_code == 403
