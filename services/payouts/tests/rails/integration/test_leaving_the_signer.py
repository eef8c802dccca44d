"""A payout whose rail is no longer configured, where its intent allows a rail that the signer serves and another one."""

from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import Outcome, ProviderResult
from prizewire_payouts.payouts.handlers.requests import route_again
from prizewire_payouts.rails.ports import Rail
from services.payouts.tests.fakes import ScriptedProvider
from services.payouts.tests.rig import Rig


def add_exchange(rig: Rig) -> Rail:
    """An exchange that pays to addresses of the chain, after the rail that the signer serves."""
    provider = ScriptedProvider(rail="exchange", rail_type="crypto_exchange", method_types=("stellar",))
    rail = Rail(name="exchange", capabilities=provider.capabilities(), provider=provider)
    rig.rails.append(rail)
    return rail


async def without_the_chain(rig: Rig, payout_id: UUID, exchange: Rail) -> tuple[str, str | None]:
    """The state and the rail of a payout after the rail of the signer was removed from the configuration."""
    await rig.run(lambda storages: route_again(storages.payouts, rails=[exchange], now=rig.clock.now()))
    payout = await rig.payout(payout_id)
    return payout.state, payout.rail


async def test_an_attempt_on_the_signers_rail_is_closed_before_another_rail_pays(rig: Rig) -> None:
    """A payout that was attempted on a rail of the signer takes no other rail: it ends, and its money goes back with the signer's
    closure. The signer could still sign for it.
    """
    exchange = add_exchange(rig)
    method = await rig.method(kind="stellar")
    rig.chain.answers.append(ProviderResult(outcome=Outcome.NO_EFFECT, code=PayoutCode.RAIL_UNAVAILABLE))
    payout_id = await rig.request(method)
    await rig.submit("stellar")
    assert (await rig.payout(payout_id)).state == "approved"
    assert await without_the_chain(rig, payout_id, exchange) == ("closing_failed", "stellar")
    assert "signing.close_requested" in await rig.event_types(payout_id)
    assert await rig.breaches() == []


async def test_a_payout_without_an_attempt_takes_another_rail(rig: Rig) -> None:
    """The signer was asked for nothing yet: another rail that the intent allows pays."""
    exchange = add_exchange(rig)
    payout_id = await rig.request(await rig.method(kind="stellar"))
    assert await without_the_chain(rig, payout_id, exchange) == ("approved", "exchange")
    assert await rig.breaches() == []
