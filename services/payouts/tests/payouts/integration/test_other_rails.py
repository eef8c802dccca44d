"""After proved failures a payout goes to the next rail that its intent allows."""

import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Outcome, ProviderResult, RailType
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.rails.ports import Rail
from prizewire_railkit import no_effect, paid, unknown
from services.payouts.tests.fakes import ScriptedProvider
from services.payouts.tests.rig import SCHEDULE, Rig

PROVED = no_effect(code=PayoutCode.RAIL_UNAVAILABLE)


def add(rig: Rig, name: str, rail_type: str) -> ScriptedProvider:
    """A rail of scripted answers behind the others, which pays to methods of type fake."""
    provider = ScriptedProvider(rail=name, rail_type=rail_type, method_types={"fake"})
    rail = Rail(name=name, capabilities=provider.capabilities(), provider=provider)
    rig.rails.append(rail)
    rig.workers[name] = rig.worker(rail)
    return provider


async def fail(rig: Rig, provider: ScriptedProvider, *, times: int) -> None:
    """Let the rail prove so many attempts to be without effect."""
    for _ in range(times):
        rig.clock.advance(SCHEDULE.retry_max)
        provider.answers.append(PROVED)
        await rig.submit(provider.capabilities().rail)


@pytest.fixture
def rails(rig: Rig) -> tuple[ScriptedProvider, ScriptedProvider]:
    """Two rails of different types that pay to the same methods."""
    rig.rails[:] = []
    return add(rig, "first", "exchange"), add(rig, "second", "fake")


async def test_the_next_rail_pays_after_proved_failures(
    rig: Rig, rails: tuple[ScriptedProvider, ScriptedProvider]
) -> None:
    """Once the attempts on the first rail are used up, each proved, the second one pays, with attempts of its own."""
    first, second = rails
    payout_id = await rig.request(await rig.method())
    assert (await rig.payout(payout_id)).rail == "first"
    await fail(rig, first, times=SCHEDULE.attempts_max)
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.rail, payout.rail_type) == ("approved", "second", "fake")
    await fail(rig, second, times=1)
    assert (await rig.payout(payout_id)).rail == "second"
    rig.clock.advance(SCHEDULE.retry_max)
    second.answers.append(paid(amount=payout.amount, reference="r"))
    await rig.submit("second")
    assert (await rig.payout(payout_id)).state == "paid"
    event = (await rig.events(payout_id))[-1]
    assert (event.type, event.data["rail"], event.data["rail_type"]) == ("payout.paid", "second", "fake")
    assert len(first.created) == SCHEDULE.attempts_max
    assert await rig.breaches() == []


async def test_the_last_rail_ends_it(rig: Rig, rails: tuple[ScriptedProvider, ScriptedProvider]) -> None:
    """Each rail has its turn once; then the payout fails."""
    payout_id = await rig.request(await rig.method())
    for provider in rails:
        await fail(rig, provider, times=SCHEDULE.attempts_max)
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code) == ("failed", PayoutCode.ATTEMPTS_EXHAUSTED)


async def test_an_unknown_outcome_stays_at_its_rail(
    rig: Rig, rails: tuple[ScriptedProvider, ScriptedProvider]
) -> None:
    """Without proof no other rail is tried, however often the first one is asked."""
    first, second = rails
    payout_id = await rig.request(await rig.method())
    await fail(rig, first, times=SCHEDULE.attempts_max - 1)
    rig.clock.advance(SCHEDULE.retry_max)
    first.answers.append(unknown())
    await rig.submit("first")
    first.looks.append(ProviderResult(outcome=Outcome.UNKNOWN))
    await rig.watch("first")
    await rig.submit("second")
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.rail, second.created) == ("unknown", "first", [])


async def test_a_refusal_is_final(rig: Rig, rails: tuple[ScriptedProvider, ScriptedProvider]) -> None:
    """A failure whose code gives the payout up goes to no other rail."""
    first, second = rails
    payout_id = await rig.request(await rig.method())
    first.answers.append(no_effect(code=PayoutCode.PROVIDER_REJECTED))
    await rig.submit("first")
    await rig.submit("second")
    assert ((await rig.payout(payout_id)).state, second.created) == ("failed", [])


async def test_the_signers_rail_keeps_its_payout(rig: Rig) -> None:
    """The signer may sign a payout until it has closed it: no other type of rail gets it before."""
    rig.rails[:] = []
    chain, other = add(rig, "chain", RailType.STELLAR), add(rig, "other", "fake")
    payout_id = await rig.request(await rig.method())
    await fail(rig, chain, times=SCHEDULE.attempts_max)
    await rig.submit("other")
    found: Payout = await rig.payout(payout_id)
    assert (found.state, found.rail, other.created) == ("closing_failed", "chain", [])
