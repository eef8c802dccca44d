"""Kafka as the stack and the fixtures start it."""

import json
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import aiokafka
import aiokafka.errors
import pytest
import yaml
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    ConfigResource,
    ResourceType,
)

from prizewire_contracts import topics
from prizewire_contracts.decode import SENT_BYTES_MAX
from prizewire_devstack import acl
from prizewire_devstack.components import kafka_jars
from prizewire_devstack.components.kafka import KafkaLogin, KafkaServer
from prizewire_devstack.components.kafka.acls import ANY_ACL
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.processes import Supervisor
from prizewire_devstack.ports import choose
from prizewire_devstack.topic_settings import topic_settings

DEADLINE_S = 600.0


def send(login: KafkaLogin, topic: str, value: bytes, *, timeout_ms: int = 8000) -> KafkaError | None:
    """Send one message; return what it failed with."""
    outcome: list[KafkaError | None] = []
    producer = Producer({**login.librdkafka(), "enable.idempotence": True, "message.timeout.ms": timeout_ms})
    producer.produce(topic, value, on_delivery=lambda error, _: outcome.append(error))
    producer.flush(DEADLINE_S)
    return outcome[0]


def receive(login: KafkaLogin, topic: str, *, group: str) -> Message:
    """Read the first message of a topic, or its error."""
    consumer = Consumer({**login.librdkafka(), "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        message = consumer.poll(DEADLINE_S)
        assert message is not None, "nothing came in time"
        return message
    finally:
        consumer.close()


def group_of(principal: str) -> str:
    return f"{principal}.{uuid.uuid4()}"


def test_a_service_writes_its_topic_and_its_consumer_reads_it(kafka_server: KafkaServer) -> None:
    """The grants suffice for the flow, idempotent producers included."""
    kafka_server.purge([topics.SETTLEMENTS.name])
    assert send(kafka_server.login("settlement"), topics.SETTLEMENTS.name, b"settled") is None
    message = receive(kafka_server.login("rewards"), topics.SETTLEMENTS.name, group=group_of("rewards"))
    assert message.value() == b"settled"


def test_a_service_cannot_write_another_services_topic(kafka_server: KafkaServer) -> None:
    """Payouts cannot write settlement's topic."""
    error = send(kafka_server.login("payouts"), topics.SETTLEMENTS.name, b"forged")
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_game_server_cannot_read(kafka_server: KafkaServer) -> None:
    """A game server's password gives no right to read prizes."""
    message = receive(kafka_server.login("game-server"), topics.REWARDS.name, group=group_of("game-server"))
    error = message.error()
    assert error is not None
    assert error.code() in {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}


def test_a_service_cannot_join_another_services_group(kafka_server: KafkaServer) -> None:
    """Committing another consumer's offsets would make it skip events."""
    message = receive(kafka_server.login("webhooks"), topics.PAYOUTS.name, group=group_of("rewards"))
    error = message.error()
    assert error is not None
    assert error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


def test_a_wrong_password_is_refused(kafka_server: KafkaServer) -> None:
    """No login, no metadata."""
    login = kafka_server.login("settlement")
    failures: list[KafkaError] = []
    producer = Producer(
        {
            **KafkaLogin(
                bootstrap_servers=login.bootstrap_servers, username="settlement", password="wrong"
            ).librdkafka(),
            "error_cb": failures.append,
        }
    )
    with pytest.raises(KafkaException):
        producer.list_topics(timeout=3)
    producer.poll(0)
    assert KafkaError._AUTHENTICATION in {failure.code() for failure in failures}


ALLOWED = 3
"""The permission `allow` in Kafka's protocol. Around it, 2 is the resource `topic`, 4 a prefix, 1 `any`."""
ATTACKER = "User:attacker"
MISTAKES = (aiokafka.errors.KafkaError, OSError, EOFError)


async def administer(port: int, **security: str) -> set[int]:
    """Try to grant a right and to read all rights at a listener; return the error codes.

    Raises:
        KafkaError, OSError, EOFError: the listener did not take the connection.
    """
    connection = await create_conn("127.0.0.1", port, request_timeout_ms=int(DEADLINE_S * 1000), **security)
    try:
        created = await connection.send(CreateAclsRequest(2, "prizewire.", 4, ATTACKER, "*", 2, ALLOWED))
        read = await connection.send(DescribeAclsRequest(1, None, 1, None, None, 1, 1))
        return {read.error_code, *(code for code, _ in created.creation_responses)}
    finally:
        connection.close()


def login_at(kafka_server: KafkaServer, principal: str, mechanism: str) -> dict[str, str]:
    """The login of a principal at a listener."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": principal,
        "sasl_plain_password": kafka_server.login(principal).password,
    }


def granted_to_attacker(kafka_server: KafkaServer) -> bool:
    """Say whether the right that `administer` asks for exists."""
    found = kafka_server.admin.describe_acls(ANY_ACL).result(DEADLINE_S)
    return any(one.principal == ATTACKER for one in found)


@pytest.mark.parametrize("listener", ["port", "controller_port"])
async def test_anonymous_clients_cannot_administer_kafka(kafka_server: KafkaServer, listener: str) -> None:
    """A local process without a login can neither grant itself rights nor read who has which, at neither listener."""
    with pytest.raises(MISTAKES):
        await administer(getattr(kafka_server, listener), security_protocol="PLAINTEXT")
    assert not granted_to_attacker(kafka_server)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
@pytest.mark.parametrize("principal", ["payouts", "admin"])
async def test_the_controller_takes_no_login_of_the_brokers(
    kafka_server: KafkaServer, principal: str, mechanism: str
) -> None:
    """The controller's listener accepts the broker's own login only, not a service's and not the admin's."""
    with pytest.raises(MISTAKES):
        await administer(kafka_server.controller_port, **login_at(kafka_server, principal, mechanism))
    assert not granted_to_attacker(kafka_server)


async def test_a_service_administers_nothing_at_the_broker(kafka_server: KafkaServer) -> None:
    """A service's login has no right to grant rights, to read them, or to list other topics."""
    refused = await administer(kafka_server.port, **login_at(kafka_server, "signer", "SCRAM-SHA-512"))
    assert refused == {aiokafka.errors.ClusterAuthorizationFailedError.errno}
    assert not granted_to_attacker(kafka_server)
    seen = Producer(kafka_server.login("signer").librdkafka()).list_topics(timeout=DEADLINE_S).topics
    mine = next(grant for grant in acl.GRANTS if grant.principal == "signer")
    assert {name for name in seen if name.startswith("prizewire.")} == {*mine.readable, *mine.writes}


async def test_the_operator_sees_rights_and_settings_and_changes_none(kafka_server: KafkaServer) -> None:
    """The operator's login reads ACLs, topics and their settings, which it compares with the tables, and grants nothing."""
    operator = AdminClient(kafka_server.login("operator").librdkafka())
    assert operator.describe_acls(ANY_ACL).result(DEADLINE_S)
    seen = operator.list_topics(timeout=DEADLINE_S).topics
    assert acl.TOPICS.items() <= {name: len(topic.partitions) for name, topic in seen.items()}.items()
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics.TOPICS]
    found = {
        resource.name: {name: entry.value for name, entry in future.result(DEADLINE_S).items()}
        for resource, future in operator.describe_configs(resources).items()
    }
    wanted = {topic.name: topic_settings(topic, replicas=1) for topic in topics.TOPICS}
    assert {name: {key: found[name][key] for key in own} for name, own in wanted.items()} == wanted
    refused = await administer(kafka_server.port, **login_at(kafka_server, "operator", "SCRAM-SHA-512"))
    assert aiokafka.errors.ClusterAuthorizationFailedError.errno in refused
    assert not granted_to_attacker(kafka_server)


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_a_write_outlives_the_loss_of_a_copy(replicas: int) -> None:
    """A topic with several copies confirms a write once all but one have it, so that one may be lost or restarted."""
    settings = topic_settings(topics.PAYOUTS, replicas=replicas)
    assert int(settings["min.insync.replicas"]) == max(1, replicas - 1)


async def test_the_largest_message_of_a_service_is_accepted(kafka_server: KafkaServer) -> None:
    """The relay's producer refuses what is larger than it may send; the broker takes all else, so that no outbox stops."""
    login = kafka_server.login("settlement")
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=login.bootstrap_servers,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=login.username,
        sasl_plain_password=login.password,
        acks="all",
        max_request_size=SENT_BYTES_MAX,
    )
    await producer.start()
    try:
        largest = b"x" * SENT_BYTES_MAX
        around = DefaultRecordBatchBuilder.estimate_size_in_bytes(None, largest, []) - SENT_BYTES_MAX
        value = largest[around:]
        with pytest.raises(aiokafka.errors.MessageSizeTooLargeError):
            await producer.send_and_wait(topics.SETTLEMENTS.name, value + b"x")
        assert await producer.send_and_wait(topics.SETTLEMENTS.name, value)
    finally:
        await producer.stop()
        kafka_server.purge([topics.SETTLEMENTS.name])


def test_passwords_of_kafka_are_private(kafka_server: KafkaServer, keyring: Keyring) -> None:
    """The server's properties and the stack's credentials hold them, and can be read by their owner alone."""
    for file in (kafka_server.data_dir / "server.properties", keyring.credentials_file):
        assert keyring.kafka_controller_password() in file.read_text()
        assert file.stat().st_mode & 0o077 == 0


def test_topics_are_never_created_by_using_them(kafka_server: KafkaServer) -> None:
    """A misspelt topic name is an error and creates no topic."""
    name = "prizewire.no-such-topic"
    assert send(kafka_server.login("admin"), name, b"lost", timeout_ms=2000) is not None
    assert name not in kafka_server.admin.list_topics(timeout=DEADLINE_S).topics


def test_throwaway_topics_are_open_to_everybody(
    kafka_server: KafkaServer, make_topic: Callable[..., str]
) -> None:
    """Tests of consumption mechanics need topics of their own."""
    topic = make_topic(partitions=1)
    assert send(kafka_server.login("signer"), topic, b"hello") is None
    assert receive(kafka_server.login("rewards"), topic, group=group_of("rewards")).value() == b"hello"


def granted(rights: Callable[[acl.Grant], Iterable[str]], topic: str) -> set[str]:
    return {grant.principal for grant in acl.GRANTS if topic in rights(grant)} - {"operator"}


@pytest.mark.parametrize("topic", topics.TOPICS, ids=lambda topic: topic.name)
def test_the_grants_agree_with_the_contracts(topic: topics.Topic) -> None:
    """Least privilege: only the producers of a topic write it, and only its consumers read it."""
    assert granted(lambda grant: grant.writes, topic.name) == topic.producers
    assert granted(lambda grant: grant.reads, topic.name) == topic.consumers


def test_every_writer_has_sources_of_its_own() -> None:
    """A source belongs to one principal, and the local sources to the principals that sign for them."""
    writers = [grant for grant in acl.GRANTS if grant.writes]
    assert all(grant.sources for grant in writers)
    for source in {source for grant in writers for source in grant.sources}:
        assert len([grant for grant in writers if grant.writes_as(source)]) == 1
    owners = {
        source: [grant.principal for grant in writers if grant.writes_as(source)]
        for source in (acl.GAME_SERVER_SOURCE, acl.IDENTITY_SOURCE)
    }
    assert owners == {acl.GAME_SERVER_SOURCE: ["game-server"], acl.IDENTITY_SOURCE: ["identity"]}


def test_trusted_sources_belong_to_writers_of_the_topic(keyring: Keyring) -> None:
    """On the local stack, each trusted source of players' facts belongs to a principal that writes the topic."""
    [writer] = [grant for grant in acl.GRANTS if topics.PLAYERS.name in grant.writes]
    believed = yaml.safe_load(keyring.player_sources_file.read_text())["sources"]
    assert [one["source"] for one in believed if not writer.writes_as(one["source"])] == []
    key = json.loads(keyring.message_key_file(writer.principal).read_text())["keyid"]
    assert {entry["keyid"] for one in believed for entry in one["keys"]} == {key}


def test_a_game_server_writes_nothing_of_players(kafka_server: KafkaServer) -> None:
    """A game server's password cannot write facts of players, and an identity source's cannot write matches."""
    for principal, topic in (("game-server", topics.PLAYERS), ("identity", topics.MATCHES)):
        error = send(kafka_server.login(principal), topic.name, b"forged")
        assert error is not None
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_messages_and_rights_survive_a_kill_and_a_stop(tmp_path: Path) -> None:
    """After SIGKILL the broker comes back on the same port with what it acknowledged."""
    supervisor = Supervisor()
    taken: set[int] = set()
    broker = KafkaServer(
        data_dir=tmp_path / "kafka",
        port=choose(taken=taken),
        controller_port=choose(taken=taken),
        passwords={principal: f"{principal}-password" for principal in acl.PRINCIPALS},
        controller_password="controller-password",
        supervisor=supervisor,
        log_file=tmp_path / "kafka.log",
    )
    classpath = kafka_jars.classpath()
    matches = topics.MATCHES.name
    try:
        broker.start(classpath)
        broker.provision()
        assert send(broker.login("game-server"), matches, b"kept") is None
        broker.kill()
        broker.restart()
        assert receive(broker.login("settlement"), matches, group=group_of("settlement")).value() == b"kept"
        broker.stop()
        broker.start(classpath)
        broker.provision()
        assert receive(broker.login("settlement"), matches, group=group_of("settlement")).value() == b"kept"
    finally:
        supervisor.stop_all()
