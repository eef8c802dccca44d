"""Every policy is seen failing: one spoilt manifest for each way in which it could be broken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.policies.registry import POLICIES
from tests.deploy.policies.world import World
from tests.deploy.rendering import Manifest

Spoil = Callable[[list[Manifest]], None]


def find(manifests: list[Manifest], where: str) -> Manifest:
    """The manifest `KIND NAMESPACE/NAME`; a name that ends with a hyphen goes on with a hash."""
    kind, _, name = where.partition(" ")
    namespace, _, name = name.rpartition("/")
    return next(
        one
        for one in manifests
        if one["kind"] == kind
        and (
            one["metadata"]["name"] == name
            or (name.endswith("-") and one["metadata"]["name"].startswith(name))
        )
        and one["metadata"].get("namespace", "") == namespace
    )


def _walk(manifest: Manifest, path: str) -> tuple[Any, Any]:
    place: Any = manifest
    *parents, last = path.split("|")
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    return place, int(last) if isinstance(place, list) else last


def put(where: str, path: str, value: Any) -> Spoil:
    """Set one field; the parts of its path stand between bars."""

    def spoil(manifests: list[Manifest]) -> None:
        place, last = _walk(find(manifests, where), path)
        place[last] = value

    return spoil


def drop(where: str, path: str = "") -> Spoil:
    """Remove one field, or the whole manifest."""

    def spoil(manifests: list[Manifest]) -> None:
        manifest = find(manifests, where)
        if not path:
            manifests.remove(manifest)
            return
        place, last = _walk(manifest, path)
        del place[last]

    return spoil


def more(where: str, path: str, value: Any) -> Spoil:
    """Append to a list."""

    def spoil(manifests: list[Manifest]) -> None:
        place, last = _walk(find(manifests, where), path)
        place[last].append(value)

    return spoil


POD = "spec|template|spec"
CONTAINER = f"{POD}|containers|0"
SETTLEMENT = "Deployment prizewire/settlement"
SIGNER = "Deployment prizewire-signer/signer"
JOB = "Job prizewire/rewards-migration"
DATABASE = "Cluster prizewire-postgres/rewards"
ANY_V4 = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"protocol": "TCP", "port": 443}]}

SPOILT: list[tuple[str, str, Spoil]] = [
    ("no_privileges", "production", put(SETTLEMENT, f"{CONTAINER}|securityContext|privileged", True)),
    ("no_privileges", "production", drop(SETTLEMENT, f"{CONTAINER}|securityContext|capabilities")),
    ("no_privileges", "production", put(SETTLEMENT, f"{POD}|hostNetwork", True)),
    (
        "no_privileges",
        "production",
        more(SETTLEMENT, f"{POD}|volumes", {"name": "x", "hostPath": {"path": "/"}}),
    ),
    ("no_privileges", "production", drop(JOB, f"{POD}|securityContext|seccompProfile")),
    ("not_root", "production", put(SETTLEMENT, f"{POD}|securityContext|runAsUser", 0)),
    ("not_root", "production", put(JOB, f"{CONTAINER}|securityContext|runAsUser", 0)),
    ("not_root", "production", drop(SETTLEMENT, f"{POD}|securityContext|fsGroup")),
    ("read_only_root", "production", drop(SETTLEMENT, f"{CONTAINER}|securityContext|readOnlyRootFilesystem")),
    ("read_only_root", "production", more(SETTLEMENT, f"{POD}|volumes", {"name": "x", "emptyDir": {}})),
    ("limited_resources", "production", drop(SETTLEMENT, f"{CONTAINER}|resources|limits")),
    ("limited_resources", "production", drop(JOB, f"{CONTAINER}|resources|requests|cpu")),
    ("pinned_images", "production", put(SETTLEMENT, f"{CONTAINER}|image", "prizewire/settlement:latest")),
    ("pinned_images", "production", put(SETTLEMENT, f"{CONTAINER}|image", "prizewire/settlement")),
    ("pinned_images", "production", put(JOB, f"{CONTAINER}|image", "docker.io/library/busybox:1.36")),
    ("pinned_images", "production", put(DATABASE, "spec|imageName", "postgres:18")),
    ("no_account_token", "production", drop(SETTLEMENT, f"{POD}|automountServiceAccountToken")),
    ("no_account_token", "production", drop(SETTLEMENT, f"{POD}|serviceAccountName")),
    (
        "no_account_token",
        "production",
        put("ServiceAccount prizewire/payouts", "automountServiceAccountToken", True),
    ),
    ("probes", "production", drop(SETTLEMENT, f"{CONTAINER}|startupProbe")),
    ("probes", "production", put(SETTLEMENT, f"{CONTAINER}|livenessProbe|httpGet|path", "/health/ready")),
    ("probes", "production", drop(SIGNER, f"{CONTAINER}|readinessProbe")),
    ("gentle_roll_out", "production", put(SETTLEMENT, f"{POD}|terminationGracePeriodSeconds", 5)),
    ("gentle_roll_out", "staging", put(SETTLEMENT, "spec|strategy|rollingUpdate|maxUnavailable", 1)),
    ("spread", "production", drop(SETTLEMENT, f"{POD}|topologySpreadConstraints|0")),
    ("scaled_by_lag", "production", put("ScaledObject prizewire/rewards", "spec|minReplicaCount", 1)),
    ("scaled_by_lag", "production", put("ScaledObject prizewire/rewards", "spec|maxReplicaCount", 40)),
    ("scaled_by_lag", "production", put(SETTLEMENT, "spec|replicas", 2)),
    ("scaled_by_lag", "production", drop("ScaledObject prizewire-signer/signer")),
    ("disruption_budget", "production", drop("PodDisruptionBudget prizewire-signer/signer")),
    ("monitored", "production", drop("ServiceMonitor prizewire/webhooks")),
    ("monitored", "production", drop("PodMonitor prizewire-kafka/kafka")),
    ("monitored", "production", drop("PodMonitor prizewire-signer/signer-database")),
    ("releases", "production", put(JOB, f"{CONTAINER}|image", "registry.example/prizewire/rewards:0.0.9")),
    ("all_services", "production", drop("Job prizewire-signer/signer-migration")),
    ("all_services", "production", drop("Deployment prizewire/webhooks")),
    (
        "no_secret_in_environment",
        "production",
        more(SETTLEMENT, f"{CONTAINER}|env", {"name": "KAFKA_SASL_PASSWORD", "value": "hush"}),
    ),
    (
        "no_secret_in_environment",
        "production",
        more(
            SETTLEMENT,
            f"{CONTAINER}|env",
            {"name": "X", "valueFrom": {"secretKeyRef": {"name": "settlement", "key": "message_key"}}},
        ),
    ),
    (
        "no_secret_in_environment",
        "production",
        more(SETTLEMENT, f"{CONTAINER}|envFrom", {"secretRef": {"name": "settlement"}}),
    ),
    (
        "no_secret_in_environment",
        "production",
        put(
            "ConfigMap prizewire/public-",
            "data|rails.yaml",
            "rails: [{name: a, provider: stellar, s: whsec_abc}]",
        ),
    ),
    ("private_secret_files", "production", put(SETTLEMENT, f"{POD}|volumes|1|secret|defaultMode", 0o644)),
    ("private_secret_files", "production", drop(SETTLEMENT, f"{CONTAINER}|volumeMounts|2|readOnly")),
    ("known_settings", "production", put("ConfigMap prizewire/settlement-", "data|HTTP_PORTS", "1")),
    ("required_settings", "production", drop("ConfigMap prizewire/settlement-", "data|TRUST_FILE")),
    (
        "required_settings",
        "staging",
        drop("ConfigMap prizewire-signer/signer-", "data|PAYOUT_SOURCE_ACCOUNT"),
    ),
    (
        "required_settings",
        "staging",
        drop("ConfigMap prizewire-signer/signer-", "data|PAYOUT_HOT_SIGNER_SECRET_FILE"),
    ),
    (
        "required_settings",
        "production",
        drop("ConfigMap prizewire-signer/signer-", "data|OPENBAO_TOKEN_FILE"),
    ),
    (
        "files_are_mounted",
        "production",
        put("ConfigMap prizewire/payouts-", "data|RAILS_FILE", "/etc/rails.yaml"),
    ),
    (
        "files_are_mounted",
        "production",
        drop("ExternalSecret prizewire/payouts", "spec|target|template|data|method_encryption_key"),
    ),
    (
        "files_are_mounted",
        "production",
        put("ExternalSecret prizewire/settlement", "spec|target|template|data|stripe_secret_key", "x"),
    ),
    (
        "environment_of_overlay",
        "staging",
        put("ConfigMap prizewire/settlement-", "data|PRIZEWIRE_ENVIRONMENT", "development"),
    ),
    (
        "environment_of_overlay",
        "production",
        put(
            "ConfigMap prizewire/payouts-",
            "data|STELLAR_NETWORK_PASSPHRASE",
            "Test SDF Network ; September 2015",
        ),
    ),
    (
        "no_hot_key_in_production",
        "production",
        put("ConfigMap prizewire-signer/signer-", "data|SIGNER_ALLOW_HOT_KEY", "true"),
    ),
    (
        "no_hot_key_in_production",
        "production",
        drop("ConfigMap prizewire-signer/signer-", "data|SIGNER_BACKEND"),
    ),
    (
        "no_hot_key_in_production",
        "production",
        put(
            "ExternalSecret prizewire-signer/signer",
            "spec|target|template|data|payout_hot_signer_secret",
            "x",
        ),
    ),
    (
        "no_play_money_outside_dev",
        "production",
        put("ConfigMap prizewire/public-", "data|rails.yaml", "rails: [{name: fake, provider: fake}]"),
    ),
    (
        "no_play_money_outside_dev",
        "staging",
        put(SETTLEMENT, f"{CONTAINER}|image", "prizewire/sandbox:0.1.0"),
    ),
    (
        "no_play_money_outside_dev",
        "staging",
        put("ConfigMap prizewire/webhooks-", "data|WEBHOOKS_ALLOW_LOOPBACK", "true"),
    ),
    ("connections_fit", "production", put("ScaledObject prizewire/rewards", "spec|maxReplicaCount", 5)),
    ("connections_fit", "production", put(DATABASE, "spec|postgresql|parameters|max_connections", "100")),
    ("connections_fit", "production", put(DATABASE, "spec|managed|roles|0|connectionLimit", 20)),
    ("databases_are_kept", "production", drop("ScheduledBackup prizewire-postgres/rewards")),
    ("databases_are_kept", "dev", drop(DATABASE, "spec|plugins")),
    ("databases_are_kept", "dev", drop(DATABASE, "spec|postgresql|pg_hba")),
    ("databases_are_kept", "dev", drop(DATABASE, "spec|bootstrap|initdb|dataChecksums")),
    ("databases_are_kept", "dev", drop("ObjectStore prizewire-signer/backup", "spec|retentionPolicy")),
    (
        "databases_are_kept",
        "dev",
        drop("ObjectStore prizewire-signer/backup", "spec|configuration|wal|encryption"),
    ),
    ("databases_are_kept", "production", put(DATABASE, "spec|instances", 2)),
    ("databases_are_kept", "production", drop(DATABASE, "spec|postgresql|synchronous")),
    (
        "topics_are_kept",
        "production",
        put("KafkaTopic prizewire-kafka/prizewire.audit.v1", "spec|replicas", 2),
    ),
    (
        "topics_are_kept",
        "production",
        put("KafkaTopic prizewire-kafka/prizewire.audit.v1", "spec|config|min.insync.replicas", "1"),
    ),
    (
        "topics_are_kept",
        "production",
        put("Kafka prizewire-kafka/prizewire", "spec|kafka|config|auto.create.topics.enable", True),
    ),
    ("topics_are_kept", "dev", drop("Kafka prizewire-kafka/prizewire", "spec|kafka|authorization")),
    ("topics_are_kept", "dev", put("Kafka prizewire-kafka/prizewire", "spec|kafka|listeners|0|tls", False)),
    ("topics_are_kept", "dev", put("KafkaTopic prizewire-kafka/prizewire.audit.v1", "spec|replicas", 3)),
    ("denied_by_default", "production", drop("NetworkPolicy prizewire-signer/default-deny")),
    (
        "denied_by_default",
        "production",
        put("NetworkPolicy prizewire/default-deny", "spec|policyTypes", ["Ingress"]),
    ),
    ("denied_by_default", "production", put("NetworkPolicy prizewire/default-deny", "spec|egress", [{}])),
    ("names_are_resolved", "production", drop("NetworkPolicy prizewire-signer/dns")),
    (
        "names_are_resolved",
        "production",
        drop("NetworkPolicy prizewire-signer/dns", "spec|egress|0|to|0|namespaceSelector"),
    ),
    ("exactly_these_ways", "production", drop("NetworkPolicy prizewire/settlement-database")),
    ("exactly_these_ways", "production", drop("NetworkPolicy prizewire/metrics")),
    ("exactly_these_ways", "production", drop("NetworkPolicy prizewire-postgres/rewards-database-server")),
    (
        "exactly_these_ways",
        "production",
        put("NetworkPolicy prizewire/settlement-database", "spec|podSelector|matchLabels", {}),
    ),
    (
        "exactly_these_ways",
        "production",
        put(
            "NetworkPolicy prizewire-postgres/rewards-database-server",
            "spec|ingress|0|from|0|podSelector|matchLabels",
            {},
        ),
    ),
    (
        "exactly_these_ways",
        "production",
        put(
            "NetworkPolicy prizewire/ingress",
            "spec|ingress|0|from|0|namespaceSelector|matchLabels|prizewire/access",
            "scaling",
        ),
    ),
    ("narrow_ways_outside", "production", put("NetworkPolicy prizewire-signer/kms", "spec|egress", [ANY_V4])),
    (
        "narrow_ways_outside",
        "production",
        put("NetworkPolicy prizewire-signer/kms", "spec|egress|0|to|0|ipBlock|cidr", "192.0.2.0/24"),
    ),
    ("narrow_ways_outside", "production", more("NetworkPolicy prizewire/kafka", "spec|egress", ANY_V4)),
    ("narrow_ways_outside", "staging", more("NetworkPolicy prizewire-signer/kafka", "spec|egress", ANY_V4)),
    (
        "narrow_ways_outside",
        "production",
        drop("NetworkPolicy prizewire/internet", "spec|egress|0|to|0|ipBlock|except|1"),
    ),
    (
        "narrow_ways_outside",
        "production",
        put("NetworkPolicy prizewire/internet", "spec|egress|0|to|1|ipBlock|cidr", "::/0"),
    ),
    (
        "narrow_ways_outside",
        "production",
        put("NetworkPolicy prizewire/internet", "spec|egress|0|ports|0|port", 22),
    ),
    (
        "narrow_ways_outside",
        "production",
        put("NetworkPolicy prizewire-kafka/kubernetes-api", "spec|egress|0|to|0|ipBlock|cidr", "10.0.0.0/8"),
    ),
    ("no_wide_rules", "production", drop("NetworkPolicy prizewire-signer/kms", "spec|egress|0|ports")),
    ("no_wide_rules", "production", drop("NetworkPolicy prizewire/metrics", "spec|ingress|0|from")),
    (
        "no_wide_rules",
        "production",
        put("NetworkPolicy prizewire/metrics", "spec|ingress|0|from|0|namespaceSelector", {}),
    ),
    (
        "no_wide_rules",
        "production",
        more(
            "NetworkPolicy prizewire/metrics",
            "spec|ingress|0|from",
            {"namespaceSelector": {"matchLabels": {"team": "payments"}}},
        ),
    ),
    (
        "no_wide_rules",
        "production",
        more("NetworkPolicy prizewire/metrics", "spec|ingress|0|from", {"ipBlock": {"cidr": "10.0.0.0/8"}}),
    ),
    (
        "listener_is_not_open",
        "production",
        drop("Kafka prizewire-kafka/prizewire", "spec|kafka|listeners|0|networkPolicyPeers"),
    ),
    (
        "restricted_namespaces",
        "production",
        put(
            "Namespace /prizewire",
            "metadata|labels|pod-security.kubernetes.io/enforce",
            "baseline",
        ),
    ),
    ("restricted_namespaces", "production", put(SETTLEMENT, "metadata|namespace", "default")),
    (
        "listed_paths_only",
        "production",
        put("Ingress prizewire/prizewire-paths", "spec|rules|0|http|paths|0|path", "/metrics"),
    ),
    (
        "listed_paths_only",
        "production",
        put(
            "Ingress prizewire/prizewire-long-paths",
            "metadata|annotations|nginx.org/proxy-read-timeout",
            "60s",
        ),
    ),
    ("listed_paths_only", "production", drop("Ingress prizewire/prizewire-long-paths")),
    (
        "listed_paths_only",
        "production",
        put("Ingress prizewire/prizewire-paths", "spec|rules|0|host", "b.example"),
    ),
    (
        "listed_paths_only",
        "production",
        put("Ingress prizewire/prizewire-paths", "spec|defaultBackend", {"service": {"name": "rewards"}}),
    ),
    ("secrets_exist", "production", drop("ExternalSecret prizewire/rewards")),
    ("secrets_exist", "production", drop("Certificate prizewire-signer/prizewire-authority")),
    ("secrets_exist", "production", drop("ExternalSecret prizewire-kafka/operator-login")),
    (
        "secrets_exist",
        "production",
        put("TriggerAuthentication prizewire/rewards", "spec|secretTargetRef|0|key", "kafka_password"),
    ),
    ("names_resolve", "production", drop("ServiceAccount prizewire/rewards-migration")),
    ("names_resolve", "production", drop("ConfigMap prizewire/public-")),
    ("names_resolve", "production", drop("SecretStore prizewire-signer/vault")),
    ("names_resolve", "production", drop("ClusterIssuer /prizewire-authority")),
    ("names_resolve", "production", drop("Namespace /prizewire-postgres")),
    ("names_resolve", "production", drop("ObjectStore prizewire-signer/backup")),
    ("names_resolve", "dev", drop("PersistentVolumeClaim prizewire/fake-rail")),
    ("names_are_unique", "production", put("Service prizewire/rewards", "metadata|name", "payouts")),
    (
        "selectors_match",
        "production",
        put("Service prizewire/rewards", "spec|selector|app.kubernetes.io/name", "reward"),
    ),
    (
        "selectors_match",
        "production",
        put("PodDisruptionBudget prizewire/rewards", "spec|selector|matchLabels|app.kubernetes.io/name", "x"),
    ),
    (
        "selectors_match",
        "production",
        put("NetworkPolicy prizewire-signer/kms", "spec|podSelector|matchLabels", {"a": "b"}),
    ),
    (
        "selectors_match",
        "production",
        put("ServiceMonitor prizewire/rewards", "spec|selector|matchLabels|app.kubernetes.io/name", "x"),
    ),
    (
        "selectors_match",
        "production",
        put(SETTLEMENT, "spec|selector|matchLabels|app.kubernetes.io/name", "x"),
    ),
    ("ports_exist", "production", put("Service prizewire/rewards", "spec|ports|0|targetPort", "web")),
    ("ports_exist", "production", put("Service prizewire/rewards", "spec|ports|0|name", "web")),
]


@pytest.mark.parametrize("name", POLICIES)
def test_every_overlay_holds_the_policy(world: World, name: str) -> None:
    """What an operator would apply is as it should be."""
    assert list(POLICIES[name](world)) == []


@pytest.mark.parametrize(
    ("name", "overlay", "spoil"),
    SPOILT,
    ids=[f"{name}-{number}" for number, (name, _, _) in enumerate(SPOILT)],
)
def test_policy_finds_the_spoilt_manifest(
    worlds: dict[str, World], name: str, overlay: str, spoil: Spoil
) -> None:
    """One change that a reviewer could overlook is found by the policy that is about it."""
    manifests = copy.deepcopy(worlds[overlay].manifests)
    spoil(manifests)
    assert list(POLICIES[name](World(overlay, manifests)))


def test_each_policy_is_seen_failing() -> None:
    """A policy without a spoilt manifest might hold nothing."""
    assert {name for name, _, _ in SPOILT} == set(POLICIES)
