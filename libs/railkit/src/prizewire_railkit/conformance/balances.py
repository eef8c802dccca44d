"""Cases of the optional part of a provider that says what its account can pay. The stage's instructions are in an asset of which the account has a balance."""

from prizewire_contracts.rails import AccountBalances, Outcome
from prizewire_money import Amount
from prizewire_railkit.conformance.cases import Cases, case, made
from prizewire_railkit.conformance.stage import Behaviour, Feature, Stage


class BalanceCases(Cases):
    """What the account of a rail can pay."""

    @case(Feature.BALANCES)
    async def test_balances_are_of_served_assets(self) -> None:
        """Each balance is an amount of at least zero, of an asset that the rail serves, under the code of this asset."""
        stage = await self.make_stage()
        found = await _provider(stage).balances(now=stage.now())
        assert found
        assert found.keys() <= stage.provider.capabilities().assets
        for code, amount in found.items():
            assert amount.asset.code == code
            assert amount >= Amount.zero(amount.asset)

    @case(Feature.BALANCES)
    async def test_a_payment_lowers_the_balance(self) -> None:
        """Once a payment is proved, its asset's balance is lower by at least its amount."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        code = wanted.amount.asset.code
        before = await _provider(stage).balances(now=stage.now())
        paid = await made(stage, wanted)
        assert paid.outcome is Outcome.PAID
        after = await _provider(stage).balances(now=stage.now())
        assert after[code].minor <= before[code].minor - wanted.amount.minor

    @case(Feature.BALANCES, Behaviour.OUTAGE)
    async def test_an_outage_gives_no_balance(self) -> None:
        """Where the provider cannot be reached there is an error, and no number that was read before."""
        stage = await self.make_stage()
        await _provider(stage).balances(now=stage.now())
        await stage.behave(Behaviour.OUTAGE)
        try:
            said = await _provider(stage).balances(now=stage.now())
        except Exception:  # noqa: BLE001 - each provider has errors of its own
            return
        raise AssertionError(f"in an outage the rail said {said}")


def _provider(stage: Stage) -> AccountBalances:
    provider = stage.provider
    assert isinstance(provider, AccountBalances), "the provider has no balances"
    return provider
