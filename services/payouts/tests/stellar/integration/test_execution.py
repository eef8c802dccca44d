"""The execution over a real database and the sandbox, which is the judge of what was paid."""

from collections import Counter
from uuid import uuid4

import orjson
import pytest
from stellar_sdk import MuxedAccount

from prizewire_chassis.jobs import JobRunner
from prizewire_chassis.testing import make_key
from prizewire_contracts import ids
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.codes import RetryDecision, decision_for
from prizewire_contracts.encode import encode, sign_raw
from prizewire_contracts.events.signing import (
    CloseRefused,
    CloseRefusedEvent,
    MessagesRefused,
    MessagesRefusedEvent,
    RefusedMessages,
    SlotRef,
)
from prizewire_contracts.rails import CancelOutcome, Outcome, PayoutInstruction
from prizewire_contracts.topics import SIGNING_RESULTS
from prizewire_devstack.waiting import eventually
from prizewire_payouts.stellar.consumers import REFUSALS_MAX, WAIT_MAX
from prizewire_payouts.stellar.domain.model import AccountQuery, TransactionAttempt
from prizewire_payouts.stellar.domain.states import TransactionState
from prizewire_payouts.stellar.ports import BuildPlan
from services.payouts.tests.stellar.integration.conftest import (
    CHANNEL_KEYS,
    NO_LINE,
    NOWHERE,
    PLAYER_KEYS,
    TREASURY,
    World,
    reference_of,
)

STROOPS_PER_CENT = 100_000


def expected(instructions: list[PayoutInstruction]) -> list[tuple[str, int, str]]:
    return sorted(
        (one.details["address"], one.amount.minor * STROOPS_PER_CENT, one.memo or "") for one in instructions
    )


def player(index: int) -> str:
    return PLAYER_KEYS[index % len(PLAYER_KEYS)].public_key


async def many(world: World, count: int, *, memo: str | None = None) -> list[PayoutInstruction]:
    return [await world.payout(player(index), 100 + index, memo=memo) for index in range(count)]


async def test_hundred_payouts_leave_in_one_transaction(world: World) -> None:
    """A full batch is one transaction of a hundred operations, each paid once, with proof and lineage."""
    correlation = str(uuid4())
    made = [await world.payout(player(i), 100 + i, correlation_id=correlation) for i in range(100)]
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    results = await world.results(made)
    assert {one.outcome for one in results} == {Outcome.PAID}
    assert len({one.proof["tx_hash"] for one in results}) == 1
    assert [one.proof["op"] for one in results] == list(range(100))
    assert sum(one.fee.minor for one in results if one.fee is not None) == 100 * 100
    assert await world.states() == [(1, "succeeded")]
    assert await world.breaches() == []
    assert set(world.news) == {one.payout_id for one in made}
    await world.pump()
    (closed,) = world.signer.closed
    assert closed.data.result == "succeeded"
    assert closed.data.consumed_by_hash == results[0].proof["tx_hash"]
    assert closed.aggregateversion == 2
    async with world.db.transaction() as tx:
        entries = await world.parts.lineage(tx, correlation)
    kinds = [entry.kind for entry in entries if entry.service == "payouts"]
    assert kinds == [f"stellar.{state}" for state in ("leased", "built", "signed", "sent", "succeeded")]
    hashes = [entry.detail["tx_hash"] for entry in entries if entry.service == "payouts"]
    assert hashes == [None, *[results[0].proof["tx_hash"]] * 4], "a leased transaction has no hash yet"
    assert [entry.kind for entry in entries if entry.service == "signer"] == ["signing.completed"]


async def test_jobs_do_the_work_by_themselves(world: World) -> None:
    """The jobs of the built rail, woken by each other's commits, take a payment to its end."""
    made = await many(world, 3)
    runner = JobRunner(world.parts.jobs)
    runner.start()
    await world.submit(made)

    async def done() -> bool:
        await world.pump()
        return await world.settled(made)

    await eventually(done, poll_s=0.02)
    await runner.stop()
    assert world.paid() == expected(made)


async def test_memos_group_batches(world: World) -> None:
    """Payments of different memos never share a transaction; each carries its own."""
    made = [
        *(await many(world, 3, memo="exchange one")),
        *(await many(world, 2, memo="exchange two")),
        *(await many(world, 2)),
    ]
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    results = await world.results(made)
    by_hash = Counter(one.proof["tx_hash"] for one in results)
    assert sorted(by_hash.values()) == [2, 2, 3]
    assert {request.approval.fee_cap for request in world.signer.requests} == {2_000_000}


async def test_muxed_address_is_paid_as_such(world: World) -> None:
    """An M address reaches its account with its id."""
    muxed = MuxedAccount(player(0), 42).account_muxed
    assert muxed is not None
    made = [await world.payout(muxed, 777)]
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)


async def test_preflight_keeps_bad_destinations_out(world: World) -> None:
    """A missing account, a missing trustline, a bad address and our own accounts end with their codes; their neighbours are paid."""
    good = await many(world, 5)
    missing = await world.payout(NOWHERE.public_key, 100)
    unlined = await world.payout(NO_LINE.public_key, 100)
    malformed = await world.payout("GNOTANADDRESS", 100)
    channel = MuxedAccount(CHANNEL_KEYS[0].public_key, 3).account_muxed
    own = [await world.payout(address or "", 100) for address in (TREASURY.public_key, channel)]
    made = [*good, missing, unlined, malformed, *own]
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(good)
    found = [(one.outcome, one.code) for one in (await world.results(made))[5:]]
    assert found == [
        (Outcome.NO_EFFECT, "destination_missing"),
        (Outcome.NO_EFFECT, "no_trustline"),
        (Outcome.NO_EFFECT, "destination_invalid"),
        (Outcome.NO_EFFECT, "destination_invalid"),
        (Outcome.NO_EFFECT, "destination_invalid"),
    ]
    (request,) = world.signer.requests
    assert len(request.items) == 5
    assert await world.breaches() == []


async def test_failure_on_the_ledger_is_isolated(world: World) -> None:
    """What preflight could not see fails the transaction; the guilty ends, the neighbours wait until the signer is sure
    that it cannot be applied any more, and are paid on a new slot. Others that come meanwhile do not wait for them.
    """
    good = await many(world, 4)
    bad = await world.payout(NO_LINE.public_key, 100)
    made = [*good, bad]
    await world.submit(made)
    await build_blindly(world, valid_s=8)
    others = await many(world, 2)

    async def failed() -> bool:
        return (1, "failed") in await world.states()

    await world.run_until(failed)
    await world.submit(others)
    await world.run_until(lambda: world.settled([*made, *others]))
    assert world.paid() == expected([*good, *others])
    result = (await world.results([bad]))[0]
    assert (result.outcome, result.code) == (Outcome.NO_EFFECT, "no_trustline")
    slots = await world.rows("SELECT result FROM stellar_slots ORDER BY opened_at")
    assert [row.result for row in slots] == ["failed", "succeeded", "succeeded"]
    paid_at = await world.rows(
        "SELECT a.slot_id, array_agg(DISTINCT p.rebuilds) AS rebuilds, array_agg(DISTINCT p.refusals) AS refusals "
        "FROM stellar_payments p JOIN stellar_attempts a USING (attempt_id) JOIN stellar_slots s USING (slot_id) "
        "WHERE p.state = 'paid' GROUP BY a.slot_id, s.closed_at ORDER BY s.closed_at"
    )
    assert [(row.rebuilds, row.refusals) for row in paid_at] == [([0], [0]), ([1], [0])]
    (guilty,) = await world.rows("SELECT rebuilds, code FROM stellar_payments WHERE state = 'no_effect'")
    assert (guilty.rebuilds, guilty.code) == (0, "no_trustline")
    assert await world.breaches() == []


async def test_try_again_later_resends_the_same_bytes(world: World, sandbox: object) -> None:
    """TRY_AGAIN_LATER is no outcome: the same transaction is sent again until the ledger has it."""
    world.sandbox.arm(try_again_later=3)
    made = await many(world, 2)
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    assert world.sandbox.faults()["try_again_later"] == 0
    assert await world.states() == [(1, "succeeded")]


async def test_lost_answer_after_acceptance_pays_once(world: World) -> None:
    """The node took the transaction and the answer was lost: it is found on the ledger, not paid again."""
    world.sandbox.arm(lose_answer=2, not_found=2)
    made = await many(world, 2)
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    assert await world.states() == [(1, "succeeded")]


async def test_transaction_that_never_arrives_dies_by_proof(hasty_world: World) -> None:
    """A transaction that no ledger took is proved dead past maxTime, and paid by a new revision on the same slot."""
    world = hasty_world
    world.sandbox.arm(try_again_later=10_000)
    made = await many(world, 2)
    await world.submit(made)

    async def died() -> bool:
        return (1, "dead") in await world.states()

    await world.run_until(died)
    world.sandbox.arm(try_again_later=0)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    states = await world.states()
    assert states[-1][1] == "succeeded"
    assert {state for _, state in states[:-1]} == {"superseded"}
    assert [revision for revision, _ in states] == list(range(1, len(states) + 1))
    assert len(await world.rows("SELECT 1 FROM stellar_slots")) == 1
    assert await world.breaches() == []


async def test_silent_signer_costs_a_revision_and_no_payment(hasty_world: World) -> None:
    """A request that is not answered in time is proved dead; a late signature for it is kept and never sent."""
    world = hasty_world
    world.signer.deaf = True
    made = await many(world, 1)
    await world.submit(made)

    async def dead() -> bool:
        return (1, "dead") in await world.states()

    await world.run_until(dead)
    world.signer.deaf = False
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    late = await world.rows("SELECT signed_xdr, sent_ledger FROM stellar_attempts WHERE revision = 1")
    assert late[0].signed_xdr is not None
    assert late[0].sent_ledger is None


async def test_refused_items_are_ejected_and_the_rest_is_paid(world: World) -> None:
    """The signer's refusal ends the refused items; the others go on in the next revision of the same slot."""
    made = await many(world, 4)
    world.signer.refuse[made[1].payout_id] = "amount_mismatch"
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected([made[0], *made[2:]])
    result = (await world.results(made))[1]
    assert (result.outcome, result.code) == (Outcome.NO_EFFECT, "signer_refused")
    assert await world.states() == [(1, "refused"), (2, "succeeded")]
    assert len(await world.rows("SELECT 1 FROM stellar_slots")) == 1
    await world.pump()
    versions = [event.aggregateversion for event in world.signer.closed]
    assert versions == [3]


async def test_idle_slot_is_taken_before_a_new_one(world: World) -> None:
    """A slot on which everything was refused lies open; the next payment uses it, and no second one is opened."""
    refused = await many(world, 1)
    world.signer.refuse[refused[0].payout_id] = "amount_mismatch"
    await world.submit(refused)
    await world.run_until(lambda: world.settled(refused))
    assert [row.state for row in await world.rows("SELECT state FROM stellar_slots")] == ["open"]
    made = await many(world, 1)
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert await world.states() == [(1, "refused"), (2, "succeeded")]
    assert len(await world.rows("SELECT 1 FROM stellar_slots")) == 1


async def test_refusal_as_a_whole_frees_payments_for_another_channel(world: World) -> None:
    """A refusal that failed_operationss no item rests the channel; the payments wait and are paid elsewhere, none is ended."""
    made = await many(world, 2)
    world.signer.refuse_all = "source_not_allowed"
    await world.submit(made)

    async def refused() -> bool:
        return (1, "refused") in await world.states()

    await world.run_until(refused)
    world.signer.refuse_all = None
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    accounts = await world.rows("SELECT account FROM stellar_attempts ORDER BY attempt_id")
    assert accounts[0].account != accounts[1].account


async def test_payouts_that_must_wait_do_not_hold_their_batch(world: World) -> None:
    """Two payouts that the signer has bound elsewhere leave the batch to wait; the 26 others are paid at once, and the
    two as soon as the signer signs for them.
    """
    made = await many(world, 28)
    bound = [made[3], made[17]]
    for one in bound:
        world.signer.refuse[one.payout_id] = "payout_bound_elsewhere"
    free = [one for one in made if one not in bound]
    await world.submit(made)
    await world.run_until(lambda: world.settled(free))
    assert world.paid() == expected(free)
    assert (await world.states())[:2] == [(1, "refused"), (2, "succeeded")]
    assert {one.outcome for one in await world.results(bound)} == {Outcome.PENDING}
    world.signer.refuse.clear()
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    assert await world.breaches() == []


async def test_payout_waits_until_the_moment_that_the_signer_names(world: World) -> None:
    """It is not asked for before, and no refusal is counted; a moment that is far away is asked about after two hours."""
    made = await many(world, 3)
    soon, far, free = (one.payout_id for one in made)
    begun = int(world.clock.now().timestamp())
    world.signer.free_at.update({soon: begun + 600, far: begun + 30 * 86_400})
    world.signer.refuse.update(dict.fromkeys((soon, far), "payout_waits"))
    await world.submit(made)
    await world.run_until(lambda: world.settled(made[2:]))
    found = await world.rows(
        "SELECT payout_id, due_at, refusals FROM stellar_payments WHERE state = 'queued'"
    )
    due = {row.payout_id: row.due_at.timestamp() for row in found}
    assert due.keys() == {soon, far}
    assert due[soon] == begun + 600
    assert begun <= due[far] - WAIT_MAX.total_seconds() <= world.clock.now().timestamp()
    assert {row.refusals for row in found} == {0}
    asked = [{item.payout_id for item in request.items} for request in world.signer.requests]
    assert asked == [{soon, far, free}, {free}]


async def test_payout_that_stays_bound_elsewhere_waits_longer(world: World) -> None:
    """After many refusals the attempt ends with a code that means a wait: the payout does not fail."""
    made = await many(world, 2)
    world.signer.refuse[made[0].payout_id] = "payout_bound_elsewhere"
    await world.submit(made)
    await world.rows("UPDATE stellar_payments SET refusals = :most RETURNING 1", most=REFUSALS_MAX)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made[1:])
    (bound,) = await world.results(made[:1])
    assert (bound.outcome, bound.code) == (Outcome.NO_EFFECT, "signer_bound")
    assert decision_for("signer_bound") is RetryDecision.WAIT


async def test_answer_to_what_was_never_asked_parks_nothing(world: World) -> None:
    """An attacker made the signer answer requests in payouts' name: the answers are counted and stored, and nothing waits."""
    made = await many(world, 1)
    await world.submit(made)
    await world.store.lease(now=world.clock.now())
    world.signer.deaf = True
    await world.tick()
    row = (await world.rows("SELECT id, value FROM outbox WHERE topic LIKE '%signing.requests%'"))[0]
    for offset, refuse in enumerate((None, "source_not_allowed"), start=1):
        world.signer.refuse_all = refuse
        answer = world.signer.answer(bytes(row.value))
        assert answer is not None
        raw = orjson.loads(answer.value)
        raw["data"]["tx_hash"] = "ab" * 32
        answer.value = canonical_bytes(sign_raw(topic=SIGNING_RESULTS.name, raw=raw, key=make_key("signer")))
        await world.take(answer, offset=offset)
    assert await world.rows("SELECT 1 FROM stuck_events") == []
    assert await world.states() == [(1, "built")]
    assert len(await world.rows("SELECT 1 FROM stellar_signing_results")) == 2


async def test_channels_work_in_parallel(world: World) -> None:
    """Several hundred payments use several channels at once, each with its own sequence numbers."""
    made = await many(world, 230)
    await world.submit(made)
    await world.run_until(lambda: world.settled(made), deadline_s=600)
    assert world.paid() == expected(made)
    accounts = await world.rows("SELECT DISTINCT account FROM stellar_attempts")
    assert len(accounts) == 3


async def test_linger_gathers_company(make_world: object) -> None:
    """A batch that is not full waits for the linger time, and then leaves with all that came meanwhile."""
    world: World = make_world(linger_ms=300)  # type: ignore[operator] # a fixture factory
    first = await many(world, 1)
    await world.submit(first)
    found = await world.store.lease(now=world.clock.now())
    assert not found.taken
    assert found.wait_s is not None
    assert 0 < found.wait_s <= 0.3
    more = await many(world, 3)
    await world.submit(more)
    await world.run_until(lambda: world.settled([*first, *more]))
    assert world.paid() == expected([*first, *more])
    assert await world.states() == [(1, "succeeded")]
    await world.close()


async def test_cancel_before_the_offer_and_too_late_after(world: World) -> None:
    """Only what was never offered to the signer can be cancelled; a cancelled lease is built without it."""
    made = await many(world, 3)
    await world.submit(made)
    queued, leased, offered = made
    cancel = world.parts.provider.cancel
    now = world.clock.now
    assert await cancel(reference_of(queued), now=now()) is CancelOutcome.CANCELLED
    assert (await world.store.lease(now=now())).taken
    assert await cancel(reference_of(leased), now=now()) is CancelOutcome.CANCELLED
    await world.run_until(lambda: world.settled(made))
    assert await cancel(reference_of(offered), now=now()) is CancelOutcome.TOO_LATE
    assert await cancel(reference_of(queued), now=now()) is CancelOutcome.CANCELLED
    assert world.paid() == expected([offered])


async def test_cancel_between_building_and_its_commit_wins(world: World) -> None:
    """A payment that was cancelled while its transaction was built is never offered: the commit is refused."""
    made = await many(world, 2)
    await world.submit(made)
    assert (await world.store.lease(now=world.clock.now())).taken
    (attempt,) = await world.store.in_state(TransactionState.LEASED, now=world.clock.now())
    cancelled = await world.parts.provider.cancel(reference_of(made[0]), now=world.clock.now())
    assert cancelled is CancelOutcome.CANCELLED
    assert not await commit_as_read(world, attempt)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made[1:])


async def test_cancel_is_too_late_once_offered(world: World) -> None:
    """From the request for a signature on a payment cannot be called back, though nothing is sent yet."""
    made = await many(world, 1)
    await world.submit(made)
    world.signer.deaf = True
    await world.tick()
    assert await world.states() == [(1, "built")]
    answer = await world.parts.provider.cancel(reference_of(made[0]), now=world.clock.now())
    assert answer is CancelOutcome.TOO_LATE
    world.signer.deaf = False
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)


async def test_key_that_was_never_queued_is_proved_so(world: World) -> None:
    """Asking after an unknown key answers no effect, and keeps the promise when the payment is asked for later."""
    made = await many(world, 1)
    assert (await world.results(made))[0].outcome is Outcome.NO_EFFECT
    (late,) = await world.submit(made)
    assert late.outcome is Outcome.NO_EFFECT
    await world.tick()
    assert world.paid() == []


async def test_same_key_is_one_payment_and_other_terms_conflict(world: World) -> None:
    """Repeating a key changes nothing; other terms under it are never taken and never called without effect."""
    made = await many(world, 1)
    await world.submit(made)
    await world.submit(made)
    other = await world.payout(player(3), 999)
    stolen = PayoutInstruction(
        payout_id=made[0].payout_id,
        attempt_no=1,
        provider_key=made[0].provider_key,
        correlation_id=made[0].correlation_id,
        amount=made[0].amount,
        method_type="stellar",
        details=other.details,
    )
    (answer,) = await world.submit([stolen])
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "idempotency_conflict")
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)


async def test_second_attempt_beside_a_live_one_is_not_taken(world: World) -> None:
    """While one attempt of a payout is alive or paid, another key for it is refused without being called dead."""
    made = await many(world, 1)
    await world.submit(made)
    again = PayoutInstruction(
        payout_id=made[0].payout_id,
        attempt_no=2,
        provider_key=uuid4(),
        correlation_id=made[0].correlation_id,
        amount=made[0].amount,
        method_type="stellar",
        details=made[0].details,
    )
    (answer,) = await world.submit([again])
    assert answer.outcome is Outcome.UNKNOWN
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)


async def test_signature_of_an_unknown_key_is_parked(world: World) -> None:
    """An answer whose signatures do not sign our bytes is parked; nothing is sent."""
    made = await many(world, 1)
    await world.submit(made)
    await world.store.lease(now=world.clock.now())
    world.signer.deaf = True
    await world.tick()
    row = (await world.rows("SELECT id, value FROM outbox WHERE topic LIKE '%signing.requests%'"))[0]
    answer = world.signer.answer(bytes(row.value))
    assert answer is not None
    raw = orjson.loads(answer.value)
    signature = raw["data"]["signatures"][0]["signature"]
    raw["data"]["signatures"][0]["signature"] = ("0" if signature[0] != "0" else "1") + signature[1:]
    answer.value = canonical_bytes(sign_raw(topic=SIGNING_RESULTS.name, raw=raw, key=make_key("signer")))
    await world.take(answer, offset=1)
    assert await world.states() == [(1, "built")]
    stuck = await world.rows("SELECT state, reason FROM stuck_events")
    assert [(one.state, one.reason) for one in stuck] == [("parked", "event_mismatch")]


async def test_refusals_of_the_signer_are_stored_and_shown(world: World) -> None:
    """The signer's sums of refused messages are stored like its other words; a lineage shows the newest only."""
    correlation = str(ids.refusals_id("signer"))
    for version, count in ((1, 3), (2, 43)):
        kind = RefusedMessages(
            state="dead", reason="key_not_trusted", count=count, first_at=world.clock.now(),
            last_at=world.clock.now(), place="prizewire.signing.requests.v1/0/7", detail="not pinned",
        )  # fmt: skip
        event = encode(
            MessagesRefusedEvent, MessagesRefused(kinds=[kind]), service="signer", subject="signer", version=version,
            correlation_id=correlation, causation_id=None, now=world.clock.now(), key=make_key("signer"),
        )  # fmt: skip
        await world.take(event, offset=version)
    async with world.db.transaction() as tx:
        (entry,) = await world.parts.lineage(tx, correlation)
    assert (entry.service, entry.kind) == ("signer", "signing.messages_refused")
    assert [kind["count"] for kind in entry.detail["kinds"]] == [43]
    assert await world.rows("SELECT 1 FROM stuck_events") == []


async def test_a_refused_close_names_its_reason(world: World) -> None:
    """An operator reads in the lineage why a payout does not end; older signers gave no reason."""
    payout_id, correlation = uuid4(), "corr-1"
    slot = SlotRef(slot_id=uuid4(), chain="stellar", account=TREASURY.public_key, sequence="1")
    for version, code in ((1, None), (2, "again_over_limit")):
        event = encode(
            CloseRefusedEvent, CloseRefused(payout_id=payout_id, slot=slot, code=code), service="signer",
            subject=str(payout_id), version=version, correlation_id=correlation, causation_id=None,
            now=world.clock.now(), key=make_key("signer"),
        )  # fmt: skip
        await world.take(event, offset=version)
    async with world.db.transaction() as tx:
        entries = await world.parts.lineage(tx, correlation)
    assert [(entry.summary, entry.detail["code"]) for entry in entries] == [
        ("cannot close: a slot is bound", None),
        ("cannot close: again_over_limit", "again_over_limit"),
    ]


async def test_consumed_slot_without_a_digest_is_quarantined(hasty_world: World) -> None:
    """Another key holder used the channel's sequence number: a person must decide, and no payout is paid twice meanwhile."""
    world = hasty_world
    made = await many(world, 1)
    await world.submit(made)
    world.sandbox.arm(try_again_later=1)
    await world.store.lease(now=world.clock.now())
    world.signer.deaf = True
    await world.tick()
    (row,) = await world.rows("SELECT account FROM stellar_attempts")
    channel = next(keypair for keypair in CHANNEL_KEYS if keypair.public_key == row.account)
    world.sandbox.arm(try_again_later=0)
    builder = world.sandbox.chain.builder(channel.public_key).append_bump_sequence_op(0)
    world.sandbox.chain.wait(world.sandbox.chain.send(builder, channel))
    world.signer.deaf = False

    async def review() -> bool:
        return (1, "review") in await world.states()

    await world.run_until(review)
    assert (await world.results(made))[0].outcome is Outcome.UNKNOWN
    assert any("two persons" in breach for breach in await world.breaches())
    assert world.paid() == []
    others = await many(world, 1)
    await world.submit(others)
    await world.run_until(lambda: world.settled(others))
    accounts = await world.rows("SELECT account, state FROM stellar_attempts")
    assert [one.state for one in accounts if one.account == row.account] == ["review"]


@pytest.mark.parametrize("asset", ["XLM"])
async def test_native_asset_is_paid(world: World, asset: str) -> None:
    """Lumens need no trustline and have seven decimals."""
    made = [await world.payout(player(1), 12_345_678, asset=asset)]
    await world.submit(made)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == [(player(1), 12_345_678, "")]


async def build_blindly(world: World, *, valid_s: int = 60) -> None:
    """Lease and build without a look at the destinations, as if the ledger changed before inclusion."""
    assert (await world.store.lease(now=world.clock.now())).taken
    (attempt,) = await world.store.in_state(TransactionState.LEASED, now=world.clock.now())
    assert await commit_as_read(world, attempt, valid_s=valid_s)


async def commit_as_read(world: World, attempt: TransactionAttempt, *, valid_s: int = 60) -> bool:
    """Build and commit an attempt with the payments that it had when it was read."""
    moment = await world.rpc.latest_ledger()
    read = await world.rpc.accounts([AccountQuery(attempt.account)])
    built = world.maker.payments(
        account=attempt.account,
        sequence=read.accounts[attempt.account].sequence + 1,
        payments=attempt.payments,
        memo="",
        max_time=moment.close_time + valid_s,
        fee=100 * len(attempt.payments),
    )
    plan = BuildPlan(
        built=built, items=tuple(one.provider_key for one in attempt.payments), fee_cap=2_000_000
    )
    return await world.store.commit_built(attempt, plan=plan, now=world.clock.now())
