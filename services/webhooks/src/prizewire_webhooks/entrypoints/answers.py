"""What webhooks' routes answer."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_webhooks.domain.model import Delivery, Subscription
from prizewire_webhooks.domain.states import DeliveryState, SubscriptionState


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


class ProviderEventAnswer(AnswerModel):
    """A provider's webhook is stored."""

    received: Annotated[bool, Field(examples=[True])]


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
