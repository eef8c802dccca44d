"""Drills about rails: refused webhooks, an outage, a second request of one payout."""

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import yaml
from confluent_kafka import Producer

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import sign_raw
from prizewire_contracts.events.rewards import PayoutRequested
from prizewire_contracts.topics import REWARDS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.drills.drill import Drill, Step, Values, newest_pause
from prizewire_devstack.drills.world import World
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.stack.environment import FAKE_OUTAGE

RAIL: Final = "fake"
MATCHES: Final = 8
"""Matches of three prizes each: enough payments without an answer to open the circuit."""
FLUSH_S: Final = 30.0


def _on_rail(_: World) -> Values:
    return {"RAIL": RAIL}


def _pay(world: World, *, matches: int) -> str:
    """Prizes of several matches that are paid over the fake rail. Returns the campaign."""
    name = world.name("rail")
    campaign = world.campaign(name, delivery="direct", funding="100000.00")
    world.competition(name, campaign=campaign, prizes=("5.00", "3.00", "2.00"), gross="10.00")
    players = [f"{name}-p{number}" for number in range(3)]
    world.register_fake_methods(players)
    for _ in range(matches):
        world.play(name, players)
    return campaign


def _secret_file(world: World) -> Path:
    """The file with the secret that webhooks verifies the fake rail's webhooks with."""
    document = yaml.safe_load(world.stack.home.rails_file.read_text())
    fake = next(one for one in document["rails"] if one["name"] == RAIL)
    return Path(fake["webhook"]["secret_files"][0])


def _new_secret(world: World) -> Mapping[str, str]:
    """The provider signs with a secret that webhooks does not have: webhooks starts with another file."""
    file = _secret_file(world)
    other = file.with_name("other-secret")
    other.write_text("whsec_" + b64encode(secrets.token_bytes(32)).decode())
    other.chmod(0o600)
    rails = world.stack.home.rails_file
    world.notes["rails"] = rails.read_text()
    rails.write_text(rails.read_text().replace(f"- {file}", f"- {other}"))
    if rails.read_text() == world.notes["rails"]:
        raise DevstackError(f"{rails} names no file of a webhook secret: the drill cannot exchange it.")
    world.stack.stop("webhooks")
    world.stack.restart("webhooks")
    _pay(world, matches=2)
    return {"rail": RAIL}


def _mend_secret(world: World) -> None:
    world.stack.home.rails_file.write_text(world.notes["rails"])


WEBHOOKS: Final = Drill(
    name="webhook-failure",
    title="A provider signs its webhooks with a secret that we do not have",
    alert="PrizewirePayoutWebhookFailure",
    page="PrizewirePayoutWebhookFailure",
    cause=_new_secret,
    steps=(
        Step(command="prizewire rails list"),
        Step(
            command="prizewire payouts list --rail RAIL --state submitting,pending,unknown", values=_on_rail
        ),
        Step(
            command="prizewire restart webhooks",
            by_hand="The right secret is put into rails.yaml.",
            hand=_mend_secret,
        ),
        Step(command="prizewire payouts list --rail RAIL --state unknown", values=_on_rail),
    ),
)


def _outage(world: World) -> Mapping[str, str]:
    (world.stack.home.root / FAKE_OUTAGE).touch()
    _pay(world, matches=MATCHES)
    return {"rail": RAIL}


def _end_outage(world: World) -> None:
    (world.stack.home.root / FAKE_OUTAGE).unlink(missing_ok=True)


OUTAGE: Final = Drill(
    name="provider-outage",
    title="A provider does not answer",
    alert="PrizewireProviderOutage",
    page="PrizewireProviderOutage",
    cause=_outage,
    steps=(
        Step(command="prizewire rails list", codes=(0, 1)),
        Step(
            command="prizewire payouts list --rail RAIL --state submitting,pending,unknown", values=_on_rail
        ),
        Step(
            command='prizewire payouts pause rail RAIL --reason "the provider has an outage"', values=_on_rail
        ),
        Step(command="prizewire payouts pauses"),
        Step(
            command="prizewire payouts resume PAUSE",
            values=newest_pause,
            by_hand="The provider works again.",
            hand=_end_outage,
        ),
    ),
)


def _second_request(world: World) -> Mapping[str, str]:
    """A payout is requested again on other terms, signed with the key of rewards: as an attacker who stole it would."""
    campaign = _pay(world, matches=1)

    def paid() -> dict[str, Any] | None:
        with world.api("admin", "operator", "approver") as api:
            found = list(api.items("/api/admin/payouts", campaign=campaign, state="paid"))
        return found[0] if found else None

    payout = world.wait(paid)
    world.notes["PAYOUT"], world.notes["ID"] = str(payout["payout_id"]), str(payout["correlation_id"])
    first = _request_of(world, str(payout["payout_id"]))
    key = MessageKey.from_json(world.stack.keyring.message_key_file("rewards").read_text())
    data = dict(first["data"])
    intent = replace(PayoutRequested.model_validate(data).intent, competition=world.name("other"))
    data |= {"intent": asdict(intent), "intent_signature": key.sign(intent.signing_bytes())}
    second = {
        **{name: value for name, value in first.items() if name != "signature"},
        "id": str(uuid4()),
        "time": datetime.now(UTC).isoformat(),
        "aggregateversion": int(first["aggregateversion"]) + 1,
        "data": data,
    }
    producer = Producer({**world.stack.kafka.login("admin").librdkafka(), "acks": "all"})
    signed = sign_raw(topic=REWARDS.name, raw=second, key=key)
    producer.produce(REWARDS.name, key=str(second["correlationid"]).encode(), value=canonical_bytes(signed))
    producer.flush(FLUSH_S)
    return {}


def _request_of(world: World, payout: str) -> dict[str, Any]:
    """The event by which rewards requested a payout, out of its outbox."""
    rows = world.stack.postgres.run_sql(_REQUESTS, database="rewards").splitlines()
    found: list[dict[str, Any]] = [json.loads(row) for row in rows if payout in row]
    return found[-1]


_REQUESTS: Final = (
    "SELECT convert_from(value, 'UTF8') FROM outbox WHERE convert_from(value, 'UTF8')::jsonb ->> 'type' = "
    "'prizewire.payout.requested.v1' ORDER BY id DESC LIMIT 1000"
)


def _parked(world: World) -> Values:
    def found() -> str | None:
        with world.api() as api:
            stuck = list(api.items("/api/services/payouts/stuck-events", state="parked"))
        own = [one for one in stuck if one["subject"] == world.notes["PAYOUT"]]
        return f"payouts/{own[0]['id']}" if own else None

    return {"SERVICE/NUMBER": str(world.wait(found))}


def _payout(world: World) -> Values:
    return {"PAYOUT": world.notes["PAYOUT"], "ID": world.notes["ID"]}


DUPLICATE: Final = Drill(
    name="duplicate-payout",
    title="A paid payout is requested a second time",
    alert="PrizewireDuplicatePayoutAttempt",
    page="PrizewireDuplicatePayoutAttempt",
    cause=_second_request,
    steps=(
        Step(command="prizewire stuck list --service payouts"),
        Step(command="prizewire payouts show PAYOUT", values=_payout),
        Step(command="prizewire trace ID", values=_payout),
        Step(command="prizewire verify", codes=(0, 1)),
        Step(
            command='prizewire payouts pause rail RAIL --reason "duplicate payout attempts"', values=_on_rail
        ),
        Step(
            command='prizewire stuck discard SERVICE/NUMBER --reason "a second request of a paid payout"',
            values=_parked,
        ),
        Step(command="prizewire payouts pauses"),
        Step(command="prizewire payouts resume PAUSE", values=newest_pause),
    ),
)
