"""A game server, or a source of players' facts: signs events and sends them to Kafka, as any such system would."""

import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml
from confluent_kafka import KafkaError, KafkaException, Producer

from prizewire_contracts import topics
from prizewire_contracts.canonical import NotCanonical, canonical_bytes
from prizewire_contracts.decode import MESSAGE_BYTES_MAX, EventRefused, unknown_members, validate
from prizewire_contracts.encode import SCHEMA_URN, sign_raw
from prizewire_contracts.envelope import CONTENT_TYPE
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.trust import MessageKey
from prizewire_devstack import acl
from prizewire_devstack.api import LOCAL_ADVICE, TOKEN_VARIABLE, URL_VARIABLE, remote
from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.components.keys import GAME_SERVER, IDENTITY, Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_bytes, read_text
from prizewire_devstack.home import Home
from prizewire_devstack.ports import LOOPBACK

_ENTRY: Final = re.compile(r"/\d+(\W|$)")
"""A number in the path of a member: the place of an entry in its list."""
SOURCE: Final = acl.GAME_SERVER_SOURCE
"""The source of the local game server, for events that name none."""
PRINCIPALS: Final = (GAME_SERVER, IDENTITY)
"""The principals that may send a message."""
COMPLETED: Final = "prizewire.match.completed.v1"
SEND_DEADLINE_S: Final = 30.0
ANSWER_DEADLINE_S: Final = 5.0
"""Seconds that a broker may take to answer."""
NOTHING: Final = "{path} holds no event, so nothing was sent: write at least one match into it."
LOGIN_VARIABLES: Final = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
REMOTE_VARIABLES: Final = (*LOGIN_VARIABLES, URL_VARIABLE, TOKEN_VARIABLE)
HEADERS: Final[list[tuple[str, str | bytes | None]]] = [("content-type", CONTENT_TYPE.encode())]


@dataclass(frozen=True, kw_only=True)
class SourceMessage:
    """A message for a topic. `correlation_id` and `match_id` are None where the bytes name no match."""

    key: bytes
    value: bytes
    correlation_id: str | None
    match_id: str | None = None
    topic: topics.Topic = topics.MATCHES

    @property
    def principal(self) -> str:
        """The Kafka principal of the local stack that may write it; its message key has the same name."""
        return principal_of(self.topic)


def load(path: Path) -> list[dict[str, Any]]:
    """Read events, or bare data, from JSON (one document or a list), JSON lines, or YAML.

    Raises:
        DevstackError: the file is missing, no such format, or holds no event.
    """
    text = read_text(path)
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
            f"{path} holds an entry that is no event: write each event as a mapping with match_id and so on."
        )
    if not documents:
        raise DevstackError(NOTHING.format(path=path))
    return documents


def raw_lines(path: Path) -> list[SourceMessage]:
    """Each line of a file that is not empty, unchanged.

    Raises:
        DevstackError: the file cannot be read, or holds none.
    """
    lines = [line for line in read_bytes(path).splitlines() if line]
    if not lines:
        raise DevstackError(NOTHING.format(path=path))
    return [SourceMessage(key=b"raw", value=line, correlation_id=None) for line in lines]


def key_of(path: Path) -> MessageKey:
    """The message key in a file.

    Raises:
        DevstackError: the file cannot be read, or holds no key.
    """
    try:
        return MessageKey.from_json(read_text(path))
    except (ValueError, KeyError, TypeError) as error:
        raise DevstackError(
            f"{path} holds no message key: a key file is a JSON object with keyid and private_key (64 hex digits)."
        ) from error


def topic_of(event: Mapping[str, Any]) -> topics.Topic:
    """The topic of an event: of players for their facts, of matches for everything else."""
    return topics.PLAYERS if str(event.get("type")) in topics.PLAYERS.models else topics.MATCHES


def principal_of(topic: topics.Topic) -> str:
    """The Kafka principal of the local stack that may write a topic of matches or players."""
    [writer] = [grant.principal for grant in acl.GRANTS if topic.name in grant.writes]
    return writer


def complete(document: Mapping[str, Any], *, source: str | None = None, now: datetime) -> dict[str, Any]:
    """A whole CloudEvent from an event with missing fields, or from bare data (a result, unless its fields say otherwise).

    `source` is used where the event names none; without it the local source of its topic is used.
    """
    if "specversion" in document or "data" in document:
        given, data = dict(document), document.get("data", {})
    else:
        given, data = {}, dict(document)
    kind = given.get("type", COMPLETED)
    about_player = topic_of({"type": kind}) is topics.PLAYERS
    subject = "player" if about_player else "match_id"
    defaults = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source or (acl.IDENTITY_SOURCE if about_player else SOURCE),
        "type": kind,
        "time": now.isoformat(),
        "subject": str(data.get(subject, "unknown")) if isinstance(data, Mapping) else "unknown",
        "datacontenttype": "application/json",
        "dataschema": f"{SCHEMA_URN}{kind}",
    }
    return {**defaults, **given, "data": data}


def completed(
    documents: Sequence[Mapping[str, Any]], *, path: Path, source: str | None, now: datetime
) -> list[dict[str, Any]]:
    """The whole events of a file, each checked with the contract of its type. ``source`` is as in ``complete``.

    Raises:
        DevstackError: the consumer would refuse an event (its type is unknown, or a member is not as it must be), or ignore
            a member.
    """
    events = [complete(one, source=source, now=now) for one in documents]
    for number, event in enumerate(events, start=1):
        _check(event, place=f"Event {number} of {len(events)} in {path}")
    return events


def _check(event: dict[str, Any], *, place: str) -> None:
    topic = topic_of(event)
    model = topic.models.get(str(event["type"]))
    if model is None:
        known = ", ".join(sorted({*topics.MATCHES.models, *topics.PLAYERS.models}))
        raise DevstackError(f"{place} has the unknown type {event['type']!r}: the types are {known}.")
    try:
        value = canonical_bytes(event)
    except NotCanonical as error:
        raise _unsignable(error) from error
    if len(value) > MESSAGE_BYTES_MAX:
        raise DevstackError(
            f"{place} has {len(value)} bytes, at most {MESSAGE_BYTES_MAX} are allowed: send it in several parts."
        )
    try:
        validate(model, value, raw=event)
    except EventRefused as refused:
        detail = refused.detail
        raise DevstackError(f"{place} would be refused, because of {detail}.{_counting(detail)}") from refused
    unknown = unknown_members(model, event["data"])
    if unknown:
        raise DevstackError(
            f"{place} has {', '.join(unknown)}, which no consumer knows: they would ignore it, and later events cannot mend "
            "that. Correct the name or leave the member out; `--raw` sends a file as it is."
            f"{_counting(', '.join(unknown))}"
        )


def _counting(text: str) -> str:
    """How the paths of a text count, where one of them has the number of an entry."""
    return " In a path, the first entry of a list has the number 0." if _ENTRY.search(text) else ""


def _unsignable(error: NotCanonical) -> DevstackError:
    return DevstackError(
        f"The event cannot be signed ({error.code} at {error.path}): write scores and amounts as quoted strings."
    )


def local_correlation_id(match_id: str) -> str:
    """The correlation id that settlement derives for a match of the local game server."""
    return str(match_correlation_id(source=SOURCE, match_id=match_id))


def correlation_of(event: Mapping[str, Any]) -> str:
    """The correlation id of an event's match: its own, else the one that settlement derives."""
    given = event.get("correlationid")
    if isinstance(given, str):
        return given
    return str(match_correlation_id(source=str(event["source"]), match_id=str(event["subject"])))


def message(event: dict[str, Any], *, key: MessageKey | None) -> SourceMessage:
    """Render an event, signed where a key is given.

    Raises:
        DevstackError: the event holds a float or another value that cannot be signed.
    """
    topic = topic_of(event)
    try:
        value = canonical_bytes(event if key is None else sign_raw(topic=topic.name, raw=event, key=key))
    except NotCanonical as error:
        raise _unsignable(error) from error
    if topic is topics.PLAYERS:
        return SourceMessage(
            key=str(event["subject"]).encode(), value=value, correlation_id=None, topic=topic
        )
    correlation_id = correlation_of(event)
    return SourceMessage(
        key=correlation_id.encode(),
        value=value,
        correlation_id=correlation_id,
        match_id=str(event["subject"]),
    )


def local_key(home: Home, principal: str = GAME_SERVER) -> MessageKey:
    """The key of the local game server, or of the local source of players' facts.

    Raises:
        DevstackError: there is no local stack.
    """
    file = Keyring(home=home).message_key_file(principal)
    if not file.is_file():
        raise DevstackError(
            f"There is no local key of {principal}: name a key file with --key, or send without a signature with "
            "--unsigned."
        )
    return key_of(file)


def login(home: Home, principal: str = GAME_SERVER) -> KafkaLogin:
    """The broker and the login that the KAFKA_ variables name, else the local ones of `principal`.

    Raises:
        NotRunningError: the variables are not set, and there is no local stack.
        DevstackError: some variables name another installation, but not its broker.
    """
    given = {name: os.environ.get(name, "") for name in LOGIN_VARIABLES}
    missing = [name for name, value in given.items() if not value]
    if not missing:
        servers, username, password = given.values()
        return KafkaLogin(bootstrap_servers=servers, username=username, password=password)
    if (place := home.installation()) is not None and len(missing) == len(given):
        return KafkaLogin(
            bootstrap_servers=place.kafka,
            username=principal,
            password=Keyring(home=home).kafka_passwords()[principal],
        )
    if len(missing) < len(given) or remote() is not None:
        raise DevstackError(
            f"The variables name another installation, but not its broker: set {' and '.join(missing)} too, or unset "
            f"{' and '.join(name for name in REMOTE_VARIABLES if os.environ.get(name))} to use the local stack."
        )
    run = home.running()
    return KafkaLogin(
        bootstrap_servers=f"{LOOPBACK}:{run.ports['kafka']}",
        username=principal,
        password=Keyring(home=home).kafka_passwords()[principal],
    )


def send(login: KafkaLogin, messages: Sequence[SourceMessage]) -> None:
    """Send messages, at least one, in their order, and wait until the broker has acknowledged each.

    Raises:
        DevstackError: the broker does not answer, or one was not acknowledged.
    """
    failures: list[KafkaError] = []
    producer = Producer({**login.librdkafka(), "enable.idempotence": True, "acks": "all", "linger.ms": 5})
    try:
        producer.list_topics(messages[0].topic.name, timeout=ANSWER_DEADLINE_S)
    except KafkaException as error:
        raise DevstackError(
            f"Kafka at {login.bootstrap_servers} does not answer, so nothing was sent: {LOCAL_ADVICE}, and check the "
            "KAFKA_ variables where you set them."
        ) from error
    for one in messages:
        try:
            producer.produce(
                one.topic.name,
                value=one.value,
                key=one.key,
                headers=HEADERS,
                on_delivery=lambda error, _: failures.append(error) if error is not None else None,
            )
        except KafkaException as error:
            failures.append(error.args[0])
        producer.poll(0)
    left = producer.flush(SEND_DEADLINE_S)
    if left or failures:
        reason = failures[0].str() if failures else "the broker did not answer in time"
        raise DevstackError(
            f"{left + len(failures)} of {len(messages)} messages were not acknowledged ({reason}): {LOCAL_ADVICE}, and "
            "send the file again; an event that arrives twice counts once."
        )
