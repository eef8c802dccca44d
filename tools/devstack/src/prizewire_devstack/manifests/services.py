"""What differs from service to service: one file for each. What all have alike is in deploy/k8s/components."""

from typing import Any

from prizewire_devstack.manifests.names import (
    AUTHORITY,
    BOOTSTRAP,
    CONSUMERS,
    HTTP_PORT,
    MIGRATION,
    PART_OF,
    POSTGRES_PORT,
    SECRETS,
    Manifest,
    Part,
    external_secret,
    from_pods,
    manifest,
    tcp,
)

LAG_OF_REPLICA = 500
"""Messages that wait, for each replica that is wanted: as many as one batch takes (`BATCH_RECORDS_MAX` in the chassis)."""
PASSWORD = "{{ .%s | urlquery }}"  # noqa: S105 - a template


def service_manifests(part: Part) -> list[Manifest]:
    """Everything of one service."""
    return [
        _account(part, part.name, part.labels()),
        _deployment(part),
        _service(part),
        _budget(part),
        _monitor(part),
        _scaling(part),
        _login_of_scaler(part),
        _secrets(part),
        database_egress(part, component="service", name=f"{part.name}-database"),
    ]


def _of_service(part: Part, api_version: str, kind: str, spec: dict[str, Any]) -> Manifest:
    return manifest(api_version, kind, part.name, namespace=part.namespace, labels=part.labels(), spec=spec)


def _account(part: Part, name: str, labels: dict[str, str]) -> Manifest:
    return manifest(
        "v1",
        "ServiceAccount",
        name,
        namespace=part.namespace,
        labels=labels,
        automountServiceAccountToken=False,
    )


def _pod(
    part: Part, *, name: str, component: str, configuration: tuple[str, ...], **container: Any
) -> dict[str, Any]:
    return {
        "metadata": {"labels": part.labels(component)},
        "spec": {
            "serviceAccountName": name,
            "containers": [{"name": "service", "image": f"prizewire/{part.name}", **container}],
            "volumes": [
                {"name": "secrets", "secret": {"secretName": name}},
                {
                    "name": "configuration",
                    "projected": {
                        "sources": [
                            *({"configMap": {"name": one}} for one in configuration),
                            {
                                "secret": {
                                    "name": AUTHORITY,
                                    "items": [{"key": "ca.crt", "path": "authority.crt"}],
                                }
                            },
                        ]
                    },
                },
            ],
        },
    }


def _deployment(part: Part) -> Manifest:
    """Without a number of replicas: KEDA sets it, and `kubectl apply` must not set it back."""
    return _of_service(
        part,
        "apps/v1",
        "Deployment",
        {
            "selector": {"matchLabels": part.selector()},
            "template": _pod(
                part,
                name=part.name,
                component="service",
                configuration=("assets", "public"),
                envFrom=[{"configMapRef": {"name": part.name}}],
            ),
        },
    )


def _service(part: Part) -> Manifest:
    port = {"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"}
    return _of_service(
        part,
        "v1",
        "Service",
        {"selector": part.selector(), "ports": [port]},
    )


def _budget(part: Part) -> Manifest:
    return _of_service(
        part,
        "policy/v1",
        "PodDisruptionBudget",
        {
            "maxUnavailable": 1,
            "selector": {"matchLabels": part.selector()},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    )


def _monitor(part: Part) -> Manifest:
    return _of_service(
        part,
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        {
            # The label `job` becomes `prizewire`, as the alert rules expect it.
            "jobLabel": next(iter(PART_OF)),
            "selector": {"matchLabels": part.selector()},
            "endpoints": [{"port": "http", "path": "/metrics", "interval": "15s", "scrapeTimeout": "10s"}],
        },
    )


def _scaling(part: Part) -> Manifest:
    return _of_service(
        part,
        "keda.sh/v1alpha1",
        "ScaledObject",
        {
            "scaleTargetRef": {"name": part.name},
            "minReplicaCount": 2,
            "maxReplicaCount": part.replicas_max,
            # A replica that comes or goes moves partitions: not for each short wave.
            "cooldownPeriod": 300,
            "pollingInterval": 15,
            "triggers": [
                {
                    "type": "kafka",
                    "metadata": {
                        "bootstrapServers": BOOTSTRAP,
                        "consumerGroup": group,
                        "topic": topic.name,
                        "lagThreshold": str(LAG_OF_REPLICA),
                        "offsetResetPolicy": "earliest",
                        "sasl": "scram_sha512",
                        "tls": "enable",
                    },
                    "authenticationRef": {"name": part.name},
                }
                for group, topic in CONSUMERS[part.name].items()
            ],
        },
    )


def _login_of_scaler(part: Part) -> Manifest:
    """KEDA reads the lag under the service's own principal, which may describe its topics and groups and nothing else."""
    return _of_service(
        part,
        "keda.sh/v1alpha1",
        "TriggerAuthentication",
        {
            "env": [{"parameter": "username", "name": "KAFKA_SASL_USERNAME", "containerName": "service"}],
            "secretTargetRef": [
                {"parameter": "password", "name": part.name, "key": "kafka_sasl_password"},
                {"parameter": "ca", "name": AUTHORITY, "key": "ca.crt"},
            ],
        },
    )


def _secrets(part: Part) -> Manifest:
    own = SECRETS[part.name]
    return external_secret(
        part.name,
        namespace=part.namespace,
        sources={
            **{name: (f"services/{part.name}", name) for name in own},
            "kafka_password": (f"kafka/{part.name}", "password"),
            "database_password": (f"postgres/{part.name}", "password"),
        },
        template={
            **{name: f"{{{{ .{name} }}}}" for name in own},
            "kafka_sasl_password": "{{ .kafka_password }}",
            "database_url": part.database_url(part.name, password=PASSWORD % "database_password"),
        },
    )


def database_egress(part: Part, *, component: str, name: str) -> Manifest:
    """The right to reach the service's own database, and no other one."""
    return manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        name,
        namespace=part.namespace,
        labels=part.labels(component),
        spec={
            "podSelector": {"matchLabels": part.selector(component)},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [from_pods({"cnpg.io/cluster": part.name}, namespace=part.database_namespace)],
                    "ports": tcp(POSTGRES_PORT),
                }
            ],
        },
    )


def migration_manifests(part: Part) -> list[Manifest]:
    """The Job that migrates the database of a service as its owner. It is given nothing else of the service."""
    labels = part.labels(MIGRATION)
    owner = f"{part.name}_owner"
    job = manifest(
        "batch/v1",
        "Job",
        part.migration,
        namespace=part.namespace,
        labels=labels,
        spec={
            "backoffLimit": 3,
            "activeDeadlineSeconds": 3600,
            "ttlSecondsAfterFinished": 86400,
            "template": _pod(
                part,
                name=part.migration,
                component=MIGRATION,
                configuration=("assets",),
                args=["migrate"],
            ),
        },
    )
    job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    # Argo CD runs it after its account and its secret, and removes the one of the release before.
    job["metadata"]["annotations"] = {
        "argocd.argoproj.io/hook": "Sync",
        "argocd.argoproj.io/sync-wave": "1",
        "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
    }
    secret = external_secret(
        part.migration,
        namespace=part.namespace,
        sources={"owner_password": (f"postgres/{owner}", "password")},
        template={
            # The migration reads only the name of the runtime role out of this one.
            "database_url": part.database_url(part.name, password=""),
            "database_migration_url": part.database_url(owner, password=PASSWORD % "owner_password"),
        },
    )
    return [
        _account(part, part.migration, labels),
        job,
        secret,
        database_egress(part, component=MIGRATION, name=part.migration),
    ]
