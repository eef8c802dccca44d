"""``/api/webhooks``: subscriptions and their deliveries, for admins."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Role, require
from prizewire_chassis.http import (
    BY_TIME_AND_ID,
    Action,
    ErrorStatuses,
    HttpContext,
    OptionalKey,
    page_limit,
)
from prizewire_chassis.http.answers import AnswerModel, Id, Moment, PageOf
from prizewire_chassis.http.cursors import cursor_key, number
from prizewire_chassis.http.refusals import Refusals
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
    code: Annotated[
        str | None,
        Field(description="Why there was no HTTP answer, or why nothing was sent.", examples=[None]),
    ]
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


STATUSES = ErrorStatuses(
    errors=(errors.WebhookError,),
    by_code={
        errors.SubscriptionNotFound.code: 404,
        errors.TooManySubscriptions.code: 409,
        errors.IllegalTransition.code: 409,
    },
    default=422,
)
BY_DELIVERY = cursor_key(number(1, 2**63 - 1))
_Action = Action[UnitOfWork, UnitOfWork]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionContext(HttpContext[UnitOfWork, UnitOfWork]):
    """What the routes of subscriptions share. ``make_secret`` makes the secret that signs deliveries."""

    addresses: AddressBook
    sealer: Sealer
    make_secret: Callable[[], str]


def subscription_controller(context: SubscriptionContext) -> type[Controller]:
    """The controller under ``/api/webhooks``, for admins only: a subscription receives the payouts of every player, since
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
            self, data: JSONBody[NewSubscription], request: Request[Any, Any, Any], key: OptionalKey = None
        ) -> Response[NewSubscriptionAnswer]:
            """With an Idempotency-Key a repeated request makes no second subscription, and is answered without the
            secret.
            """
            command = CreateSubscription(
                owner=request.user.subject,
                url=data.url,
                event_types=tuple(data.event_types),
                description=data.description,
            )
            secret = context.make_secret()
            try:
                await subscriptions.check_request(command, addresses=context.addresses)
            except errors.WebhookError as error:
                raise STATUSES.problem(error) from None

            async def create(action: _Action) -> tuple[int, NewSubscriptionAnswer]:
                made = await subscriptions.create(
                    command,
                    subscription_id=action.id,
                    secret=secret,
                    store=action.unit_of_work.subscriptions,
                    sealer=context.sealer,
                    now=action.now,
                )
                await action.record(
                    "subscription.created",
                    target=str(made.subscription_id),
                    detail={"host": parse_url(made.url).host, "event_types": list(made.event_types)},
                )
                return 201, NewSubscriptionAnswer(**dict(subscription_answer(made)), secret=None)

            return await context.once(
                create,
                answers=NewSubscriptionAnswer,
                actor=request.user,
                route="POST /api/webhooks",
                key=key,
                body=data.model_dump(mode="json"),
                key_required=False,
                shown_once={"secret": secret},
            )

        @get("/", summary="Subscriptions, the newest first")
        async def list_all(
            self,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[SubscriptionAnswer]:
            size, after = page_limit(limit), BY_TIME_AND_ID.read(cursor)
            found = await context.read(lambda stores: stores.subscriptions.page(after=after, limit=size))
            return BY_TIME_AND_ID.page(
                found,
                limit=size,
                key=lambda one: (one.created_at, one.subscription_id),
                show=subscription_answer,
            )

        @get("/{subscription_id:uuid}", summary="One subscription", refusals=_NO_SUBSCRIPTION)
        async def show(self, subscription_id: FromPath[UUID]) -> SubscriptionAnswer:
            return subscription_answer(await self._found(subscription_id))

        @delete(
            "/{subscription_id:uuid}",
            summary="End a subscription; what waits for it is dropped",
            refusals={**_NO_SUBSCRIPTION, 409: ("illegal_transition",)},
        )
        async def remove(self, subscription_id: FromPath[UUID], request: Request[Any, Any, Any]) -> None:
            command = RemoveSubscription(subscription_id=subscription_id, actor=request.user.subject)

            async def remove(action: _Action) -> None:
                ended = await subscriptions.remove(
                    command, store=action.unit_of_work.subscriptions, now=action.now
                )
                await action.record(
                    "subscription.deleted",
                    target=str(subscription_id),
                    detail={"host": parse_url(ended.url).host},
                )

            await context.change(remove, actor=request.user)

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
            size, place = page_limit(limit), BY_DELIVERY.read(cursor)
            before = None if place is None else place[0]
            found = await context.read(
                lambda stores: stores.deliveries.page(
                    subscription_id=subscription_id, state=delivery_state, before=before, limit=size
                )
            )
            return BY_DELIVERY.page(
                found, limit=size, key=lambda one: (one.delivery_id,), show=delivery_answer
            )

        async def _found(self, subscription_id: UUID) -> Subscription:
            found = await context.read(lambda stores: stores.subscriptions.get(subscription_id, lock=False))
            if found is None:
                raise STATUSES.problem(errors.SubscriptionNotFound())
            return found

    return SubscriptionController
