"""The conformance suite finds faults: each mutant of the fake rail has one, and the case that is about it fails."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4, uuid5

import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import (
    CancelOutcome,
    Capabilities,
    Outcome,
    PayoutInstruction,
    PayoutReference,
    ProviderEvent,
    ProviderResult,
    Quote,
    QuoteRequest,
    QuoteUnavailable,
    WebhookRefused,
)
from prizewire_money import Amount, Asset
from prizewire_rail_fake import FakeProvider, FakeVerifier, Journal, Scenario
from prizewire_rail_fake.journal import Entry
from prizewire_rail_fake.pricing import Pricing
from prizewire_railkit import no_effect, paid, unknown
from prizewire_railkit.conformance import (
    Behaviour,
    Feature,
    RailConformance,
    Signing,
    Stage,
    VerifierConformance,
    cases_of,
)
from rails.fake.tests.stage import EURC, NOW, FakeSigning, FakeStage

NAMESPACE = UUID("9d0fdd5c-3b0a-4d3f-8b25-0a7e1d0f6a51")


def again(journal: Journal, instruction: PayoutInstruction) -> None:
    """Make the payment once more, whatever the journal holds."""
    amount = instruction.amount
    journal.enter(
        Entry(
            key=uuid4(), payout_id=instruction.payout_id, attempt_no=1, asset=amount.asset.code,
            amount=amount.to_wire(), state="paid", code=None, scenario="success", looks=0,
        ),
        at=NOW,
    )  # fmt: skip


class Capable(FakeProvider):
    changes: Mapping[str, Any] = {}

    def capabilities(self) -> Capabilities:
        return replace(super().capabilities(), **self.changes)


class UnreadableType(Capable):
    changes: ClassVar = {"type": "Fake rail"}


class SilentReturns(Capable):
    changes: ClassVar = {"can_return": False}


class UnknownMethodType(Capable):
    changes: ClassVar = {"method_types": frozenset({"fake", "shell_money"})}


class Creates(FakeProvider):
    """Changes what ``create_payout`` does."""

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        return await self.altered(await super().create_payout(instruction, now=now), instruction)

    async def altered(self, result: ProviderResult, instruction: PayoutInstruction) -> ProviderResult:
        raise AssertionError


class PaysTwice(Creates):
    async def altered(self, result, instruction):
        again(self.journal, instruction)
        return result


class DropsCents(FakeProvider):
    def _entry(self, instruction: PayoutInstruction, scenario: Scenario) -> Entry:
        whole = instruction.amount.minor // 1000 * 1000
        return super()._entry(replace(instruction, amount=Amount(instruction.amount.asset, whole)), scenario)

    def _refusal(self, instruction: PayoutInstruction, scenario: Scenario) -> None:
        return None


class NewKeyEachTime(FakeProvider):
    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        return await super().create_payout(replace(instruction, provider_key=uuid4()), now=now)


class ChecksThenPays(FakeProvider):
    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        known = self.journal.find(instruction.provider_key)
        await asyncio.sleep(0)
        wanted = self._entry(instruction, self.scenario)
        if self.journal.enter(wanted, at=now) is not wanted and known is None:
            again(self.journal, instruction)
        return await super().create_payout(instruction, now=now)


class AnswersTheFirstPayment(Creates):
    async def altered(self, result, instruction):
        entry = self.journal.find(instruction.provider_key)
        if result.code != PayoutCode.IDEMPOTENCY_CONFLICT or entry is None:
            return result
        return self._result(entry, instruction.amount)


class ForgetsTheRecipient(FakeProvider):
    def _entry(self, instruction: PayoutInstruction, scenario: Scenario) -> Entry:
        return replace(super()._entry(instruction, scenario), body="")


class OneKeyForEachRecipient(FakeProvider):
    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        key = uuid5(NAMESPACE, f"{instruction.details} {instruction.amount} {instruction.attempt_no}")
        return await super().create_payout(replace(instruction, provider_key=key), now=now)


class AcceptedIsPaid(Creates):
    async def altered(self, result, instruction):
        if result.outcome is not Outcome.PENDING:
            return result
        return paid(amount=instruction.amount, reference=result.provider_ref or "")


class Looks(FakeProvider):
    """Changes what ``sync_status`` reports."""

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        return await self.altered(await super().sync_status(reference, now=now), reference)

    async def altered(self, result: ProviderResult, reference: PayoutReference) -> ProviderResult:
        raise AssertionError


class ForgetsOldPayments(Looks):
    async def altered(self, result, reference):
        entry = self.journal.find(reference.provider_key)
        if result.outcome is Outcome.PAID and entry is not None and entry.looks > 5:
            return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        return result


class KnowsItsOwnPaymentsOnly(FakeProvider):
    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.made: set[UUID] = set()

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        self.made.add(instruction.provider_key)
        return await super().create_payout(instruction, now=now)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        found = await super().sync_status(reference, now=now)
        known = reference.provider_key in self.made or reference.provider_ref is not None
        return found if known else no_effect(code=PayoutCode.RAIL_UNAVAILABLE)


class KeepsPaymentsInMemory(FakeProvider):
    def __init__(self, **parts: Any) -> None:
        super().__init__(**{**parts, "journal": Journal()})
        self.lasting: Journal = parts["journal"]

    def _announce(self, entry: Entry) -> None:
        super()._announce(entry)
        self.lasting.enter(replace(entry, key=uuid4(), state="paid"), at=NOW)


class Recoded(Creates):
    codes: Mapping[PayoutCode, PayoutCode] = {}

    async def altered(self, result, instruction):
        code = PayoutCode(result.code) if result.code else None
        return result if code is None else replace(result, code=self.codes.get(code, code))


class RetriesForEver(Recoded):
    codes: ClassVar = {PayoutCode.PROVIDER_REJECTED: PayoutCode.RAIL_UNAVAILABLE}


class GivesUpAtOnce(Recoded):
    codes: ClassVar = {PayoutCode.RAIL_UNAVAILABLE: PayoutCode.PROVIDER_REJECTED}


class ThrottledIsUnknown(Creates):
    async def altered(self, result, instruction):
        return unknown() if result.code == PayoutCode.RAIL_THROTTLED else result


class RaisesAtMissingDetails(Creates):
    async def altered(self, result, instruction):
        assert str(instruction.details["account"])
        return result


class RefusesNothing(FakeProvider):
    def _refusal(self, instruction: PayoutInstruction, scenario: Scenario) -> None:
        return None


class Unlimited(FakeProvider):
    low: bool = True

    def _refusal(self, instruction: PayoutInstruction, scenario: Scenario) -> PayoutCode | None:
        code = super()._refusal(instruction, scenario)
        limit = self._pricing.minimum if self.low else self._pricing.maximum
        below = instruction.amount < limit[instruction.amount.asset.code]
        return None if code == PayoutCode.LIMIT_EXCEEDED and below == self.low else code


class NoMinimum(Unlimited):
    low = True


class NoMaximum(Unlimited):
    low = False


class NotFoundIsProof(FakeProvider):
    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        if self.journal.find(reference.provider_key) is None:
            return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        return await super().sync_status(reference, now=now)


class GarbageIsNotFound(Looks):
    async def altered(self, result, reference):
        if self.scenario is Scenario.GARBAGE:
            return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        return result


class SlowIsFailed(Looks):
    async def altered(self, result, reference):
        entry = self.journal.find(reference.provider_key)
        if entry is not None and entry.scenario == Scenario.SLOW:
            return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        return result


class OutageIsProof(Looks):
    async def altered(self, result, reference):
        if self.scenario is Scenario.OUTAGE:
            return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        return result


class Cancels(FakeProvider):
    """Reports every cancel as done."""

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        return CancelOutcome.CANCELLED


class LosesReturns(Looks):
    async def altered(self, result, reference):
        if result.outcome is Outcome.RETURNED:
            return no_effect(code=PayoutCode.PROVIDER_REJECTED)
        return result


class Quotes(FakeProvider):
    """Changes what ``quote`` does."""

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        return await self.altered(await super().quote(request, now=now), request)

    async def altered(self, quote: Quote, request: QuoteRequest) -> Quote:
        raise AssertionError


class ExpiredQuote(Quotes):
    async def altered(self, quote, request):
        return replace(quote, expires_at=NOW)


class HidesTheFee(Quotes):
    async def altered(self, quote, request):
        return replace(quote, fee=Amount.zero(quote.pay.asset))


class WordsInsteadOfCodes(FakeProvider):
    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        try:
            return await super().quote(request, now=now)
        except QuoteUnavailable as refused:
            raise QuoteUnavailable("no price today", refused.detail) from None


class QuotesWithoutLimits(FakeProvider):
    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        return Pricing().quote(request, now=now)


class OutageIsUnsupported(FakeProvider):
    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        try:
            return await super().quote(request, now=now)
        except QuoteUnavailable as refused:
            raise QuoteUnavailable(PayoutCode.RAIL_UNSUPPORTED, refused.detail) from None


class SendsNoWebhook(FakeProvider):
    def _announce(self, entry: Entry) -> None:
        return


class EachLookPays(Looks):
    async def altered(self, result, reference):
        if result.outcome is Outcome.PAID:
            self.journal.turn(reference.provider_key, old="paid", new="pending", at=NOW)
            self.journal.turn(reference.provider_key, old="pending", new="paid", at=NOW)
        return result


class ReferenceIsTheAccount(Creates):
    async def altered(self, result, instruction):
        return replace(result, provider_ref=str(instruction.details.get("account")))


class LogsDetails(Creates):
    async def altered(self, result, instruction):
        logging.getLogger("mutant").info("paid %s", instruction.details)
        return result


class SaysWhatItDoesNotServe(FakeProvider):
    async def balances(self, *, now: datetime) -> Mapping[str, Amount]:
        return {"XLM": Amount(Asset("XLM", 7, redeemable=True), 5)}


class SaysOneBalanceForEver(FakeProvider):
    async def balances(self, *, now: datetime) -> Mapping[str, Amount]:
        return {"EURC": Amount(EURC, 1_000_000)}


RAIL_MUTANTS: dict[str, type[FakeProvider]] = {
    "test_capabilities_are_complete": UnreadableType,
    "test_skips_are_what_the_capabilities_say": SilentReturns,
    "test_details_are_of_an_installed_method_type": UnknownMethodType,
    "test_a_payment_is_made_once_and_proved": PaysTwice,
    "test_the_smallest_unit_arrives_whole": DropsCents,
    "test_the_same_key_pays_once": NewKeyEachTime,
    "test_concurrent_requests_with_one_key_pay_once": ChecksThenPays,
    "test_the_same_key_with_another_amount_is_a_conflict": AnswersTheFirstPayment,
    "test_the_same_key_with_other_details_is_a_conflict": ForgetsTheRecipient,
    "test_equal_payments_of_two_payouts_are_both_made": OneKeyForEachRecipient,
    "test_pending_becomes_paid_by_looking": AcceptedIsPaid,
    "test_a_paid_payment_stays_paid": ForgetsOldPayments,
    "test_a_restart_loses_nothing": KeepsPaymentsInMemory,
    "test_a_failure_is_proved_and_final": RetriesForEver,
    "test_a_new_attempt_after_a_retryable_failure_pays_once": GivesUpAtOnce,
    "test_throttling_has_no_effect_and_is_retried_later": ThrottledIsUnknown,
    "test_unusable_details_are_refused": RaisesAtMissingDetails,
    "test_an_asset_that_the_rail_does_not_pay_is_refused": RefusesNothing,
    "test_too_little_is_refused": NoMinimum,
    "test_too_much_is_refused": NoMaximum,
    "test_a_key_that_was_never_used_cannot_pay_after_it_was_looked_up": NotFoundIsProof,
    "test_a_lost_answer_is_unknown_and_found_by_our_key": KnowsItsOwnPaymentsOnly,
    "test_an_unreadable_answer_is_unknown": GarbageIsNotFound,
    "test_a_call_that_is_cut_off_is_found_by_our_key": SlowIsFailed,
    "test_an_outage_claims_nothing_false": OutageIsProof,
    "test_an_outage_after_the_payment_is_ended_by_a_look_up": OutageIsProof,
    "test_a_look_up_during_the_payment_claims_nothing_false": NotFoundIsProof,
    "test_cancel_proves_or_says_no": Cancels,
    "test_a_paid_payout_cannot_be_cancelled": Cancels,
    "test_a_key_that_was_cancelled_never_pays": Cancels,
    "test_a_payment_may_be_returned_later": LosesReturns,
    "test_a_quote_pays_nothing": ExpiredQuote,
    "test_a_payment_costs_no_more_than_quoted": HidesTheFee,
    "test_no_price_has_a_code": WordsInsteadOfCodes,
    "test_no_price_beyond_the_limits": QuotesWithoutLimits,
    "test_an_outage_gives_no_wrong_price": OutageIsUnsupported,
    "test_balances_are_of_served_assets": SaysWhatItDoesNotServe,
    "test_a_payment_lowers_the_balance": SaysOneBalanceForEver,
    "test_an_outage_gives_no_balance": SaysOneBalanceForEver,
    "test_a_webhook_names_its_payment": SendsNoWebhook,
    "test_webhook_and_look_up_agree": SendsNoWebhook,
    "test_duplicate_and_reordered_webhooks_are_harmless": EachLookPays,
    "test_nothing_shows_a_secret": ReferenceIsTheAccount,
    "test_logs_and_errors_hold_no_secret": LogsDetails,
}
"""The mutant that each case finds. The last case about webhooks stands below: its fault is the verifier's."""


async def broken_cases(suite: Any, names: Sequence[str]) -> list[str]:
    """Those of the named cases that fail."""
    failed = []
    for name in names:
        try:
            await getattr(suite, name)()
        except Exception:  # noqa: BLE001 - a mutant may fail in any way; BaseException would hide a skip
            failed.append(name)
    return failed


def rail_suite(make: Callable[[], Stage], *, balances: bool = False) -> RailConformance:
    """The suite over a stage, whose rail says its balances or skips the cases about them."""

    class Suite(RailConformance):
        skips: ClassVar = {} if balances else {Feature.BALANCES: "the rail invents its money"}

        async def make_stage(self) -> Stage:
            return make()

    return Suite()


@pytest.mark.parametrize(("name", "mutant"), RAIL_MUTANTS.items())
async def test_the_suite_finds_a_fault_of_a_rail(name: str, mutant: type[FakeProvider]) -> None:
    """The case that is about a fault fails for a rail that has it."""
    suite = rail_suite(lambda: FakeStage(Journal(), kind=mutant), balances=hasattr(mutant, "balances"))
    assert await broken_cases(suite, [name]) == [name]


class AcceptsAll(FakeVerifier):
    def verify(
        self, *, body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime
    ) -> ProviderEvent:
        return self.event()

    def event(self) -> ProviderEvent:
        return ProviderEvent(event_id="1", event_type="paid", provider_key=uuid4(), provider_ref="fake-1")


class Unnamed(AcceptsAll):
    def event(self) -> ProviderEvent:
        return ProviderEvent(event_id="", event_type="paid", provider_key=None, provider_ref=None)


class FirstSecretOnly(FakeVerifier):
    def verify(self, *, body, headers, secrets, now):
        return super().verify(body=body, headers=headers, secrets=secrets[:1], now=now)


class ReadsFirst(FakeVerifier):
    def verify(self, *, body, headers, secrets, now):
        if not body.startswith(b"{"):
            raise WebhookRefused("malformed")
        return super().verify(body=body, headers=headers, secrets=secrets, now=now)


class RaisesAtOddHeaders(FakeVerifier):
    def verify(self, *, body, headers, secrets, now):
        int(headers.get("webhook-timestamp", "0"))
        return super().verify(body=body, headers=headers, secrets=secrets, now=now)


class Timeless(FakeVerifier):
    def __init__(self) -> None:
        super().__init__(tolerance=timedelta(days=365))


class IdOfEachDelivery(FakeVerifier):
    def verify(self, *, body, headers, secrets, now):
        event = super().verify(body=body, headers=headers, secrets=secrets, now=now)
        return replace(event, event_id=headers["webhook-signature"])


class TakesAnyBody(FakeVerifier):
    def verify(self, *, body, headers, secrets, now):
        try:
            return super().verify(body=body, headers=headers, secrets=secrets, now=now)
        except WebhookRefused as refused:
            if refused.code != "malformed":
                raise
            return AcceptsAll().event()


class SaysTheSecret(FakeVerifier):
    def verify(self, *, body, headers, secrets, now):
        try:
            return super().verify(body=body, headers=headers, secrets=secrets, now=now)
        except WebhookRefused:
            raise WebhookRefused(f"not signed with {secrets[0]}") from None


VERIFIER_MUTANTS: dict[str, type[FakeVerifier]] = {
    "test_a_signed_webhook_names_its_payment": Unnamed,
    "test_each_secret_in_force_is_accepted": FirstSecretOnly,
    "test_another_secret_is_refused": AcceptsAll,
    "test_a_changed_body_is_refused": ReadsFirst,
    "test_changed_headers_are_refused": RaisesAtOddHeaders,
    "test_a_stale_or_future_time_is_refused": Timeless,
    "test_a_repetition_has_the_same_id": IdOfEachDelivery,
    "test_a_signed_body_that_cannot_be_read_is_malformed": TakesAnyBody,
    "test_a_refusal_shows_no_secret": SaysTheSecret,
}


@pytest.mark.parametrize(("name", "mutant"), VERIFIER_MUTANTS.items())
async def test_the_suite_finds_a_fault_of_a_verifier(name: str, mutant: type[FakeVerifier]) -> None:
    """The case that is about a fault fails for a verifier that has it."""

    class Suite(VerifierConformance):
        async def make_signing(self) -> Signing:
            return FakeSigning(mutant())

    assert await broken_cases(Suite(), [name]) == [name]


async def test_the_suite_finds_a_rail_whose_webhooks_anybody_may_send() -> None:
    """A verifier that accepts all fails the rail's case too."""

    class Open(FakeStage):
        def __init__(self) -> None:
            super().__init__(Journal())
            self.verifier = AcceptsAll()

    name = "test_a_forged_webhook_is_refused"
    assert await broken_cases(rail_suite(Open), [name]) == [name]


def test_each_case_has_a_mutant() -> None:
    """No case of the suite is without a fault that it finds."""
    named = {*RAIL_MUTANTS, "test_a_forged_webhook_is_refused"}
    assert {one.name for one in cases_of(RailConformance)} == named
    assert {one.name for one in cases_of(VerifierConformance)} == {*VERIFIER_MUTANTS}


def test_a_skipped_case_has_its_reason() -> None:
    """A class that cannot play a behaviour skips the cases that need it, with its reason, and no others."""

    class Partial(RailConformance):
        skips: ClassVar = {Behaviour.SLOW: "the stand-in answers at once"}

    skipped = {one.name: one.skipped for one in cases_of(Partial) if one.skipped is not None}
    assert skipped == {"test_a_call_that_is_cut_off_is_found_by_our_key": "the stand-in answers at once"}
