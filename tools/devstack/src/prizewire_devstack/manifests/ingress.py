"""The Ingress, out of the table of routes: the paths of the local gateway, and nothing else."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from prizewire_devstack.manifests.names import SERVICES_NAMESPACE, Manifest, manifest
from prizewire_devstack.routes import ANSWER_WITHIN_S, ROUTES, Route

HOST: Final = "prizewire.example"
"""The host that each overlay replaces."""
TLS_SECRET: Final = "prizewire-tls"  # noqa: S105 - a name
BODY_MAX: Final = "17m"
"""The largest body of a request that a proxy passes on: above the largest that a service takes, so that the service refuses with
its own code.
"""
CONNECT_WITHIN: Final = "5s"


def _annotations(answer_within_s: float) -> dict[str, str]:
    """The time limits for F5's controller (nginx.org) and HAProxy's (haproxy.org)."""
    seconds = f"{answer_within_s:g}s"
    return {
        "nginx.org/mergeable-ingress-type": "minion",
        "nginx.org/proxy-connect-timeout": CONNECT_WITHIN,
        "nginx.org/proxy-read-timeout": seconds,
        "nginx.org/proxy-send-timeout": "30s",
        "nginx.org/client-max-body-size": BODY_MAX,
        "haproxy.org/timeout-connect": CONNECT_WITHIN,
        "haproxy.org/timeout-server": seconds,
    }


def _path(route: Route) -> dict[str, Any]:
    backend = {"service": {"name": route.service, "port": {"name": "http"}}}
    return {"path": route.prefix, "pathType": "Prefix", "backend": backend}


def _ingress(name: str, rules: list[dict[str, Any]], annotations: dict[str, str], **spec: Any) -> Manifest:
    made = manifest(
        "networking.k8s.io/v1",
        "Ingress",
        name,
        namespace=SERVICES_NAMESPACE,
        spec={"ingressClassName": "nginx", "rules": rules, **spec},
    )
    made["metadata"]["annotations"] = annotations
    return made


def ingress_manifests(routes: Iterable[Route] = ROUTES) -> list[Manifest]:
    """One Ingress with host and certificate, and one for each time limit with its paths, the longest first.

    F5's controller takes several Ingress objects of a host only as one master and its minions. Other controllers ignore
    the master, which has no path, but for its certificate.
    """
    master = _ingress(
        "prizewire",
        [{"host": HOST}],
        {"nginx.org/mergeable-ingress-type": "master"},
        tls=[{"hosts": [HOST], "secretName": TLS_SECRET}],
    )
    by_limit = groupby(sorted(routes, key=_order), key=lambda route: route.answer_within_s)
    return [
        master,
        *(
            _ingress(
                "prizewire-paths" if limit == ANSWER_WITHIN_S else "prizewire-long-paths",
                [{"host": HOST, "http": {"paths": [_path(route) for route in found]}}],
                _annotations(limit),
            )
            for limit, found in by_limit
        ),
    ]


def _order(route: Route) -> tuple[float, int, str]:
    return (route.answer_within_s, -len(route.prefix), route.prefix)
