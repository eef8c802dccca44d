"""Topics and users of Kafka for Strimzi, out of the tables that the local stack uses too."""

from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AclOperation,
    ResourcePatternType,
    ResourceType,
)

from prizewire_contracts.topics import TOPICS
from prizewire_devstack.acl import GRANTS, Grant
from prizewire_devstack.components.kafka.acls import Acl, grants_to_acls
from prizewire_devstack.manifests.names import (
    KAFKA_CLUSTER,
    KAFKA_NAMESPACE,
    PART_OF,
    Manifest,
    external_secret,
    manifest,
)
from prizewire_devstack.topic_settings import REPLICAS, topic_settings

_LABELS: Final = {"strimzi.io/cluster": KAFKA_CLUSTER, **PART_OF}
_TYPES: Final = {ResourceType.TOPIC: "topic", ResourceType.GROUP: "group", ResourceType.BROKER: "cluster"}
_PATTERNS: Final = {ResourcePatternType.LITERAL: "literal", ResourcePatternType.PREFIXED: "prefix"}
_OPERATIONS: Final = {
    AclOperation.READ: "Read",
    AclOperation.WRITE: "Write",
    AclOperation.DESCRIBE: "Describe",
    AclOperation.DESCRIBE_CONFIGS: "DescribeConfigs",
}


def topic_manifests(*, replicas: int = REPLICAS) -> list[Manifest]:
    """A KafkaTopic for each topic."""
    return [
        manifest(
            "kafka.strimzi.io/v1",
            "KafkaTopic",
            topic.name,
            namespace=KAFKA_NAMESPACE,
            labels=_LABELS,
            spec={
                "partitions": topic.partitions,
                "replicas": replicas,
                "config": topic_settings(topic, replicas=replicas),
            },
        )
        for topic in TOPICS
    ]


def _resource(rule: Acl) -> dict[str, str]:
    _, resource, name, pattern, _ = rule
    if resource is ResourceType.BROKER:
        return {"type": "cluster"}
    return {"type": _TYPES[resource], "name": name, "patternType": _PATTERNS[pattern]}


def _acls(rules: Iterable[Acl]) -> list[dict[str, Any]]:
    """The rules of one principal as Strimzi has them: a resource with its operations."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for rule in rules:
        found.setdefault(tuple(_resource(rule).items()), []).append(_OPERATIONS[rule[4]])
    return [
        {"resource": dict(resource), "operations": sorted(operations), "host": "*"}
        for resource, operations in sorted(found.items())
    ]


def user_manifests(grants: Iterable[Grant] = GRANTS) -> list[Manifest]:
    """A KafkaUser for each principal, with its password from the store of secrets."""
    made: list[Manifest] = []
    for grant in grants:
        login = f"{grant.principal}-login"
        made += [
            external_secret(
                login,
                namespace=KAFKA_NAMESPACE,
                sources={"password": (f"kafka/{grant.principal}", "password")},
                template={"password": "{{ .password }}"},
            ),
            manifest(
                "kafka.strimzi.io/v1",
                "KafkaUser",
                grant.principal,
                namespace=KAFKA_NAMESPACE,
                labels=_LABELS,
                spec={
                    "authentication": {
                        "type": "scram-sha-512",
                        "password": {"valueFrom": {"secretKeyRef": {"name": login, "key": "password"}}},
                    },
                    "authorization": {"type": "simple", "acls": _acls(grants_to_acls([grant]))},
                },
            ),
        ]
    return made
