"""Kafka as it is, compared with the tables of topics and rights. The login needs the rights of the principal `operator`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    ConfigResource,
    ResourceType,
)

from prizewire_contracts.topics import TOPICS, Topic
from prizewire_devstack import acl
from prizewire_devstack.components.kafka.acls import Acl, grants_to_acls, in_words, read_acls
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.topic_settings import REPLICAS, below_default, suffices, topic_settings

TIMEOUT_S: Final = 30.0
PLACE: Final = "kafka"
AUTOMATIC_TOPICS: Final = "auto.create.topics.enable"
OURS: Final = "prizewire."


@dataclass(frozen=True, kw_only=True)
class TopicFacts:
    """A topic: partitions, copies of the partition with the fewest, settings."""

    partitions: int
    copies: int
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class KafkaFacts:
    """What a cluster has. `foreign_acls` are rules for a host, a denial or a resource that no table of ours has, as texts."""

    brokers: int
    broker_settings: Mapping[str, str]
    topics: Mapping[str, TopicFacts]
    acls: frozenset[Acl]
    foreign_acls: tuple[str, ...] = field(default=())


def read_kafka(login: Mapping[str, Any]) -> KafkaFacts:
    """Read the facts of a cluster; `login` is the configuration of a confluent-kafka client.

    Raises:
        DevstackError: the cluster does not answer, or refuses.
    """
    try:
        client = AdminClient(dict(login))
        metadata = client.list_topics(timeout=TIMEOUT_S)
        names = [name for name in metadata.topics if name.startswith(OURS)]
        broker = str(min(metadata.brokers))
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        resources.append(ConfigResource(ResourceType.BROKER, broker))
        found = {
            (resource.restype, resource.name): {
                name: str(entry.value) for name, entry in future.result(TIMEOUT_S).items()
            }
            for resource, future in client.describe_configs(resources).items()
        }
        granted, foreign = read_acls(client, timeout_s=TIMEOUT_S)
    except KafkaException as error:
        raise DevstackError(
            f"Kafka was not read ({error.args[0].str()}): check its address, the login of the principal operator and the authority of its certificates."
        ) from error
    topics = {
        name: TopicFacts(
            partitions=len(metadata.topics[name].partitions),
            copies=min(len(partition.replicas) for partition in metadata.topics[name].partitions.values()),
            settings=found[ResourceType.TOPIC, name],
        )
        for name in names
    }
    return KafkaFacts(
        brokers=len(metadata.brokers),
        broker_settings=found[ResourceType.BROKER, broker],
        topics=topics,
        acls=granted,
        foreign_acls=foreign,
    )


def judge_kafka(facts: KafkaFacts) -> Iterator[Finding]:
    """The findings about a cluster."""
    if facts.brokers < REPLICAS:
        yield _finding(
            "brokers",
            f"The cluster has {facts.brokers} brokers: {REPLICAS} are needed, so that one may be lost.",
        )
    if facts.broker_settings.get(AUTOMATIC_TOPICS, "true") != "false":
        yield _finding(
            "automatic_topics",
            f"{AUTOMATIC_TOPICS} is not false: a misspelt name would create a topic. Set it to false.",
        )
    yield from _topics(facts)
    yield from _rights(facts)


def _topics(facts: KafkaFacts) -> Iterator[Finding]:
    known = {topic.name: topic for topic in TOPICS}
    for name in sorted(facts.topics.keys() - known.keys()):
        yield _finding(
            "topic_unknown", f"{name} is no topic of Prizewire: delete it, or give it another name."
        )
    for name, topic in known.items():
        found = facts.topics.get(name)
        if found is None:
            yield _finding(
                "topic_missing", f"{name} does not exist: create it with {topic.partitions} partitions."
            )
            continue
        if found.partitions != topic.partitions:
            yield _finding(
                "topic_partitions",
                f"{name} has {found.partitions} partitions and needs {topic.partitions}: the key decides the partition, so "
                "a change after the first event breaks the order. Create the topic again before it is used.",
            )
        if found.copies < REPLICAS:
            yield _finding(
                "topic_copies", f"A partition of {name} has {found.copies} copies: {REPLICAS} are needed."
            )
        for setting, value, wanted in _wrong_settings(topic, found):
            yield _finding(
                "topic_settings", f"{name} has {setting}={value or '(nothing)'}: set it to {wanted}."
            )


def _wrong_settings(topic: Topic, found: TopicFacts) -> Iterator[tuple[str, str, str]]:
    for setting, wanted in topic_settings(topic, replicas=REPLICAS).items():
        value = found.settings.get(setting, "")
        if not suffices(setting, value, wanted=wanted):
            yield setting, value, wanted
    yield from below_default(found.settings)


def _rights(facts: KafkaFacts) -> Iterator[Finding]:
    wanted = grants_to_acls(acl.GRANTS)
    for rule in sorted(wanted - facts.acls, key=str):
        yield _finding("acl_missing", f"{in_words(rule)} is not granted: the principal needs it.")
    for rule in sorted(facts.acls - wanted, key=str):
        yield _finding("acl_unknown", f"{in_words(rule)} is granted, and no table has it: take it back.")
    for text in facts.foreign_acls:
        yield _finding("acl_unknown", f"A rule is in no table: {text}. Take it back.")


def _finding(code: str, sentence: str) -> Finding:
    return Finding(code=code, place=PLACE, sentence=sentence)
