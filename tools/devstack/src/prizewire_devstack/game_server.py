"""A game server: signs match events and sends them to Kafka, as any system that reports results would."""

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml
from confluent_kafka import KafkaError, Producer

from prizewire_contracts import topics
from prizewire_contracts.canonical import NotCanonical, canonical_bytes
from prizewire_contracts.encode import SCHEMA_URN, sign_raw
from prizewire_contracts.envelope import CONTENT_TYPE
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.components.keys import GAME_SERVER, Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import Home
from prizewire_devstack.ports import LOOPBACK

SOURCE: Final = "/game-servers/local"
"""The source of the local game server, where an event names none."""
COMPLETED: Final = "prizewire.match.completed.v1"
SEND_DEADLINE_S: Final = 30.0
HEADERS: Final[list[tuple[str, str | bytes | None]]] = [("content-type", CONTENT_TYPE.encode())]


@dataclass(frozen=True, kw_only=True)
class MatchMessage:
    """A message for the topic of matches. `correlation_id` is None where the bytes name no match."""

    key: bytes
    value: bytes
    correlation_id: str | None


def load(path: Path) -> list[dict[str, Any]]:
    """Read events, or bare data, from JSON (one document or a list), JSON lines, or YAML.

    Raises:
        DevstackError: the file is missing, or no such format.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise DevstackError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        if path.suffix == ".jsonl":
            found: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
        elif path.suffix in {".yaml", ".yml"}:
            found = list(yaml.safe_load_all(text))
        else:
            found = json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise DevstackError(f"{path} is no valid {path.suffix[1:].upper() or 'JSON'}: {error}") from error
    documents = found if isinstance(found, list) else [found]
    if len(documents) == 1 and isinstance(documents[0], list):
        documents = documents[0]
    if not all(isinstance(document, dict) for document in documents):
        raise DevstackError(
            f"{path} holds something that is no event: an event is a mapping with match_id and so on."
        )
    return documents


def complete(document: Mapping[str, Any], *, source: str, now: datetime) -> dict[str, Any]:
    """Make a whole CloudEvent of an event with gaps, or of bare data (a result, unless it says otherwise)."""
    if "specversion" in document or "data" in document:
        given, data = dict(document), document.get("data", {})
    else:
        given, data = {}, dict(document)
    kind = given.get("type", COMPLETED)
    defaults = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "type": kind,
        "time": now.isoformat(),
        "subject": str(data.get("match_id", "unknown")) if isinstance(data, Mapping) else "unknown",
        "datacontenttype": "application/json",
        "dataschema": f"{SCHEMA_URN}{kind}",
    }
    return {**defaults, **given, "data": data}


def correlation_of(event: Mapping[str, Any]) -> str:
    """The correlation id that the match of an event has: its own, else the one that settlement derives."""
    given = event.get("correlationid")
    if isinstance(given, str):
        return given
    return str(match_correlation_id(source=str(event["source"]), match_id=str(event["subject"])))


def message(event: dict[str, Any], *, key: MessageKey | None) -> MatchMessage:
    """Render an event, signed where a key is given.

    Raises:
        DevstackError: the event holds a float or something else that cannot be signed.
    """
    try:
        signed = event if key is None else sign_raw(topic=topics.MATCHES.name, raw=event, key=key)
        value = canonical_bytes(signed)
    except NotCanonical as error:
        raise DevstackError(
            f"The event cannot be signed ({error.code} at {error.path}): write scores and amounts as quoted strings."
        ) from error
    correlation_id = correlation_of(event)
    return MatchMessage(key=correlation_id.encode(), value=value, correlation_id=correlation_id)


def local_key(home: Home) -> MessageKey:
    """The local game server's key."""
    return MessageKey.from_json(Keyring(home=home).message_key_file(GAME_SERVER).read_text())


def login(home: Home) -> KafkaLogin:
    """The broker that the KAFKA_ variables name, else the local one.

    Raises:
        NotRunningError: neither is there.
    """
    if (servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS")) is not None:
        return KafkaLogin(
            bootstrap_servers=servers,
            username=os.environ.get("KAFKA_SASL_USERNAME", ""),
            password=os.environ.get("KAFKA_SASL_PASSWORD", ""),
        )
    run = home.running()
    return KafkaLogin(
        bootstrap_servers=f"{LOOPBACK}:{run.ports['kafka']}",
        username=GAME_SERVER,
        password=Keyring(home=home).kafka_passwords()[GAME_SERVER],
    )


def send(login: KafkaLogin, messages: Iterable[MatchMessage]) -> None:
    """Send messages in their order, and wait until the broker has acknowledged each.

    Raises:
        DevstackError: one was not acknowledged.
    """
    failures: list[KafkaError] = []
    producer = Producer({**login.librdkafka(), "enable.idempotence": True, "acks": "all", "linger.ms": 5})
    waiting = 0
    for one in messages:
        producer.produce(
            topics.MATCHES.name,
            value=one.value,
            key=one.key,
            headers=HEADERS,
            on_delivery=lambda error, _: failures.append(error) if error is not None else None,
        )
        producer.poll(0)
        waiting += 1
    left = producer.flush(SEND_DEADLINE_S)
    if left or failures:
        reason = failures[0].str() if failures else "the broker did not answer in time"
        raise DevstackError(f"{left + len(failures)} of {waiting} messages were not acknowledged: {reason}.")
