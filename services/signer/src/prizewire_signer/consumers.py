"""``signer.requests``: signing requests become work rows; slots and payouts are closed. No key is used here."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import after_commit
from prizewire_chassis.inbox import ConsumerSpec, Incoming, Refusal, VersionRule
from prizewire_contracts.codes import RefusalCode
from prizewire_contracts.events.signing import CloseRequestedEvent, SigningRequestedEvent, SlotClosedEvent
from prizewire_contracts.topics import SIGNING_REQUESTS
from prizewire_signer.domain.commands import CloseRequest
from prizewire_signer.domain.events import Answer, Closed, CloseRefused
from prizewire_signer.domain.model import Policy
from prizewire_signer.errors import Code, MismatchedClosing
from prizewire_signer.handlers.closing import close_payouts, close_slot
from prizewire_signer.messages.requests import close_request_of, slot_closing_of, work_of
from prizewire_signer.metrics import CLOSINGS
from prizewire_signer.ports import UnitOfWork

CONSUMER = "signer.requests"
_CLOSE_REQUESTED = CloseRequestedEvent.model_fields["type"].default


def version_rule(event_type: str) -> VersionRule:
    """Events of a slot follow each other without gaps. A request for a tombstone needs no order:
    repeated or late it has the same result, and its subject is a payout, whose versions payouts counts over several topics.
    """
    return VersionRule.NONE if event_type == _CLOSE_REQUESTED else VersionRule.STRICT


class Intake:
    """The handler of ``signer.requests``. ``wake`` starts the signing job once a batch with requests is committed."""

    def __init__(
        self,
        *,
        network: str,
        policy: Policy,
        unit_of_work: Callable[[AsyncConnection], UnitOfWork],
        audit: Audit,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._network = network
        self._policy = policy
        self._unit_of_work = unit_of_work
        self._audit = audit
        self._clock = clock
        self._wake = wake

    def spec(self) -> ConsumerSpec:
        """The consumer, for the chassis."""
        return ConsumerSpec(
            name=CONSUMER, topic=SIGNING_REQUESTS, handler=self.handle, version_rule=version_rule
        )

    async def handle(self, tx: AsyncConnection, batch: Sequence[Incoming]) -> Mapping[int, Refusal]:
        """Apply one batch inside its transaction: slots first, then payouts, then new work."""
        now = self._clock.now()
        unit_of_work = self._unit_of_work(tx)
        refusals: dict[int, Refusal] = {}
        closings = await self._close_slots(unit_of_work, batch, refusals, now)
        closed = await self._close_payouts(unit_of_work, batch, refusals, now)
        requests = [item.event for item in batch if isinstance(item.event, SigningRequestedEvent)]
        await unit_of_work.closing.enqueue([work_of(event, now=now) for event in requests])
        # the audit chain's lock comes last, as it does in the worker
        await self._record_refusals(tx, batch, refusals)

        def committed() -> None:
            for outcome in (*closings, *closed):
                CLOSINGS.labels(outcome).inc()
            if requests:
                self._wake()

        after_commit(tx, committed)
        return refusals

    async def _close_slots(
        self,
        unit_of_work: UnitOfWork,
        batch: Sequence[Incoming],
        refusals: dict[int, Refusal],
        now: datetime,
    ) -> list[str]:
        outcomes = []
        for index, item in enumerate(batch):
            if not isinstance(item.event, SlotClosedEvent):
                continue
            try:
                closing = slot_closing_of(item.event, network=self._network)
                await close_slot(
                    unit_of_work=unit_of_work,
                    closing=closing,
                    margin_s=self._policy.free_margin_s,
                    now=now,
                )
            except MismatchedClosing as error:
                refusals[index] = Refusal(RefusalCode.EVENT_MISMATCH, str(error), park=True)
                outcomes.append("slot_mismatched")
            else:
                outcomes.append("slot_closed")
        return outcomes

    async def _record_refusals(
        self, tx: AsyncConnection, batch: Sequence[Incoming], refusals: Mapping[int, Refusal]
    ) -> None:
        for index, refusal in sorted(refusals.items()):
            event = batch[index].event
            await self._audit.record(
                tx,
                actor="signer",
                action="signing.closing_refused",
                target=event.subject,
                reason=refusal.code.value,
                detail={"event_id": event.id, "detail": refusal.detail},
                correlation_id=event.correlationid,
            )

    async def _close_payouts(
        self,
        unit_of_work: UnitOfWork,
        batch: Sequence[Incoming],
        refusals: dict[int, Refusal],
        now: datetime,
    ) -> list[str]:
        requests: list[CloseRequest] = []
        for index, item in enumerate(batch):
            if not isinstance(item.event, CloseRequestedEvent):
                continue
            try:
                requests.append(close_request_of(item.event))
            except MismatchedClosing as error:
                refusals[index] = Refusal(RefusalCode.EVENT_MISMATCH, str(error))
        if not requests:
            return []
        given = await close_payouts(
            unit_of_work=unit_of_work, requests=requests, limits=self._policy.limits, now=now
        )
        return [_outcome(one) for one in given]


def _outcome(answer: Answer) -> str:
    """The label of a closing in the metrics."""
    if isinstance(answer, CloseRefused) and answer.code is Code.AGAIN_OVER_LIMIT:
        return "payout_over_limit"
    return "payout_closed" if isinstance(answer, Closed) else "payout_refused"
