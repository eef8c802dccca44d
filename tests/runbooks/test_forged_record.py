"""The page about a forged audit record, followed on the real stack: Kafka, the services, and the commands of the page."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from prizewire_chassis.audit import link_hash
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.encode import sign_raw, source_of
from prizewire_contracts.ids import event_id
from prizewire_contracts.topics import AUDIT, SIGNING_REQUESTS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.cli.main import group
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync

SIGNER = "signer"
KIND = "prizewire.audit.recorded.v1"
DEADLINE_S = 600


@pytest.fixture
def run(full_stack: RunningStack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command in this process, with the stack's state directory."""
    monkeypatch.setenv(HOME_VARIABLE, str(full_stack.home.root))
    monkeypatch.chdir(full_stack.root)

    def invoke(*arguments: str) -> Result:
        done = CliRunner().invoke(group, arguments, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done

    return invoke


def forged(stack: RunningStack, number: int) -> bytes:
    """The record with this number, as somebody with the signer's message key writes it who does not know the chain."""
    source = source_of(SIGNER)
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    bare = {
        "service": SIGNER,
        "sequence": number,
        "at": now,
        "actor": "mallory",
        "action": "signing.refused",
        "target": "nothing",
        "reason": None,
        "detail": {},
        "correlation_id": "forged",
        "prev_hash": "ab" * 32,
    }
    raw = {
        "specversion": "1.0",
        "id": str(event_id(source=source, subject=SIGNER, version=number, kind=KIND)),
        "source": source,
        "type": KIND,
        "time": now,
        "subject": SIGNER,
        "datacontenttype": "application/json",
        "aggregateversion": number,
        "correlationid": "forged",
        "data": {**bare, "hash": link_hash(bare)},
    }
    key = MessageKey.from_json(stack.keyring.message_key_file(SIGNER).read_text())
    return canonical_bytes(sign_raw(topic=AUDIT.name, raw=raw, key=key))


def send(stack: RunningStack, topic: str, value: bytes) -> None:
    producer = Producer({**stack.kafka.login("admin").librdkafka(), "acks": "all"})
    producer.produce(topic, key=SIGNER.encode(), value=value)
    assert producer.flush(60) == 0


def stuck(run: Callable[..., Result]) -> dict[str, str]:
    """References by reason of payouts' stuck audit records."""
    items: list[dict[str, Any]] = json.loads(run("stuck", "list", "--service", "payouts", "--json").stdout)[
        "items"
    ]
    return {one["reason"]: one["ref"] for one in items if one["type"] == KIND}


def test_a_forged_record_is_discarded_and_the_genuine_one_replayed(
    full_stack: RunningStack, run: Callable[..., Result]
) -> None:
    """The forged record comes first, under the id of the genuine one. Afterwards the copy goes on, and its chain is whole."""

    def newest() -> int:
        listed = json.loads(run("audit", "list", "--service", SIGNER, "--limit", "1", "--json").stdout)[
            "items"
        ]
        return int(listed[0]["sequence"]) if listed else 0

    number = newest() + 1
    send(full_stack, AUDIT.name, forged(full_stack, number))
    head = eventually_sync(lambda: stuck(run).get("event_mismatch"), deadline_s=DEADLINE_S)
    # the signer refuses what it cannot read, and records that
    send(full_stack, SIGNING_REQUESTS.name, b'{"no": "event"}')
    genuine = eventually_sync(lambda: stuck(run).get("id_conflict"), deadline_s=DEADLINE_S)
    assert newest() == number - 1
    assert run("audit", "verify", "--service", SIGNER).return_value == 1
    assert run("stuck", "discard", str(head), "--reason", "forged").return_value == 0
    assert run("stuck", "replay", str(genuine)).return_value == 0
    assert eventually_sync(lambda: newest() >= number)
    assert run("audit", "verify", "--service", SIGNER).return_value == 0
    actors = json.loads(run("audit", "list", "--service", SIGNER, "--json").stdout)["items"]
    assert "mallory" not in {one["actor"] for one in actors}
