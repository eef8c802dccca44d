"""What the verifier says of a stored event."""

from dataclasses import replace
from uuid import UUID, uuid4

import orjson

from prizewire_chassis.clock import ManualClock
from prizewire_chassis.outbox import Outbox
from prizewire_chassis.testing import make_key, make_trust
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.payouts import PayoutSubmitted, PayoutSubmittedEvent
from prizewire_webhooks.outbound.adapters.secrets import SecretBox, new_secret
from prizewire_webhooks.outbound.domain.model import PublicEvent, Task, Unverified
from prizewire_webhooks.outbound.messages import EventVerifier
from services.webhooks.tests.conftest import KEY_HEX, paid_event
from services.webhooks.tests.outbound.unit.test_decisions import NOW, TASK

SECRET = SecretBox(KEY_HEX).seal(new_secret(), subscription_id=UUID(int=1))


def task_of(event: EncodedEvent) -> Task:
    """A delivery of an event as it is stored."""
    raw = orjson.loads(event.value)
    stored = PublicEvent(
        event_id=raw["id"],
        source=raw["source"],
        type=raw["type"],
        subject=raw["subject"],
        correlation_id=raw["correlationid"],
        message=event.value,
    )
    return replace(TASK, event=stored, secrets=(SECRET,), correlation_id=stored.correlation_id)


def test_the_body_is_the_message_without_what_is_between_services():
    """Neither the key, nor the signature, nor the trace goes to subscribers."""
    task = task_of(paid_event(correlation_id="c"))
    raw = {**orjson.loads(task.event.message), "traceparent": "00-1-2-01"}
    traced = replace(task, event=replace(task.event, message=canonical_bytes(raw)))
    hidden = {"keyid", "signature", "traceparent"}
    body = canonical_bytes({name: value for name, value in raw.items() if name not in hidden})
    assert EventVerifier(make_trust()).body(traced) == body


def test_a_type_that_is_not_public_is_not_sent():
    """Whatever a subscription lists, a signed event of another type stays inside."""
    payout = uuid4()
    outbox = Outbox(service="payouts", key=make_key("payouts"), clock=ManualClock(NOW))
    data = PayoutSubmitted(payout_id=payout, attempt_no=1, rail="fake", provider_key=uuid4())
    inner = outbox.event(PayoutSubmittedEvent, data, subject=str(payout), version=1, correlation_id="c")
    assert EventVerifier(make_trust()).body(task_of(inner)) is Unverified.NOT_WANTED
