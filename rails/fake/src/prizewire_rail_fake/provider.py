"""The provider: it follows its scenario, and the rules of real rails."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import (
    CancelOutcome,
    Capabilities,
    Outcome,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    Quote,
    QuoteRequest,
    QuoteUnavailable,
    RailType,
)
from prizewire_money import Amount
from prizewire_rail_fake.journal import Entry, Journal
from prizewire_rail_fake.pricing import Pricing, read_pricing
from prizewire_rail_fake.webhooks import WebhookSender
from prizewire_railkit import Options, RailContext, RailMisconfigured, no_effect, paid, pending, unknown

METHOD_TYPE = "fake"
_RETRY_AFTER_S = 1


class Scenario(StrEnum):
    """The outcome of a payment. An account named ``<scenario>+anything`` chooses its own; all others take the
    rail's.
    """

    SUCCESS = "success"
    PENDING = "pending"
    """Accepted, and paid after ``pending_looks`` look-ups."""
    FAILURE = "failure"
    """Refused permanently."""
    RETRYABLE = "retryable"
    """The first attempt is refused temporarily, later ones succeed."""
    LOST_ANSWER = "lost_answer"
    """Paid, but the answer never arrives."""
    LOST_REQUEST = "lost_request"
    """The first attempt's request never arrives, and the caller gets no error; later ones succeed."""
    OUTAGE = "outage"
    """Unavailable for payments and look-ups."""
    RETURNED = "returned"
    """Paid, and returned after ``pending_looks`` look-ups."""
    THROTTLED = "throttled"
    """The first attempt is refused because there were too many requests; later ones succeed. Where the rail has this
    scenario, look-ups are refused too.
    """
    GARBAGE = "garbage"
    """Paid, but the answer cannot be read. Where the rail has this scenario, the answers of look-ups neither."""
    SLOW = "slow"
    """Paid, and the answer arrives after ``slow_ms``."""


def build(context: RailContext) -> "FakeProvider":
    """The rail of one entry of the configuration.

    Options: ``journal`` (file of the journal; memory if absent), ``scenario`` (``success``), ``assets`` (all that may
    be paid out), ``latency_ms`` (0), ``slow_ms`` (60,000), ``pending_looks`` (2), ``concurrency`` (8), ``calls_per_s`` (no limit), ``outage_file``
    (while this file exists the rail cannot be reached), those of `read_pricing`, ``webhook_url`` and ``webhook_secret`` (where the stand-in sends its webhooks, and
    what it signs them with; none are sent if both are absent).

    Raises:
        RailMisconfigured: in production, or an option is wrong or unknown.
    """
    return _build(context, open_journal=Journal)


def check(context: RailContext) -> None:
    """Read the options as ``build`` does, without a file of the journal.

    Raises:
        RailMisconfigured: as ``build``.
    """
    _build(context, open_journal=lambda _path: Journal()).journal.close()


def _build(context: RailContext, *, open_journal: Callable[[Path | None], Journal]) -> "FakeProvider":
    if context.in_production:
        msg = f"the rail {context.name} is of type fake, which moves no money: it may not run in production"
        raise RailMisconfigured(msg)
    options = context.options
    journal = options.path("journal")
    scenario = Scenario(options.text("scenario", Scenario.SUCCESS, choices=[*Scenario]))
    redeemable = [code for code, asset in context.assets.items() if asset.redeemable]
    assets = frozenset(options.texts("assets", redeemable))
    if not assets <= set(context.assets):
        msg = f"the rail {context.name} names assets that assets.yaml does not hold: {sorted(assets - set(context.assets))}"
        raise RailMisconfigured(msg)
    provider = FakeProvider(
        name=context.name,
        assets=assets,
        journal=open_journal(journal),
        scenario=scenario,
        latency_s=options.integer("latency_ms", 0) / 1000,
        slow_s=options.integer("slow_ms", 60_000) / 1000,
        pending_looks=options.integer("pending_looks", 2),
        concurrency=options.integer("concurrency", 8, least=1, most=1000),
        calls_per_s=options.integer("calls_per_s", least=1, most=1000)
        if options.has("calls_per_s")
        else None,
        outage_file=options.path("outage_file"),
        webhooks=_webhooks(options),
        pricing=read_pricing(options, assets=context.assets),
    )
    options.finish()
    return provider


def _webhooks(options: Options) -> WebhookSender | None:
    if not options.has("webhook_url") and not options.has("webhook_secret"):
        return None
    return WebhookSender(url=options.text("webhook_url"), secret=options.secret("webhook_secret"))


class FakeProvider:
    """A `prizewire_contracts.rails.RewardPayoutProvider`. ``scenario`` may be changed between calls."""

    def __init__(
        self,
        *,
        name: str,
        assets: frozenset[str],
        journal: Journal,
        scenario: Scenario = Scenario.SUCCESS,
        latency_s: float = 0.0,
        pending_looks: int = 2,
        concurrency: int = 8,
        calls_per_s: int | None = None,
        outage_file: Path | None = None,
        webhooks: WebhookSender | None = None,
        pricing: Pricing | None = None,
        slow_s: float = 60.0,
    ) -> None:
        self.scenario = scenario
        self.journal = journal
        self._name = name
        self._assets = assets
        self._latency_s = latency_s
        self._pending_looks = pending_looks
        self._concurrency = concurrency
        self._calls_per_s = calls_per_s
        self._outage_file = outage_file
        self._webhooks = webhooks
        self._pricing = pricing or Pricing()
        self._slow_s = slow_s

    def __repr__(self) -> str:
        return f"FakeProvider({self._name}, {self.scenario})"

    def capabilities(self) -> Capabilities:
        """See `RewardPayoutProvider`."""
        return Capabilities(
            rail=self._name,
            type=RailType.FAKE,
            assets=self._assets,
            method_types=frozenset({METHOD_TYPE}),
            can_cancel=True,
            can_return=True,
            has_webhooks=self._webhooks is not None,
            minimum=self._pricing.minimum,
            maximum=self._pricing.maximum,
            concurrency=self._concurrency,
            calls_per_s=self._calls_per_s,
        )

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        """See `RewardPayoutProvider`."""
        if self._is_out(self.scenario):
            raise QuoteUnavailable(PayoutCode.RAIL_UNAVAILABLE, "the rail cannot be reached now")
        if request.pay_asset.code not in self._assets:
            raise QuoteUnavailable(
                PayoutCode.RAIL_UNSUPPORTED, f"the rail does not pay {request.pay_asset.code}"
            )
        return self._pricing.quote(request, now=now)

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        """See `RewardPayoutProvider`."""
        await asyncio.sleep(self._latency_s)
        scenario = self._scenario_of(instruction.details)
        if self._is_out(scenario):
            return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        first = instruction.attempt_no == 1
        if scenario is Scenario.LOST_REQUEST and first:
            return unknown()
        if scenario is Scenario.THROTTLED and first:
            return no_effect(code=PayoutCode.RAIL_THROTTLED, retry_after_s=_RETRY_AFTER_S)
        wanted = self._entry(instruction, scenario)
        entry = await asyncio.to_thread(self.journal.enter, wanted, at=now)
        if entry is wanted:
            self._announce(entry)
        same_amount = (entry.asset, entry.amount) == (wanted.asset, wanted.amount)
        if not same_amount or entry.body not in ("", wanted.body):
            # the key belongs to another payment: the outcome of this one is not known
            return unknown(code=PayoutCode.IDEMPOTENCY_CONFLICT)
        if scenario in (Scenario.LOST_ANSWER, Scenario.GARBAGE) and entry is wanted:
            return unknown()
        if scenario is Scenario.SLOW and entry is wanted:
            await asyncio.sleep(self._slow_s)
        return self._result(entry, instruction.amount)

    def _entry(self, instruction: PayoutInstruction, scenario: Scenario) -> Entry:
        """The payment as the journal takes it up: paid, accepted, or refused with a code."""
        amount = instruction.amount
        code = self._refusal(instruction, scenario)
        accepted = "pending" if scenario is Scenario.PENDING else "paid"
        return Entry(
            key=instruction.provider_key,
            payout_id=instruction.payout_id,
            attempt_no=instruction.attempt_no,
            asset=amount.asset.code,
            amount=amount.to_wire(),
            state=accepted if code is None else "refused",
            code=code,
            scenario=scenario,
            looks=0,
            body=_body(instruction),
        )

    def _refusal(self, instruction: PayoutInstruction, scenario: Scenario) -> PayoutCode | None:
        if instruction.amount.asset.code not in self._assets:
            return PayoutCode.RAIL_UNSUPPORTED
        if instruction.method_type != METHOD_TYPE or not _account(instruction.details):
            return PayoutCode.DESTINATION_INVALID
        if self._pricing.beyond_limits(instruction.amount):
            return PayoutCode.LIMIT_EXCEEDED
        if scenario is Scenario.FAILURE:
            return PayoutCode.PROVIDER_REJECTED
        if scenario is Scenario.RETRYABLE and instruction.attempt_no == 1:
            return PayoutCode.RAIL_UNAVAILABLE
        return None

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        """See `RewardPayoutProvider`.

        A key that was never used is closed by the look-up: a request that is still on its way under it will find
        it refused. That is what makes "not found" a proof here.
        """
        await asyncio.sleep(self._latency_s)
        entry = await asyncio.to_thread(self.journal.look, reference.provider_key)
        if self._is_out(self.scenario if entry is None else Scenario(entry.scenario)):
            return unknown()
        if self.scenario in (Scenario.THROTTLED, Scenario.GARBAGE):
            return unknown(retry_after_s=_RETRY_AFTER_S if self.scenario is Scenario.THROTTLED else None)
        if entry is None:
            entry = await asyncio.to_thread(self._close_key, reference, PayoutCode.RAIL_UNAVAILABLE, now)
        elif entry.looks >= self._pending_looks:
            before, entry = entry, await asyncio.to_thread(self._mature, entry, now)
            if entry.state != before.state:
                self._announce(entry)
        return self._result(entry, reference.amount)

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        """See `RewardPayoutProvider`."""
        if self._is_out(self.scenario):
            return CancelOutcome.UNKNOWN
        entry = await asyncio.to_thread(self._close_key, reference, PayoutCode.CANCELLED, now)
        if entry.state == "pending":
            turned = await asyncio.to_thread(
                self.journal.turn,
                entry.key,
                old="pending",
                new="refused",
                at=now,
                code=PayoutCode.CANCELLED,
            )
            entry = turned or entry
            self._announce(entry)
        return CancelOutcome.CANCELLED if entry.state == "refused" else CancelOutcome.TOO_LATE

    def _announce(self, entry: Entry) -> None:
        if self._webhooks is not None:
            self._webhooks.send(entry)

    def _is_out(self, scenario: Scenario) -> bool:
        if self._outage_file is not None and self._outage_file.exists():
            return True
        return Scenario.OUTAGE in (scenario, self.scenario)

    def _scenario_of(self, details: Mapping[str, Any]) -> Scenario:
        prefix, plus, _ = _account(details).partition("+")
        return Scenario(prefix) if plus and prefix in [*Scenario] else self.scenario

    def _close_key(self, reference: PayoutReference, code: PayoutCode, now: datetime) -> Entry:
        entry = Entry(
            key=reference.provider_key,
            payout_id=reference.payout_id,
            attempt_no=reference.attempt_no,
            asset=reference.amount.asset.code,
            amount=reference.amount.to_wire(),
            state="refused",
            code=code,
            scenario=self.scenario,
            looks=0,
        )
        return self.journal.enter(entry, at=now)

    def _mature(self, entry: Entry, now: datetime) -> Entry:
        """Change the state of a payment that had enough look-ups."""
        turned = None
        if entry.state == "pending":
            turned = self.journal.turn(entry.key, old="pending", new="paid", at=now)
        elif entry.state == "paid" and entry.scenario == Scenario.RETURNED:
            turned = self.journal.turn(entry.key, old="paid", new="returned", at=now)
        return turned or entry

    def _result(self, entry: Entry, amount: Amount) -> ProviderResult:
        reference = f"fake-{entry.key}"
        said = Amount.parse(amount.asset, entry.amount)
        if entry.state == "paid":
            return paid(
                amount=said,
                reference=reference,
                fee=self._pricing.fee(said),
                fee_borne_by=self._pricing.fee_borne_by,
            )
        if entry.state == "pending":
            return pending(reference=reference)
        if entry.state == "returned":
            return ProviderResult(
                outcome=Outcome.RETURNED,
                provider_ref=reference,
                amount=said,
                return_ref=f"{reference}-return",
                proof={"reference": reference},
            )
        return no_effect(code=PayoutCode(entry.code or PayoutCode.PROVIDER_REJECTED), reference=reference)


def _account(details: Mapping[str, Any]) -> str:
    account = details.get("account")
    return account if isinstance(account, str) else ""


def _body(instruction: PayoutInstruction) -> str:
    """A digest of what a payment is for, beside its amount: the same key with another one is another payment."""
    body = [instruction.method_type, dict(instruction.details), instruction.memo]
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
