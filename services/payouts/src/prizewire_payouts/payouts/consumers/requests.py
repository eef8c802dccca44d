"""Requests and closures of intents as messages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.envelope import Envelope
from prizewire_contracts.events.payouts import PrizeOrigin
from prizewire_contracts.events.rewards import (
    BatchLine,
    PayoutCancelRequestedEvent,
    PayoutIntentRenewedEvent,
    PayoutRequested,
    PayoutRequestedEvent,
    PayoutRetryRefusedEvent,
)
from prizewire_contracts.events.signing import ClosedEvent, CloseRefusedEvent
from prizewire_contracts.intents import INTENT_VERSION, Intent
from prizewire_contracts.topics import REWARDS
from prizewire_contracts.trust import NotTrusted, TrustStore
from prizewire_money import Amount, AssetRegistry, InvalidAmount, UnknownAsset
from prizewire_payouts.inline.domain import Sealed
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.metrics import DUPLICATES_STOPPED
from prizewire_payouts.payouts.domain.model import (
    AllowedWay,
    BatchPlace,
    BoundQuote,
    Command,
    IntentTerms,
    RefuseRetry,
    RenewIntent,
    RequestCancel,
    RequestPayout,
)
from prizewire_payouts.payouts.handlers.operators import apply_close_refusal, apply_closure
from prizewire_payouts.payouts.handlers.requests import Rules, apply_commands
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.ports import Admission
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.payouts.storage.quotes import bound_quote
from prizewire_payouts.quotes.adapters import OwnQuotes, document_of
from prizewire_payouts.quotes.handlers import mismatch
from prizewire_payouts.unit_of_work import UnitOfWork, UnitOfWorkFactory

CONSUMER = "payouts.rewards"


_TYPES = frozenset(
    str(model.model_fields["type"].default)
    for model in (
        PayoutRequestedEvent,
        PayoutCancelRequestedEvent,
        PayoutIntentRenewedEvent,
        PayoutRetryRefusedEvent,
    )
)


def rewards_spec(handler: "RewardsConsumer") -> ConsumerSpec:
    """The consumer of rewards' events about payouts; it skips all other events of the topic."""
    return ConsumerSpec(
        name=CONSUMER, topic=REWARDS, handler=handler, version_rule=_version_rule, types=_TYPES
    )


def _version_rule(event_type: str) -> VersionRule:
    return VersionRule.STRICT if event_type in _TYPES else VersionRule.NONE


class RewardsConsumer:
    """Makes commands of events. It reads the intent and verifies that rewards signed it."""

    def __init__(
        self,
        *,
        unit_of_work: UnitOfWorkFactory,
        admission: Callable[[UnitOfWork], Admission],
        rules: Rules,
        trust: TrustStore,
        assets: AssetRegistry,
        clock: Clock,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._admission = admission
        self._rules = rules
        self._trust = trust
        self._quotes = OwnQuotes(trust)
        self._assets = assets
        self._clock = clock

    async def __call__(self, tx: AsyncConnection, events: Sequence[Incoming]) -> Mapping[int, Refusal]:
        """Apply a batch; returns the refused events by their index."""
        refusals: dict[int, Refusal] = {}
        commands: list[Command] = []
        places: list[int] = []
        for index, incoming in enumerate(events):
            read = self._read(incoming.event)
            if isinstance(read, Refusal):
                refusals[index] = read
            else:
                commands.append(read)
                places.append(index)
        if commands:
            unit_of_work = self._unit_of_work(tx)
            rejections = await apply_commands(
                PayoutStorage(unit_of_work),
                MethodStorage(unit_of_work),
                self._admission(unit_of_work),
                commands,
                rules=self._rules,
                now=self._clock.now(),
            )
            for position, rejection in rejections.items():
                place = places[position]
                refusals[place] = Refusal(RefusalCode(rejection.code), rejection.detail, park=rejection.park)
                # a person who replays a parked event is no second request
                if rejection.second_payment and events[place].replay_of is None:
                    after_commit(tx, DUPLICATES_STOPPED.labels("request").inc)
        return refusals

    def _read(self, event: Envelope) -> Command | Refusal:
        if event.subject != str(event.data.payout_id):
            return Refusal(RefusalCode.EVENT_MISMATCH, "the subject is not the payout id")
        if isinstance(event, PayoutCancelRequestedEvent):
            data = event.data
            return RequestCancel(
                payout_id=data.payout_id, cause=event.id, by=data.by, code=data.code, reason=data.reason
            )
        if isinstance(event, PayoutIntentRenewedEvent):
            terms = self._terms(event.data.intent, event.data.intent_signature)
            if isinstance(terms, Refusal):
                return terms
            return RenewIntent(payout_id=event.data.payout_id, cause=event.id, terms=terms)
        if isinstance(event, PayoutRetryRefusedEvent):
            refused = event.data
            return RefuseRetry(
                payout_id=refused.payout_id,
                cause=event.id,
                retry_no=refused.retry_no,
                code=refused.code,
                detail=refused.detail,
            )
        assert isinstance(event, PayoutRequestedEvent)
        return self._requested(event)

    def _requested(self, event: PayoutRequestedEvent) -> Command | Refusal:
        data = event.data
        terms = self._terms(data.intent, data.intent_signature)
        if isinstance(terms, Refusal):
            return terms
        quote = self._quote(data)
        if isinstance(quote, Refusal):
            return quote
        sealed = data.sealed_details
        return RequestPayout(
            payout_id=data.payout_id,
            correlation_id=event.correlationid,
            cause=event.id,
            player=data.player,
            method_id=data.method_id,
            method_version=data.method_version,
            reward_ids=tuple(data.reward_ids),
            filed_by=data.filed_by,
            terms=terms,
            parties=tuple((party.role.value, party.subject) for party in data.parties),
            one_person=tuple(data.one_person),
            retry_of=data.retry_of,
            quote=quote,
            batch=_place(data.batch),
            sealed=None if sealed is None else Sealed(key_id=sealed.key_id, box=sealed.box),
        )

    def _quote(self, data: PayoutRequested) -> BoundQuote | Refusal | None:
        """The quote of a request, which payouts itself signed and the intent names."""
        if data.quote is None and data.intent.quote is None:
            return None
        if data.quote is None or data.quote_signature is None:
            return Refusal(RefusalCode.INTENT_INVALID, "the intent names a quote that is not in the request")
        document = document_of(data.quote, signature=data.quote_signature)
        if self._quotes.read(document) is None:
            return Refusal(RefusalCode.INTENT_INVALID, "payouts did not sign the quote")
        wrong = mismatch(data.quote, intent=data.intent, method_id=data.method_id)
        bound = bound_quote(document, assets=self._assets)
        if wrong is not None or bound is None:
            return Refusal(RefusalCode.INTENT_INVALID, wrong or "the quote has an invalid amount or asset")
        return bound

    def _terms(self, intent: Intent, signature: str) -> IntentTerms | Refusal:
        try:
            issued = datetime.fromtimestamp(intent.issued_at, UTC)
            expires = datetime.fromtimestamp(intent.expires_at, UTC)
        except (ValueError, OverflowError, OSError):
            return Refusal(
                RefusalCode.INTENT_INVALID,
                "invalid intent timestamps: issued_at and expires_at are Unix seconds",
            )
        if intent.v != INTENT_VERSION or issued >= expires:
            detail = (
                f"an intent of version {intent.v}, issued at {intent.issued_at} and expired at {intent.expires_at}, is "
                f"not accepted: version {INTENT_VERSION} that expires after it is issued is"
            )
            return Refusal(RefusalCode.INTENT_INVALID, detail)
        try:
            self._trust.verify(
                keyid=intent.key_id,
                service="rewards",
                use="intent",
                message=intent.signing_bytes(),
                signature=signature,
                at=issued,
            )
        except NotTrusted as error:
            return Refusal(RefusalCode.INTENT_INVALID, f"the intent is not signed by rewards: {error.code}")
        try:
            amount = Amount.parse(self._assets[intent.pay_asset], intent.pay_amount)
            debit = Amount.parse(self._assets[intent.debit_asset], intent.debit_amount)
            allowed = tuple(
                AllowedWay(
                    rail=one.rail,
                    destination=one.destination,
                    commitment=one.commitment,
                    memo=one.memo,
                    amount_max=Amount.parse(amount.asset, one.amount_max),
                )
                for one in intent.allowed
            )
        except UnknownAsset:
            codes = f"{intent.pay_asset} or {intent.debit_asset}"
            return Refusal(RefusalCode.ASSET_UNKNOWN, f"assets.yaml does not contain {codes}", park=True)
        except InvalidAmount as error:
            return Refusal(RefusalCode.INTENT_INVALID, f"an amount of the intent is invalid: {error.code}")
        try:
            # every event about the payout names them
            PrizeOrigin(campaign=intent.campaign, competition=intent.competition, source=intent.source)
        except ValidationError as error:
            wrong = error.errors()[0]["loc"][0]
            return Refusal(RefusalCode.INTENT_INVALID, f"the intent's {wrong} is no identifier")
        as_json: dict[str, Any] = orjson.loads(orjson.dumps(asdict(intent)))
        return IntentTerms(
            json=as_json,
            signature=signature,
            network=intent.network,
            payout_id=intent.payout_id,
            correlation_id=intent.correlation_id,
            player=intent.player,
            payee=intent.payee,
            campaign=intent.campaign,
            competition=intent.competition,
            source=intent.source,
            amount=amount,
            debit=debit,
            allowed=allowed,
            expires_at=expires,
            needs_closure=intent.needs_closure,
        )


def _place(batch: BatchLine | None) -> BatchPlace | None:
    if batch is None:
        return None
    return BatchPlace(batch_id=batch.batch_id, line=batch.line, lines=batch.lines)


class ExecutionReports:
    """The callbacks that an execution is built with."""

    def __init__(self, *, unit_of_work: UnitOfWorkFactory, schedule: Schedule, clock: Clock) -> None:
        self._unit_of_work = unit_of_work
        self._schedule = schedule
        self._clock = clock

    async def on_progress(self, tx: AsyncConnection, payout_ids: Sequence[UUID], now: datetime) -> None:
        """The execution has progressed for these payouts: their rail is asked at once."""
        await self._payouts(tx).look_up_payouts_now(payout_ids, now=now)

    async def on_closed(self, tx: AsyncConnection, incoming: Incoming) -> bool:
        """The signer's tombstone, whose signature was verified: end the payout. Its text is stored as it was on Kafka,
        since rewards verifies it again. False where there is no such payout.
        """
        event = incoming.event
        assert isinstance(event, ClosedEvent)
        return await apply_closure(
            self._payouts(tx),
            payout_id=event.data.payout_id,
            closure=incoming.value.decode(),
            cause=event.id,
            now=self._clock.now(),
        )

    async def on_close_refused(self, tx: AsyncConnection, incoming: Incoming) -> bool:
        """The signer has bound a slot to the payout: reopen it until the slot is proved. False where there is no such
        payout.
        """
        event = incoming.event
        assert isinstance(event, CloseRefusedEvent)
        not_before = event.data.not_before
        return await apply_close_refusal(
            self._payouts(tx),
            payout_id=event.data.payout_id,
            cause=event.id,
            not_before=None if not_before is None else datetime.fromtimestamp(not_before, UTC),
            schedule=self._schedule,
            now=self._clock.now(),
        )

    def _payouts(self, tx: AsyncConnection) -> PayoutStorage:
        return PayoutStorage(self._unit_of_work(tx))
