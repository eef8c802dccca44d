"""HTTP: subscriptions and their history for admins, and the door for providers' webhooks."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID, uuid4

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import OWN_PROOF, Principal, Role, require
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem, decode_cursor, encode_cursor, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.refusals import Refusals
from prizewire_chassis.idempotency import Answer, idempotent
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.rails import WebhookRefused
from prizewire_contracts.text import Line, Reason
from prizewire_webhooks.domain import errors
from prizewire_webhooks.domain.addresses import parse_url
from prizewire_webhooks.domain.commands import CreateSubscription, RemoveSubscription
from prizewire_webhooks.domain.events import ProviderSpoke
from prizewire_webhooks.domain.model import Subscription
from prizewire_webhooks.domain.states import DeliveryState
from prizewire_webhooks.entrypoints.answers import (
    DeliveryAnswer,
    NewSubscriptionAnswer,
    ProviderEventAnswer,
    SubscriptionAnswer,
    delivery_answer,
    subscription_answer,
)
from prizewire_webhooks.entrypoints.stores import Stores
from prizewire_webhooks.handlers import providers, subscriptions
from prizewire_webhooks.metrics import PROVIDER_EVENTS
from prizewire_webhooks.ports import AddressBook, Inbound, Sealer

PROVIDER_BODY_BYTES_MAX = 262_144
_Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
_STATUS = {
    errors.SubscriptionNotFound.code: 404,
    errors.RailUnknown.code: 404,
    errors.TooManySubscriptions.code: 409,
    errors.ProviderEventConflict.code: 409,
    errors.IllegalTransition.code: 409,
}
_NO_SUBSCRIPTION: Refusals = {404: ("subscription_not_found",)}


class NewSubscription(BaseModel):
    """A wished subscription. ``event_types`` are short (``payout.paid``) or full names."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            pattern=r"^[!-~]+$",
            description="Where deliveries go: HTTPS, and a public address outside development.",
            examples=["https://studio.example/hooks/prizewire"],
        ),
    ]
    event_types: Annotated[
        list[Line],
        Field(
            min_length=1,
            max_length=50,
            description="Short names, or full ones. The refusal of an unknown one lists all.",
            examples=[["payout.paid", "payout.failed"]],
        ),
    ]
    description: Annotated[Reason | None, Field(examples=["prizes of the spring cup"])] = None


async def _once(
    tx: AsyncConnection,
    *,
    actor: str,
    key: str | None,
    body: dict[str, Any],
    now: datetime,
    make: Callable[[UUID], Awaitable[tuple[int, Any]]],
) -> Answer:
    """Make a subscription once under its key, or at each call without one. What is stored holds no secret."""
    if key is None:
        status, made = await make(uuid4())
        return Answer(status, made, replayed=False)
    return await idempotent(
        tx, actor=actor, route="POST /api/webhooks", key=key, body=body, now=now, work=make
    )


def _problem(error: errors.WebhookError) -> Problem:
    return Problem(status=_STATUS.get(error.code, 422), code=error.code, detail=str(error))


def _after(cursor: str | None) -> tuple[datetime, UUID] | None:
    values = decode_cursor(cursor, length=2)
    if values is None:
        return None
    try:
        return datetime.fromisoformat(values[0]), UUID(values[1])
    except (TypeError, ValueError, AttributeError):
        raise _cursor_invalid() from None


def _before(cursor: str | None) -> int | None:
    values = decode_cursor(cursor, length=1)
    if values is None:
        return None
    if type(values[0]) is not int or not 0 < values[0] < 2**63:
        raise _cursor_invalid()
    return values[0]


def _cursor_invalid() -> Problem:
    detail = "the cursor is not one that this route gave"
    return Problem(status=400, code="cursor_invalid", detail=detail)


def subscription_controller(
    *,
    db: Database,
    stores: Stores,
    addresses: AddressBook,
    sealer: Sealer,
    make_secret: Callable[[], str],
    audit: Audit,
    clock: Clock,
) -> type[Controller]:
    """The controller under ``/api/webhooks``, for admins only: a subscription is told of every player's payouts, since
    events name no organizer to narrow them by.
    """
    allowed = require(Role.ADMIN)

    class SubscriptionController(Controller):
        path = "/api/webhooks"
        guards = [allowed]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["webhooks"]  # noqa: RUF012 - Litestar reads a plain list

        @post(
            "/",
            summary="Subscribe an address to event types; the secret is shown here only",
            refusals={
                409: ("too_many_subscriptions",),
                422: ("url_invalid", "address_refused", "host_unknown", "event_types_invalid"),
            },
        )
        async def create(
            self, data: JSONBody[NewSubscription], request: Request[Any, Any, Any], key: _Key = None
        ) -> Response[NewSubscriptionAnswer]:
            """With an Idempotency-Key a repeated request makes no second subscription, and is answered without the
            secret.
            """
            user: Principal = request.user
            command = CreateSubscription(
                owner=user.subject,
                url=data.url,
                event_types=tuple(data.event_types),
                description=data.description,
            )
            secret = make_secret()

            async def make(tx: AsyncConnection, identifier: UUID) -> tuple[int, Any]:
                made = await subscriptions.create(
                    command,
                    subscription_id=identifier,
                    secret=secret,
                    store=stores.subscriptions(tx),
                    sealer=sealer,
                    now=clock.now(),
                )
                await audit.record(
                    tx,
                    actor=user.subject,
                    action="subscription.created",
                    target=str(made.subscription_id),
                    detail={"host": parse_url(made.url).host, "event_types": list(made.event_types)},
                )
                return 201, subscription_answer(made).model_dump(mode="json")

            try:
                await subscriptions.check_wish(command, addresses=addresses)
                async with db.transaction() as tx:
                    answer = await _once(
                        tx,
                        actor=user.subject,
                        key=key,
                        body=data.model_dump(mode="json"),
                        now=clock.now(),
                        make=partial(make, tx),
                    )
            except errors.WebhookError as error:
                raise _problem(error) from None
            shown = NewSubscriptionAnswer.model_validate(
                {**answer.body, "secret": None if answer.replayed else secret}
            )
            headers = {"idempotency-replayed": "true"} if answer.replayed else {}
            return Response(shown, status_code=answer.status, headers=headers)

        @get("/", summary="Subscriptions, the newest first")
        async def list_all(
            self,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[SubscriptionAnswer]:
            size = page_limit(limit)
            async with db.transaction() as tx:
                found = await stores.subscriptions(tx).page(after=_after(cursor), limit=size)
            last = found[-1] if len(found) == size else None
            following = (
                None
                if last is None
                else encode_cursor([last.created_at.isoformat(), str(last.subscription_id)])
            )
            return PageOf(items=[subscription_answer(one) for one in found], next_cursor=following)

        @get("/{subscription_id:uuid}", summary="One subscription", refusals=_NO_SUBSCRIPTION)
        async def show(self, subscription_id: FromPath[UUID]) -> SubscriptionAnswer:
            return subscription_answer(await self._found(subscription_id))

        @delete(
            "/{subscription_id:uuid}",
            summary="End a subscription; what waits for it is dropped",
            refusals={**_NO_SUBSCRIPTION, 409: ("illegal_transition",)},
        )
        async def remove(self, subscription_id: FromPath[UUID], request: Request[Any, Any, Any]) -> None:
            user: Principal = request.user
            command = RemoveSubscription(subscription_id=subscription_id, actor=user.subject)
            try:
                async with db.transaction() as tx:
                    ended = await subscriptions.remove(
                        command, store=stores.subscriptions(tx), now=clock.now()
                    )
                    await audit.record(
                        tx,
                        actor=user.subject,
                        action="subscription.deleted",
                        target=str(subscription_id),
                        detail={"host": parse_url(ended.url).host},
                    )
            except errors.WebhookError as error:
                raise _problem(error) from None

        @get(
            "/{subscription_id:uuid}/deliveries",
            summary="Deliveries with every attempt, the newest first",
            refusals=_NO_SUBSCRIPTION,
        )
        async def history(
            self,
            subscription_id: FromPath[UUID],
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
            delivery_state: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
        ) -> PageOf[DeliveryAnswer]:
            await self._found(subscription_id)
            size = page_limit(limit)
            async with db.transaction() as tx:
                found = await stores.deliveries(tx).page(
                    subscription_id=subscription_id,
                    state=delivery_state,
                    before=_before(cursor),
                    limit=size,
                )
            following = encode_cursor([found[-1].delivery_id]) if len(found) == size else None
            return PageOf(items=[delivery_answer(one) for one in found], next_cursor=following)

        async def _found(self, subscription_id: UUID) -> Subscription:
            async with db.transaction() as tx:
                found = await stores.subscriptions(tx).get(subscription_id, lock=False)
            if found is None:
                raise _problem(errors.SubscriptionNotFound())
            return found

    return SubscriptionController


def provider_controller(
    *,
    db: Database,
    stores: Stores,
    rails: Mapping[str, Inbound],
    render: Callable[[ProviderSpoke], EncodedEvent],
    outbox: Outbox,
    audit: Audit,
    clock: Clock,
) -> type[Controller]:
    """The controller under ``/api/payments/webhook``. Who calls is proven by the rail's own signature."""

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
                raise _problem(errors.RailUnknown())
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
                PROVIDER_EVENTS.labels("refused").inc()
                detail = "this is not a webhook of this rail, or not of now"
                raise Problem(status=401, code=refused.code, detail=detail) from None
            async with db.transaction() as tx:
                result = await providers.receive(call, store=stores.providers(tx), now=now)
                if isinstance(result, ProviderSpoke):
                    await outbox.add(tx, [render(result)])
                elif result is not None and result.fresh:
                    await audit.record(
                        tx,
                        actor=call.provider,
                        action="provider_event.conflict",
                        target=f"{call.provider}/{call.event_id}",
                        reason="the same event id came with another body",
                        detail={"rail": rail, "body_sha256": call.body_hash.hex()},
                    )
            if isinstance(result, providers.Conflict):
                PROVIDER_EVENTS.labels("conflict").inc()
                raise _problem(errors.ProviderEventConflict())
            PROVIDER_EVENTS.labels("repeated" if result is None else "accepted").inc()
            return ProviderEventAnswer(received=True)

    return ProviderController
