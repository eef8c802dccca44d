"""Names and numbers that several manifests share."""

from dataclasses import dataclass
from typing import Any, Final

from prizewire_contracts import topics
from prizewire_contracts.topics import Topic
from prizewire_devstack.components.postgres import runtime_connections_max
from prizewire_devstack.routes import SERVICES, SERVICES_WITH_API, SIGNER

Manifest = dict[str, Any]

SERVICES_NAMESPACE: Final = "prizewire"
SIGNER_NAMESPACE: Final = "prizewire-signer"
KAFKA_NAMESPACE: Final = "prizewire-kafka"
POSTGRES_NAMESPACE: Final = "prizewire-postgres"

KAFKA_CLUSTER: Final = "prizewire"
KAFKA_PORT: Final = 9093
BOOTSTRAP: Final = f"{KAFKA_CLUSTER}-kafka-bootstrap.{KAFKA_NAMESPACE}.svc:{KAFKA_PORT}"
POSTGRES_PORT: Final = 5432
HTTP_PORT: Final = 8080

SECRET_STORE: Final = "vault"  # noqa: S105 - a name
AUTHORITY: Final = "prizewire-authority"
"""The certificate authority of Kafka's listener and of the databases, and each Secret with its certificate."""

NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"
PART_OF: Final = {"app.kubernetes.io/part-of": "prizewire"}
SERVICE: Final = "service"
MIGRATION: Final = "migration"
ACCESS: Final = "prizewire/access"
"""The label of a namespace whose pods may reach ours; its value says what for."""

CONSUMERS: Final[dict[str, dict[str, Topic]]] = {
    "settlement": {"settlement.matches": topics.MATCHES, "settlement.rewards": topics.REWARDS},
    "rewards": {
        "rewards.settlements": topics.SETTLEMENTS,
        "rewards.payouts": topics.PAYOUTS,
        "rewards.players": topics.PLAYERS,
    },
    "payouts": {
        "payouts.rewards": topics.REWARDS,
        "payouts.signing": topics.SIGNING_RESULTS,
        "payouts.provider-webhooks": topics.PROVIDER_WEBHOOKS,
        "payouts.players": topics.PLAYERS,
        "payouts.audit": topics.AUDIT,
    },
    "webhooks": {"webhooks.payouts": topics.PAYOUTS},
    "signer": {"signer.requests": topics.SIGNING_REQUESTS},
}
"""The consumer groups of each service, with the topic of each."""

SECRETS: Final[dict[str, tuple[str, ...]]] = {
    "settlement": ("message_key",),
    "rewards": ("message_key", "player_hash_key"),
    "payouts": ("message_key", "method_encryption_key"),
    "webhooks": ("message_key", "webhook_encryption_key"),
    "signer": ("message_key",),
}
"""The secrets of each service beside its logins at Kafka and PostgreSQL. Overlays with a hot key add the signer's chain keys."""


@dataclass(frozen=True)
class Part:
    """A service as it runs in a cluster."""

    name: str

    @property
    def namespace(self) -> str:
        """The namespace of its pods."""
        return SIGNER_NAMESPACE if self.name == SIGNER else SERVICES_NAMESPACE

    @property
    def database_namespace(self) -> str:
        """The namespace of its database; the signer's is beside it."""
        return SIGNER_NAMESPACE if self.name == SIGNER else POSTGRES_NAMESPACE

    @property
    def database_host(self) -> str:
        """The name of the database's primary."""
        return f"{self.name}-rw.{self.database_namespace}.svc"

    @property
    def migration(self) -> str:
        """The name of its migration's Job, account and secret."""
        return f"{self.name}-migration"

    @property
    def replicas_max(self) -> int:
        """As many as the partitions of its widest topic: a further replica would read nothing."""
        return max(topic.partitions for topic in CONSUMERS[self.name].values())

    @property
    def connections_max(self) -> int:
        """The limit of the runtime role: enough for all replicas, and one more during a roll-out."""
        return runtime_connections_max(self.replicas_max)

    def selector(self, component: str = SERVICE) -> dict[str, str]:
        """The labels that select its pods."""
        return {NAME: self.name, COMPONENT: component}

    def labels(self, component: str = SERVICE) -> dict[str, str]:
        """Every label of what belongs to it."""
        return {**self.selector(component), **PART_OF}

    def database_url(self, role: str, *, password: str) -> str:
        """The URL of its database for a role; `password` is a template of External Secrets, or empty."""
        login = f"{role}:{password}" if password else role
        return f"postgresql://{login}@{self.database_host}:{POSTGRES_PORT}/{self.name}?ssl=verify-full"


PARTS: Final = tuple(Part(name) for name in SERVICES)
PARTS_WITH_API: Final = tuple(Part(name) for name in SERVICES_WITH_API)


def manifest(
    api_version: str,
    kind: str,
    name: str,
    *,
    namespace: str,
    labels: dict[str, str] | None = None,
    **body: Any,
) -> Manifest:
    """One manifest; `body` is what stands beside the metadata."""
    metadata = {"name": name, "namespace": namespace, "labels": labels or PART_OF}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def external_secret(
    name: str, *, namespace: str, sources: dict[str, tuple[str, str]], template: dict[str, str], **target: Any
) -> Manifest:
    """A Secret that External Secrets makes: `sources` gives each value of the template its key and property in the store."""
    return manifest(
        "external-secrets.io/v1",
        "ExternalSecret",
        name,
        namespace=namespace,
        spec={
            "refreshInterval": "15m",
            "secretStoreRef": {"kind": "SecretStore", "name": SECRET_STORE},
            "target": {
                "name": name,
                "creationPolicy": "Owner",
                "template": {"engineVersion": "v2", **target, "data": template},
            },
            "data": [
                {"secretKey": value, "remoteRef": {"key": key, "property": item}}
                for value, (key, item) in sources.items()
            ],
        },
    )


def from_pods(labels: dict[str, str], *, namespace: str) -> dict[str, Any]:
    """A peer of a NetworkPolicy: pods with these labels in a namespace."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": labels},
    }


def from_access(*purposes: str) -> list[dict[str, Any]]:
    """Peers of a NetworkPolicy: the pods of all namespaces with this access."""
    return [{"namespaceSelector": {"matchLabels": {ACCESS: purpose}}} for purpose in purposes]


def tcp(*ports: int) -> list[dict[str, Any]]:
    """The ports of a NetworkPolicy's rule."""
    return [{"protocol": "TCP", "port": port} for port in ports]
