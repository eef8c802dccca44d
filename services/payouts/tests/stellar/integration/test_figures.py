"""The gauges of slots and channels, and what the treasury can pay."""

from prometheus_client import REGISTRY

from prizewire_contracts.rails import AccountBalances
from prizewire_payouts import metrics
from prizewire_payouts.stellar.domain.model import AccountQuery
from prizewire_payouts.stellar.jobs import measure_job
from services.payouts.tests.stellar.integration.conftest import CHANNELS, PLAYER_KEYS, TREASURY, World
from services.payouts.tests.stellar.integration.test_unasked import forged

CENT_STROOPS = 100_000


def slots() -> dict[str, float]:
    """Open slots by state, without those that have none."""
    found = {
        state: REGISTRY.get_sample_value("prizewire_stellar_slots", {"state": state})
        for state in (*metrics.HOLDING_STATES, metrics.IDLE)
    }
    assert None not in found.values()
    return {state: number for state, number in found.items() if number}


def channels() -> tuple[float | None, float | None]:
    """Channels in use, and idle ones."""
    name = "prizewire_stellar_channels"
    in_use, idle = ({"state": state} for state in (metrics.IN_USE, metrics.IDLE))
    return REGISTRY.get_sample_value(name, in_use), REGISTRY.get_sample_value(name, idle)


async def test_slots_and_channels_are_counted(world: World) -> None:
    """A transaction that waits for the signer holds a slot and a channel; once it is applied, all channels are idle."""
    measure = measure_job(world.execution).run
    await measure()
    assert (slots(), channels()) == ({}, (0, CHANNELS))
    wanted = [await world.payout(PLAYER_KEYS[0].public_key, 100)]
    await world.submit(wanted)
    world.signer.deaf = True
    await world.tick()
    await measure()
    assert (slots(), channels()) == ({"built": 1}, (1, CHANNELS - 1))
    world.signer.deaf = False
    await world.run_until(lambda: world.settled(wanted))
    await measure()
    assert (slots(), channels()) == ({}, (0, CHANNELS))


async def test_the_treasury_says_what_the_ledger_holds(world: World) -> None:
    """The balance of each asset is the ledger's without the reserve, in units of the asset."""
    provider = world.parts.provider
    assert isinstance(provider, AccountBalances)
    found = await provider.balances(now=world.clock.now())
    usdc = world.execution.assets["USDC"]
    read = await world.rpc.accounts([AccountQuery(TREASURY.public_key, frozenset({usdc}))])
    facts = read.accounts[TREASURY.public_key]
    assert found["USDC"].minor == facts.lines[usdc].spendable // CENT_STROOPS
    assert found["XLM"].minor == facts.spendable


async def test_a_signature_that_was_not_asked_for_is_counted_once(world: World) -> None:
    """The payout that the signer signed without a request of payouts counts under `slot`; the same answer again does not."""

    def stopped() -> float:
        return REGISTRY.get_sample_value("prizewire_payout_duplicates_stopped_total", {"where": "slot"}) or 0

    before = stopped()
    one = await forged(world)
    assert stopped() == before + 1
    await world.take(one.answer, offset=1_001)
    assert stopped() == before + 1
