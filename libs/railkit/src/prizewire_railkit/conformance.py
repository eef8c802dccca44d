"""What every rail must do, as tests to inherit.

    class TestMyRail(RailConformance):
        async def make_stage(self) -> Stage:
            return MyStage(...)

Run with pytest and pytest-asyncio in auto mode. A stage is the rail with a stand-in of its provider. The
test sets the stand-in's behaviour, and the stand-in counts its payments.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import (
    CancelOutcome,
    Outcome,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    RewardPayoutProvider,
)
from prizewire_money import Amount

POLLS_MAX = 20
"""The number of look-ups after which a pending payment on a stand-in must have ended."""


class Behaviour(StrEnum):
    """How the provider treats the following payments."""

    SUCCESS = "success"
    PENDING = "pending"
    """Accepted, and paid after some look-ups."""
    FAILURE = "failure"
    """Refused permanently."""
    RETRYABLE = "retryable"
    """Refused temporarily: the first attempt has no effect, the next one is paid."""
    LOST_ANSWER = "lost_answer"
    """Paid, but the answer never arrives."""
    OUTAGE = "outage"
    """The provider cannot be reached."""


class Stage(Protocol):
    """A rail under test with a stand-in of its provider. ``secrets`` are texts that no ``repr`` may show."""

    provider: RewardPayoutProvider
    secrets: Sequence[str]

    def now(self) -> datetime:
        """The present moment."""
        ...

    def instruction(self, *, amount: Amount | None = None) -> PayoutInstruction:
        """A first attempt of a new payout; a usual amount where none is given."""
        ...

    def smallest(self) -> Amount:
        """The smallest amount that the rail takes."""
        ...

    async def behave(self, behaviour: Behaviour) -> None:
        """Set the behaviour for the following payments."""
        ...

    async def effects(self, payout_id: UUID) -> int:
        """How many payments the stand-in made for a payout, under any key."""
        ...

    async def restart(self) -> None:
        """Replace ``provider`` by a new one over the same stand-in, as after a crash."""
        ...


class RailConformance:
    """The test cases. A rail that lacks a feature says so in its capabilities, and a case checks that."""

    async def make_stage(self) -> Stage:
        """A new rail over a new stand-in; called once for each test."""
        raise AssertionError("a rail's test class must define make_stage")

    async def test_capabilities_are_complete(self) -> None:
        """A rail reports its name, its assets and its method types without a call to its provider."""
        found = (await self.make_stage()).provider.capabilities()
        assert found.rail
        assert found.assets
        assert found.method_types
        assert found.concurrency >= 1

    async def test_a_quote_pays_nothing(self) -> None:
        """A quote names the amount asked for and has no effect."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        quote = await stage.provider.quote(wanted, now=stage.now())
        assert quote.amount == wanted.amount
        assert quote.expires_at > stage.now()
        assert await stage.effects(wanted.payout_id) == 0

    async def test_a_payment_is_made_once_and_proved(self) -> None:
        """A payment succeeds with the amount asked for and something that proves it."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        result = await _settled(stage, wanted, await stage.provider.create_payout(wanted, now=stage.now()))
        assert result.outcome is Outcome.PAID
        assert result.amount == wanted.amount
        assert result.proof or result.provider_ref
        assert await stage.effects(wanted.payout_id) == 1

    async def test_the_same_key_pays_once(self) -> None:
        """The same attempt made again finds the payment that is there."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        first = await _settled(stage, wanted, await stage.provider.create_payout(wanted, now=stage.now()))
        again = await _settled(stage, wanted, await stage.provider.create_payout(wanted, now=stage.now()))
        assert first.outcome is again.outcome is Outcome.PAID
        assert first.provider_ref == again.provider_ref
        assert await stage.effects(wanted.payout_id) == 1

    async def test_a_lost_answer_is_unknown_and_found_by_our_key(self) -> None:
        """Where the answer is lost the outcome is unknown; a look-up by our own key, after a restart, proves it."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.LOST_ANSWER)
        wanted = stage.instruction()
        result = await stage.provider.create_payout(wanted, now=stage.now())
        assert result.outcome is Outcome.UNKNOWN
        await stage.restart()
        await stage.behave(Behaviour.SUCCESS)
        found = await _settled(stage, wanted, result)
        assert found.outcome is Outcome.PAID
        assert found.amount == wanted.amount
        assert await stage.effects(wanted.payout_id) == 1

    async def test_pending_becomes_paid_by_looking(self) -> None:
        """A payment that takes time is first pending without proof, and then paid with proof."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.PENDING)
        wanted = stage.instruction()
        result = await stage.provider.create_payout(wanted, now=stage.now())
        assert result.outcome is Outcome.PENDING
        assert (await _settled(stage, wanted, result)).outcome is Outcome.PAID
        assert await stage.effects(wanted.payout_id) == 1

    async def test_a_failure_is_proved_and_final(self) -> None:
        """A permanently refused payment has no effect and a code without retry; a look-up returns the same."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.FAILURE)
        wanted = stage.instruction()
        result = await _settled(stage, wanted, await stage.provider.create_payout(wanted, now=stage.now()))
        assert result.outcome is Outcome.NO_EFFECT
        assert PAYOUT_DECISIONS[PayoutCode(result.code or "")] is RetryDecision.GIVE_UP
        again = await stage.provider.sync_status(_reference(wanted, result), now=stage.now())
        assert again.outcome is Outcome.NO_EFFECT
        assert await stage.effects(wanted.payout_id) == 0

    async def test_a_new_attempt_after_a_retryable_failure_pays_once(self) -> None:
        """A temporarily refused payment may be retried under a new key; only that one pays."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.RETRYABLE)
        first = stage.instruction()
        result = await _settled(stage, first, await stage.provider.create_payout(first, now=stage.now()))
        assert result.outcome is Outcome.NO_EFFECT
        assert PAYOUT_DECISIONS[PayoutCode(result.code or "")] is RetryDecision.RETRY
        second = _next(first)
        paid = await _settled(stage, second, await stage.provider.create_payout(second, now=stage.now()))
        assert paid.outcome is Outcome.PAID
        assert await stage.effects(first.payout_id) == 1

    async def test_an_outage_claims_nothing_false(self) -> None:
        """While the provider is unavailable nothing is paid and a look-up proves nothing; afterwards payments work."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.OUTAGE)
        wanted = stage.instruction()
        result = await stage.provider.create_payout(wanted, now=stage.now())
        assert result.outcome in (Outcome.UNKNOWN, Outcome.NO_EFFECT)
        if result.outcome is Outcome.NO_EFFECT:
            assert PAYOUT_DECISIONS[PayoutCode(result.code or "")] is RetryDecision.RETRY
        looked = await stage.provider.sync_status(_reference(wanted, result), now=stage.now())
        assert looked.outcome is Outcome.UNKNOWN
        assert await stage.effects(wanted.payout_id) == 0
        await stage.behave(Behaviour.SUCCESS)
        other = stage.instruction()
        paid = await _settled(stage, other, await stage.provider.create_payout(other, now=stage.now()))
        assert paid.outcome is Outcome.PAID

    async def test_a_key_that_was_never_used_cannot_pay_after_it_was_looked_up(self) -> None:
        """Once a look-up has proved that a key had no effect, a late request under it must not pay either."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        looked = await stage.provider.sync_status(_reference(wanted, None), now=stage.now())
        assert looked.outcome in (Outcome.NO_EFFECT, Outcome.UNKNOWN)
        if looked.outcome is Outcome.NO_EFFECT:
            late = await stage.provider.create_payout(wanted, now=stage.now())
            assert late.outcome is Outcome.NO_EFFECT
            assert await stage.effects(wanted.payout_id) == 0

    async def test_cancel_proves_or_says_no(self) -> None:
        """A confirmed cancel means that nothing was paid; a rail that cannot cancel reports that."""
        stage = await self.make_stage()
        await stage.behave(Behaviour.PENDING)
        wanted = stage.instruction()
        result = await stage.provider.create_payout(wanted, now=stage.now())
        answer = await stage.provider.cancel(_reference(wanted, result), now=stage.now())
        if not stage.provider.capabilities().can_cancel:
            assert answer is CancelOutcome.NOT_SUPPORTED
            return
        if answer is CancelOutcome.CANCELLED:
            found = await _settled(stage, wanted, result)
            assert found.outcome is Outcome.NO_EFFECT
            assert await stage.effects(wanted.payout_id) == 0

    async def test_a_paid_payout_cannot_be_cancelled(self) -> None:
        """A cancel after the payment is too late, or not supported; the payment stays."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        paid = await _settled(stage, wanted, await stage.provider.create_payout(wanted, now=stage.now()))
        answer = await stage.provider.cancel(_reference(wanted, paid), now=stage.now())
        assert answer in (CancelOutcome.TOO_LATE, CancelOutcome.NOT_SUPPORTED)
        assert await stage.effects(wanted.payout_id) == 1

    async def test_the_smallest_unit_arrives_whole(self) -> None:
        """The smallest amount is paid to the last minor unit."""
        stage = await self.make_stage()
        wanted = stage.instruction(amount=stage.smallest())
        paid = await _settled(stage, wanted, await stage.provider.create_payout(wanted, now=stage.now()))
        assert paid.outcome is Outcome.PAID
        assert paid.amount == stage.smallest()

    async def test_nothing_shows_a_secret(self) -> None:
        """Neither credentials nor a recipient's details appear in any repr."""
        stage = await self.make_stage()
        wanted = stage.instruction()
        result = await stage.provider.create_payout(wanted, now=stage.now())
        shown = " ".join(repr(thing) for thing in (stage.provider, wanted, result))
        assert [secret for secret in stage.secrets if secret in shown] == []
        for value in wanted.details.values():
            assert str(value) not in shown


def _reference(instruction: PayoutInstruction, result: ProviderResult | None) -> PayoutReference:
    return PayoutReference(
        payout_id=instruction.payout_id,
        attempt_no=instruction.attempt_no,
        provider_key=instruction.provider_key,
        amount=instruction.amount,
        provider_ref=None if result is None else result.provider_ref,
    )


def _next(instruction: PayoutInstruction) -> PayoutInstruction:
    number = instruction.attempt_no + 1
    key = provider_key(payout_id=instruction.payout_id, attempt_no=number)
    return replace(instruction, attempt_no=number, provider_key=key)


async def _settled(stage: Stage, instruction: PayoutInstruction, result: ProviderResult) -> ProviderResult:
    """Look up the payment until its outcome is proved."""
    for _ in range(POLLS_MAX):
        if result.outcome not in (Outcome.PENDING, Outcome.UNKNOWN):
            return result
        result = await stage.provider.sync_status(_reference(instruction, result), now=stage.now())
    raise AssertionError(f"still {result.outcome} after {POLLS_MAX} looks")
