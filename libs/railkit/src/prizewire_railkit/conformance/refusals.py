"""Cases of payments that are refused: proved, final where it says so, and without effect."""

from dataclasses import replace

from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_contracts.rails import Outcome, PayoutInstruction
from prizewire_money import Amount, Asset
from prizewire_railkit.conformance.cases import (
    Cases,
    assert_no_effect,
    assert_paid_once,
    case,
    create,
    look_up,
    made,
    next_attempt,
    settled,
)
from prizewire_railkit.conformance.stage import Behaviour, Feature, Stage

_UNSERVED = Asset("UNSERVED", 2, redeemable=True)


class RefusalCases(Cases):
    """Payments that are refused."""

    @case(Behaviour.FAILURE)
    async def test_a_failure_is_proved_and_final(self) -> None:
        """A permanently refused payment has no effect and a code without retry; a look-up returns the same."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.FAILURE)
        wanted = stage.instruction()
        result = await made(stage, wanted)
        await assert_no_effect(stage, wanted, result, decision=RetryDecision.GIVE_UP)
        again = await look_up(stage, wanted, result)
        await assert_no_effect(stage, wanted, again, decision=RetryDecision.GIVE_UP)

    @case(Behaviour.RETRYABLE)
    async def test_a_new_attempt_after_a_retryable_failure_pays_once(self) -> None:
        """A temporarily refused payment may be retried under a new key; only that one pays."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.RETRYABLE)
        first = stage.instruction()
        await assert_no_effect(stage, first, await made(stage, first), decision=RetryDecision.RETRY)
        second = next_attempt(first)
        await assert_paid_once(stage, second, await made(stage, second))

    @case(Behaviour.THROTTLED)
    async def test_throttling_has_no_effect_and_is_retried_later(self) -> None:
        """A throttled request had no effect and says when to retry, a throttled look-up proves nothing, the next attempt pays."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.THROTTLED)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        assert result.code == PayoutCode.RAIL_THROTTLED
        assert result.retry_after_s is not None
        assert result.retry_after_s >= 1
        await assert_no_effect(stage, wanted, result, decision=RetryDecision.RETRY)
        assert (await look_up(stage, wanted, result)).outcome is Outcome.UNKNOWN
        await stage.behave(Behaviour.SUCCESS)
        second = next_attempt(wanted)
        await assert_paid_once(stage, second, await made(stage, second))

    @case()
    async def test_unusable_details_are_refused(self) -> None:
        """Details that the rail cannot pay to are a refusal without effect, not an error of the program."""
        stage = await self.make_stage()
        wanted = replace(stage.instruction(), details={}, memo=None)
        await assert_no_effect(stage, wanted, await made(stage, wanted), decision=RetryDecision.GIVE_UP)

    @case()
    async def test_an_asset_that_the_rail_does_not_pay_is_refused(self) -> None:
        """An asset outside the capabilities is refused without effect."""
        stage = await self.make_stage()
        wanted = stage.instruction(amount=Amount(_UNSERVED, 100))
        result = await create(stage, wanted)
        await assert_no_effect(stage, wanted, result, decision=RetryDecision.GIVE_UP)

    @case(Feature.MINIMUM)
    async def test_too_little_is_refused(self) -> None:
        """An amount below the minimum is refused without effect; the minimum itself is paid."""
        stage = await self.make_stage()
        asset = stage.instruction().amount.asset
        limit = stage.provider.capabilities().minimum[asset.code]
        below = stage.instruction(amount=Amount(asset, limit.minor - 1))
        await assert_no_effect(stage, below, await made(stage, below), decision=RetryDecision.GIVE_UP)
        await _assert_paid(stage, stage.instruction(amount=limit))

    @case(Feature.MAXIMUM)
    async def test_too_much_is_refused(self) -> None:
        """An amount above the maximum is refused without effect; the maximum itself is paid."""
        stage = await self.make_stage()
        asset = stage.instruction().amount.asset
        limit = stage.provider.capabilities().maximum[asset.code]
        above = stage.instruction(amount=Amount(asset, limit.minor + 1))
        await assert_no_effect(stage, above, await made(stage, above), decision=RetryDecision.GIVE_UP)
        await _assert_paid(stage, stage.instruction(amount=limit))

    @case()
    async def test_a_key_that_was_never_used_cannot_pay_after_it_was_looked_up(self) -> None:
        """Once a look-up has proved that a key had no effect, a late request under it must not pay either."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        looked = await look_up(stage, wanted, None)
        assert looked.outcome in (Outcome.NO_EFFECT, Outcome.UNKNOWN)
        if looked.outcome is Outcome.NO_EFFECT:
            assert PAYOUT_DECISIONS[PayoutCode(looked.code or "")] is RetryDecision.RETRY
            late = await create(stage, wanted)
            assert late.outcome is Outcome.NO_EFFECT
            late = await settled(stage, wanted, late)
            assert await stage.effects(wanted.payout_id) == 0


async def _assert_paid(stage: Stage, wanted: PayoutInstruction) -> None:
    await assert_paid_once(stage, wanted, await made(stage, wanted))
