"""Two persons decide over HTTP on the outcome of a transaction that no node explains."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.audit import Audit
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.testing import make_token, token_reader
from prizewire_payouts.payouts.handlers.operators import cancel_payout
from prizewire_payouts.stellar.http.controller import ReviewContext, reviews_controller
from prizewire_payouts.stellar.ports import RpcUnavailable
from prizewire_payouts.stellar.storage.reviews import ReviewStorage
from services.payouts.tests.rig import Storages, http_parts
from services.payouts.tests.stellar.integration.conftest import CHANNEL_KEYS, PLAYER_KEYS, Sandbox, World
from services.payouts.tests.stellar.integration.lived import LivedWorld
from tests.documented import Documented

FOREVER = 1_000_000
CENT = 100_000
ONE, TWO = (PLAYER_KEYS[index].public_key for index in range(2))
PATH = "/api/admin/payouts/reviews/transactions"


class Unreachable:
    """A node that never answers."""

    def __getattr__(self, name: str) -> Any:
        raise RpcUnavailable(name)


class Office:
    """The HTTP side of a lived world, with people in it."""

    def __init__(self, world: LivedWorld, client: httpx.AsyncClient, parts: ReviewContext) -> None:
        self.world = world
        self.client = client
        self.parts = parts

    async def get(self, path: str = "", *, who: str = "olga", roles: tuple[str, ...] = ("operator",)) -> Any:
        return await self.client.get(f"{PATH}{path}", headers=_headers(who, roles))

    async def post(
        self, path: str, body: dict[str, Any], *, who: str, role: str, key: str | None = None
    ) -> httpx.Response:
        headers = {**_headers(who, (role,)), "idempotency-key": key or str(uuid4())}
        return await self.client.post(f"{PATH}/{path}", json=body, headers=headers)

    async def file(self, review_id: int, *, who: str = "olga", **body: Any) -> httpx.Response:
        given = {"evidence": "archive of another node", "reason": "the slot is consumed", **body}
        return await self.post(f"{review_id}/evidence", given, who=who, role="operator")

    async def confirm(
        self, review_id: int, evidence_id: str, *, who: str = "paul", key: str | None = None, **body: Any
    ) -> httpx.Response:
        path = f"{review_id}/evidence/{evidence_id}/confirm"
        return await self.post(path, body, who=who, role="approver", key=key)

    async def in_review(self) -> dict[str, Any]:
        """The one transaction in review."""
        (found,) = (await self.get("/")).json()["items"]
        shown: dict[str, Any] = found
        return shown

    async def audited(self) -> list[tuple[str, str]]:
        rows = await self.world.rows("SELECT actor, action FROM audit_log ORDER BY sequence")
        return [(row.actor, row.action) for row in rows]


def _headers(who: str, roles: tuple[str, ...]) -> dict[str, str]:
    token = make_token(subject=who, roles=roles)
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def office(make_world: Callable[..., World], sandbox: Sandbox) -> AsyncIterator[Office]:
    """A lived world whose transactions are valid for two seconds, decided on by HTTP without a pause afterwards."""
    world = make_world(valid_s=2, kind=LivedWorld)
    assert isinstance(world, LivedWorld)
    audit = Audit(service="payouts", outbox=world.outbox, clock=world.clock)
    context = ReviewContext(
        **http_parts(world.db, world.clock, audit, world.unit_of_work),
        rpcs=[world.rpc],
        reviews=partial(ReviewStorage, execution=world.execution, assets=world.assets),
        grace_s=0,
    )
    app = build_app(
        service="payouts",
        controllers=[reviews_controller(context)],
        health=Health(),
        tokens=token_reader(),
    )
    transport = httpx.ASGITransport(app=Documented(app))  # type: ignore[arg-type] # Litestar types its scope more narrowly
    async with httpx.AsyncClient(transport=transport, base_url="http://payouts") as client:
        yield Office(world, client, context)
    await world.close()
    sandbox.arm(lose_answer=0, try_again_later=0, not_found=0)


async def reviewed(world: World) -> bool:
    return bool(await world.rows("SELECT 1 FROM stellar_attempts WHERE state = 'review'"))


async def robbed(office: Office) -> tuple[list[UUID], str]:
    """Two payouts on a slot that somebody else with the channel's key consumed: the payouts, and the foreign hash."""
    world = office.world
    payouts = [await world.approved(ONE, 201), await world.approved(TWO, 202)]
    world.signer.deaf = True
    await world.tick()
    (row,) = await world.rows("SELECT account FROM stellar_attempts")
    channel = next(keypair for keypair in CHANNEL_KEYS if keypair.public_key == row.account)
    builder = world.sandbox.chain.builder(channel.public_key).append_bump_sequence_op(0)
    foreign: str = world.sandbox.chain.send(builder, channel)
    world.sandbox.chain.wait(foreign)
    world.signer.deaf = False
    await world.run_until(lambda: reviewed(world))
    await passed(world)
    return payouts, foreign


async def forgotten(office: Office) -> tuple[list[UUID], dict[str, Any]]:
    """Two payouts that were paid, and no node remembers: the payouts, and the transaction in review."""
    world = office.world
    payouts = [await world.approved(ONE, 203), await world.approved(TWO, 204)]
    # armed before it is sent: on a busy machine it would else be found within the same round of steps
    world.sandbox.arm(not_found=FOREVER)
    await world.run_until(lambda: reviewed(world))
    await passed(world)
    return payouts, await office.in_review()


async def passed(world: World) -> None:
    """Until no transaction of any slot may be applied any more."""
    (row,) = await world.rows("SELECT max(max_time) AS last FROM stellar_attempts")

    async def over() -> bool:
        return (await world.rpc.latest_ledger()).close_time > row.last

    await world.run_until(over)


def stroops(*cents: int) -> list[int]:
    return [one * CENT for one in cents]


async def test_foreign_transaction_is_found_by_two_persons_and_all_are_paid_once(office: Office) -> None:
    """An attacker used the channel's key: two persons confirm it, the payouts go to another slot, and are paid once."""
    world = office.world
    payouts, foreign = await robbed(office)
    review = await office.in_review()
    assert review["state"] == "review"
    assert {one["payout_id"] for one in review["payouts"]} == {str(one) for one in payouts}
    filed = await office.file(review["review_id"], outcome="failed", tx_hash=foreign)
    assert filed.status_code == 201
    (evidence,) = filed.json()["evidence"]
    assert (evidence["state"], evidence["filed_by"], evidence["decided_by"]) == ("filed", "olga", None)
    await world.tick()
    assert {await world.state(one) for one in payouts} == {"unknown"}
    key = str(uuid4())
    said = {"outcome": "failed", "tx_hash": foreign, "note": "seen too"}
    done = await office.confirm(review["review_id"], evidence["evidence_id"], key=key, **said)
    assert done.status_code == 200, done.text
    assert done.json()["settlement"] | {"ledger": 0} == {
        "outcome": "failed",
        "tx_hash": foreign,
        "ledger": 0,
        "slot_closed_as": "expired",
        "seen_on_ledger": True,
        "paid": 0,
        "unsettled": [],
    }
    again = await office.confirm(review["review_id"], evidence["evidence_id"], key=key, **said)
    assert again.json() == done.json()
    await world.reach(dict.fromkeys(payouts, "paid"))
    assert sorted(amount for _, amount, _ in world.paid()) == stroops(201, 202)
    (closed, *_) = world.signer.closed
    assert (closed.data.result, closed.data.consumed_by_hash) == ("expired", foreign)
    assert await office.audited() == [
        ("olga", "stellar.evidence_filed"),
        ("paul", "stellar.evidence_confirmed"),
    ]
    (row,) = await world.rows("SELECT * FROM stellar_evidence")
    assert (row.state, row.filed_by, row.decided_by, row.note) == ("confirmed", "olga", "paul", "seen too")
    assert (await office.get("/")).json()["items"] == []
    assert (await office.get(f"/{review['review_id']}")).json()["state"] == "failed"
    attempts = await world.rows("SELECT state, account FROM stellar_attempts ORDER BY attempt_id")
    # the two may meet in one transaction or not
    assert attempts[0].state == "failed"
    assert {row.state for row in attempts[1:]} == {"succeeded"}
    assert await world.breaches() == [], "the channel has left its quarantine"


async def test_payment_that_no_node_remembers_is_paid_by_two_persons_word(office: Office) -> None:
    """The nodes forgot a transaction that was applied: the payouts are paid on evidence, and not a second time."""
    world = office.world
    payouts, review = await forgotten(office)
    assert sorted(amount for _, amount, _ in world.paid()) == stroops(203, 204)
    said = {"outcome": "succeeded", "tx_hash": review["tx_hash"]}
    filed = (await office.file(review["review_id"], ledger=77, **said)).json()["evidence"][0]
    done = await office.confirm(review["review_id"], filed["evidence_id"], **said)
    assert (done.status_code, done.json()["settlement"]["paid"]) == (200, 2)
    assert done.json()["settlement"]["seen_on_ledger"] is False
    await world.reach(dict.fromkeys(payouts, "paid"))
    rows = await world.rows("SELECT proof FROM payouts")
    assert {(row.proof["tx_hash"], row.proof["ledger"]) for row in rows} == {(review["tx_hash"], 77)}
    assert len(world.paid()) == 2
    await world.pump()
    assert world.signer.paid == set(payouts)
    assert await world.breaches() == []


async def test_ledger_that_remembers_is_above_the_evidence(office: Office) -> None:
    """Where a node finds the transaction, evidence against it is refused at once, and again when it is confirmed."""
    world = office.world
    payouts, review = await forgotten(office)
    filed = (await office.file(review["review_id"], outcome="failed")).json()["evidence"][0]
    world.sandbox.arm(not_found=0)
    done = await office.confirm(review["review_id"], filed["evidence_id"], outcome="failed")
    assert (done.status_code, done.json()["code"]) == (409, "ledger_contradicts")
    path = f"{review['review_id']}/evidence/{filed['evidence_id']}/refuse"
    taken_back = await office.post(path, {"reason": "found it after all"}, who="olga", role="operator")
    assert taken_back.status_code == 200
    again = await office.file(review["review_id"], outcome="failed", who="peter")
    assert (again.status_code, again.json()["code"]) == (409, "ledger_contradicts")
    said = {"outcome": "succeeded", "tx_hash": review["tx_hash"]}
    wrong = await office.file(review["review_id"], ledger=1, **said)
    assert wrong.json()["code"] == "ledger_contradicts"
    (row,) = await world.rows("SELECT max(closed_at) AS at FROM stellar_slots")
    assert row.at is None
    found = await world.rpc.look_up(review["tx_hash"])
    filed = (await office.file(review["review_id"], ledger=found.ledger, **said)).json()["evidence"][-1]
    done = await office.confirm(review["review_id"], filed["evidence_id"], **said)
    assert done.json()["settlement"]["seen_on_ledger"] is True
    await world.reach(dict.fromkeys(payouts, "paid"))
    assert len(world.paid()) == 2
    states = [row.state for row in await world.rows("SELECT state FROM stellar_evidence ORDER BY filed_at")]
    assert states == ["refused", "confirmed"]
    assert await world.breaches() == []


async def test_persons_who_may_not_decide(office: Office) -> None:
    """The same person twice, a party, a player, an operator as second person, and who says something else."""
    _, foreign = await robbed(office)
    review_id = (await office.in_review())["review_id"]
    assert (await office.get("/", who="ana", roles=("player",))).status_code == 403
    assert (await office.get("/", who="otto", roles=("organizer",))).status_code == 403
    party = await office.file(review_id, who="rewards", outcome="failed")
    assert (party.status_code, party.json()["code"]) == (403, "decider_is_party")
    owner = await asyncpg.connect(office.world.migration_url)
    await owner.execute("""UPDATE payouts SET sources = '[["reporter", "ron"]]'""")
    await owner.close()
    behind = await office.file(review_id, who="ron", outcome="failed")
    assert (behind.status_code, behind.json()["code"]) == (403, "decider_is_party")
    incomplete = await office.file(review_id, outcome="succeeded")
    assert (incomplete.status_code, incomplete.json()["code"]) == (422, "evidence_incomplete")
    filed = (await office.file(review_id, outcome="failed", tx_hash=foreign)).json()["evidence"][0]
    second = await office.file(review_id, who="peter", outcome="failed")
    assert (second.status_code, second.json()["code"]) == (409, "evidence_open")
    said = {"outcome": "failed", "tx_hash": foreign}
    evidence_id = filed["evidence_id"]
    same = await office.confirm(review_id, evidence_id, who="olga", **said)
    assert (same.status_code, same.json()["code"]) == (403, "same_person")
    path = f"{review_id}/evidence/{evidence_id}/confirm"
    operator = await office.post(path, said, who="peter", role="operator")
    assert operator.status_code == 403
    other = await office.confirm(review_id, evidence_id, outcome="failed")
    assert (other.status_code, other.json()["code"]) == (409, "evidence_contradicted")
    unknown = await office.confirm(review_id, str(uuid4()), **said)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "evidence_not_found")
    nothing = await office.file(999_999, outcome="failed")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "review_not_found")
    assert await office.audited() == [("olga", "stellar.evidence_filed")]
    assert (await office.confirm(review_id, evidence_id, **said)).status_code == 200
    stale = await office.confirm(review_id, evidence_id, who="peter", **said)
    assert (stale.status_code, stale.json()["code"]) == (409, "not_in_review")
    late = await office.file(review_id, outcome="failed")
    assert (late.status_code, late.json()["code"]) == (409, "not_in_review")


async def test_no_decision_while_a_node_is_unavailable_or_too_early(office: Office) -> None:
    """Without an answer of every node, or while a transaction of the slot might just have been applied, it waits."""
    _, foreign = await robbed(office)
    review_id = (await office.in_review())["review_id"]
    nodes: Any = office.parts.rpcs
    nodes.append(Unreachable())
    away = await office.file(review_id, outcome="failed", tx_hash=foreign)
    assert (away.status_code, away.json()["code"]) == (503, "chain_unavailable")
    nodes.pop()
    object.__setattr__(office.parts, "grace_s", 3600)
    filed = (await office.file(review_id, outcome="failed", tx_hash=foreign)).json()["evidence"][0]
    early = await office.confirm(review_id, filed["evidence_id"], outcome="failed", tx_hash=foreign)
    assert (early.status_code, early.json()["code"]) == (409, "review_too_early")


async def test_cancel_that_was_asked_in_review_ends_the_payout(office: Office) -> None:
    """Where nothing moved and a cancel was asked, the payout ends cancelled with the signer's closure."""
    world = office.world
    (one, other), foreign = await robbed(office)

    async def ask(storages: Storages) -> object:
        return await cancel_payout(
            storages.payouts, payout_id=one, by="ana", reason="stop", now=world.clock.now()
        )

    await world.run(ask)
    review_id = (await office.in_review())["review_id"]
    said = {"outcome": "failed", "tx_hash": foreign}
    filed = (await office.file(review_id, **said)).json()["evidence"][0]
    await office.confirm(review_id, filed["evidence_id"], **said)
    await world.reach({one: "cancelled", other: "paid"})
    assert len(world.paid()) == 1
    assert await world.breaches() == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE stellar_attempts SET state = 'failed', result_ledger = 1 WHERE state = 'review'",
            "two persons",
        ),
        (
            "UPDATE stellar_attempts SET state = 'succeeded', result_ledger = 1 WHERE state = 'review'",
            "two persons",
        ),
        (
            "UPDATE stellar_evidence SET state = 'confirmed', decided_by = 'olga', decided_at = filed_at",
            "stellar_evidence_two_persons",
        ),
        ("UPDATE stellar_evidence SET outcome = 'succeeded', tx_hash = 'x', ledger = 1", "as it was filed"),
        ("UPDATE stellar_evidence SET filed_by = 'paul'", "as it was filed"),
        (
            "UPDATE stellar_evidence SET decided_by = 'paul', decided_at = filed_at",
            "stellar_evidence_decided",
        ),
        ("DELETE FROM stellar_evidence", "permission denied"),
        (
            (
                "INSERT INTO stellar_evidence (evidence_id, attempt_id, state, outcome, found, reason, filed_by, filed_at) "
                "SELECT gen_random_uuid(), attempt_id, 'filed', 'failed', found, reason, 'paul', filed_at "
                "FROM stellar_evidence"
            ),
            "stellar_evidence_one",
        ),
    ],
)
async def test_database_wants_two_persons(in_review: Office, statement: str, said: str) -> None:
    """Whatever a program may try, nothing leaves the quarantine without evidence that a second person confirmed."""
    with pytest.raises(DBAPIError, match=f"{said}|permission denied"):
        await in_review.world.rows(statement)
    if said != "permission denied":
        owner = await asyncpg.connect(in_review.world.migration_url)
        with pytest.raises(asyncpg.PostgresError, match=said):
            await owner.execute(statement)
        await owner.close()


@pytest.fixture
async def in_review(office: Office) -> Office:
    """A transaction in review with evidence that was filed."""
    await robbed(office)
    await office.file((await office.in_review())["review_id"], outcome="failed")
    return office
