"""Two persons withdraw fees, at most the balance."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from prizewire_rewards.ledger.domain.accounts import Account, Kind
from services.rewards.tests.rig import Match, Rig
from services.rewards.tests.sql import insert, open_account, refused, refused_to_the_owner

ROUTE = "/api/fee-withdrawals"


async def call(
    rig: Rig, path: str, body: Any = None, *, role: str = "admin", by: str = "ada"
) -> httpx.Response:
    async with rig.client(by, role) as client:
        return await client.post(path, json=body, headers={"Idempotency-Key": uuid4().hex})


async def read(rig: Rig, path: str) -> Any:
    async with rig.client("olga", "operator") as client:
        return (await client.get(path)).json()


@pytest.fixture
async def earned(rig: Rig) -> Rig:
    """A final round with 10.00 USDC of fees for the platform and 5.00 for an organizer without a name."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "85.00")], platform="10.00", organizer="5.00"))
    assert await rig.balance(Kind.FEES, "platform") == 1_000
    return rig


def filed(**changes: Any) -> dict[str, Any]:
    return {"source": "platform", "asset": "USDC", "amount": "7.00", "reference": "wire 77", **changes}


async def test_fees_leave_when_another_person_approves(earned: Rig) -> None:
    """Nothing moves when it is filed. The filer cannot approve it. After the approval of another person the money has left
    once, and every step is audited.
    """
    made = await call(earned, ROUTE, filed())
    assert (made.status_code, made.json()["state"]) == (201, "filed"), made.text
    identifier = made.json()["withdrawal_id"]
    assert (await read(earned, "/api/fees"))["items"] == [
        {"source": "organizer", "asset": "USDC", "balance": "5.00", "withdrawn": "0.00", "filed": "0.00"},
        {"source": "platform", "asset": "USDC", "balance": "10.00", "withdrawn": "0.00", "filed": "7.00"},
    ]
    for role in ("admin", "approver"):
        own = await call(earned, f"{ROUTE}/{identifier}/approve", role=role)
        assert (own.status_code, own.json()["code"]) == (403, "own_fee_withdrawal")
    assert await earned.balance(Kind.FEES, "platform") == 1_000
    done = await call(earned, f"{ROUTE}/{identifier}/approve", role="approver", by="boris")
    assert (done.status_code, done.json()["state"], done.json()["decided_by"]) == (200, "approved", "boris")
    again = await call(earned, f"{ROUTE}/{identifier}/approve", role="approver", by="boris")
    assert (again.status_code, again.json()["code"]) == (409, "fee_withdrawal_final")
    assert await earned.balance(Kind.FEES, "platform") == 300
    assert await earned.balance(Kind.EXTERNAL_OUT, "world") == 700
    [kept] = (await read(earned, ROUTE))["items"]
    assert kept == done.json() == await read(earned, f"{ROUTE}/{identifier}")
    lineage = await read(earned, f"/api/services/rewards/lineage/{identifier}")
    assert [(entry["kind"], entry["summary"].split(" fees ")[-1]) for entry in lineage["entries"][:2]] == [
        ("fee_withdrawal", "filed by ada"),
        ("fee_withdrawal_approved", "approved by boris"),
    ]
    rest = [entry["kind"] for entry in lineage["entries"][2:]]
    assert sorted(rest) == ["audit.fee_withdrawal.approved", "audit.fee_withdrawal.filed", "transfer"]
    audited = await earned.rows(
        "SELECT action, actor FROM audit_log WHERE target = :id ORDER BY sequence", id=identifier
    )
    assert [tuple(row.values()) for row in audited] == [
        ("fee_withdrawal.filed", "ada"),
        ("fee_withdrawal.approved", "boris"),
    ]
    assert await earned.breaches() == []


async def test_fees_of_a_source_leave_once_under_a_reference(earned: Rig) -> None:
    """A second withdrawal under the same reference is refused, and the refusal names the first. The filer may confirm that it
    is another transfer, which the approver sees. A rejected withdrawal and one of other fees do not count.
    """
    first = (await call(earned, ROUTE, filed(amount="1.00"))).json()
    assert first["repeats"] is None
    used = await call(earned, ROUTE, filed(amount="2.00"), by="boris")
    assert (used.status_code, used.json()["code"]) == (409, "reference_used"), used.text
    other_case = await call(earned, ROUTE, filed(amount="2.00", reference="WIRE 77"), by="boris")
    assert other_case.status_code == 409, other_case.text
    assert "WIRE 77 is used already as wire 77" in other_case.json()["detail"]
    named = f"1.00 USDC by ada at {first['filed_at'][:19]}Z (id {first['withdrawal_id']})"
    assert named in used.json()["detail"]
    again = await call(earned, ROUTE, filed(amount="2.00", repeated_reference=True))
    assert (again.status_code, again.json()["repeats"]) == (201, first["withdrawal_id"]), again.text
    assert (await read(earned, f"{ROUTE}/{again.json()['withdrawal_id']}"))["repeats"] == first[
        "withdrawal_id"
    ]
    assert (await call(earned, ROUTE, filed(source="organizer", amount="1.00"))).status_code == 201
    for one in (first, again.json()):
        assert (await call(earned, ROUTE, filed(amount="1.00"))).json()["code"] == "reference_used"
        path = f"{ROUTE}/{one['withdrawal_id']}/reject"
        assert (await call(earned, path, {"reason": "the wrong amount"})).status_code == 200
    both = await asyncio.gather(
        *(call(earned, ROUTE, filed(amount="1.00"), by=person) for person in ("ada", "boris"))
    )
    assert sorted(answer.status_code for answer in both) == [201, 409]
    assert await earned.breaches() == []


async def test_a_rejected_withdrawal_moves_nothing(earned: Rig) -> None:
    """The filer may reject it with a reason. It cannot be approved afterwards."""
    identifier = (await call(earned, ROUTE, filed())).json()["withdrawal_id"]
    back = await call(earned, f"{ROUTE}/{identifier}/reject", {"reason": "the wrong account"})
    assert (back.status_code, back.json()["state"]) == (200, "rejected")
    late = await call(earned, f"{ROUTE}/{identifier}/approve", by="boris")
    assert (late.status_code, late.json()["code"]) == (409, "fee_withdrawal_final")
    assert await earned.balance(Kind.FEES, "platform") == 1_000
    assert (await read(earned, f"{ROUTE}?state=filed"))["items"] == []
    assert await earned.breaches() == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amount": "10.01"}, 422, "insufficient_balance"),
        ({"source": "entry_fees", "amount": "0.01"}, 422, "insufficient_balance"),
        ({"amount": "0.00"}, 422, "amount_not_positive"),
        ({"asset": "SEASON", "amount": "1"}, 422, "asset_not_redeemable"),
        ({"asset": "GOLD"}, 422, "asset_unknown"),
        ({"source": "pool"}, 400, "invalid_request"),
        ({"reference": ""}, 400, "invalid_request"),
    ],
)
async def test_an_impossible_withdrawal_is_not_filed(
    earned: Rig, changes: dict[str, Any], status: int, code: str
) -> None:
    """Each is refused with its code, and nothing is stored."""
    answer = await call(earned, ROUTE, filed(**changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert await earned.rows("SELECT 1 FROM fee_withdrawals") == []


async def test_two_withdrawals_do_not_take_the_same_fees(earned: Rig) -> None:
    """Both were filed while the balance was enough. The second approval is refused."""
    made = [await call(earned, ROUTE, filed(reference=f"wire {turn}")) for turn in range(2)]
    first, second = [answer.json()["withdrawal_id"] for answer in made]
    assert (await call(earned, f"{ROUTE}/{first}/approve", by="boris")).status_code == 200
    refused_ = await call(earned, f"{ROUTE}/{second}/approve", by="boris")
    assert (refused_.status_code, refused_.json()["code"]) == (422, "insufficient_balance")
    assert await earned.balance(Kind.FEES, "platform") == 300


async def test_the_database_limits_fees_that_leave(earned: Rig) -> None:
    """Transfers by SQL cannot pass the balance or the allowed transfers, and one person cannot approve by SQL."""
    fees, world = Account(Kind.FEES, "platform", "USDC"), Account(Kind.EXTERNAL_OUT, "world", "USDC")
    points = Account(Kind.ENTRY_FEES, "platform", "SEASON")

    async def too_much(tx: Any) -> None:
        await open_account(tx, world)
        await insert(tx, "fee_withdrawn", fees, world, 1_001)

    async def of_points(tx: Any) -> None:
        out = Account(Kind.EXTERNAL_OUT, "world", "SEASON")
        await open_account(tx, out)
        await open_account(tx, points)
        await insert(tx, "entry_fee_withdrawn", points, out, 1)

    async def to_a_pool(tx: Any) -> None:
        pool = Account(Kind.POOL, "x", "USDC")
        await open_account(tx, pool)
        await insert(tx, "fee_withdrawn", fees, pool, 1)

    for attempt, state in ((too_much, "23514"), (of_points, "23514"), (to_a_pool, "23503")):
        assert (await refused(earned, attempt))[0] == state
    await call(earned, ROUTE, filed())
    for change in ("state = 'approved', decided_by = 'ada', decided_at = filed_at", "amount = 1"):
        state, _ = await refused_to_the_owner(earned, f"UPDATE fee_withdrawals SET {change}")
        assert state == "23514"
    assert (await refused_to_the_owner(earned, "DELETE FROM fee_withdrawals"))[0] == "23000"


async def test_verify_reports_fees_that_left_without_approval(earned: Rig) -> None:
    """A transfer under the id of a withdrawal that was not approved is a breach."""
    identifier = (await call(earned, ROUTE, filed())).json()["withdrawal_id"]
    fees, world = Account(Kind.FEES, "platform", "USDC"), Account(Kind.EXTERNAL_OUT, "world", "USDC")
    async with earned.db.transaction() as tx:
        await open_account(tx, world)
        await insert(tx, "fee_withdrawn", fees, world, 700, correlation=identifier)
    assert any(
        "of 7.00 USDC is filed, and 7.00 USDC has left by it" in breach for breach in await earned.breaches()
    )
