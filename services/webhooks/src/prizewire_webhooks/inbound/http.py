"""``/api/payments/webhook``: webhooks of providers."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from litestar import Controller, Request, post
from litestar.params import FromPath
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import OWN_PROOF
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import ErrorStatuses, Problem
from prizewire_chassis.http.answers import AnswerModel
from prizewire_chassis.logging import get_logger
from prizewire_chassis.metrics.definitions import OTHER, start_at_zero
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.rails import WebhookRefused
from prizewire_webhooks import errors
from prizewire_webhooks.inbound import handlers as providers
from prizewire_webhooks.inbound.domain import ProviderCall, ProviderEventStored
from prizewire_webhooks.inbound.ports import Inbound, ProviderStore
from prizewire_webhooks.metrics import PROVIDER_EVENTS, PROVIDER_EVENTS_REFUSED, PROVIDER_REFUSALS


class ProviderEventAnswer(AnswerModel):
    """A provider's webhook is stored."""

    received: Annotated[bool, Field(examples=[True])]


PROVIDER_BODY_BYTES_MAX = 262_144
_LOGGED_EVERY = timedelta(minutes=1)
_log = get_logger(__name__)
STATUSES = ErrorStatuses(
    errors=(errors.WebhookError,),
    by_code={errors.RailUnknown.code: 404, errors.ProviderEventConflict.code: 409},
    default=422,
)


def provider_controller(
    *,
    db: Database,
    store: Callable[[AsyncConnection], ProviderStore],
    rails: Mapping[str, Inbound],
    render: Callable[[ProviderEventStored], EncodedEvent],
    outbox: Outbox,
    audit: Audit,
    clock: Clock,
) -> type[Controller]:
    """The controller under ``/api/payments/webhook``. Who calls is proven by the rail's own signature."""
    for name in rails:
        # a counter that first appears with 1 shows no increase to Prometheus
        start_at_zero(PROVIDER_EVENTS, rail=name)
        start_at_zero(PROVIDER_EVENTS_REFUSED, rail=name)
    logged: dict[tuple[str, str], datetime] = {}

    def refused_now(*, rail: str, outcome: str, code: str, now: datetime) -> None:
        """Count a refusal, and log it at most once a minute for each rail and code: everybody may send any number of them."""
        PROVIDER_EVENTS.labels(rail, outcome).inc()
        PROVIDER_EVENTS_REFUSED.labels(rail, code).inc()
        last = logged.get((rail, code))
        if last is None or now - last >= _LOGGED_EVERY:
            logged[rail, code] = now
            _log.warning("webhook of a provider refused", rail=rail, code=code)

    class ProviderController(Controller):
        path = "/api/payments/webhook"
        tags = ["providers"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/{rail:str}",
            status_code=200,
            summary="A provider's webhook, verified over its raw bytes",
            request_max_body_size=PROVIDER_BODY_BYTES_MAX,
            refusals={
                401: ("signature_invalid", "timestamp_stale", "malformed"),
                404: ("rail_unknown",),
                409: ("provider_event_conflict",),
                413: ("body_too_large",),
            },
            opt=OWN_PROOF,
            security=[{}],
        )
        async def receive(self, rail: FromPath[str], request: Request[Any, Any, Any]) -> ProviderEventAnswer:
            if rail not in rails:
                raise STATUSES.problem(errors.RailUnknown())
            body = await request.body()
            now = clock.now()
            try:
                call = providers.verify(
                    rail=rail,
                    rails=rails,
                    body=body,
                    body_hash=hashlib.sha256(body).digest(),
                    headers=dict(request.headers.items()),
                    now=now,
                )
            except WebhookRefused as refused:
                code = refused.code if refused.code in PROVIDER_REFUSALS else OTHER
                refused_now(rail=rail, outcome="refused", code=code, now=now)
                detail = "this is not a webhook of this rail, or not of now"
                raise Problem(status=401, code=refused.code, detail=detail) from None
            try:
                result = await self._store(call, now=now)
            except Exception:
                PROVIDER_EVENTS.labels(rail, "failed").inc()
                raise
            if isinstance(result, providers.Conflict):
                code = errors.ProviderEventConflict.code
                refused_now(rail=rail, outcome="conflict", code=code, now=now)
                raise STATUSES.problem(errors.ProviderEventConflict())
            PROVIDER_EVENTS.labels(rail, "repeated" if result is None else "accepted").inc()
            return ProviderEventAnswer(received=True)

        async def _store(
            self, call: ProviderCall, *, now: datetime
        ) -> ProviderEventStored | providers.Conflict | None:
            async with db.transaction() as tx:
                result = await providers.receive(call, store=store(tx), now=now)
                if isinstance(result, ProviderEventStored):
                    await outbox.add(tx, [render(result)])
                elif result is not None and result.fresh:
                    await audit.record(
                        tx,
                        actor=call.provider,
                        action="provider_event.conflict",
                        target=f"{call.provider}/{call.event_id}",
                        reason="the same event id came with another body",
                        detail={"rail": call.rail, "body_sha256": call.body_hash.hex()},
                    )
            return result

    return ProviderController
