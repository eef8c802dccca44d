"""Who may reach whom: computed from the policies, and compared with a table of all ways that there are."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from prizewire_devstack.doctor.rules.network import denies_everything
from prizewire_devstack.routes import ROUTES, SERVICES, SERVICES_WITH_API, SIGNER
from tests.deploy.policies.world import NAME, OUR_NAMESPACES, Pod, Policy, World, selects
from tests.deploy.rendering import Manifest

ACCESS = "prizewire/access"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
PURPOSES = (
    "ingress",
    "monitoring",
    "scaling",
    "publishing",
    "kafka-operator",
    "postgres-operator",
    "traces",
    "screening",
)
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8")
DNS_PORT = 53
DNS = {"matchLabels": {NAMESPACE_NAME: "kube-system"}}

KNOWN = [
    *({"matchLabels": {NAMESPACE_NAME: name}} for name in (*OUR_NAMESPACES, "kube-system")),
    *({"matchLabels": {ACCESS: purpose}} for purpose in PURPOSES),
]
"""The namespaces that a rule may name."""

Way = tuple[str, str, int]
"""From whom, to whom, on which port."""


def who(pod: Pod) -> str:
    """A short name of some pods."""
    if pod.component is not None:
        return f"{pod.component} {pod.labels[NAME]}"
    return f"database {pod.labels['cnpg.io/cluster']}" if "cnpg.io/cluster" in pod.labels else "kafka"


def rules(world: World, pod: Pod, direction: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rules of all policies that hold for some pods, each with the name of its policy."""
    for policy in world.of("NetworkPolicy"):
        spec = policy["spec"]
        if policy["metadata"]["namespace"] != pod.namespace or not selects(spec["podSelector"], pod.labels):
            continue
        if direction.capitalize() in spec["policyTypes"]:
            for rule in spec.get(direction, ()):
                yield policy["metadata"]["name"], rule


def _fits(peer: dict[str, Any], pod: Pod, *, home: str) -> bool:
    if "ipBlock" in peer:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {NAMESPACE_NAME: pod.namespace}):
            return False
    elif pod.namespace != home:
        return False
    return selects(peer.get("podSelector", {}), pod.labels)


def _ports(rule: dict[str, Any]) -> set[int]:
    """The ports of a rule; -1 stands for all."""
    return {one.get("port", -1) for one in rule.get("ports", ())} or {-1}


def _ways(world: World, pod: Pod, other: Pod, direction: str) -> set[int]:
    """The ports on which the policies of a pod let the other one through."""
    found: set[int] = set()
    for _, rule in rules(world, pod, direction):
        peers = rule.get("to" if direction == "egress" else "from")
        if not peers or any(_fits(peer, other, home=pod.namespace) for peer in peers):
            found |= _ports(rule)
    return found


def _ways_in_of(world: World, purpose: str, target: Pod) -> set[int]:
    found: set[int] = set()
    for _, rule in rules(world, target, "ingress"):
        for peer in rule.get("from", ({},)):
            named = peer.get("namespaceSelector")
            if not peer or (named is not None and selects(named, {ACCESS: purpose})):
                found |= _ports(rule)
    return found


def ways_between(world: World, *, out: bool) -> set[Way]:
    """Every way between pods, as the policies of the one side allow it."""
    return {
        (who(source), who(target), port)
        for source in world.pods
        for target in world.pods
        for port in (
            _ways(world, source, target, "egress") if out else _ways(world, target, source, "ingress")
        )
        if port != DNS_PORT
    }


def ways_from_outside(world: World) -> set[Way]:
    """Every way from namespaces with an access to pods."""
    return {
        (purpose, who(target), port)
        for purpose in PURPOSES
        for target in world.pods
        for port in _ways_in_of(world, purpose, target)
    }


def wanted_ways(overlay: str) -> set[Way]:
    """All ways that there should be."""
    found: set[Way] = set()
    for name in SERVICES:
        database = f"database {name}"
        found |= {(f"{component} {name}", database, 5432) for component in ("service", "migration")}
        found |= {(database, database, port) for port in (5432, 8000)}
        found |= {("postgres-operator", database, port) for port in (5432, 8000)}
        found |= {("monitoring", database, 9187), ("monitoring", f"service {name}", 8080)}
        found.add((f"service {name}", "kafka", 9093))
    found |= {("ingress", f"service {name}", 8080) for name in SERVICES_WITH_API}
    found |= {("kafka", "kafka", port) for port in (9090, 9091)}
    found |= {("kafka-operator", "kafka", port) for port in (9090, 9091, 8443)}
    found |= {("monitoring", "kafka", 9404), ("scaling", "kafka", 9093), ("publishing", "kafka", 9093)}
    if overlay == "dev":
        found.add(("service payouts", "sandbox sandbox", 8000))
    return found


def exactly_these_ways(world: World) -> Iterator[str]:
    """Pods reach what they need, and nothing else."""
    wanted = wanted_ways(world.overlay)
    outside = {way for way in wanted if way[0] in PURPOSES}
    for found, expected, side in (
        (ways_between(world, out=True), wanted - outside, "egress"),
        (ways_between(world, out=False), wanted - outside, "ingress"),
        (ways_from_outside(world), outside, "ingress"),
    ):
        for source, target, port in sorted(found - expected):
            yield f"{source} may reach {target} on {port}, by its policies of {side}"
        for source, target, port in sorted(expected - found):
            yield f"{source} cannot reach {target} on {port}, by its policies of {side}"


def denied_by_default(world: World) -> Iterator[str]:
    """In each namespace nothing is allowed both ways that no further policy allows."""
    for namespace in OUR_NAMESPACES:
        policies = [
            one["spec"] for one in world.of("NetworkPolicy") if one["metadata"]["namespace"] == namespace
        ]
        if not any(denies_everything(one) for one in policies):
            yield f"{namespace} has no policy that denies everything"


def names_are_resolved(world: World) -> Iterator[str]:
    """Every pod may ask the cluster's name server, and port 53 leads nowhere else."""
    for pod in world.pods:
        found = [rule for _, rule in rules(world, pod, "egress") if DNS_PORT in _ports(rule)]
        if not found:
            yield f"{pod.name} cannot resolve names"
        for rule in found:
            if [peer.get("namespaceSelector") for peer in rule.get("to", ())] != [DNS]:
                yield f"{pod.name} may ask any name server"


def _blocks(world: World, pod: Pod) -> Iterator[tuple[str, dict[str, Any], set[int]]]:
    for name, rule in rules(world, pod, "egress"):
        for peer in rule.get("to", ()):
            if "ipBlock" in peer:
                yield name, peer["ipBlock"], _ports(rule)


def _is_narrow(block: dict[str, Any]) -> bool:
    network = ipaddress.ip_network(block["cidr"])
    return network.max_prefixlen - network.prefixlen <= 4


def narrow_ways_outside(world: World) -> Iterator[str]:
    """Only payouts, webhooks and databases reach public addresses, by https alone; private ones stay unreachable.

    The signer reaches one narrow address, of its key management system, in production only.
    """
    for pod in world.pods:
        public = who(pod) in ("service payouts", "service webhooks") or "cnpg.io/cluster" in pod.labels
        for name, block, ports in _blocks(world, pod):
            if name == "kms" and who(pod) == f"service {SIGNER}" and world.overlay == "production":
                if not _is_narrow(block):
                    yield f"{pod.name}: the way to the key management system is wide"
            elif name.endswith("kubernetes-api") and pod.component is None:
                if not _is_narrow(block) or not ports <= {443, 6443}:
                    yield f"{pod.name}: the way to the cluster's API is wide"
            elif not public or ports != {443}:
                yield f"{pod.name} may reach {block['cidr']} by {name}"
            else:
                yield from _private(pod, block)


def _private(pod: Pod, block: dict[str, Any]) -> Iterator[str]:
    network = ipaddress.ip_network(block["cidr"])
    left_out = [ipaddress.ip_network(one) for one in block.get("except", ())]
    for text in PRIVATE:
        private = ipaddress.ip_network(text)
        within = network.version == private.version and private.subnet_of(network)
        if within and not any(private.subnet_of(one) for one in left_out):
            yield f"{pod.name} may reach the private addresses {text}"
    if network.version == 6 and not network.subnet_of(ipaddress.ip_network("2000::/3")):
        yield f"{pod.name} may reach private addresses of {network}"


def no_wide_rules(world: World) -> Iterator[str]:
    """A rule names its ports and its peers: pods here, namespaces that are known, addresses only to go to."""
    for policy in world.of("NetworkPolicy"):
        for direction, peers in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, ()):
                if not rule.get(peers) or -1 in _ports(rule):
                    yield f"{policy['metadata']['name']}: a rule of {direction} is for everybody or every port"
                for peer in rule.get(peers, ()):
                    if peer.get("namespaceSelector", KNOWN[0]) not in KNOWN:
                        yield f"{policy['metadata']['name']}: a rule of {direction} is for other namespaces"
                    if "ipBlock" in peer and direction == "ingress":
                        yield f"{policy['metadata']['name']}: addresses are let in"


def listener_is_not_open(world: World) -> Iterator[str]:
    """Strimzi makes a policy of its own for each listener: for everybody, unless the listener lists its peers."""
    written = world.get("NetworkPolicy", "prizewire-kafka", "kafka-clients")
    for kafka in world.of("Kafka"):
        for listener in kafka["spec"]["kafka"]["listeners"]:
            peers = listener.get("networkPolicyPeers")
            if written is None or peers != written["spec"]["ingress"][0]["from"]:
                yield f"the peers of the listener {listener['name']} are not those of kafka-clients"


def restricted_namespaces(world: World) -> Iterator[str]:
    """Pod Security `restricted` is enforced where our pods run."""
    found = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in world.of("Namespace")}
    for namespace in OUR_NAMESPACES:
        if found.get(namespace, {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield f"{namespace} does not enforce the restricted profile"
    for one in world.manifests:
        where = one["metadata"].get("namespace")
        if where is not None and where not in (*OUR_NAMESPACES, "cert-manager"):
            yield f"{one['kind']} {one['metadata']['name']} is in the namespace {where}"


def _paths(world: World) -> Iterator[tuple[Manifest, str, str]]:
    for ingress in world.of("Ingress"):
        for rule in ingress["spec"].get("rules", ()):
            for path in rule.get("http", {}).get("paths", ()):
                yield ingress, path["path"], path["backend"]["service"]["name"]


def listed_paths_only(world: World) -> Iterator[str]:
    """The Ingress has the routes of the local gateway, each with its time limit; health and metrics stay inside."""
    limits = {route.prefix: (route.service, f"{route.answer_within_s:g}s") for route in ROUTES}
    found = {}
    for ingress, path, service in _paths(world):
        annotations = ingress["metadata"]["annotations"]
        for name in ("nginx.org/proxy-read-timeout", "haproxy.org/timeout-server"):
            found[path] = (service, annotations.get(name))
            if found[path] != limits.get(path):
                yield f"{path} goes to {service} within {annotations.get(name)}: not as in the table of routes"
    for path in sorted(limits.keys() - found.keys()):
        yield f"{path} is not in the Ingress"
    for ingress in world.of("Ingress"):
        if "defaultBackend" in ingress["spec"]:
            yield f"{ingress['metadata']['name']} answers every path"
    hosts = {rule.get("host") for ingress in world.of("Ingress") for rule in ingress["spec"]["rules"]}
    certified = {
        host
        for ingress in world.of("Ingress")
        for tls in ingress["spec"].get("tls", ())
        for host in tls["hosts"]
    }
    if None in hosts or hosts != certified:
        yield "an Ingress has no host, or its host no certificate"


NETWORK: tuple[Policy, ...] = (
    denied_by_default,
    names_are_resolved,
    exactly_these_ways,
    narrow_ways_outside,
    no_wide_rules,
    listener_is_not_open,
    restricted_namespaces,
    listed_paths_only,
)
