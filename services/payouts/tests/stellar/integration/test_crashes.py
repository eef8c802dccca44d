"""Killed at every write boundary from lease to proof, and started again: each payout is paid exactly once."""

from collections.abc import Callable
from typing import Any

import pytest

from services.payouts.tests.stellar.integration.conftest import PLAYER_KEYS, World

WRITES = ("lease", "commit_built", "commit_sent", "note_checked", "succeed")
"""Store methods that an undisturbed payment passes; ``send`` is the node's."""


class PowerCut(Exception):
    """The process is gone."""


class Tripwire:
    """Passes calls on to what it wraps; cuts the power once, before or after the named one takes effect."""

    def __init__(self, wrapped: Any, *, name: str, after: bool) -> None:
        self._wrapped = wrapped
        self._name = name
        self._after = after
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        real: Callable[..., Any] = getattr(self._wrapped, name)
        if name != self._name or self.cut:
            return real

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.cut = True
            if self._after:
                await real(*args, **kwargs)
            raise PowerCut(name)

        return call


async def run(world: World, *, name: str, after: bool) -> None:
    made = [await world.payout(PLAYER_KEYS[index].public_key, 500 + index) for index in range(3)]
    world.wrap_store = lambda store: Tripwire(store, name=name, after=after)
    world.wrap_rpc = lambda rpc: Tripwire(rpc, name=name, after=after)
    world.restart()
    await world.submit(made)
    with pytest.raises(PowerCut):
        await world.run_until(lambda: world.settled(made))
    world.wrap_store = lambda store: store
    world.wrap_rpc = lambda rpc: rpc
    world.restart()
    await world.run_until(lambda: world.settled(made))
    expected = sorted((one.details["address"], one.amount.minor * 100_000, "") for one in made)
    assert world.paid() == expected
    assert await world.breaches() == []
    assert [state for _, state in await world.states()].count("succeeded") == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", [*WRITES, "send"])
async def test_killed_at_a_write_boundary_pays_once(world: World, name: str, after: bool) -> None:
    """A process that dies before or after a write is replaced by one that finishes the work from the rows."""
    await run(world, name=name, after=after)


async def test_killed_between_signature_and_commit_pays_once(world: World) -> None:
    """An answer of the signer whose batch was rolled back is delivered again, and applied once."""
    made = [await world.payout(PLAYER_KEYS[0].public_key, 900)]
    await world.submit(made)
    world.signer.deaf = True
    await world.tick()
    (row,) = await world.rows("SELECT id, value FROM outbox WHERE topic = 'prizewire.signing.requests.v1'")
    answer = world.signer.answer(bytes(row.value))
    assert answer is not None
    await world.take(answer, offset=1)
    await world.take(answer, offset=2)
    world.signer.deaf = False
    world.restart()
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == [(PLAYER_KEYS[0].public_key, 900 * 100_000, "")]


@pytest.mark.parametrize("name", ["mark_dead", "to_checking"])
async def test_killed_while_proving_death_pays_once(hasty_world: World, name: str) -> None:
    """Death is proved again after a crash, and the next revision stays on the same slot."""
    world = hasty_world
    world.sandbox.arm(try_again_later=10_000)
    made = [await world.payout(PLAYER_KEYS[1].public_key, 901)]
    world.wrap_store = lambda store: Tripwire(store, name=name, after=True)
    world.restart()
    await world.submit(made)
    with pytest.raises(PowerCut):
        await world.run_until(lambda: world.settled(made))
    world.sandbox.arm(try_again_later=0)
    world.wrap_store = lambda store: store
    world.restart()
    await world.run_until(lambda: world.settled(made))
    assert world.paid() == [(PLAYER_KEYS[1].public_key, 901 * 100_000, "")]
    assert len(await world.rows("SELECT 1 FROM stellar_slots")) == 1


async def test_two_processes_over_the_same_rows_pay_once(world: World) -> None:
    """Two executors that take turns on the same rows neither lease, send nor finish anything twice."""
    made = [await world.payout(PLAYER_KEYS[i % 18].public_key, 300 + i) for i in range(40)]
    first_store, first_rpc = world.store, world.rpc
    world.restart()
    second_store, second_rpc = world.store, world.rpc
    await world.submit(made)
    turns = 0

    async def done() -> bool:
        nonlocal turns
        turns += 1
        even = turns % 2 == 0
        world.store, world.rpc = (first_store, first_rpc) if even else (second_store, second_rpc)
        return await world.settled(made)

    await world.run_until(done)
    expected = sorted((one.details["address"], one.amount.minor * 100_000, "") for one in made)
    assert world.paid() == expected
