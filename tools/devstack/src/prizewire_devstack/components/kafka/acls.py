"""The table of grants as Kafka's ACLs."""

from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from prizewire_devstack import acl

CLUSTER: Final = "kafka-cluster"
"""The only resource of the type CLUSTER, which librdkafka calls BROKER (Kafka documentation, "Authorization and ACLs")."""
EVERY: Final = "*"

Acl = tuple[str, ResourceType, str, ResourcePatternType, AclOperation]

_ANYTHING: Final[Any] = None
ANY_ACL: Final = AclBindingFilter(
    ResourceType.ANY,
    _ANYTHING,
    ResourcePatternType.ANY,
    _ANYTHING,
    _ANYTHING,
    AclOperation.ANY,
    AclPermissionType.ANY,
)


def grants_to_acls(grants: Iterable[acl.Grant]) -> set[Acl]:
    """Translate the table of grants to Kafka's ACLs: (principal, resource, name, pattern, operation)."""
    rules: set[Acl] = set()
    for grant in grants:
        principal = f"User:{grant.principal}"
        for topic in grant.readable:
            rules.add((principal, ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, AclOperation.READ))
        for topic in grant.writes:
            rules.add((principal, ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, AclOperation.WRITE))
        if grant.groups:
            prefix = f"{grant.principal}."
            rules.add(
                (principal, ResourceType.GROUP, prefix, ResourcePatternType.PREFIXED, AclOperation.READ)
            )
        if grant.describes:
            rules |= {
                (principal, resource, name, ResourcePatternType.LITERAL, operation)
                for resource, name in ((ResourceType.BROKER, CLUSTER), (ResourceType.TOPIC, EVERY))
                for operation in (AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
            }
    return rules


def binding(rule: Acl) -> AclBinding:
    """The rule as a binding of the admin client, from any host."""
    principal, resource, name, pattern, operation = rule
    return AclBinding(resource, name, pattern, principal, "*", operation, AclPermissionType.ALLOW)


def read_acls(client: AdminClient, *, timeout_s: float) -> tuple[frozenset[Acl], tuple[str, ...]]:
    """The ACLs of a cluster that allow something from any host, and all others as texts.

    Raises:
        KafkaException: the broker refused.
    """
    allowed, others = set[Acl](), []
    for one in client.describe_acls(ANY_ACL).result(timeout_s):
        if one.host == "*" and one.permission_type is AclPermissionType.ALLOW:
            allowed.add((one.principal, one.restype, one.name, one.resource_pattern_type, one.operation))
        else:
            others.append(f"{one.permission_type.name} for {one.principal} from {one.host} on {one.name}")
    return frozenset(allowed), tuple(sorted(others))


def in_words(rule: Acl) -> str:
    """The rule in words, without its verb."""
    principal, resource, name, pattern, operation = rule
    kind = "CLUSTER" if resource is ResourceType.BROKER else resource.name
    prefixed = " (prefix)" if pattern is ResourcePatternType.PREFIXED else ""
    return f"{operation.name} on {kind} {name}{prefixed} for {principal}"
