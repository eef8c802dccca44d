"""``/api/webhooks``: subscriptions and their deliveries, for admins."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID, uuid4

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.clock import Clock
from prizewire_chassis.db import Database
from prizewire_chassis.http import Problem, decode_cursor, encode_cursor, page_limit
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_chassis.http.refusals import Refusals
from prizewire_chassis.idempotency import Answer, idempotent
from prizewire_contracts.text import Line, Reason
from prizewire_webhooks import errors
from prizewire_webhooks.outbound.domain.addresses import parse_url
from prizewire_webhooks.outbound.domain.model import (
    CreateSubscription,
    Delivery,
    RemoveSubscription,
    Subscription,
)
from prizewire_webhooks.outbound.domain.states import DeliveryState, SubscriptionState
from prizewire_webhooks.outbound.handlers import subscriptions
from prizewire_webhooks.outbound.ports import AddressBook, Sealer, UnitOfWork


class SubscriptionAnswer(AnswerModel):
    """A subscription: an address, and the event types that it gets."""

    id: Id
    owner: Annotated[str, Field(description="Who made it.", examples=["ada"])]
    url: Annotated[str, Field(examples=["https://studio.example/hooks/prizewire"])]
    event_types: Annotated[list[str], Field(examples=[["prizewire.payout.paid.v1"]])]
    description: Annotated[str | None, Field(examples=["prizes of the spring cup"])]
    state: Annotated[SubscriptionState, Field(examples=["active"])]
    reason: Annotated[str | None, Field(description="Why it is not active.", examples=[None])]
    failures: Annotated[int, Field(description="Failed attempts since the last success.", examples=[0])]
    next_probe_at: Annotated[
        Moment | None,
        Field(
            description="When a failing address is tried again. Null if it does not fail.", examples=[None]
        ),
    ]
    created_at: Moment
    changed_at: Moment


class NewSubscriptionAnswer(SubscriptionAnswer):
    """A subscription just made. Its secret is shown only here, once."""

    secret: Annotated[
        str | None,
        Field(
            description="Signs the deliveries (Standard Webhooks). Keep it: it cannot be read again. Null where the "
            "request is repeated under its Idempotency-Key, since the secret is not kept in clear.",
            examples=["whsec_…"],
        ),
    ]


class AttemptAnswer(AnswerModel):
    """One attempt to deliver."""

    number: Annotated[int, Field(description="From 1.", examples=[1])]
    at: Moment
    outcome: Annotated[str, Field(examples=["delivered"])]
    status: Annotated[
        int | None, Field(description="The subscriber's HTTP status. Null without an answer.", examples=[204])
    ]
    code: Annotated[str | None, Field(description="Why there was no HTTP answer.", examples=[None])]
    latency_ms: Annotated[int | None, Field(examples=[42])]
    response: Annotated[str | None, Field(description="The beginning of the answer's body.", examples=[""])]


class DeliveryAnswer(AnswerModel):
    """One event on its way to one subscriber, with every attempt."""

    id: Annotated[str, Field(examples=["4711"])]
    subscription_id: Id
    event_id: Annotated[str, Field(examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"])]
    event_type: Annotated[str, Field(examples=["prizewire.payout.paid.v1"])]
    correlation_id: Annotated[str, Field(examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"])]
    state: Annotated[DeliveryState, Field(examples=["delivered"])]
    due_at: Annotated[
        Moment | None, Field(description="When it is tried next. Null if it has ended.", examples=[None])
    ]
    created_at: Moment
    changed_at: Moment
    attempts: list[AttemptAnswer]


def subscription_answer(subscription: Subscription) -> SubscriptionAnswer:
    """A subscription as admins see it."""
    return SubscriptionAnswer(
        id=subscription.subscription_id,
        owner=subscription.owner,
        url=subscription.url,
        event_types=list(subscription.event_types),
        description=subscription.description,
        state=subscription.state,
        reason=subscription.reason,
        failures=subscription.failures,
        next_probe_at=subscription.probe_at,
        created_at=subscription.created_at,
        changed_at=subscription.changed_at,
    )


def delivery_answer(delivery: Delivery) -> DeliveryAnswer:
    """A delivery with every attempt."""
    return DeliveryAnswer(
        id=str(delivery.delivery_id),
        subscription_id=delivery.subscription_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        correlation_id=delivery.correlation_id,
        state=delivery.state,
        due_at=delivery.due_at if delivery.state is DeliveryState.PENDING else None,
        created_at=delivery.created_at,
        changed_at=delivery.changed_at,
        attempts=[
            AttemptAnswer(
                number=attempt.number,
                at=attempt.started_at,
                outcome=attempt.outcome,
                status=attempt.status,
                code=attempt.code,
                latency_ms=attempt.latency_ms,
                response=attempt.response,
            )
            for attempt in delivery.attempts
        ],
    )


_Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
_STATUS = {
    errors.SubscriptionNotFound.code: 404,
    errors.TooManySubscriptions.code: 409,
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
    unit_of_work: Callable[[AsyncConnection], UnitOfWork],
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
                    store=unit_of_work(tx).subscriptions,
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
                found = await unit_of_work(tx).subscriptions.page(after=_after(cursor), limit=size)
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
                        command, store=unit_of_work(tx).subscriptions, now=clock.now()
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
                found = await unit_of_work(tx).deliveries.page(
                    subscription_id=subscription_id,
                    state=delivery_state,
                    before=_before(cursor),
                    limit=size,
                )
            following = encode_cursor([found[-1].delivery_id]) if len(found) == size else None
            return PageOf(items=[delivery_answer(one) for one in found], next_cursor=following)

        async def _found(self, subscription_id: UUID) -> Subscription:
            async with db.transaction() as tx:
                found = await unit_of_work(tx).subscriptions.get(subscription_id, lock=False)
            if found is None:
                raise _problem(errors.SubscriptionNotFound())
            return found

    return SubscriptionController
