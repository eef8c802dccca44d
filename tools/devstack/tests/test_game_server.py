"""Match events as a game server signs and sends them."""

import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from prizewire_contracts import topics
from prizewire_contracts.decode import decode
from prizewire_contracts.ids import match_correlation_id
from prizewire_contracts.trust import MessageKey, NotTrusted, TrustStore, verify_raw
from prizewire_devstack import acl, game_server
from prizewire_devstack.cli.publish import where_to_look
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.keys import GAME_SERVER, Keyring
from prizewire_devstack.errors import DevstackError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RESULT = {"match_id": "m-1", "competition": "cup", "results": [{"player": "ada", "place": 1}]}


@pytest.fixture
def key(keyring: Keyring) -> MessageKey:
    return MessageKey.from_json(keyring.message_key_file(GAME_SERVER).read_text())


def test_bare_data_becomes_a_signed_result(key: MessageKey) -> None:
    """A result without an envelope is completed to an event that the contracts accept."""
    event = game_server.complete(RESULT, source="/game-servers/local", now=NOW)
    message = game_server.message(event, key=key)
    decoded = decode(topic=topics.MATCHES, value=message.value, trust=TrustStore([]))
    assert decoded.event.type == "prizewire.match.completed.v1"
    assert decoded.event.subject == "m-1"
    verify_raw(topic=topics.MATCHES.name, raw=decoded.raw, public_key=key.public_key)


def test_a_changed_result_breaks_the_signature(key: MessageKey) -> None:
    """The signature covers the data."""
    event = game_server.complete(RESULT, source="/game-servers/local", now=NOW)
    raw = json.loads(game_server.message(event, key=key).value)
    raw["data"]["results"][0]["player"] = "mallory"
    with pytest.raises(NotTrusted, match="signature_invalid"):
        verify_raw(topic=topics.MATCHES.name, raw=raw, public_key=key.public_key)


def test_publish_says_how_to_follow_each_match_and_player(key: MessageKey) -> None:
    """A match with two events has one line. Raw bytes have none."""
    now = datetime.now(UTC)
    documents = (
        {"match_id": "cup-1"},
        {"match_id": "cup-1"},
        {"type": "prizewire.player.updated.v1", "data": {"player": "ann/1"}},
    )
    messages = [game_server.message(game_server.complete(one, now=now), key=key) for one in documents]
    raw = game_server.SourceMessage(key=b"raw", value=b"{", correlation_id=None)
    assert where_to_look([*messages, raw]) == [
        f"Follow match cup-1 with: prizewire trace {game_server.local_correlation_id('cup-1')}",
        "Facts of player ann/1: GET /api/players/ann%2F1",
    ]


def test_the_key_is_the_correlation_id_that_settlement_derives(key: MessageKey) -> None:
    """Where the event names none, all events of a match still share one partition."""
    event = game_server.complete(RESULT, source="/game-servers/local", now=NOW)
    derived = str(match_correlation_id(source="/game-servers/local", match_id="m-1"))
    assert game_server.message(event, key=key).key == derived.encode()
    named = {**event, "correlationid": "mine"}
    assert game_server.message(named, key=key).key == b"mine"


def test_a_float_is_refused_in_a_sentence(key: MessageKey) -> None:
    """YAML turns an unquoted score into a float; it must be quoted."""
    floated = {**RESULT, "results": [{"player": "ada", "scores": {"points": 8.5}}]}
    with pytest.raises(DevstackError, match="quoted strings"):
        game_server.message(game_server.complete(floated, source="/s", now=NOW), key=key)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"match_id": "m-1", "competition": "cup"}, "because of data/results: it is missing"),
        (
            {**RESULT, "results": [{"player": "ada", "place": "1"}]},
            "because of data/results/0/place: it must be a whole number, without quotes",
        ),
        ({**RESULT, "match_id": "m 1"}, "because of data/match_id: it must have printable characters only"),
        ({"type": "prizewire.match.ended.v1", "data": RESULT}, "the types are prizewire.match.closed.v1, "),
        ({"type": ["x"], "data": RESULT}, "the unknown type"),
        (
            {"type": "prizewire.player.updated.v1", "data": {"player": "ada", "kyc_state": "ok"}},
            "data/kyc_state",
        ),
        ({**RESULT, "competition": "c" * 1_000_000}, "send it in several parts"),
        ({**RESULT, "prats": 2}, "has data/prats, which no consumer knows"),
        (
            {**RESULT, "results": [{"player": "ada", "place": 1, "plaec": 1}]},
            "has data/results/0/plaec, which",
        ),
    ],
)
def test_an_event_that_its_consumer_would_refuse_is_named(document: dict[str, Any], words: str) -> None:
    """Before anything is sent, with the number of the event, its member and the reason."""
    with pytest.raises(DevstackError, match=re.escape(words)) as refusal:
        game_server.completed([RESULT, document], path=Path("match.json"), source=None, now=NOW)
    assert str(refusal.value).startswith("Event 2 of 2 in match.json ")
    numbered = "In a path, the first entry of a list has the number 0." in str(refusal.value)
    assert numbered == ("/0" in words)


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("one.json", json.dumps(RESULT), 1),
        ("list.json", json.dumps([RESULT, RESULT]), 2),
        ("lines.jsonl", json.dumps(RESULT) + "\n\n" + json.dumps(RESULT) + "\n", 2),
        ("one.yaml", "match_id: m-1\ncompetition: cup\nresults: [{player: ada, place: 1}]\n", 1),
        ("list.yaml", "- {match_id: m-1}\n- {match_id: m-2}\n", 2),
        ("stream.yaml", "match_id: m-1\n---\nmatch_id: m-2\n", 2),
    ],
)
def test_every_file_format_is_read(name: str, text: str, count: int, tmp_path: Path) -> None:
    """JSON, JSON lines and YAML, one event or many."""
    (tmp_path / name).write_text(text)
    assert len(game_server.load(tmp_path / name)) == count


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"text"'])
def test_a_file_that_holds_no_events_says_so(text: str, tmp_path: Path) -> None:
    """A sentence names the file."""
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(DevstackError, match=r"bad\.json"):
        game_server.load(tmp_path / "bad.json")


def test_settlement_receives_what_the_game_server_sends(kafka_server: KafkaServer, key: MessageKey) -> None:
    """Over the real broker under both principals, with the content type of structured CloudEvents."""
    match_id = f"m-{uuid.uuid4()}"
    event = game_server.complete({**RESULT, "match_id": match_id}, source="/game-servers/local", now=NOW)
    sent = game_server.message(event, key=key)
    game_server.send(kafka_server.login(GAME_SERVER), [sent])
    consumer = Consumer(
        {
            **kafka_server.login("settlement").librdkafka(),
            "group.id": f"settlement.{match_id}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topics.MATCHES.name])
    try:
        while True:
            message = consumer.poll(15)
            assert message is not None, "nothing came in time"
            if message.key() == sent.key:
                break
    finally:
        consumer.close()
    assert message.value() == sent.value
    assert message.headers() == [("content-type", b"application/cloudevents+json")]


PLAYER = {"type": "prizewire.player.updated.v1", "data": {"player": "ada", "device_hash": "ab" * 32}}


def test_facts_of_a_player_go_out_as_the_identity_source(kafka_server: KafkaServer, key: MessageKey) -> None:
    """Facts of players have their own topic, source, message key and login; the signature covers the topic."""
    event = game_server.complete(PLAYER, now=NOW)
    assert (event["source"], event["subject"]) == (acl.IDENTITY_SOURCE, "ada")
    sent = game_server.message(event, key=key)
    assert (sent.topic, sent.principal, sent.key) == (topics.PLAYERS, "identity", b"ada")
    raw = json.loads(sent.value)
    verify_raw(topic=topics.PLAYERS.name, raw=raw, public_key=key.public_key)
    game_server.send(kafka_server.login(sent.principal), [sent])
    with pytest.raises(DevstackError, match="1 of 1 messages were not acknowledged"):
        game_server.send(kafka_server.login("game-server"), [sent])


def test_a_broker_that_refuses_is_a_sentence(kafka_server: KafkaServer, key: MessageKey) -> None:
    """Without the right to write, the error says that no message was acknowledged."""
    event = game_server.complete(RESULT, source="/game-servers/local", now=NOW)
    with pytest.raises(DevstackError, match="1 of 1 messages were not acknowledged"):
        game_server.send(kafka_server.login("signer"), [game_server.message(event, key=key)])
