"""The routes: subscriptions for admins, webhooks of providers."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import httpx
import orjson
import pytest
from litestar import Litestar
from standardwebhooks import Webhook

from prizewire_chassis.auth import Role
from prizewire_chassis.health import Health
from prizewire_chassis.http import build_app
from prizewire_chassis.testing import make_token, make_trust, token_reader
from prizewire_contracts.decode import decode
from prizewire_contracts.topics import PROVIDER_WEBHOOKS
from prizewire_webhooks.inbound.adapters import RailVerifier
from prizewire_webhooks.inbound.http import PROVIDER_BODY_BYTES_MAX, provider_controller
from prizewire_webhooks.inbound.messages import provider_event
from prizewire_webhooks.inbound.storage import SqlProviders
from prizewire_webhooks.lineage import lineage_of
from prizewire_webhooks.outbound.adapters.secrets import new_secret
from prizewire_webhooks.outbound.adapters.sender import AddressGuard
from prizewire_webhooks.outbound.http import STATUSES, SubscriptionContext, subscription_controller
from prizewire_webhooks.outbound.storage import open_unit_of_work
from services.webhooks.tests.conftest import ANY_TARGET, World, paid_event
from services.webhooks.tests.fakes import HmacVerifier, signed
from tests.documented import Documented
from tests.hostile import send_with, try_everything

VENDOR = "vendor-secret"
HOOK = "/api/payments/webhook/cards"


def auth(*roles: str, subject: str = "studio") -> dict[str, str]:
    return {"authorization": f"Bearer {make_token(subject=subject, roles=roles)}"}


def app(world: World, *, allow_loopback: bool) -> Litestar:
    common = {"db": world.db, "audit": world.audit, "clock": world.clock}
    return build_app(
        service="webhooks",
        controllers=[
            subscription_controller(
                SubscriptionContext(
                    errors=STATUSES,
                    unit_of_work=open_unit_of_work,
                    queries=open_unit_of_work,
                    addresses=AddressGuard(allow_loopback=allow_loopback, rules=ANY_TARGET),
                    sealer=world.box,
                    make_secret=new_secret,
                    **common,
                )
            ),
            provider_controller(
                store=SqlProviders,
                rails={"cards": RailVerifier(HmacVerifier(), ["old-secret", VENDOR])},
                render=partial(provider_event, outbox=world.outbox),
                outbox=world.outbox,
                **common,
            ),
        ],
        health=Health(),
        tokens=token_reader(),
    )


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Documented(app(world, allow_loopback=True)))
    async with httpx.AsyncClient(transport=transport, base_url="http://webhooks") as made:
        yield made


def subscription_body(world: World, **changes: object) -> dict[str, object]:
    return {"url": world.receiver.url, "event_types": ["payout.paid"], **changes}


async def test_from_subscription_to_history(world: World, client: httpx.AsyncClient):
    """A secret shown once verifies what arrives; history shows every attempt; removal ends it."""
    made = await client.post(
        "/api/webhooks", json=subscription_body(world, description="prizes"), headers=auth("admin")
    )
    assert made.status_code == 201
    subscription = made.json()
    assert subscription["secret"].startswith("whsec_")
    assert subscription["event_types"] == ["prizewire.payout.paid.v1"]
    place = f"/api/webhooks/{subscription['id']}"
    shown = await client.get(place, headers=auth("admin"))
    listed = await client.get("/api/webhooks", headers=auth("admin"))
    assert "secret" not in shown.json()
    assert listed.json() == {"items": [shown.json()], "next_cursor": None}
    for number in range(3):
        await world.publish(paid_event(correlation_id=f"c-{number}"))
    await world.pump()
    for request in world.receiver.seen:
        Webhook(subscription["secret"]).verify(request.body, dict(request.headers))
    first = (await client.get(place + "/deliveries?limit=2", headers=auth("admin"))).json()
    second = (
        await client.get(
            place + "/deliveries",
            params={"limit": 2, "cursor": first["next_cursor"]},
            headers=auth("admin"),
        )
    ).json()
    items = first["items"] + second["items"]
    assert [item["correlation_id"] for item in items] == ["c-2", "c-1", "c-0"]
    assert {item["state"] for item in items} == {"delivered"}
    assert [attempt["status"] for item in items for attempt in item["attempts"]] == [204] * 3
    dead = await client.get(place + "/deliveries?state=dead", headers=auth("admin"))
    assert dead.json()["items"] == []
    assert (await client.delete(place, headers=auth("admin"))).status_code == 204
    assert (await client.get(place, headers=auth("admin"))).json()["code"] == "subscription_not_found"
    assert (await client.delete(place, headers=auth("admin"))).status_code == 404
    actions = [row.action for row in await world.rows("SELECT action FROM audit_log ORDER BY sequence")]
    assert actions == ["subscription.created", "subscription.deleted"]
    outgoing = await world.rows("SELECT value FROM outbox")
    assert all(subscription["secret"].encode() not in bytes(row.value) for row in outgoing)
    assert await world.breaches() == []


async def test_a_repeated_request_makes_one_subscription_and_shows_no_secret(
    world: World, client: httpx.AsyncClient
):
    """The answer is the same except for the secret, which is shown once and not stored; another body is a conflict."""
    headers = {**auth("admin"), "idempotency-key": "w-1"}
    first = await client.post("/api/webhooks", json=subscription_body(world), headers=headers)
    again = await client.post("/api/webhooks", json=subscription_body(world), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["secret"].startswith("whsec_")
    assert again.json() == {**first.json(), "secret": None}
    assert again.headers["idempotency-replayed"] == "true"
    other = await client.post(
        "/api/webhooks", json=subscription_body(world, description="x"), headers=headers
    )
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert len((await client.get("/api/webhooks", headers=auth("admin"))).json()["items"]) == 1
    (kept,) = await world.rows("SELECT answer::text AS answer FROM idempotency_keys")
    assert "whsec_" not in kept.answer


async def test_only_admins_subscribe_and_see(world: World, client: httpx.AsyncClient):
    """Events show every player's payouts: everybody but admins, organizers too, gets 403 and changes nothing."""
    made = await client.post(
        "/api/webhooks", json=subscription_body(world), headers=auth("admin", subject="one")
    )
    place = f"/api/webhooks/{made.json()['id']}"
    routes = [("POST", "/api/webhooks"), ("DELETE", place)]
    routes += [("GET", path) for path in ("/api/webhooks", place, place + "/deliveries")]
    for method, path in routes:
        body = subscription_body(world) if method == "POST" else None
        assert (await client.request(method, path, json=body)).status_code == 401
        for role in Role:
            if role is not Role.ADMIN:
                # the one who made it, too, once they are no admin any more
                answer = await client.request(method, path, json=body, headers=auth(role, subject="one"))
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert [row.state for row in await world.rows("SELECT state FROM subscriptions")] == ["active"]
    root = auth("admin", subject="root")
    for path in ("/api/webhooks", place, place + "/deliveries"):
        assert (await client.get(path, headers=root)).status_code == 200
    assert (await client.delete(place, headers=root)).status_code == 204


async def test_pages_of_subscriptions(world: World, client: httpx.AsyncClient):
    """The cursor leads through all of them once, also those made in the same moment."""
    for _ in range(5):
        await client.post("/api/webhooks", json=subscription_body(world), headers=auth("admin"))
    seen, cursor = [], None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/webhooks", params=query, headers=auth("admin"))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    for bad in ("x", "WzFd", "W1siYSJdLDFd"):
        answer = await client.get("/api/webhooks", params={"cursor": bad}, headers=auth("admin"))
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"url": "ftp://example.com"}, "url_invalid"),
        ({"url": "http://10.0.0.1/"}, "address_refused"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "address_refused"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "address_refused"),
        ({"url": "http://nothing.invalid/"}, "host_unknown"),
        ({"event_types": ["method.registered"]}, "event_types_invalid"),
        ({"event_types": ["payout.*"]}, "event_types_invalid"),
        ({"event_types": []}, "invalid_request"),
        ({"secret": "mine"}, "invalid_request"),
        ({"description": "x" * 501}, "invalid_request"),
    ],
)
async def test_requests_that_are_refused(world: World, client: httpx.AsyncClient, changes, code):
    """Wrong addresses, unpublished types and unknown members are refused with a stable code and store nothing."""
    answer = await client.post(
        "/api/webhooks", json=subscription_body(world, **changes), headers=auth("admin")
    )
    status = 400 if code == "invalid_request" else 422
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await world.rows("SELECT 1 FROM subscriptions") == []


async def test_loopback_needs_the_flag(world: World):
    """Without the development flag not even a subscription to loopback is taken."""
    transport = httpx.ASGITransport(app=Documented(app(world, allow_loopback=False)))
    async with httpx.AsyncClient(transport=transport, base_url="http://webhooks") as client:
        answer = await client.post("/api/webhooks", json=subscription_body(world), headers=auth("admin"))
    assert answer.json()["code"] == "address_refused"


async def test_one_owner_has_a_bounded_number(world: World, client: httpx.AsyncClient, monkeypatch):
    """The limit counts what was not deleted."""
    monkeypatch.setattr("prizewire_webhooks.outbound.handlers.subscriptions.SUBSCRIPTIONS_PER_OWNER_MAX", 2)
    answers = [
        await client.post("/api/webhooks", json=subscription_body(world), headers=auth("admin"))
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    await client.delete(f"/api/webhooks/{answers[0].json()['id']}", headers=auth("admin"))
    assert (
        await client.post("/api/webhooks", json=subscription_body(world), headers=auth("admin"))
    ).status_code == 201


async def test_lineage_shows_deliveries(world: World):
    """The lineage of a correlation id holds its deliveries with their attempts, and JSON can carry it."""
    await world.subscribe()
    await world.publish(paid_event(correlation_id="c-1"), paid_event(correlation_id="c-2"))
    await world.pump()
    async with world.db.transaction() as tx:
        (entry,) = await lineage_of(open_unit_of_work)(tx, "c-1")
    assert (entry.service, entry.kind) == ("webhooks", "webhook.delivery")
    assert "prizewire.payout.paid.v1 to 127.0.0.1: delivered after 1 attempt" in entry.summary
    assert "attempts" not in entry.summary
    assert entry.detail["attempts"][0]["status"] == 204
    orjson.dumps(entry.detail)


def call(event_id: str = "evt-1", **more: object) -> bytes:
    return orjson.dumps({"id": event_id, "type": "transfer.paid", **more})


async def test_a_providers_webhook_is_stored_and_published_once(world: World, client: httpx.AsyncClient):
    """A hundred copies at once: all answered with success, one row, one event, signed and decodable."""
    body = call(ref="tr_1")
    answers = await asyncio.gather(
        *(client.post(HOOK, content=body, headers=signed(body, secret=VENDOR)) for _ in range(100))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len(await world.rows("SELECT 1 FROM provider_events")) == 1
    (row,) = await world.rows("SELECT topic, value FROM outbox")
    event = decode(topic=PROVIDER_WEBHOOKS, value=bytes(row.value), trust=make_trust()).event
    assert (event.subject, event.data.provider) == ("cards/evt-1", "cards")
    assert (event.data.event_type, event.data.provider_ref) == ("transfer.paid", "tr_1")
    assert row.topic == PROVIDER_WEBHOOKS.name


async def test_another_body_under_a_known_id_alerts(world: World, client: httpx.AsyncClient):
    """The first body counts; each other one is answered 409, kept and audited once, and not published."""
    bodies = [call(), call(amount="1"), call(amount="1"), call(amount="2")]
    answers = [await client.post(HOOK, content=body, headers=signed(body, secret=VENDOR)) for body in bodies]
    assert [answer.status_code for answer in answers] == [200, 409, 409, 409]
    assert answers[1].json()["code"] == "provider_event_conflict"
    assert len(await world.rows("SELECT 1 FROM provider_event_conflicts")) == 2
    audited = await world.rows("SELECT action FROM audit_log")
    assert [row.action for row in audited] == ["provider_event.conflict"] * 2
    published = await world.rows("SELECT 1 FROM outbox WHERE topic = :topic", topic=PROVIDER_WEBHOOKS.name)
    assert len(published) == 1


async def test_a_providers_own_authorization_is_left_to_its_verifier(client: httpx.AsyncClient):
    """A vendor may prove itself by the Authorization header, in a scheme of its own; the route looks at no token."""
    body = call()
    proof = signed(body, secret=VENDOR)["x-signature"]
    answer = await client.post(HOOK, content=body, headers={"authorization": f"Acme {proof}"})
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    body = call("evt-2")
    for foreign in ("Basic dXNlcjp3b3Jk", "Bearer no.token.here", "nonsense"):
        answer = await client.post(
            HOOK, content=body, headers={**signed(body, secret=VENDOR), "authorization": foreign}
        )
        assert answer.status_code == 200, foreign
        answer = await client.post(HOOK, content=body, headers={"authorization": foreign})
        assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    # a token opens nothing here, and this header opens nothing elsewhere
    answer = await client.post(HOOK, content=body, headers=auth("admin"))
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    answer = await client.get("/api/webhooks", headers={"authorization": f"Acme {proof}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_a_rotated_secret_still_verifies(client: httpx.AsyncClient):
    """During a rotation several secrets are good."""
    body = call()
    assert (
        await client.post(HOOK, content=body, headers=signed(body, secret="old-secret"))
    ).status_code == 200


async def test_a_refused_request_stores_nothing(world: World, client: httpx.AsyncClient):
    """Unknown rails, changed bytes, unusable names and oversize bodies are refused without a trace."""
    body = call()
    unknown = await client.post("/api/payments/webhook/nothing", content=body)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "rail_unknown")
    mutated = await client.post(HOOK, content=body + b" ", headers=signed(body, secret=VENDOR))
    assert (mutated.status_code, mutated.json()["code"]) == (401, "signature_invalid")
    for odd in ("x" * 200, "", "a\nb"):
        bad = call(odd)
        answer = await client.post(HOOK, content=bad, headers=signed(bad, secret=VENDOR))
        assert (answer.status_code, answer.json()["code"]) == (401, "malformed")
    large = b"x" * (PROVIDER_BODY_BYTES_MAX + 1)

    async def chunks():
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    for content in (large, chunks()):
        answer = await client.post(HOOK, content=content, headers=signed(large, secret=VENDOR))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert await world.rows("SELECT 1 FROM provider_events") == []
    assert await world.rows("SELECT 1 FROM outbox") == []


async def test_hostile_requests_are_refused_with_a_code(client: httpx.AsyncClient):
    """To every route, in every part of a request: none is a failure of the service."""
    document = (await client.get("/schema/openapi.json")).json()
    send = send_with(client, lambda subject: auth("admin", subject=subject))
    assert await try_everything(document=document, send=send) == []
