"""Cases of payments that succeed: once, exact, and found again."""

import asyncio
from dataclasses import replace

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import AccountBalances, Outcome, is_rail_type
from prizewire_money import Amount
from prizewire_railkit.conformance.cases import (
    POLLS_MAX,
    Cases,
    assert_paid_once,
    case,
    create,
    look_up,
    made,
    settled,
)
from prizewire_railkit.conformance.stage import Behaviour, Feature
from prizewire_railkit.method_types.base import read_details
from prizewire_railkit.method_types.installed import installed_method_types

_AT_ONCE = 5


class PaymentCases(Cases):
    """Payments that succeed, and what a rail says of itself."""

    @case()
    async def test_capabilities_are_complete(self) -> None:
        """A rail reports its name, type, assets, method types and limits without a call to its provider."""
        found = (await self.make_stage()).provider.capabilities()
        assert found.rail
        assert is_rail_type(found.type)
        assert found.assets
        assert found.method_types
        assert found.verified_methods <= found.method_types
        assert found.concurrency >= 1
        assert found.calls_per_s is None or found.calls_per_s >= 1
        assert {*found.minimum, *found.maximum} <= found.assets
        for code in {*found.minimum} & {*found.maximum}:
            assert found.minimum[code] <= found.maximum[code]

    @case()
    async def test_skips_are_what_the_capabilities_say(self) -> None:
        """A class lists a feature in its skips if, and only if, the rail's capabilities or its provider lack it."""
        stage = await self.make_stage()
        found, asset = stage.provider.capabilities(), stage.instruction().amount.asset.code
        has = {
            Feature.CANCEL: found.can_cancel,
            Feature.RETURNS: found.can_return,
            Feature.WEBHOOKS: found.has_webhooks,
            Feature.LOOK_UP_BY_KEY: found.look_up_by_key,
            Feature.MINIMUM: asset in found.minimum,
            Feature.MAXIMUM: asset in found.maximum,
            Feature.BALANCES: isinstance(stage.provider, AccountBalances),
        }
        assert has == {feature: not self.lacks(feature) for feature in has}

    @case()
    async def test_details_are_of_an_installed_method_type(self) -> None:
        """The rail pays to method types that are installed, and to the details that their models accept."""
        stage = await self.make_stage()
        wanted, types = stage.instruction(), installed_method_types()
        assert stage.provider.capabilities().method_types <= set(types)
        given = {name: value for name, value in wanted.details.items() if value is not None}
        assert read_details(types, method_type=wanted.method_type, details=given).clear() == given

    @case()
    async def test_a_payment_is_made_once_and_proved(self) -> None:
        """A payment succeeds with the amount asked for and something that proves it."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        await assert_paid_once(stage, wanted, await made(stage, wanted))

    @case()
    async def test_the_smallest_unit_arrives_whole(self) -> None:
        """The smallest amount is paid to the last minor unit."""
        stage = await self.make_stage()
        wanted = stage.instruction(amount=stage.smallest())
        await assert_paid_once(stage, wanted, await made(stage, wanted))

    @case()
    async def test_the_same_key_pays_once(self) -> None:
        """The same attempt made again finds the payment that is there."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        first, again = await made(stage, wanted), await made(stage, wanted)
        assert first.outcome is again.outcome is Outcome.PAID
        assert first.provider_ref == again.provider_ref
        await assert_paid_once(stage, wanted, again)

    @case()
    async def test_concurrent_requests_with_one_key_pay_once(self) -> None:
        """Requests of one attempt at the same time make one payment, and none of them reports that there is none."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        found = await asyncio.gather(*(create(stage, wanted) for _ in range(_AT_ONCE)))
        assert Outcome.NO_EFFECT not in {one.outcome for one in found}
        await assert_paid_once(stage, wanted, await settled(stage, wanted, found[0]))

    @case()
    async def test_the_same_key_with_another_amount_is_a_conflict(self) -> None:
        """A second amount under a used key is not paid, and is reported as unknown: the key may have paid."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        await made(stage, wanted)
        more = Amount(wanted.amount.asset, wanted.amount.minor + 1)
        result = await create(stage, replace(wanted, amount=more))
        assert (result.outcome, result.code) == (Outcome.UNKNOWN, PayoutCode.IDEMPOTENCY_CONFLICT)
        await assert_paid_once(stage, wanted, await made(stage, wanted))

    @case()
    async def test_the_same_key_with_other_details_is_a_conflict(self) -> None:
        """Another recipient under a used key is not paid, and is reported as unknown: the key may have paid."""
        stage = await self.make_stage()
        wanted, other = stage.instruction(), stage.instruction()
        await made(stage, wanted)
        result = await create(stage, replace(wanted, details=other.details, memo=other.memo))
        assert (result.outcome, result.code) == (Outcome.UNKNOWN, PayoutCode.IDEMPOTENCY_CONFLICT)
        await assert_paid_once(stage, wanted, await made(stage, wanted))

    @case()
    async def test_equal_payments_of_two_payouts_are_both_made(self) -> None:
        """Two payouts of one amount to one recipient are two payments."""
        stage = await self.make_stage()
        first, other = stage.instruction(), stage.instruction()
        second = replace(other, details=first.details, memo=first.memo)
        for wanted in (first, second):
            await assert_paid_once(stage, wanted, await made(stage, wanted))

    @case(Behaviour.PENDING)
    async def test_pending_becomes_paid_by_looking(self) -> None:
        """A payment that takes time is first pending without proof, and then paid with proof."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.PENDING)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        assert result.outcome is Outcome.PENDING
        await assert_paid_once(stage, wanted, await settled(stage, wanted, result))

    @case()
    async def test_a_paid_payment_stays_paid(self) -> None:
        """However often a payment is looked up, it stays paid with the same amount and reference."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        paid = await made(stage, wanted)
        for _ in range(POLLS_MAX):
            found = await look_up(stage, wanted, paid)
            assert (found.outcome, found.amount, found.provider_ref) == (
                Outcome.PAID,
                wanted.amount,
                paid.provider_ref,
            )
        assert await stage.effects(wanted.payout_id) == 1

    @case(Behaviour.PENDING)
    async def test_a_restart_loses_nothing(self) -> None:
        """A payment that was accepted before a crash is found afterwards, by asking again and by looking."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.PENDING)
        wanted = stage.instruction()
        await create(stage, wanted)
        await stage.restart()
        await stage.behave(Behaviour.SUCCESS)
        assert (await create(stage, wanted)).outcome in (Outcome.PENDING, Outcome.PAID)
        found = await look_up(stage, wanted, None)
        await assert_paid_once(stage, wanted, await settled(stage, wanted, found))
