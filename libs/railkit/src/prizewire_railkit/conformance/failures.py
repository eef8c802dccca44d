"""Cases of faults between us and the provider: what is not known is unknown, and a look-up by our key ends it."""

import asyncio
import contextlib

from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_contracts.rails import CancelOutcome, Outcome, ProviderResult
from prizewire_railkit.conformance.cases import (
    Cases,
    assert_paid_once,
    assert_true,
    case,
    create,
    look_up,
    made,
    reference,
    settled,
)
from prizewire_railkit.conformance.stage import SLOW_S, Behaviour, Feature


class FailureCases(Cases):
    """Answers that are lost, late or unreadable, and outages."""

    def _unproved(self, result: ProviderResult) -> bool:
        """Whether a request is not proved. A rail that stores a payment first may also say that it is pending."""
        stored = self.lacks(Feature.CALLS) and result.outcome is Outcome.PENDING
        return stored or result.outcome is Outcome.UNKNOWN

    @case(Behaviour.LOST_ANSWER, Feature.LOOK_UP_BY_KEY)
    async def test_a_lost_answer_is_unknown_and_found_by_our_key(self) -> None:
        """Where the answer is lost the outcome is unknown; a look-up by our own key, after a restart, proves it."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.LOST_ANSWER)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        assert self._unproved(result)
        await stage.restart()
        await stage.behave(Behaviour.SUCCESS)
        await assert_paid_once(
            stage, wanted, await settled(stage, wanted, await look_up(stage, wanted, None))
        )

    @case(Behaviour.GARBAGE, Feature.LOOK_UP_BY_KEY)
    async def test_an_unreadable_answer_is_unknown(self) -> None:
        """An answer that cannot be read proves nothing, of a payment and of a look-up; a readable one ends it."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.GARBAGE)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        assert self._unproved(result)
        assert self._unproved(await look_up(stage, wanted, None))
        await stage.behave(Behaviour.SUCCESS)
        await assert_paid_once(stage, wanted, await settled(stage, wanted, result))

    @case(Behaviour.SLOW, Feature.LOOK_UP_BY_KEY)
    async def test_a_call_that_is_cut_off_is_found_by_our_key(self) -> None:
        """A call that takes too long is cut off by payouts; a later look-up proves what it did."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.SLOW)
        wanted = stage.instruction()
        with contextlib.suppress(TimeoutError):
            result = await asyncio.wait_for(create(stage, wanted), timeout=SLOW_S / 2)
            assert self._unproved(result)
        await stage.restart()
        await stage.behave(Behaviour.SUCCESS)
        found = await settled(stage, wanted, await look_up(stage, wanted, None))
        await assert_true(stage, wanted, found)

    @case(Behaviour.OUTAGE)
    async def test_an_outage_claims_nothing_false(self) -> None:
        """While the provider is unavailable nothing is paid and a look-up proves nothing; afterwards payments work."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.OUTAGE)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        assert self._unproved(result) or result.outcome is Outcome.NO_EFFECT
        if result.outcome is Outcome.NO_EFFECT:
            assert PAYOUT_DECISIONS[PayoutCode(result.code or "")] is RetryDecision.RETRY
        assert self._unproved(await look_up(stage, wanted, result))
        assert await stage.effects(wanted.payout_id) == 0
        await stage.behave(Behaviour.SUCCESS)
        other = stage.instruction()
        await assert_paid_once(stage, other, await made(stage, other))

    @case(Behaviour.OUTAGE, Behaviour.PENDING)
    async def test_an_outage_after_the_payment_is_ended_by_a_look_up(self) -> None:
        """In an outage neither a look-up nor a cancel proves anything of a payment under way; afterwards a look-up does."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.PENDING)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        await stage.behave(Behaviour.OUTAGE)
        for _ in range(3):
            assert self._unproved(await look_up(stage, wanted, result))
        answer = CancelOutcome.UNKNOWN
        if not self.lacks(Feature.CALLS):
            answer = await stage.provider.cancel(reference(wanted, result), now=stage.now())
        assert answer in (CancelOutcome.UNKNOWN, CancelOutcome.NOT_SUPPORTED)
        await stage.behave(Behaviour.SUCCESS)
        await assert_paid_once(stage, wanted, await settled(stage, wanted, result))

    @case()
    async def test_a_look_up_during_the_payment_claims_nothing_false(self) -> None:
        """A look-up at the same time as the payment, and the payment, never prove two different things."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        by_request, by_look = await asyncio.gather(create(stage, wanted), look_up(stage, wanted, None))
        found = [await settled(stage, wanted, one) for one in (by_request, by_look)]
        assert len({one.outcome for one in found}) == 1
        for one in found:
            await assert_true(stage, wanted, one)
