"""Opening balances over HTTP and a real ledger."""

import asyncio
from typing import Any
from uuid import uuid4

from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Rig

ROWS = [
    {"player": "ann", "asset": "USDC", "bucket": "winnings", "amount": "125.50", "reference": "arena"},
    {"player": "ann", "asset": "USDC", "bucket": "topup", "amount": "10.00", "reference": "arena"},
    {"player": "bob", "asset": "SEASON", "bucket": "winnings", "amount": "900", "reference": "arena"},
]


async def send(rig: Rig, rows: list[dict[str, str]], *, dry_run: bool = False, key: str | None = None) -> Any:
    async with rig.client("boss", "admin") as admin:
        headers = {"Idempotency-Key": key or uuid4().hex}
        return await admin.post(
            "/api/imports/balances", json={"rows": rows, "dry_run": dry_run}, headers=headers
        )


async def test_an_import_from_dry_run_to_second_run(rig: Rig) -> None:
    """The dry run, the import and a second import return the same sums. The balances are booked once, and every invariant
    holds.
    """
    dry = (await send(rig, ROWS, dry_run=True)).json()
    assert await rig.rows("SELECT 1 AS one FROM ledger_transfers") == []
    assert await rig.rows("SELECT 1 AS one FROM audit_log") == []
    done = (await send(rig, ROWS)).json()
    assert {**dry, "dry_run": False} == done
    assert (done["imported"], done["already"], done["refused"]) == (3, 0, [])
    assert done["sums"][0] == {
        "asset": "SEASON", "bucket": "winnings", "before": "0", "imported": "900", "after": "900"
    }  # fmt: skip
    again = (await send(rig, ROWS)).json()
    assert (again["imported"], again["already"]) == (0, 3)
    assert [one["after"] for one in again["sums"]] == [one["after"] for one in done["sums"]]
    assert (await rig.winnings("ann"), await rig.balance(Kind.TOPUP, "ann")) == (12_550, 1_000)
    audited = await rig.rows("SELECT actor, action, detail FROM audit_log ORDER BY sequence")
    assert [(row["actor"], row["action"]) for row in audited] == [("boss", "balances.imported")] * 2
    assert audited[0]["detail"]["references"] == ["arena"]
    assert await rig.breaches() == []


async def test_a_changed_amount_is_refused_and_the_rest_is_booked(rig: Rig) -> None:
    """The conflict names the row and both amounts."""
    await send(rig, ROWS[:1])
    changed = {**ROWS[0], "amount": "125.51"}
    done = (await send(rig, [changed, ROWS[1]])).json()
    assert [(one["row"], one["code"]) for one in done["refused"]] == [(0, "amount_changed")]
    assert done["imported"] == 1
    assert await rig.winnings("ann") == 12_550


async def test_twenty_concurrent_imports_book_once(rig: Rig) -> None:
    """Later imports find the balances booked, and none fails."""
    answers = await asyncio.gather(*(send(rig, ROWS) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["imported"] for answer in answers) == [0] * 19 + [3]
    assert await rig.winnings("ann") == 12_550


async def test_an_import_needs_a_key_and_bounds_its_rows(rig: Rig) -> None:
    """Without a key nothing is booked. A request with too many rows is refused."""
    async with rig.client("boss", "admin") as admin:
        for dry_run in (False, True):
            body = {"rows": ROWS, "dry_run": dry_run}
            without = await admin.post("/api/imports/balances", json=body)
            assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_required")
    many, none = [await send(rig, rows, dry_run=True) for rows in (ROWS[:1] * 1001, [])]
    assert [answer.status_code for answer in (many, none)] == [400, 400]
    assert await rig.rows("SELECT 1 AS one FROM ledger_transfers") == []


async def test_a_dry_run_does_not_use_up_its_key(rig: Rig) -> None:
    """The import after it may have the same key."""
    first, second = [await send(rig, ROWS, dry_run=dry_run, key="import-1") for dry_run in (True, False)]
    assert (first.status_code, second.status_code) == (200, 200)
    assert await rig.winnings("ann") == 12_550


async def test_the_same_key_replays_its_answer(rig: Rig) -> None:
    """A repeated request gets the stored answer."""
    first, second = [await send(rig, ROWS, key="import:run:1") for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
