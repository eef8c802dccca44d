"""`prizewire doctor` over a real broker, and over facts of a cluster that no test machine has; the command over both servers."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AclOperation,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from prizewire_contracts import topics
from prizewire_devstack import acl
from prizewire_devstack.cli.doctor import command
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.kafka.acls import grants_to_acls
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.postgres import DatabaseUrls
from prizewire_devstack.doctor.kafka import KafkaFacts, TopicFacts, judge_kafka, read_kafka
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import write_private
from prizewire_devstack.topic_settings import topic_settings
from tools.devstack.tests.doctor import sound
from tools.devstack.tests.doctor.sound import SERVICE


def sound_kafka() -> KafkaFacts:
    """A cluster of three brokers as the tables want it."""
    return KafkaFacts(
        brokers=3,
        broker_settings={"auto.create.topics.enable": "false"},
        topics={
            topic.name: TopicFacts(
                partitions=topic.partitions, copies=3, settings=topic_settings(topic, replicas=3)
            )
            for topic in topics.TOPICS
        },
        acls=frozenset(grants_to_acls(acl.GRANTS)),
    )


def with_topic(facts: KafkaFacts, **changes: Any) -> KafkaFacts:
    name = topics.PAYOUTS.name
    changed = dataclasses.replace(facts.topics[name], **changes)
    return dataclasses.replace(facts, topics={**facts.topics, name: changed})


def with_settings(facts: KafkaFacts, **changes: str) -> KafkaFacts:
    own = facts.topics[topics.PAYOUTS.name].settings
    return with_topic(
        facts, settings={**own, **{name.replace("_", "."): value for name, value in changes.items()}}
    )


UNKNOWN = (
    "User:unknown",
    ResourceType.TOPIC,
    topics.PAYOUTS.name,
    ResourcePatternType.LITERAL,
    AclOperation.READ,
)
KAFKA_MISTAKES: list[tuple[str, Callable[[KafkaFacts], KafkaFacts]]] = [
    ("brokers", lambda facts: dataclasses.replace(facts, brokers=2)),
    ("automatic_topics", lambda facts: dataclasses.replace(facts, broker_settings={})),
    ("topic_missing", lambda facts: dataclasses.replace(facts, topics={})),
    (
        "topic_unknown",
        lambda facts: dataclasses.replace(
            facts, topics={**facts.topics, "prizewire.payout.v1": facts.topics[topics.PAYOUTS.name]}
        ),
    ),
    ("topic_partitions", lambda facts: with_topic(facts, partitions=5)),
    ("topic_copies", lambda facts: with_topic(facts, copies=2)),
    ("topic_settings", lambda facts: with_settings(facts, cleanup_policy="compact")),
    ("topic_settings", lambda facts: with_settings(facts, min_insync_replicas="1")),
    ("topic_settings", lambda facts: with_settings(facts, retention_ms="86400000")),
    ("topic_settings", lambda facts: with_settings(facts, retention_bytes="1000")),
    ("topic_settings", lambda facts: with_settings(facts, unclean_leader_election_enable="true")),
    ("topic_settings", lambda facts: with_settings(facts, max_message_bytes="1048588")),
    ("topic_settings", lambda facts: with_settings(facts, message_timestamp_type="CreateTime")),
    ("topic_settings", lambda facts: with_settings(facts, message_timestamp_before_max_ms="1000")),
    ("topic_settings", lambda facts: with_settings(facts, message_timestamp_after_max_ms="1000")),
    ("acl_missing", lambda facts: dataclasses.replace(facts, acls=frozenset(list(facts.acls)[1:]))),
    ("acl_unknown", lambda facts: dataclasses.replace(facts, acls=facts.acls | {UNKNOWN})),
    (
        "acl_unknown",
        lambda facts: dataclasses.replace(facts, foreign_acls=("DENY for User:payouts from * on x",)),
    ),
]


def test_nothing_is_found_in_a_sound_cluster() -> None:
    """Three brokers with the topics and rights of the tables have no finding; longer retention, a third copy, and larger messages
    are no mistake.
    """
    assert list(judge_kafka(sound_kafka())) == []
    more = {
        "retention_ms": "-1",
        "min_insync_replicas": "3",
        "max_message_bytes": "9000000",
        "message_timestamp_after_max_ms": "9223372036854775807",
    }
    assert list(judge_kafka(with_settings(sound_kafka(), **more))) == []


@pytest.mark.parametrize(("code", "change"), KAFKA_MISTAKES)
def test_a_mistake_of_a_cluster_is_found(code: str, change: Callable[[KafkaFacts], KafkaFacts]) -> None:
    """Each difference between a cluster and the tables is found under its code."""
    assert code in sound.codes(judge_kafka(change(sound_kafka())))


def test_a_real_broker_is_read_by_the_operator(kafka_server: KafkaServer) -> None:
    """The operator's login suffices. One broker has too few copies; its partitions, settings and rights are those of the tables."""
    facts = read_kafka(kafka_server.login("operator").librdkafka())
    assert facts.brokers == 1
    assert facts.acls >= grants_to_acls(acl.GRANTS)
    ours = {name: facts.topics[name] for name in acl.TOPICS}
    local = dataclasses.replace(facts, topics=ours, acls=frozenset(grants_to_acls(acl.GRANTS)))
    found = list(judge_kafka(local))
    assert sound.codes(found) == {"brokers", "topic_copies", "topic_settings"}
    assert {one.sentence.partition(" has ")[2] for one in found if one.code == "topic_settings"} == {
        "min.insync.replicas=1: set it to 2."
    }


def set_topic(kafka_server: KafkaServer, **changes: str | None) -> None:
    """Change settings of the topic of payouts; None takes a setting back."""
    operations = AlterConfigOpType
    entries = [
        ConfigEntry(
            name.replace("_", "."),
            value or "",
            incremental_operation=operations.SET if value else operations.DELETE,
        )
        for name, value in changes.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topics.PAYOUTS.name, incremental_configs=entries)
    for future in kafka_server.admin.incremental_alter_configs([resource]).values():
        future.result(30)


def test_dangerous_settings_of_a_real_topic_are_found(kafka_server: KafkaServer) -> None:
    """Each is read from the broker: an unclean election, small messages, times that the broker refuses."""
    spoilt = {
        "unclean.leader.election.enable": ("true", "false"),
        "max.message.bytes": ("1000", "1100000"),
        "message.timestamp.before.max.ms": ("1000", "9223372036854775807"),
        "message.timestamp.after.max.ms": ("1000", "3600000"),
    }
    set_topic(kafka_server, **{name: value for name, (value, _) in spoilt.items()})
    try:
        found = {one.sentence for one in judge_kafka(read_kafka(kafka_server.login("operator").librdkafka()))}
    finally:
        set_topic(
            kafka_server,
            unclean_leader_election_enable="false",
            max_message_bytes="1100000",
            message_timestamp_before_max_ms=None,
            message_timestamp_after_max_ms=None,
        )
    name = topics.PAYOUTS.name
    assert {
        f"{name} has {one}={value}: set it to {wanted}." for one, (value, wanted) in spoilt.items()
    } <= found


def test_a_service_may_not_read_the_cluster(kafka_server: KafkaServer) -> None:
    """With another login than the operator's there is one sentence that says what to check."""
    with pytest.raises(DevstackError, match="login of the principal operator"):
        read_kafka(kafka_server.login("payouts").librdkafka())


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_an_unusable_authority_is_a_sentence(tmp_path: Path, text: str | None) -> None:
    """A file that is missing or holds no certificate says so, before any broker is asked."""
    authority, password = tmp_path / "authority.crt", tmp_path / "password"
    write_private(password, "secret")
    if text is not None:
        authority.write_text(text)
    arguments = ["--profile", "production", "--only", "kafka", "--kafka", "127.0.0.1:1"]
    arguments += ["--kafka-password", str(password), "--kafka-ca", str(authority)]
    with pytest.raises(DevstackError, match=r"authority\.crt cannot be read|authority of its certificates"):
        CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)


def test_the_command_reads_servers(
    urls: DatabaseUrls, kafka_server: KafkaServer, keyring: Keyring, tmp_path: Path
) -> None:
    """Servers are read where their logins are given; what was not checked is an error, so that nobody takes it for sound."""
    write_private(tmp_path / "url", urls.runtime)
    write_private(tmp_path / "password", keyring.kafka_passwords()["operator"])
    servers = ["--profile", "production", "--only", "kafka", "--only", "databases"]
    done = CliRunner().invoke(
        command,
        [
            *servers,
            *("--kafka", kafka_server.login("operator").bootstrap_servers),
            *("--kafka-password", str(tmp_path / "password")),
            *("--database", f"{SERVICE}={tmp_path / 'url'}"),
        ],
        standalone_mode=False,
    )
    assert done.return_value == 1
    assert "archive_mode is off: nothing after the last base backup could be restored." in done.output
    assert "The cluster has 1 brokers: 3 are needed" in done.output
    assert "give --database rewards=FILE" in done.output
    assert "kafka_not_checked" not in done.output
    done = CliRunner().invoke(command, servers, standalone_mode=False)
    assert "give --kafka and --kafka-password" in done.output
    done = CliRunner().invoke(command, [*servers, "--database", "bank=x"], standalone_mode=False)
    assert isinstance(done.exception, DevstackError)
