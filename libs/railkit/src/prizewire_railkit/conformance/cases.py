"""What the cases have in common: the needs of a case, and questions to a rail that every group of cases asks."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, ClassVar, TypeVar
from unittest import SkipTest

from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import (
    Outcome,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    QuoteRequest,
)
from prizewire_railkit.conformance.stage import Behaviour, Feature, Stage

Need = Behaviour | Feature
S = TypeVar("S", bound="Skipping")
Test = Callable[[S], Coroutine[Any, Any, None]]
POLLS_MAX = 20
"""The number of look-ups after which a pending payment on a stand-in must have ended."""
_TEST = "test_"
_NEEDS = "needs"


class Skipping:
    """Test cases of which some may be skipped. ``skips`` says what is lacking or cannot be played, each with the reason."""

    skips: ClassVar[Mapping[Need, str]] = {}


class Cases(Skipping):
    """A group of cases of a rail."""

    async def make_stage(self) -> Stage:
        """A new rail over a new stand-in; called once for each test."""
        raise AssertionError("a rail's test class must define make_stage")

    def lacks(self, need: Need) -> bool:
        """Whether the class lists a feature or a behaviour in ``skips``."""
        return need in self.skips


def case(*needs: Need) -> Callable[[Test[S]], Test[S]]:
    """A case, which is skipped where a rail lists one of ``needs`` in its ``skips``."""

    def decorate(test: Test[S]) -> Test[S]:
        @wraps(test)
        async def run(self: S) -> None:
            for need in needs:
                if need in self.skips:
                    raise SkipTest(f"{need}: {self.skips[need]}")
            await test(self)

        setattr(run, _NEEDS, needs)
        return run

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of a test class: the name of its test, its sentence, and why the class skips it (None: it runs)."""

    name: str
    sentence: str
    skipped: str | None


def cases_of(suite: type) -> list[Case]:
    """The cases of a test class, in the order in which they are written."""
    found: dict[str, Any] = {}
    for base in suite.__mro__:
        for name, test in vars(base).items():
            if name.startswith(_TEST):
                found.setdefault(name, test)
    skips: Mapping[Need, str] = getattr(suite, "skips", {})
    return [
        Case(
            name=name,
            sentence=" ".join((test.__doc__ or "").split()),
            skipped=next((skips[need] for need in getattr(test, _NEEDS, ()) if need in skips), None),
        )
        for name, test in found.items()
    ]


def reference(instruction: PayoutInstruction, result: ProviderResult | None) -> PayoutReference:
    """How payouts names an attempt at its provider."""
    return PayoutReference(
        payout_id=instruction.payout_id,
        attempt_no=instruction.attempt_no,
        provider_key=instruction.provider_key,
        amount=instruction.amount,
        provider_ref=None if result is None else result.provider_ref,
    )


def next_attempt(instruction: PayoutInstruction) -> PayoutInstruction:
    """The attempt that follows, under a key of its own."""
    number = instruction.attempt_no + 1
    key = provider_key(payout_id=instruction.payout_id, attempt_no=number)
    return replace(instruction, attempt_no=number, provider_key=key)


def quote_of(instruction: PayoutInstruction) -> QuoteRequest:
    """A question for the price of a payment within one asset."""
    return QuoteRequest(
        debit=instruction.amount,
        pay_asset=instruction.amount.asset,
        method_type=instruction.method_type,
        details=instruction.details,
        memo=instruction.memo,
    )


async def create(stage: Stage, instruction: PayoutInstruction) -> ProviderResult:
    """Ask the rail for a payment."""
    return await stage.provider.create_payout(instruction, now=stage.now())


async def look_up(
    stage: Stage, instruction: PayoutInstruction, result: ProviderResult | None
) -> ProviderResult:
    """Look up an attempt once, after the stand-in had time to work."""
    await stage.advance()
    return await stage.provider.sync_status(reference(instruction, result), now=stage.now())


async def settled(stage: Stage, instruction: PayoutInstruction, result: ProviderResult) -> ProviderResult:
    """Look up the payment until its outcome is proved."""
    for _ in range(POLLS_MAX):
        if result.outcome not in (Outcome.PENDING, Outcome.UNKNOWN):
            return result
        result = await look_up(stage, instruction, result)
    raise AssertionError(f"still {result.outcome} after {POLLS_MAX} looks")


async def made(stage: Stage, instruction: PayoutInstruction) -> ProviderResult:
    """Ask for a payment, and look it up until its outcome is proved."""
    return await settled(stage, instruction, await create(stage, instruction))


async def assert_paid_once(stage: Stage, instruction: PayoutInstruction, result: ProviderResult) -> None:
    """The payment is proved with its amount, and the stand-in made exactly one."""
    assert result.outcome is Outcome.PAID
    assert result.amount == instruction.amount
    assert result.proof or result.provider_ref
    assert await stage.effects(instruction.payout_id) == 1


async def assert_no_effect(
    stage: Stage, instruction: PayoutInstruction, result: ProviderResult, *, decision: RetryDecision
) -> None:
    """It is proved that nothing was paid, with a code of this decision."""
    assert result.outcome is Outcome.NO_EFFECT
    assert PAYOUT_DECISIONS[PayoutCode(result.code or "")] is decision
    assert await stage.effects(instruction.payout_id) == 0


async def assert_true(stage: Stage, instruction: PayoutInstruction, result: ProviderResult) -> None:
    """A proved outcome is what the stand-in did."""
    made_once = await stage.effects(instruction.payout_id)
    if result.outcome is Outcome.PAID:
        assert (made_once, result.amount) == (1, instruction.amount)
    elif result.outcome is Outcome.NO_EFFECT:
        assert made_once == 0
