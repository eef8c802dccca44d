"""The table of grants as Kafka's ACLs."""

from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
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
