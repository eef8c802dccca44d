"""The databases for CloudNativePG: one cluster for each service, with the roles and rights of the local stack."""

from typing import Any

from prizewire_devstack.components.postgres import OWNER_CONNECTIONS_MAX, bootstrap_sql, owner_of
from prizewire_devstack.manifests.names import (
    AUTHORITY,
    MIGRATION,
    PART_OF,
    POSTGRES_PORT,
    Manifest,
    Part,
    external_secret,
    from_access,
    from_pods,
    manifest,
    tcp,
)

STATUS_PORT = 8000
METRICS_PORT = 9187
OTHER_CONNECTIONS = 25
"""Connections that are no service's: replication, the operator, metrics, backups, a person, and PostgreSQL's reserve of 3."""
BACKUP_PLUGIN = "barman-cloud.cloudnative-pg.io"


def database_manifests(part: Part) -> list[Manifest]:
    """The cluster of one service and what belongs to it."""
    owner = owner_of(part.name)
    return [
        _cluster(part),
        _certificate(part),
        _login(part, part.name),
        _login(part, owner),
        _schedule(part),
        _monitor(part),
        _policy(part),
    ]


def _secret_name(role: str) -> str:
    return f"database-{role.replace('_', '-')}"


def server_secret(part: Part) -> str:
    """The name of the Secret with the certificate of the database's server."""
    return f"{part.name}-database-server"


def _role(part: Part, role: str, connections: int) -> dict[str, Any]:
    del part
    return {
        "name": role,
        "ensure": "present",
        "login": True,
        "superuser": False,
        "createdb": False,
        "createrole": False,
        "replication": False,
        "connectionLimit": connections,
        "passwordSecret": {"name": _secret_name(role)},
    }


def _cluster(part: Part) -> Manifest:
    owner = owner_of(part.name)
    sql = bootstrap_sql(part.name)
    return manifest(
        "postgresql.cnpg.io/v1",
        "Cluster",
        part.name,
        namespace=part.database_namespace,
        spec={
            "bootstrap": {
                "initdb": {
                    "database": part.name,
                    "owner": owner,
                    "secret": {"name": _secret_name(owner)},
                    "postInitSQL": list(sql.server),
                    "postInitApplicationSQL": list(sql.database),
                }
            },
            "managed": {
                "roles": [
                    _role(part, part.name, part.connections_max),
                    _role(part, owner, OWNER_CONNECTIONS_MAX),
                ]
            },
            "postgresql": {
                "parameters": {
                    "max_connections": str(part.connections_max + OWNER_CONNECTIONS_MAX + OTHER_CONNECTIONS)
                }
            },
            "certificates": {"serverCASecret": server_secret(part), "serverTLSSecret": server_secret(part)},
        },
    )


def _certificate(part: Part) -> Manifest:
    """The certificate of the server, by the authority that services trust. CloudNativePG reads it again when it changes."""
    hosts = [
        f"{part.name}-{access}{suffix}"
        for access in ("rw", "ro", "r")
        for suffix in ("", f".{part.database_namespace}", f".{part.database_namespace}.svc")
    ]
    name = server_secret(part)
    return manifest(
        "cert-manager.io/v1",
        "Certificate",
        name,
        namespace=part.database_namespace,
        spec={
            "secretName": name,
            "secretTemplate": {"labels": {"cnpg.io/reload": "true"}},
            "dnsNames": hosts,
            "usages": ["server auth"],
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "issuerRef": {"name": AUTHORITY, "kind": "ClusterIssuer", "group": "cert-manager.io"},
        },
    )


def _login(part: Part, role: str) -> Manifest:
    return external_secret(
        _secret_name(role),
        namespace=part.database_namespace,
        sources={"password": (f"postgres/{role}", "password")},
        template={"username": role, "password": "{{ .password }}"},
        type="kubernetes.io/basic-auth",
        metadata={"labels": {"cnpg.io/reload": "true"}},
    )


def _schedule(part: Part) -> Manifest:
    return manifest(
        "postgresql.cnpg.io/v1",
        "ScheduledBackup",
        part.name,
        namespace=part.database_namespace,
        spec={
            # Seconds, minutes, hours: every day at three, and once at the beginning.
            "schedule": "0 0 3 * * *",
            "immediate": True,
            "backupOwnerReference": "self",
            "cluster": {"name": part.name},
            "method": "plugin",
            "pluginConfiguration": {"name": BACKUP_PLUGIN},
        },
    )


def _monitor(part: Part) -> Manifest:
    return manifest(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        f"{part.name}-database",
        namespace=part.database_namespace,
        spec={
            "selector": {"matchLabels": {"cnpg.io/cluster": part.name, "cnpg.io/podRole": "instance"}},
            "podMetricsEndpoints": [{"port": "metrics"}],
        },
    )


def _policy(part: Part) -> Manifest:
    """Who may reach the database, and what it reaches of its own. Its ways to object storage and to the cluster's API are in base."""
    own = {"podSelector": {"matchLabels": {"cnpg.io/cluster": part.name}}}
    clients = [
        from_pods(part.selector(component), namespace=part.namespace) for component in ("service", MIGRATION)
    ]
    return manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        f"{part.name}-database-server",
        namespace=part.database_namespace,
        labels=PART_OF,
        spec={
            "podSelector": {"matchLabels": {"cnpg.io/cluster": part.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": clients, "ports": tcp(POSTGRES_PORT)},
                {"from": [own], "ports": tcp(POSTGRES_PORT, STATUS_PORT)},
                {"from": from_access("postgres-operator"), "ports": tcp(POSTGRES_PORT, STATUS_PORT)},
                {"from": from_access("monitoring"), "ports": tcp(METRICS_PORT)},
            ],
            "egress": [{"to": [own], "ports": tcp(POSTGRES_PORT, STATUS_PORT)}],
        },
    )
