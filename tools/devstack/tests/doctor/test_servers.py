"""`prizewire doctor` over a real broker and a real database, and over facts of a cluster that no test machine has."""

import dataclasses
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
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

from prizewire_chassis.db.migrate import migrate
from prizewire_contracts import topics
from prizewire_devstack import acl
from prizewire_devstack.cli.doctor import command
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.kafka.acls import grants_to_acls
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.postgres import DatabaseUrls, PostgresServer
from prizewire_devstack.database_factory import DatabaseFactory
from prizewire_devstack.doctor.databases import DatabaseFacts, judge_database, privileges_of, read_database
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.kafka import KafkaFacts, TopicFacts, judge_kafka, read_kafka
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import repository_root, write_private
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.topic_settings import topic_settings

SERVICE = "payouts"


def codes(findings: Iterable[Finding]) -> set[str]:
    return {one.code for one in findings}


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
    assert code in codes(judge_kafka(change(sound_kafka())))


def test_a_real_broker_is_read_by_the_operator(kafka_server: KafkaServer) -> None:
    """The operator's login suffices. One broker has too few copies; its partitions, settings and rights are those of the tables."""
    facts = read_kafka(kafka_server.login("operator").librdkafka())
    assert facts.brokers == 1
    assert facts.acls >= grants_to_acls(acl.GRANTS)
    ours = {name: facts.topics[name] for name in acl.TOPICS}
    local = dataclasses.replace(facts, topics=ours, acls=frozenset(grants_to_acls(acl.GRANTS)))
    found = list(judge_kafka(local))
    assert codes(found) == {"brokers", "topic_copies", "topic_settings"}
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


def migrated(make_database: DatabaseFactory, service: str) -> DatabaseUrls:
    """The database of a service after its migrations."""
    made = make_database(service)
    folder = repository_root() / "services" / service / "migrations"
    migrate(url=made.migration, script_location=folder, runtime_role=service)
    return made


@pytest.fixture
def urls(make_database: DatabaseFactory) -> DatabaseUrls:
    return migrated(make_database, SERVICE)


def judged(facts: DatabaseFacts, service: str = SERVICE) -> list[Finding]:
    # The server of the tests has several databases of one service.
    others = f"may connect to the database {service}_"
    facts = dataclasses.replace(
        facts, attributes=tuple(one for one in facts.attributes if not one.startswith(others))
    )
    return list(judge_database(service, facts, privileges=privileges_of(service), archived=True))


NOT_OF_TESTS = {"database_plaintext", "durability", "backups"}
"""Test databases have no encryption, write without waiting for the disk, and have no backups."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_migrated_database_has_the_rights_of_the_table(
    make_database: DatabaseFactory, service: str
) -> None:
    """What the migrations grant is what the doctor wants, column by column, in tables and views."""
    found = judged(read_database(migrated(make_database, service).runtime), service)
    assert [one.sentence for one in found if one.code not in NOT_OF_TESTS] == []
    assert codes(found) == NOT_OF_TESTS


MORE_RIGHTS = [
    ("GRANT DELETE ON payouts TO payouts", "role_rights", "DELETE on payouts"),
    ("GRANT UPDATE (payout_id) ON payouts TO payouts", "role_rights", "UPDATE on payouts.payout_id"),
    ("GRANT TRUNCATE ON payouts TO PUBLIC", "role_rights", "TRUNCATE on payouts"),
    ("REVOKE INSERT ON approvals FROM payouts", "role_rights", "lacks INSERT on approvals"),
    ("GRANT CREATE ON SCHEMA public TO payouts", "role_attributes", "may create tables"),
    ("CREATE TABLE own (x int); ALTER TABLE own OWNER TO payouts", "role_attributes", "owns own"),
    (
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "role_rights",
        "may call more()",
    ),
]


@pytest.mark.parametrize(("statement", "code", "part"), MORE_RIGHTS)
def test_other_rights_are_found(
    urls: DatabaseUrls, postgres_server: PostgresServer, statement: str, code: str, part: str
) -> None:
    """A right too many or too few in a real database is found, and the sentence names it."""
    postgres_server.run_sql(statement, database=urls.name)
    sentences = [one.sentence for one in judged(read_database(urls.runtime)) if one.code == code]
    assert any(part in sentence for sentence in sentences), sentences


def test_the_owner_is_no_role_for_a_service(urls: DatabaseUrls) -> None:
    """A service that logs in as the owner of its database could change its own tables and triggers."""
    sentences = [
        one.sentence for one in judged(read_database(urls.migration)) if one.code == "role_attributes"
    ]
    assert any("owns the database" in sentence for sentence in sentences)
    assert any("owns payouts" in sentence for sentence in sentences)


def test_an_empty_database_is_not_migrated(make_database: DatabaseFactory) -> None:
    """A database without tables has one finding about it, not one for each right."""
    found = judged(read_database(make_database(SERVICE).runtime))
    assert codes(found) - NOT_OF_TESTS == {"not_migrated"}


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def sound_database() -> DatabaseFacts:
    """A database that is encrypted, durable, archived, and in time. Its tables are not looked at."""
    return DatabaseFacts(
        role=SERVICE,
        version=180_004,
        encrypted=True,
        settings={"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "archive_mode": "on"},
        time=NOW,
        read_at=NOW,
        archived_at=NOW - timedelta(minutes=5),
        archive_failed_at=NOW - timedelta(minutes=6),
        attributes=(),
        tables=frozenset(),
        rights=frozenset(),
        functions=frozenset(),
        numbered={},
    )


def test_nothing_is_found_in_a_sound_server() -> None:
    """Encrypted, durable, archived and in time: only the missing tables are found."""
    assert codes(judged(sound_database())) == {"not_migrated"}


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("database_version", {"version": 170_005}),
        ("database_plaintext", {"encrypted": False}),
        ("durability", {"settings": {**sound_database().settings, "fsync": "off"}}),
        ("durability", {"settings": {**sound_database().settings, "synchronous_commit": "off"}}),
        ("backups", {"settings": {**sound_database().settings, "archive_mode": "off"}}),
        ("backups", {"archived_at": None}),
        ("backups", {"archived_at": NOW - timedelta(minutes=16)}),
        ("backups", {"archive_failed_at": NOW - timedelta(minutes=4)}),
        ("clock", {"read_at": NOW + timedelta(seconds=3)}),
        ("clock", {"read_at": NOW - timedelta(seconds=3)}),
        ("role_attributes", {"attributes": ("is a superuser",)}),
    ],
)
def test_a_mistake_of_a_server_is_found(code: str, changes: dict[str, Any]) -> None:
    """Each weakness of a server is found under its code."""
    assert code in codes(judged(dataclasses.replace(sound_database(), **changes)))


def test_a_database_that_does_not_answer_is_one_sentence(urls: DatabaseUrls) -> None:
    """The sentence says what to check, and has no password."""
    wrong = urls.runtime.replace(f"{SERVICE}:", f"{SERVICE}:wrong", 1)
    with pytest.raises(DevstackError, match="check the address, the role and the password") as refused:
        read_database(wrong)
    assert "wrong" not in str(refused.value)


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
