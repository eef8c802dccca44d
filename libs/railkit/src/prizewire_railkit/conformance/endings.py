"""Cases of what follows a payment: a cancel, and a return."""

from prizewire_contracts.rails import CancelOutcome, Outcome
from prizewire_railkit.conformance.cases import (
    POLLS_MAX,
    Cases,
    case,
    create,
    look_up,
    made,
    reference,
    settled,
)
from prizewire_railkit.conformance.stage import Behaviour, Feature


class EndingCases(Cases):
    """Cancels and returns."""

    @case(Behaviour.PENDING)
    async def test_cancel_proves_or_says_no(self) -> None:
        """A confirmed cancel means that nothing was paid; a rail that cannot cancel reports that."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.PENDING)
        wanted = stage.instruction()
        result = await create(stage, wanted)
        answer = await stage.provider.cancel(reference(wanted, result), now=stage.now())
        if not stage.provider.capabilities().can_cancel:
            assert answer is CancelOutcome.NOT_SUPPORTED
        expected = Outcome.NO_EFFECT if answer is CancelOutcome.CANCELLED else Outcome.PAID
        found = await settled(stage, wanted, result)
        assert found.outcome is expected
        assert await stage.effects(wanted.payout_id) == (expected is Outcome.PAID)

    @case()
    async def test_a_paid_payout_cannot_be_cancelled(self) -> None:
        """A cancel after the payment is too late, or not supported; the payment stays."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        paid = await made(stage, wanted)
        answer = await stage.provider.cancel(reference(wanted, paid), now=stage.now())
        assert answer in (CancelOutcome.TOO_LATE, CancelOutcome.NOT_SUPPORTED)
        assert (await look_up(stage, wanted, paid)).outcome is Outcome.PAID
        assert await stage.effects(wanted.payout_id) == 1

    @case(Feature.CANCEL)
    async def test_a_key_that_was_cancelled_never_pays(self) -> None:
        """Where a cancel of a key that was not used yet is confirmed, a late request under the key has no effect."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        answer = await stage.provider.cancel(reference(wanted, None), now=stage.now())
        assert answer in (CancelOutcome.CANCELLED, CancelOutcome.UNKNOWN)
        if answer is CancelOutcome.CANCELLED:
            assert (await made(stage, wanted)).outcome is Outcome.NO_EFFECT
            assert await stage.effects(wanted.payout_id) == 0

    @case(Feature.RETURNS, Behaviour.RETURNED)
    async def test_a_payment_may_be_returned_later(self) -> None:
        """A payment that comes back is first paid, then returned with its amount and the reference of the return."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.RETURNED)
        wanted = stage.instruction()
        found = await made(stage, wanted)
        assert found.outcome is Outcome.PAID
        for _ in range(POLLS_MAX):
            found = await look_up(stage, wanted, found)
            if found.outcome is not Outcome.PAID:
                break
        assert (found.outcome, found.amount) == (Outcome.RETURNED, wanted.amount)
        assert found.return_ref
        again = await look_up(stage, wanted, found)
        assert (again.outcome, again.return_ref) == (Outcome.RETURNED, found.return_ref)
        assert (await create(stage, wanted)).outcome in (Outcome.RETURNED, Outcome.UNKNOWN)
        assert await stage.effects(wanted.payout_id) == 1
