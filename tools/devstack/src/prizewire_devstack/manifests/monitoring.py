"""The alert rules and the dashboards for a cluster, made of deploy/monitoring."""

from typing import Final

from prizewire_devstack.home import repository_root
from prizewire_devstack.manifests.names import PART_OF, SERVICES_NAMESPACE, Manifest, manifest
from prizewire_devstack.monitoring import rules

DASHBOARDS: Final = "deploy/monitoring/dashboards"
DASHBOARD_LABEL: Final = {"grafana_dashboard": "1"}
"""The label by which the sidecar of Grafana's chart finds dashboards."""


def monitoring_manifests() -> list[Manifest]:
    """One PrometheusRule for each file of rules, and one ConfigMap for each dashboard.

    The Prometheus operator adds no label to the alerts, since they are about two namespaces.
    """
    root = repository_root()
    found = [
        manifest(
            "monitoring.coreos.com/v1",
            "PrometheusRule",
            f"prizewire-{name.removesuffix('.yaml')}",
            namespace=SERVICES_NAMESPACE,
            spec=document,
        )
        for name, document in rules.documents(root=root).items()
    ]
    found += [
        manifest(
            "v1",
            "ConfigMap",
            f"dashboard-{file.stem.removeprefix('prizewire-')}",
            namespace=SERVICES_NAMESPACE,
            labels={**PART_OF, **DASHBOARD_LABEL},
            data={file.name: file.read_text()},
        )
        for file in sorted((root / DASHBOARDS).glob("*.json"))
    ]
    return found
