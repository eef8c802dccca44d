"""`POST /api/payouts/batches`: files of operators' payouts."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.testing import make_key
from prizewire_contracts import ids
from prizewire_contracts.events.rewards import PayoutRequested, PayoutRequestedEvent
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.payouts.integration.test_funding import ADDRESS, funded  # noqa: F401 - a fixture
from services.rewards.tests.payouts.integration.test_inline import BANK, HOLDER, IBAN, everything
from services.rewards.tests.rig import Rig, closed_event
from services.rewards.tests.sql import as_owner

BANKED = {"reference": "ana", "amount": "250.00", "method": BANK}
FAKED = {"reference": "ben", "amount": "40.50", "method": {"type": "fake", "details": {"account": "ben"}}}
ON_CHAIN = {
    "reference": "cat",
    "amount": "9.50",
    "destination": {"type": "stellar", "address": ADDRESS, "memo": "77"},
}
LINES = [BANKED, FAKED, ON_CHAIN]


async def file(
    rig: Rig, lines: list[dict[str, Any]], *, key: str | None = None, **changes: Any
) -> httpx.Response:
    body = {"funding_account": "marketing", "reason": "casters, April", "lines": lines, **changes}
    async with rig.client("olga", "operator") as olga:
        return await olga.post(
            "/api/payouts/batches", json=body, headers={"Idempotency-Key": key or uuid4().hex}
        )


async def requests(rig: Rig) -> list[PayoutRequested]:
    return [PayoutRequestedEvent.model_validate(one).data for one in await rig.events("payout.requested")]


def states(answer: httpx.Response) -> list[str]:
    found = answer.json()
    return [one["state"] for one in found["lines"]]


async def test_the_lines_of_a_file_are_filed_together(funded: Rig) -> None:  # noqa: F811 - a fixture
    """Each line is a payout that names its batch and its place there; the account pays the sum; a batch lists its payouts."""
    dry = await file(funded, LINES, dry_run=True)
    assert (dry.status_code, dry.json()["batch_id"]) == (200, None)
    assert await requests(funded) == []
    answer = await file(funded, LINES, key="april")
    assert answer.status_code == 202, answer.text
    found = answer.json()
    assert states(answer) == states(dry) == ["accepted"] * 3
    assert found["totals"]["accepted"] == {"lines": 3, "amount": "300.00"}
    batch_id = UUID(found["batch_id"])
    filed = await requests(funded)
    assert [(one.batch.batch_id, one.batch.line, one.batch.lines) for one in filed if one.batch] == [
        (batch_id, number, 3) for number in (1, 2, 3)
    ]
    assert [one.payout_id for one in filed] == [
        ids.payout_id_for_batch(batch_id=batch_id, line=number) for number in (1, 2, 3)
    ]
    assert [str(one.payout_id) for one in filed] == [one["payout_id"] for one in found["lines"]]
    assert filed[0].sealed_details is not None
    assert make_key("payouts").open(filed[0].sealed_details.box).details == {"holder": HOLDER, "iban": IBAN}
    assert (filed[2].method_id, filed[2].sealed_details) == (None, None)
    assert await funded.balance(Kind.FUNDING, "marketing") == 70_000
    again = await file(funded, LINES, key="april")
    assert (again.headers["idempotency-replayed"], again.json()) == ("true", found)
    async with funded.client("apo", "approver") as apo:
        [listed] = (await apo.get("/api/payouts/batches")).json()["items"]
        shown = (await apo.get(f"/api/payouts/batches/{batch_id}")).json()
        assert (await apo.get(f"/api/payouts/batches/{uuid4()}")).json()["code"] == "batch_unknown"
    assert (listed["filed_by"], listed["total"], listed["states"]) == ("olga", "300.00", {"requested": 3})
    assert [one["reference"] for one in shown["payouts"]] == ["ana", "ben", "cat"]
    assert [one["type"] for one in shown["payouts"]] == ["bank", "fake", "stellar"]
    kept = await everything(funded) + answer.text + str(shown)
    assert [detail for detail in (IBAN, "0532", HOLDER) if detail in kept] == []
    assert await funded.breaches() == []


async def test_a_repeated_file_pays_nothing_again(funded: Rig) -> None:  # noqa: F811 - a fixture
    """Under another key its lines are repeated, with the payouts and the batch that they have, in a dry run too; only new lines are filed, as a
    batch of their own.
    """
    first = await file(funded, LINES)
    again = await file(funded, LINES)
    batch_id = first.json()["batch_id"]
    for said, status in ((again, 202), (await file(funded, LINES, dry_run=True), 200)):
        assert (said.status_code, states(said), said.json()["batch_id"]) == (
            status,
            ["repeated"] * 3,
            batch_id,
        )
        assert [one["batch_id"] for one in said.json()["lines"]] == [batch_id] * 3
    paid = [one["payout_id"] for one in first.json()["lines"]]
    assert [one["payout_id"] for one in again.json()["lines"]] == paid
    more = await file(funded, [*LINES, {**FAKED, "reference": "dan"}])
    assert states(more) == ["repeated", "repeated", "repeated", "accepted"]
    assert more.json()["batch_id"] != batch_id
    assert [one["batch_id"] for one in more.json()["lines"]] == [batch_id] * 3 + [more.json()["batch_id"]]
    mixed = await file(funded, [*LINES, {**FAKED, "reference": "dan"}])
    assert (states(mixed), mixed.json()["batch_id"]) == (["repeated"] * 4, None)
    new = (await requests(funded))[-1]
    assert new.batch is not None
    assert (new.batch.line, new.batch.lines) == (1, 1)
    assert len(await requests(funded)) == 4
    await funded.feed(funded.payouts, closed_event(UUID(paid[0]), "failed", closure=None))
    after = await file(funded, [BANKED])
    assert states(after) == ["accepted"]
    assert await funded.breaches() == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({**BANKED, "reference": "ana", "amount": "251.00"}, "reference_used"),
        ({**BANKED, "reference": "ana", "method": FAKED["method"]}, "reference_used"),
        ({**ON_CHAIN, "destination": {"type": "stellar", "address": ADDRESS}}, "reference_used"),
        ({**FAKED, "reference": "new"}, "reference_repeated"),
        ({**FAKED, "reference": "x", "amount": "0"}, "amount_not_positive"),
        ({**FAKED, "reference": "x", "amount": "1.001"}, "amount_too_many_decimals"),
        ({"reference": "x", "amount": "1", "method": {"type": "bank", "details": {}}}, "details_malformed"),
        (
            {"reference": "x", "amount": "1", "method": {"type": "upi", "details": {"vpa": "a.b@ok"}}},
            "method_type_unserved",
        ),
        (
            {"reference": "x", "amount": "1", "destination": {"type": "stellar", "address": "GX"}},
            "address_invalid",
        ),
    ],
)
async def test_one_refused_line_files_nothing(
    funded: Rig,  # noqa: F811 - a fixture
    line: dict[str, Any],
    code: str,
) -> None:
    """The problem has the answer of each line, as the dry run has; no money moves."""
    await file(funded, LINES)
    before = await funded.balance(Kind.FUNDING, "marketing")
    lines = [{**FAKED, "reference": "new"}, line]
    dry = await file(funded, lines, dry_run=True)
    refused = await file(funded, lines, key="one")
    assert (dry.status_code, refused.status_code, refused.json()["code"]) == (200, 422, "batch_refused")
    assert refused.json()["lines"] == dry.json()["lines"]
    assert dry.json()["lines"][1]["code"] == code
    assert await funded.balance(Kind.FUNDING, "marketing") == before
    assert len(await requests(funded)) == 3
    assert states(await file(funded, [{**FAKED, "reference": "new"}], key="one")) == ["accepted"]


async def test_the_account_must_hold_the_sum(funded: Rig) -> None:  # noqa: F811 - a fixture
    """Lines that the account could pay one by one are refused together where it cannot pay all."""
    lines = [{**FAKED, "reference": str(number), "amount": "600.00"} for number in range(2)]
    for dry_run in (True, False):
        refused = await file(funded, lines, dry_run=dry_run)
        assert (refused.status_code, refused.json()["code"]) == (422, "insufficient_balance")
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000


async def test_a_batch_keeps_its_lines(funded: Rig) -> None:  # noqa: F811 - a fixture
    """The database refuses other lines for a payout, and a batch with fewer payouts than lines is a breach."""
    batch = (await file(funded, LINES)).json()["batch_id"]
    for change in ("UPDATE payouts SET batch_line = 9", "UPDATE payout_batches SET lines = 4"):
        with pytest.raises(DBAPIError):
            async with funded.db.transaction() as tx:
                await tx.exec_driver_sql(change)
    await as_owner(
        funded,
        "ALTER TABLE payouts DISABLE TRIGGER USER",
        f"UPDATE payouts SET batch_id = NULL, batch_line = NULL WHERE batch_id = '{batch}' AND batch_line = 2",
        "ALTER TABLE payouts ENABLE TRIGGER USER",
    )
    [breach] = await funded.breaches()
    assert breach.startswith("batches_are_whole: ")


@pytest.mark.large
async def test_a_file_of_the_most_lines_is_filed(funded: Rig) -> None:  # noqa: F811 - a fixture
    """Two thousand bank accounts are one request."""
    lines = [{**BANKED, "reference": f"line {number}", "amount": "0.10"} for number in range(2_000)]
    answer = await file(funded, lines)
    assert answer.status_code == 202, answer.text
    assert await funded.balance(Kind.FUNDING, "marketing") == 80_000
    assert await funded.breaches() == []
