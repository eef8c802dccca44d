"""The metrics of webhooks: their figures equal the rows, and their labels have known values."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from litestar import Litestar
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.testing import token_reader
from prizewire_webhooks import metrics
from prizewire_webhooks.inbound.adapters import RailVerifier
from prizewire_webhooks.inbound.http import provider_controller
from prizewire_webhooks.inbound.messages import provider_event
from prizewire_webhooks.inbound.storage import SqlProviders
from prizewire_webhooks.outbound.domain.decisions import Outcome
from prizewire_webhooks.outbound.domain.states import DELIVERY_EDGES, DeliveryState, SubscriptionState
from prizewire_webhooks.outbound.jobs import sweep_job
from prizewire_webhooks.outbound.storage import open_unit_of_work
from services.webhooks.tests.conftest import World, paid_event
from services.webhooks.tests.fakes import HmacVerifier, signed

SECRET = "vendor-secret"
PAID = b'{"id": "evt-1", "type": "paid"}'
NAME = "prizewire_provider_webhooks_total"


def outcomes(rail: str) -> dict[str, float]:
    """How many webhooks of a rail had each outcome."""
    return {
        one: REGISTRY.get_sample_value(NAME, {"rail": rail, "outcome": one}) or 0
        for one in metrics.PROVIDER_OUTCOMES
    }


def rails_shown() -> set[str]:
    """The rails that the counter of providers' webhooks has series of."""
    return {
        sample.labels["rail"] for family in metrics.PROVIDER_EVENTS.collect() for sample in family.samples
    }


def app(world: World, *, rail: str, **changes: Any) -> Litestar:
    """The route of providers, with one rail."""
    parts: dict[str, Any] = {
        "db": world.db,
        "store": SqlProviders,
        "render": partial(provider_event, outbox=world.outbox),
        "outbox": world.outbox,
        "audit": world.audit,
        "clock": world.clock,
    }
    controller = provider_controller(
        rails={rail: RailVerifier(HmacVerifier(), [SECRET])}, **{**parts, **changes}
    )
    return build_app(service="webhooks", controllers=[controller], health=Health(), tokens=token_reader())


@pytest.fixture
async def vendor(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app(world, rail="cards"))
    async with httpx.AsyncClient(transport=transport, base_url="http://webhooks") as made:
        yield made


def test_label_values_are_those_of_the_code():
    """Each closed set names the states and outcomes that the code has."""
    left = {old for old, _ in DELIVERY_EDGES}
    assert set(metrics.OPEN_STATES) == {state for state in DeliveryState if state in left}
    assert set(metrics.SUBSCRIPTION_STATES) == set(SubscriptionState)
    assert set(metrics.ATTEMPT_OUTCOMES) == {*Outcome, "superseded"}


async def test_webhooks_of_providers_are_counted_by_rail(vendor: httpx.AsyncClient):
    """A webhook counts once, under its rail and its outcome."""
    before = outcomes("cards")
    other = b'{"id": "evt-1", "type": "failed"}'
    path = "/api/payments/webhook/cards"
    for sent, secret in ((PAID, SECRET), (PAID, SECRET), (other, SECRET), (PAID, "wrong")):
        await vendor.post(path, content=sent, headers=signed(sent, secret=secret))
    after = outcomes("cards")
    counted = {name: after[name] - before[name] for name in after}
    assert counted == {"accepted": 1, "repeated": 1, "conflict": 1, "refused": 1, "failed": 0}


async def test_refused_webhooks_are_counted_and_logged_by_code(world: World):
    """The code is in the metric and in the log, once a minute for each rail and code; codes of a rail begin at 0."""
    path, name = "/api/payments/webhook/coded", "prizewire_provider_webhooks_refused_total"

    def counted() -> dict[str, float | None]:
        return {
            code: REGISTRY.get_sample_value(name, {"rail": "coded", "code": code})
            for code in metrics.PROVIDER_REFUSALS
        }

    transport = httpx.ASGITransport(app=app(world, rail="coded"))
    async with httpx.AsyncClient(transport=transport, base_url="http://webhooks") as made:
        assert counted() == dict.fromkeys(metrics.PROVIDER_REFUSALS, 0)
        for outcome in metrics.PROVIDER_OUTCOMES:
            assert REGISTRY.get_sample_value(NAME, {"rail": "coded", "outcome": outcome}) == 0
        with capture_logs() as lines:
            for _ in range(3):
                await made.post(path, content=PAID, headers=signed(PAID, secret="wrong"))
            await made.post(path, content=PAID, headers=signed(PAID, secret=SECRET))
            other = b'{"id": "evt-1", "type": "failed"}'
            answer = await made.post(path, content=other, headers=signed(other, secret=SECRET))
            world.clock.advance(timedelta(minutes=1))
            await made.post(path, content=PAID, headers=signed(PAID, secret="wrong"))
    assert answer.json()["code"] == "provider_event_conflict"
    assert counted() == {
        "signature_invalid": 4,
        "timestamp_stale": 0,
        "malformed": 0,
        "provider_event_conflict": 1,
    }
    said = [one["code"] for one in lines if one["event"] == "webhook of a provider refused"]
    assert said == ["signature_invalid", "provider_event_conflict", "signature_invalid"]


async def test_an_unknown_rail_adds_no_label_value(vendor: httpx.AsyncClient):
    """A call with the name of a rail that is not configured makes no series."""
    known = rails_shown()
    for number in range(5):
        await vendor.post(f"/api/payments/webhook/made-up-{number}", content=b"{}")
    assert rails_shown() == known
    assert "cards" in known


async def test_a_webhook_that_cannot_be_stored_is_counted(world: World):
    """Where the database refuses, the provider gets an error, and the outcome is `failed`."""

    def broken(tx: object) -> SqlProviders:
        raise ConnectionError

    transport = httpx.ASGITransport(app=app(world, rail="broken", store=broken), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://webhooks") as made:
        answer = await made.post(
            "/api/payments/webhook/broken", content=PAID, headers=signed(PAID, secret=SECRET)
        )
    assert answer.status_code == 503
    assert outcomes("broken") == {
        "accepted": 0,
        "repeated": 0,
        "conflict": 0,
        "refused": 0,
        "failed": 1,
    }


async def test_gauges_equal_the_rows(world: World):
    """Open deliveries, the age of the oldest one and subscriptions are what the tables hold, and go back to 0."""
    await world.subscribe()
    await world.publish(paid_event(correlation_id="c-1"))
    world.clock.advance(timedelta(seconds=90))
    await world.publish(paid_event(correlation_id="c-2"))
    sweep = sweep_job(db=world.db, unit_of_work=open_unit_of_work, clock=world.clock)
    await sweep.run()
    open_name = "prizewire_webhook_deliveries_open"
    assert REGISTRY.get_sample_value(open_name, {"state": "pending"}) == 2
    assert REGISTRY.get_sample_value(open_name, {"state": "sending"}) == 0
    assert REGISTRY.get_sample_value("prizewire_webhook_oldest_seconds") == 90
    assert REGISTRY.get_sample_value("prizewire_webhook_subscriptions", {"state": "active"}) == 1
    await world.pump()
    await sweep.run()
    assert REGISTRY.get_sample_value(open_name, {"state": "pending"}) == 0
    assert REGISTRY.get_sample_value("prizewire_webhook_oldest_seconds") == 0
