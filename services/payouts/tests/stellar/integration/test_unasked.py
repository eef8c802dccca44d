"""Transactions that the signer signed for somebody else who uses payouts' key."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.signing import SigningRequested
from prizewire_contracts.ids import slot_id
from prizewire_devstack.components.stellar import PASSPHRASE
from prizewire_devstack.waiting import eventually
from prizewire_payouts.stellar.adapters.transactions import attach_signatures
from prizewire_payouts.stellar.domain.model import (
    AccountQuery,
    Kind,
    LedgerMoment,
    LookUp,
    LookUpStatus,
    Payment,
    TxResult,
)
from prizewire_payouts.stellar.handlers.unasked import UnaskedLookUps
from prizewire_payouts.stellar.messages import SlotRow
from prizewire_payouts.stellar.ports import BuildPlan, ChainRpc, RpcUnavailable
from prizewire_payouts.stellar.storage.unasked import UNASKED_CHECK, UnaskedStorage, signed_unasked
from services.payouts.tests.stellar.integration.conftest import (
    CHANNEL_KEYS,
    PLAYER_KEYS,
    TREASURY,
    World,
)

LONG_AGO, MUCH_LATER = 1_000_000_000, 4_000_000_000


@dataclass
class Node:
    """A node that says this of every transaction; silent without it."""

    said: LookUp | None

    async def look_up(self, _: str) -> LookUp:
        if self.said is None:
            raise RpcUnavailable("silent")
        return self.said


def absent(*, latest: int = MUCH_LATER, oldest: int = LONG_AGO) -> LookUp:
    return LookUp(
        status=LookUpStatus.NOT_FOUND, latest=LedgerMoment(50, latest), oldest=1, oldest_time=oldest
    )


def held(status: LookUpStatus) -> LookUp:
    code = "txSUCCESS" if status is LookUpStatus.SUCCESS else "txFAILED"
    return LookUp(
        status=status,
        latest=LedgerMoment(50, LONG_AGO),
        oldest=1,
        ledger=40,
        result=TxResult(100, code, None),
    )


@dataclass(frozen=True)
class Forged:
    """A request in payouts' name, and the signer's answer to it."""

    payout_id: UUID
    request: EncodedEvent
    answer: EncodedEvent
    asked: SigningRequested


async def forged(world: World) -> Forged:
    """With payouts' message key: the signer signs a payment of a payout that payouts did not ask for."""
    instruction = await world.payout(PLAYER_KEYS[0].public_key, 100)
    (stored,) = await world.rows("SELECT intent, intent_signature, correlation_id FROM payouts")
    account = CHANNEL_KEYS[3].public_key
    read = await world.rpc.accounts([AccountQuery(account)])
    sequence = read.accounts[account].sequence + 1
    payment = Payment(
        provider_key=instruction.provider_key,
        payout_id=instruction.payout_id,
        correlation_id=stored.correlation_id,
        asset=world.execution.assets["USDC"],
        stroops=10_000_000,
        destination=PLAYER_KEYS[0].public_key,
        account=PLAYER_KEYS[0].public_key,
        memo="",
        intent=stored.intent,
        intent_signature=stored.intent_signature,
    )
    built = world.maker.payments(
        account=account,
        sequence=sequence,
        payments=[payment],
        memo="",
        max_time=(await world.rpc.latest_ledger()).close_time + 60,
        fee=100,
    )
    slot = SlotRow(
        slot_id=slot_id(chain="stellar", network=PASSPHRASE, account=account, sequence=sequence),
        account=account,
        sequence=sequence,
        version=1,
    )
    request = world.execution.messages.signing_requested(
        slot=slot,
        revision=1,
        kind=Kind.PAYMENT,
        plan=BuildPlan(built=built, items=(payment.provider_key,), fee_cap=2_000_000),
        payments=[payment],
    )
    answer = world.signer.answer(request.value)
    assert answer is not None
    await world.take(answer, offset=1_000)
    return Forged(instruction.payout_id, request, answer, world.signer.requests[-1])


async def breaches(world: World) -> list[str]:
    async with world.db.transaction() as tx:
        return await UNASKED_CHECK.run(tx)


async def may_be_paid(world: World, one: Forged) -> bool:
    async with world.db.transaction() as tx:
        return one.payout_id in await signed_unasked(tx, [one.payout_id])


async def look_up(world: World, *nodes: Any) -> int:
    rpcs: tuple[ChainRpc, ...] = nodes
    return len(await UnaskedLookUps(UnaskedStorage(world.execution), rpcs).run(now=world.clock.now()))


async def test_a_signature_that_payouts_did_not_ask_for_is_named(world: World) -> None:
    """With its hash, its payout and what it means; the ledger then says that the payout is paid."""
    one = await forged(world)
    (breach,) = await breaches(world)
    for part in (
        one.asked.tx_hash,
        str(one.payout_id),
        "somebody else uses payouts' key",
        "does not say yet",
    ):
        assert part in breach
    assert await may_be_paid(world, one)
    assert await look_up(world, world.rpc) == 0
    await world.rpc.send(
        attach_signatures(
            unsigned_xdr=one.asked.xdr,
            tx_hash=bytes.fromhex(one.asked.tx_hash),
            signatures=[(signed.public_key, signed.signature) for signed in world.signer._sign(one.asked)],
            signers=(CHANNEL_KEYS[3].public_key, TREASURY.public_key),
        )
    )

    async def paid() -> bool:
        return bool(world.paid())

    await eventually(paid, poll_s=0.05)
    (job,) = [job for job in world.parts.jobs if job.name == "stellar.unasked"]
    assert not await job.run()
    (breach,) = await breaches(world)
    assert "these payouts are paid on the ledger" in breach
    assert await may_be_paid(world, one)


async def test_an_answer_that_comes_again_is_no_breach(world: World) -> None:
    """Payouts asked for it, whatever happened to its transaction."""
    instructions = [await world.payout(PLAYER_KEYS[0].public_key, 100)]
    await world.submit(instructions)
    await world.run_until(lambda: world.settled(instructions))
    (row,) = await world.rows("SELECT value FROM outbox WHERE topic LIKE '%signing%' ORDER BY id LIMIT 1")
    again = world.signer.answer(bytes(row.value))
    assert again is not None
    await world.take(again, offset=2_000)
    (stored,) = await world.rows("SELECT count(*) AS n FROM stellar_signing_results")
    assert stored.n == 2
    assert await breaches(world) == []


async def test_a_second_answer_to_an_invented_request_adds_nothing(world: World) -> None:
    """A transaction is named once."""
    one = await forged(world)
    again = world.signer.answer(one.request.value)
    assert again is not None
    await world.take(again, offset=2_000)
    assert len(await breaches(world)) == 1


@pytest.mark.parametrize(
    ("nodes", "outcome"),
    [
        ((Node(held(LookUpStatus.SUCCESS)), Node(None)), "applied"),
        ((Node(held(LookUpStatus.FAILED)), Node(None)), "without_effect"),
        ((Node(absent()), Node(absent())), "without_effect"),
        ((Node(absent()), Node(None)), None),
        ((Node(absent()), Node(absent(latest=LONG_AGO))), None),
        ((Node(absent()), Node(absent(oldest=MUCH_LATER))), None),
        ((Node(None),), None),
    ],
)
async def test_only_proof_lets_the_payout_go(
    world: World, nodes: tuple[Node, ...], outcome: str | None
) -> None:
    """One node is enough for what the ledger has. That it has nothing needs all, past maxTime, with a memory that is long enough."""
    one = await forged(world)
    assert await look_up(world, *nodes) == (outcome == "applied")
    found = [row.outcome for row in await world.rows("SELECT outcome FROM stellar_unasked_ends")]
    assert found == ([] if outcome is None else [outcome])
    assert await may_be_paid(world, one) == (outcome != "without_effect")
    assert len(await breaches(world)) == 1


async def test_without_a_max_time_absence_proves_nothing(world: World) -> None:
    """An older signer does not name it."""
    await forged(world)
    await world.rows(
        "INSERT INTO stellar_unasked SELECT repeat('0', 64), slot_id, account, payout_ids, NULL, event_id, signed_at "
        "FROM stellar_unasked RETURNING 1"
    )
    await look_up(world, Node(absent()))
    (row,) = await world.rows(
        "SELECT max_time FROM stellar_unasked JOIN stellar_unasked_ends USING (tx_hash)"
    )
    assert row.max_time is not None


@pytest.mark.parametrize("table", ["stellar_unasked", "stellar_unasked_ends"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET tx_hash = tx_hash"])
async def test_the_service_cannot_take_it_back(world: World, table: str, statement: str) -> None:
    """What was signed stays named: the service's login has no right to change or delete it."""
    with pytest.raises(DBAPIError, match="permission denied"):
        await world.rows(statement.format(table) + " RETURNING 1")
