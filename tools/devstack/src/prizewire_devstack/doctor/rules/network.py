"""Rules about network policies: nothing is reached by default, and no rule is for everybody."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.objects import namespace_of, of_kind, place_of, workloads
from prizewire_devstack.routes import SIGNER

PEERS: Final = {"ingress": "from", "egress": "to"}
DNS_PORT: Final = 53
HTTPS: Final = 443
ADDRESSES_MAX: Final = 2**16
"""Addresses above which a way is one to the internet: it may lead to port 443 only, and not from the signer."""
DATABASES: Final = "postgresql.cnpg.io/"


def denies_everything(policy: Mapping[str, Any]) -> bool:
    """Say whether a policy (its `spec`) is for all pods of its namespace, in both directions, and allows nothing."""
    return (
        not any((policy.get("podSelector") or {}).values())
        and set(policy.get("policyTypes", ())) == {"Ingress", "Egress"}
        and not policy.get("ingress")
        and not policy.get("egress")
    )


def _namespaces(subject: Subject) -> dict[str, bool]:
    """The namespaces of services, databases and brokers, each with whether the signer runs there."""
    objects = subject.configuration.objects
    found = {one.namespace: False for one in workloads(objects) if one.service is not None}
    for one in of_kind(objects, "Cluster", "Kafka"):
        found.setdefault(namespace_of(one), False)
    return found | {one.namespace: True for one in workloads(objects) if one.service == SIGNER}


def _denied(subject: Subject) -> Iterator[Finding]:
    policies = list(of_kind(subject.configuration.objects, "NetworkPolicy"))
    for namespace in _namespaces(subject):
        if not any(namespace_of(one) == namespace and denies_everything(one["spec"]) for one in policies):
            yield Finding(
                code="network_not_denied",
                place=namespace,
                sentence="No network policy of this namespace denies everything by default: add deploy/k8s/namespaces to the objects.",
            )


def _open(subject: Subject) -> Iterator[Finding]:
    namespaces = _namespaces(subject)
    for one in of_kind(subject.configuration.objects, "NetworkPolicy"):
        if namespace_of(one) not in namespaces:
            continue
        for direction, peers in PEERS.items():
            for rule in one["spec"].get(direction) or ():
                for sentence in _wide(rule, peers, one["spec"], signer=namespaces[namespace_of(one)]):
                    yield Finding(
                        code="network_open", place=place_of(one), sentence=f"A rule of {direction} {sentence}"
                    )


def _wide(rule: Mapping[str, Any], peers: str, spec: Mapping[str, Any], *, signer: bool) -> Iterator[str]:
    ports = {port.get("port") for port in rule.get("ports") or ()}
    if not rule.get(peers):
        yield "is for everybody: name the peers."
    if not ports or None in ports or any("endPort" in port for port in rule["ports"]):
        yield "is for every port, or a range: name the ports."
    if not any((spec.get("podSelector") or {}).values()) and ports != {DNS_PORT}:
        yield "is for all pods of the namespace: name the pods. Only names (port 53) are for all."
    for peer in rule.get(peers) or ():
        if "namespaceSelector" in peer and not any((peer["namespaceSelector"] or {}).values()):
            yield "is for all namespaces: name the namespace."
        block = peer.get("ipBlock")
        if block is None:
            continue
        size = ipaddress.ip_network(block["cidr"], strict=False).num_addresses
        if peers == "from":
            yield f"lets the addresses {block['cidr']} in: name the namespace that calls."
        elif size > ADDRESSES_MAX and (ports != {HTTPS} or (signer and _reaches_signer(spec))):
            yield f"leads to {size} addresses ({block['cidr']}): name the network of the one that is reached."


def _reaches_signer(spec: Mapping[str, Any]) -> bool:
    """Say whether a policy of the signer's namespace may be for the signer: one for its database alone selects by cluster."""
    return "cnpg.io/cluster" not in str(spec.get("podSelector"))


RULES: Final = (_denied, _open)
