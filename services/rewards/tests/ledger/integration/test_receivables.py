"""Receivables: recovered from every credit, written off by approvers, and protected by the database."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.debts import lift_receivable
from services.rewards.tests.rig import Match, Rig
from services.rewards.tests.sql import refused, refused_to_the_owner


async def test_the_oldest_debt_is_taken_first_and_to_its_own_pool(rig: Rig) -> None:
    """Debts of two campaigns and one without a campaign are paid in the order in which they were opened."""
    first, second, third = [await rig.campaign(funded=10_000) for _ in range(3)]
    await rig.settle(Match(first, [("ann", "50.00")]), Match(second, [("ann", "50.00")]))
    for campaign in (first, None, second):
        await rig.owe("ann", 1_000, campaign=campaign)
        rig.clock.advance(timedelta(seconds=1))
    before = await rig.winnings("ann")
    await rig.settle(Match(third, [("ann", "25.00")]))
    assert await rig.winnings("ann") == before
    assert await rig.balance(Kind.POOL, first) == 6_000
    assert await rig.balance(Kind.POOL, second) == 5_500
    assert await rig.balance(Kind.EXTERNAL_OUT, "world") == 1_000
    rows = await rig.rows("SELECT amount, recovered, open, version FROM receivables ORDER BY opened_at, id")
    assert sum(row["open"] for row in rows) == 500
    granted = {row["id"]: row["granted"] for row in await rig.rows("SELECT id, granted FROM campaigns")}
    assert (granted[first], granted[second]) == (4_000, 4_500)
    assert await rig.breaches() == []


async def test_debts_to_each_others_pools_may_cross(rig: Rig) -> None:
    """Rounds of two campaigns are booked at the same time, and each winner owes the other pool: each unit is recovered
    once.
    """
    campaigns = [await rig.campaign(funded=100_000) for _ in range(2)]
    await rig.settle(*(Match(one, [("eve", "200.00")]) for one in campaigns))
    for _ in range(3):
        for player, owed_to in zip(("ann", "bob"), reversed(campaigns), strict=True):
            await rig.owe(player, 1_000, campaign=owed_to)
        won = zip(campaigns, ("ann", "bob"), strict=True)
        await asyncio.gather(*(rig.settle(Match(one, [(player, "30.00")])) for one, player in won))
    assert await rig.stuck() == []
    assert (await rig.winnings("ann"), await rig.winnings("bob")) == (6_000, 6_000)
    assert await rig.rows("SELECT granted FROM campaigns") == [{"granted": 26_000}] * 2
    assert await rig.breaches() == []


async def test_only_an_approver_writes_off_a_debt(rig: Rig) -> None:
    """A write-off needs a reason, is audited and published once, and is refused to the debtor."""
    debt = await rig.owe("ann", 1_500)
    path, body = f"/api/receivables/{debt.id}/write-off", {"reason": "account closed"}
    for name, role, status, code in (
        ("eve", "player", 403, "forbidden"),
        ("olga", "operator", 403, "forbidden"),
        ("ann", "approver", 403, "own_receivable"),
    ):
        async with rig.client(name, role) as client:
            answer = await client.post(path, json=body, headers={"idempotency-key": "k1"})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    async with rig.client("paul", "approver") as client:
        missing = await client.post(path, json=body)
        assert missing.json()["code"] == "idempotency_key_required"
        for key in ("k1", "k1"):
            answer = await client.post(path, json=body, headers={"idempotency-key": key})
            assert answer.status_code == 200
            assert (answer.json()["written_off"], answer.json()["open"]) == ("15.00", "0.00")
        again = await client.post(path, json=body, headers={"idempotency-key": "k2"})
        assert (again.status_code, again.json()["code"]) == (409, "receivable_closed")
        unknown = await client.post(
            f"/api/receivables/{uuid4()}/write-off", json=body, headers={"idempotency-key": "k3"}
        )
        assert (unknown.status_code, unknown.json()["code"]) == (404, "receivable_unknown")
    assert await rig.balance(Kind.WRITE_OFF, "platform") == -1_500
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    [published] = await rig.events("wallet.receivable_written_off")
    assert published["aggregateversion"] == 2
    [audited] = await rig.rows("SELECT actor, action, reason FROM audit_log")
    assert audited == {"actor": "paul", "action": "receivable.written_off", "reason": "account closed"}
    assert await rig.breaches() == []


async def test_debts_are_listed_in_pages(rig: Rig) -> None:
    """Debts are listed newest first, also of one player or only open ones; players see none."""
    debts = [await rig.owe(player, 100 + n) for n, player in enumerate(("ann", "bob", "ann"))]
    async with rig.client("olga", "operator") as client:
        seen, cursor = [], None
        for _ in range(3):
            params = {"limit": 1, **({"cursor": cursor} if cursor else {})}
            answer = (await client.get("/api/receivables", params=params)).json()
            seen += [one["receivable_id"] for one in answer["items"]]
            cursor = answer["next_cursor"]
        assert sorted(seen) == sorted(str(debt.id) for debt in debts)
        mine = (await client.get("/api/receivables", params={"player": "bob", "open": "true"})).json()
        assert [one["amount"] for one in mine["items"]] == ["1.01"]
    async with rig.client("ann") as client:
        assert (await client.get("/api/receivables")).status_code == 403


async def test_an_undone_debt_is_lifted_up_to_its_open_amount(rig: Rig) -> None:
    """An undone debt is lifted up to its open amount; recovered amounts stay recovered."""
    campaign = await rig.campaign(funded=10_000)
    debt = await rig.owe("ann", 1_500)
    await rig.settle(Match(campaign, [("ann", "10.00")]))
    async with rig.db.transaction() as tx:
        lifted = await lift_receivable(debt.id, amount=1_500, ports=rig.ports_of(tx), now=rig.clock.now())
    assert lifted == 500
    assert await rig.balance(Kind.RECEIVABLE, "ann") == 0
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    "change",
    [
        "amount = amount + 1",
        "player = 'eve'",
        "campaign = NULL, reference = 'x'",
        "recovered = recovered - 1",
        "version = 0",
    ],
)
async def test_the_database_keeps_debts_as_they_are(rig: Rig, change: str) -> None:
    """Amount, debtor and reason never change; counters only grow, and never beyond the amount."""
    debt = await rig.owe("ann", 1_500)
    assert debt.open == 1_500
    statement = f"UPDATE receivables SET {change}"
    state, message = await refused_to_the_owner(rig, statement)
    assert state == "23514"
    assert "bound to does not change" in message or "receivables_" in message
    too_much = "UPDATE receivables SET recovered = 1000, written_off = 501"
    state, message = await refused(rig, lambda tx: tx.execute(text(too_much)))
    assert (state, "receivables_open" in message) == ("23514", True)
    state, _ = await refused_to_the_owner(rig, "DELETE FROM receivables")
    assert state == "23000"
