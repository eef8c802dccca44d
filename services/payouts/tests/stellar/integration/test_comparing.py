"""Transactions that ended without success are compared with the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from prizewire_devstack.waiting import eventually
from prizewire_payouts.stellar.domain.model import LedgerMoment, LookUp, LookUpStatus
from prizewire_payouts.stellar.handlers.comparing import Comparison
from prizewire_payouts.stellar.handlers.delivering import send_signed
from prizewire_payouts.stellar.ports import ChainRpc, RpcUnavailable
from prizewire_payouts.stellar.storage.endings import EndingStorage
from services.payouts.tests.stellar.integration.conftest import PLAYER_KEYS, World

LATER_S = 3_600


@dataclass
class Later:
    """A node whose last ledger is an hour further on: the maxTime of every transaction has passed."""

    real: Any
    later_s: int = LATER_S
    forgot: bool = False
    silent: bool = False
    asked: list[str] = field(default_factory=list)

    async def latest_ledger(self) -> LedgerMoment:
        moment = await self.real.latest_ledger()
        return replace(moment, close_time=moment.close_time + self.later_s)

    async def look_up(self, tx_hash: str) -> LookUp:
        self.asked.append(tx_hash)
        if self.silent:
            raise RpcUnavailable("silent")
        found: LookUp = await self.real.look_up(tx_hash)
        return (
            LookUp(status=LookUpStatus.NOT_FOUND, latest=found.latest, oldest=found.oldest)
            if self.forgot
            else found
        )


def comparison(world: World, *nodes: Any) -> Comparison:
    rpcs: Sequence[ChainRpc] = nodes
    return Comparison(store=EndingStorage(world.execution), rpcs=rpcs)


async def run(one: Comparison, world: World) -> int:
    return len(await one.run(now=world.clock.now()))


async def contradicted(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT tx_hash, state FROM stellar_contradictions")
    return [(row.tx_hash, row.state) for row in rows]


async def applied(world: World) -> str:
    """The ledger applies a transaction, of which payouts does not know yet; its hash."""
    await world.submit([await world.payout(PLAYER_KEYS[0].public_key, 100)])

    async def signed() -> bool:
        return [state for _, state in await world.states()] == ["signed"]

    await world.run_until(signed)
    await send_signed(store=world.store, rpc=world.rpc, options=world.options, now=world.clock.now())

    async def paid() -> bool:
        return bool(world.paid())

    await eventually(paid, deadline_s=30, poll_s=0.05)
    (row,) = await world.rows("SELECT tx_hash FROM stellar_attempts")
    return str(row.tx_hash)


async def end_as_dead(world: World) -> None:
    """With the login of payouts' database: the transaction can never be applied."""
    for state in ("checking", "dead"):
        await world.rows(f"UPDATE stellar_attempts SET state = '{state}' RETURNING 1")


@pytest.fixture(autouse=True)
def stop_before_the_send(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The world's own steps end with the signature, so that a test decides what payouts knows of the ledger."""

    async def nothing(**_: Any) -> bool:
        return False

    for step in ("send_signed", "confirm_sent", "resolve_checking", "expire_unsigned"):
        monkeypatch.setattr(f"services.payouts.tests.stellar.integration.conftest.{step}", nothing)


async def test_an_applied_transaction_that_ended_is_reported(world: World) -> None:
    """Once, with its payouts, by a check that stays broken: the money may be given back or paid again."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    one = comparison(world, Later(world.rpc))
    assert await run(one, world) == 1
    assert await run(one, world) == 0
    assert await run(comparison(world, Later(world.rpc)), world) == 0
    assert await contradicted(world) == [(tx_hash, "dead")]
    (payout,) = await world.rows("SELECT payout_id FROM stellar_payments")
    (breach,) = [one for one in await world.breaches() if tx_hash in one]
    assert str(payout.payout_id) in breach


async def test_any_node_is_enough(world: World) -> None:
    """The first node does not know the transaction any more, the second does."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    await run(comparison(world, Later(world.rpc, forgot=True), Later(world.rpc)), world)
    assert await contradicted(world) == [(tx_hash, "dead")]


async def test_a_silent_node_hides_nothing(world: World) -> None:
    """The answer of another node is enough."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    await run(comparison(world, Later(world.rpc, silent=True), Later(world.rpc)), world)
    assert await contradicted(world) == [(tx_hash, "dead")]


async def test_a_transaction_is_compared_after_its_max_time(world: World) -> None:
    """Before that the ledger may still apply it."""
    await applied(world)
    await end_as_dead(world)
    node = Later(world.rpc, later_s=0)
    one = comparison(world, node)
    await run(one, world)
    assert (node.asked, await contradicted(world)) == ([], [])
    node.later_s = LATER_S
    await run(one, world)
    assert len(await contradicted(world)) == 1


async def test_a_silent_node_is_asked_again(world: World) -> None:
    """No answer is no proof: the next run asks once more."""
    await applied(world)
    await end_as_dead(world)
    node = Later(world.rpc, silent=True)
    one = comparison(world, node)
    await run(one, world)
    assert await contradicted(world) == []
    await run(comparison(world, node, Later(world.rpc, forgot=True)), world)
    node.silent = False
    await run(one, world)
    assert len(await contradicted(world)) == 1


async def test_a_transaction_without_effect_is_no_contradiction(world: World) -> None:
    """The ledger does not know it, or has it as failed: it is looked up once, and nothing is reported."""
    await world.submit([await world.payout(PLAYER_KEYS[0].public_key, 100)])

    async def signed() -> bool:
        return [state for _, state in await world.states()] == ["signed"]

    await world.run_until(signed)
    await end_as_dead(world)
    node = Later(world.rpc)
    one = comparison(world, node)
    await run(one, world)
    await run(one, world)
    assert (len(node.asked), await contradicted(world)) == (1, [])


async def test_a_contradiction_is_stored_once(world: World) -> None:
    """Two processes find it at the same time: one of them counts it."""
    tx_hash = await applied(world)
    await end_as_dead(world)
    store = EndingStorage(world.execution)
    (ended,) = await store.ended(since=0, until=2**40)
    assert ended.tx_hash == tx_hash
    assert await store.contradict(ended, ledger=7, now=world.clock.now())
    assert not await store.contradict(ended, ledger=7, now=world.clock.now())
