"""Slots that can no longer be paid on are voided over the sandbox, and their payments are free again."""

import pytest
from stellar_sdk import BumpSequence, TransactionEnvelope

from prizewire_contracts.rails import CancelOutcome, Outcome, PayoutInstruction
from prizewire_devstack.components.stellar import PASSPHRASE
from services.payouts.tests.stellar.integration.conftest import World, again, reference_of
from services.payouts.tests.stellar.integration.test_crashes import PowerCut, Tripwire
from services.payouts.tests.stellar.integration.test_execution import expected, many

FOREVER = 1_000_000


async def kinds(world: World) -> list[tuple[str, str]]:
    """(kind, state) of every attempt, oldest first."""
    found = await world.rows("SELECT kind, state FROM stellar_attempts ORDER BY attempt_id")
    return [(row.kind, row.state) for row in found]


async def slots(world: World) -> list[tuple[str, str | None]]:
    found = await world.rows("SELECT state, result FROM stellar_slots ORDER BY opened_at")
    return [(row.state, row.result) for row in found]


async def never_applied(world: World, count: int) -> list[PayoutInstruction]:
    """Payments that the network takes no transaction of."""
    world.sandbox.arm(try_again_later=FOREVER)
    made = await many(world, count)
    await world.submit(made)
    return made


async def voiding(world: World) -> bool:
    return any(kind == "void_slot" for kind, _ in await kinds(world))


async def test_slot_that_is_never_applied_is_voided_and_paid_elsewhere(narrow_world: World) -> None:
    """After the cap of revisions the slot is voided by the channel alone; the payments end without effect, and the
    next attempts are paid, once, on another slot.
    """
    world = narrow_world
    made = await never_applied(world, 3)
    await world.run_until(lambda: voiding(world))
    assert await kinds(world) == [("payment", "dead"), ("payment", "dead"), ("void_slot", "leased")]
    assert {one.outcome for one in await world.results(made)} == {Outcome.PENDING}
    world.sandbox.arm(try_again_later=0)
    await world.run_until(lambda: world.settled(made))
    results = await world.results(made)
    assert {(one.outcome, one.code) for one in results} == {(Outcome.NO_EFFECT, "tx_expired")}
    assert await kinds(world) == [
        ("payment", "superseded"),
        ("payment", "superseded"),
        ("void_slot", "succeeded"),
    ]
    assert await slots(world) == [("closed", "succeeded")]
    assert world.paid() == []
    await world.pump()
    void = world.signer.requests[-1]
    assert (void.kind, void.items, void.approval.kind, void.approval.items) == (
        "void_slot",
        [],
        "void_slot",
        (),
    )
    (row,) = await world.rows("SELECT * FROM stellar_attempts WHERE kind = 'void_slot'")
    envelope = TransactionEnvelope.from_xdr(row.signed_xdr, PASSPHRASE)
    (operation,) = envelope.transaction.operations
    assert isinstance(operation, BumpSequence)
    assert (operation.bump_to, len(envelope.signatures)) == (0, 1)
    (closed,) = world.signer.closed
    assert (closed.data.consumed_by_hash, closed.data.result) == (void.tx_hash, "succeeded")
    assert world.signer.held == set()
    assert set(world.news) >= {one.payout_id for one in made}
    next_ = [again(one) for one in made]
    await world.submit(next_)
    await world.run_until(lambda: world.settled(next_))
    assert world.paid() == expected(made)
    assert await slots(world) == [("closed", "succeeded")] * 2
    assert await world.breaches() == []


async def test_void_that_dies_is_followed_by_another(narrow_world: World) -> None:
    """Voids that no ledger takes are proved dead and tried again, each with bytes of its own."""
    world = narrow_world
    made = await never_applied(world, 1)

    async def void_died() -> bool:
        return ("void_slot", "dead") in await kinds(world)

    await world.run_until(void_died)
    (pending,) = await world.results(made)
    assert (pending.outcome, pending.provider_ref) == (Outcome.PENDING, None)
    world.sandbox.arm(try_again_later=0)
    (leased,) = await world.rows("SELECT due_at, changed_at FROM stellar_attempts WHERE state = 'leased'")
    assert (leased.due_at - leased.changed_at).total_seconds() == 10
    await world.rows("UPDATE stellar_attempts SET due_at = changed_at WHERE state = 'leased' RETURNING 1")
    await world.run_until(lambda: world.settled(made))
    hashes = [one.tx_hash for one in world.signer.requests]
    assert len(set(hashes)) == len(hashes)
    assert (await kinds(world))[-1] == ("void_slot", "succeeded")
    assert world.paid() == []
    assert await world.breaches() == []


async def test_slot_without_payments_is_voided(hasty_world: World) -> None:
    """A payment that was signed for, died and was then refused is bound to a slot that nobody else consumes."""
    world = hasty_world
    made = await never_applied(world, 1)

    async def signed() -> bool:
        return bool(world.signer.bound)

    await world.run_until(signed)
    world.signer.refuse[made[0].payout_id] = "amount_mismatch"
    await world.run_until(lambda: world.settled(made))
    assert [(one.outcome, one.code) for one in await world.results(made)] == [
        (Outcome.NO_EFFECT, "signer_refused")
    ]
    assert made[0].payout_id in world.signer.bound
    world.sandbox.arm(try_again_later=0)
    world.news.clear()

    async def closed() -> bool:
        return await slots(world) == [("closed", "succeeded")]

    await world.run_until(closed)
    await world.pump()
    assert await kinds(world) == [
        ("payment", "superseded"),
        ("payment", "refused"),
        ("void_slot", "succeeded"),
    ]
    assert world.signer.held == set()
    assert world.news == [made[0].payout_id], "progress is reported for its payout, whose slot is closed"
    assert world.paid() == []


async def test_cancelled_newcomer_leaves_no_bound_slot_behind(hasty_world: World) -> None:
    """What was leased onto a slot with digests and is then cancelled does not leave the slot to lie idle."""
    world = hasty_world
    made = await never_applied(world, 1)

    async def died() -> bool:
        return (1, "dead") in await world.states()

    await world.run_until(died)
    # as a crash between two releases might have left it: the payment is taken out, the slot leased for nobody
    await world.rows("UPDATE stellar_payments SET offered = false RETURNING 1")
    cancelled = await world.parts.provider.cancel(reference_of(made[0]), now=world.clock.now())
    assert cancelled is CancelOutcome.CANCELLED
    world.sandbox.arm(try_again_later=0)

    async def closed() -> bool:
        return await slots(world) == [("closed", "succeeded")]

    await world.run_until(closed)
    assert [kind for kind, _ in await kinds(world)][-1] == "void_slot"
    assert world.paid() == []


async def test_the_signers_cap_is_respected(hasty_world: World) -> None:
    """A signer that signs fewer revisions than we would says so: the slot is voided at once, nobody is failed_operationsd."""
    world = hasty_world
    world.signer.digests_max = 1
    made = await never_applied(world, 2)
    await world.run_until(lambda: voiding(world))
    assert [state for _, state in await kinds(world)] == ["dead", "refused", "leased"]
    world.sandbox.arm(try_again_later=0)
    await world.run_until(lambda: world.settled(made))
    assert {one.code for one in await world.results(made)} == {"tx_expired"}
    refusals = await world.rows("SELECT refusals FROM stellar_payments")
    assert {row.refusals for row in refusals} == {0}
    await world.pump()
    assert world.signer.held == set()


async def test_slot_that_the_signer_never_signed_on_is_built_again(narrow_world: World) -> None:
    """Where the signer was away all along nothing is bound: it refuses the void, and the payments go on."""
    world = narrow_world
    world.signer.deaf = True
    made = await many(world, 2, memo="exchange 7")
    await world.submit(made)
    await world.run_until(lambda: voiding(world))
    # what it reads late has expired
    world.signer.refuse_all = "time_bounds_passed"
    world.signer.deaf = False

    async def refused() -> bool:
        return ("void_slot", "refused") in await kinds(world)

    await world.run_until(refused)
    world.signer.refuse_all = None
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == expected(made)
    assert await slots(world) == [("closed", "succeeded")]
    assert await world.breaches() == []


async def test_refused_void_is_asked_for_again(narrow_world: World) -> None:
    """A void that the signer refuses failed_operationss nobody: the payments wait, and it is asked again after a pause."""
    world = narrow_world
    world.signer.refuse_voids = "voids_over_cap"
    made = await never_applied(world, 1)

    async def refused() -> bool:
        return ("void_slot", "refused") in await kinds(world)

    await world.run_until(refused)
    assert (await kinds(world))[-1] == ("void_slot", "leased")
    (row,) = await world.rows("SELECT due_at, changed_at FROM stellar_attempts WHERE state = 'leased'")
    assert (row.due_at - row.changed_at).total_seconds() == 10
    world.signer.refuse_voids = None
    world.sandbox.arm(try_again_later=0)
    await world.rows("UPDATE stellar_attempts SET due_at = changed_at WHERE state = 'leased' RETURNING 1")
    await world.run_until(lambda: world.settled(made))
    assert (await kinds(world))[-1] == ("void_slot", "succeeded")


async def test_void_that_is_on_its_way_pays_nobody(narrow_world: World) -> None:
    """While a void is sent its payments are under way without a transaction of theirs: its hash is none of their proof."""
    world = narrow_world
    made = await never_applied(world, 1)
    await world.run_until(lambda: voiding(world))
    world.sandbox.arm(try_again_later=0, not_found=FOREVER)

    async def sent() -> bool:
        return ("void_slot", "sent") in await kinds(world)

    await world.run_until(sent)
    (under_way,) = await world.results(made)
    assert (under_way.outcome, under_way.provider_ref) == (Outcome.PENDING, None)
    world.sandbox.arm(not_found=0)
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == []


async def test_lost_answer_to_a_void_is_found_on_the_ledger(narrow_world: World) -> None:
    """A void whose answer was lost is looked up like any other transaction, and not sent as another one."""
    world = narrow_world
    made = await never_applied(world, 1)
    await world.run_until(lambda: voiding(world))
    world.sandbox.arm(try_again_later=0, lose_answer=2, not_found=2)
    await world.run_until(lambda: world.settled(made))
    assert [state for kind, state in await kinds(world) if kind == "void_slot"] == ["succeeded"]
    assert await world.breaches() == []


@pytest.mark.parametrize("name", ["mark_dead", "commit_built", "commit_sent", "succeed"])
async def test_killed_while_voiding(narrow_world: World, name: str) -> None:
    """Killed at a write boundary on the way to a void, a new process voids the slot; no payout is paid."""
    world = narrow_world
    made = await never_applied(world, 1)
    if name != "mark_dead":
        await world.run_until(lambda: voiding(world))
        world.sandbox.arm(try_again_later=0)
    world.wrap_store = lambda store: Tripwire(store, name=name, after=True)
    world.restart()
    with pytest.raises(PowerCut):
        await world.run_until(lambda: world.settled(made))
    world.sandbox.arm(try_again_later=0 if name != "mark_dead" else FOREVER)
    world.wrap_store = lambda store: store
    world.restart()
    if name == "mark_dead":
        await world.run_until(lambda: voiding(world))
        world.sandbox.arm(try_again_later=0)
    await world.run_until(lambda: world.settled(made))
    assert (await kinds(world))[-1] == ("void_slot", "succeeded")
    assert world.paid() == []
    assert await world.breaches() == []
