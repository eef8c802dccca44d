"""The provider: it follows its scenario, and the rules of real rails."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
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
    RailType,
)
from prizewire_money import Amount
from prizewire_rail_fake.journal import Entry, Journal
from prizewire_rail_fake.webhooks import WebhookSender
from prizewire_railkit import Options, RailContext, RailMisconfigured, no_effect, paid, pending, unknown

_QUOTE_VALID = timedelta(minutes=5)


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


def build(context: RailContext) -> "FakeProvider":
    """The rail of one entry of the configuration.

    Options: ``journal`` (file of the journal; memory if absent), ``scenario`` (``success``), ``assets`` (all that may
    be paid out), ``latency_ms`` (0), ``pending_looks`` (2), ``concurrency`` (8), ``outage_file`` (while this file
    exists the rail cannot be reached), ``webhook_url`` and ``webhook_secret`` (where the stand-in sends its webhooks, and
    what it signs them with; none are sent if both are absent).

    Raises:
        RailMisconfigured: in production, or an option is wrong or unknown.
    """
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
        journal=Journal(journal),
        scenario=scenario,
        latency_s=options.integer("latency_ms", 0) / 1000,
        pending_looks=options.integer("pending_looks", 2),
        concurrency=options.integer("concurrency", 8, least=1, most=1000),
        outage_file=options.path("outage_file"),
        webhooks=_webhooks(options),
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
        outage_file: Path | None = None,
        webhooks: WebhookSender | None = None,
    ) -> None:
        self.scenario = scenario
        self.journal = journal
        self._name = name
        self._assets = assets
        self._latency_s = latency_s
        self._pending_looks = pending_looks
        self._concurrency = concurrency
        self._outage_file = outage_file
        self._webhooks = webhooks

    def __repr__(self) -> str:
        return f"FakeProvider({self._name}, {self.scenario})"

    def capabilities(self) -> Capabilities:
        """See `RewardPayoutProvider`."""
        return Capabilities(
            rail=self._name,
            type=RailType.FAKE,
            assets=self._assets,
            method_types=frozenset({"fake"}),
            can_cancel=True,
            can_return=True,
            concurrency=self._concurrency,
        )

    async def quote(self, instruction: PayoutInstruction, *, now: datetime) -> Quote:
        """See `RewardPayoutProvider`: there are no fees."""
        amount = instruction.amount
        return Quote(
            amount=amount,
            fee=Amount.zero(amount.asset),
            fee_borne_by="platform",
            expires_at=now + _QUOTE_VALID,
        )

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        """See `RewardPayoutProvider`."""
        await asyncio.sleep(self._latency_s)
        scenario = self._scenario_of(instruction.details)
        if self._is_out(scenario):
            return no_effect(code=PayoutCode.RAIL_UNAVAILABLE)
        first = instruction.attempt_no == 1
        if scenario is Scenario.LOST_REQUEST and first:
            return unknown()
        amount = instruction.amount
        refused = scenario is Scenario.FAILURE or (scenario is Scenario.RETRYABLE and first)
        wanted = Entry(
            key=instruction.provider_key,
            payout_id=instruction.payout_id,
            attempt_no=instruction.attempt_no,
            asset=amount.asset.code,
            amount=amount.to_wire(),
            state="refused" if refused else "pending" if scenario is Scenario.PENDING else "paid",
            code=_refusal(scenario) if refused else None,
            scenario=scenario,
            looks=0,
        )
        entry = await asyncio.to_thread(self.journal.enter, wanted, at=now)
        if entry is wanted:
            self._announce(entry)
        if (entry.asset, entry.amount) != (wanted.asset, wanted.amount):
            # the key belongs to another payment: the outcome of this one is not known
            return unknown(code=PayoutCode.IDEMPOTENCY_CONFLICT)
        if scenario is Scenario.LOST_ANSWER and entry is wanted:
            return unknown()
        return _result(entry, amount)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        """See `RewardPayoutProvider`.

        A key that was never used is closed by the look-up: a request that is still on its way under it will find
        it refused. That is what makes "not found" a proof here.
        """
        await asyncio.sleep(self._latency_s)
        entry = await asyncio.to_thread(self.journal.look, reference.provider_key)
        if self._is_out(self.scenario if entry is None else Scenario(entry.scenario)):
            return unknown()
        if entry is None:
            entry = await asyncio.to_thread(self._close_key, reference, PayoutCode.RAIL_UNAVAILABLE, now)
        elif entry.looks >= self._pending_looks:
            before, entry = entry, await asyncio.to_thread(self._mature, entry, now)
            if entry.state != before.state:
                self._announce(entry)
        return _result(entry, reference.amount)

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
        prefix, plus, _ = str(details.get("account", "")).partition("+")
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


def _refusal(scenario: Scenario) -> PayoutCode:
    return PayoutCode.PROVIDER_REJECTED if scenario is Scenario.FAILURE else PayoutCode.RAIL_UNAVAILABLE


def _result(entry: Entry, amount: Amount) -> ProviderResult:
    reference = f"fake-{entry.key}"
    said = Amount.parse(amount.asset, entry.amount)
    if entry.state == "paid":
        return paid(amount=said, reference=reference)
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
