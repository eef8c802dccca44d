"""Every name that a manifest uses is one that another manifest, or an operator of the cluster, makes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.deploy.policies.world import Policy, World, selects
from tests.deploy.rendering import Manifest
from tests.deploy.validation import name_of

MADE_BY_HAND = {("prizewire", "prizewire-tls")}
"""Secrets that no manifest makes: the certificate of the Ingress is the operator's own (docs/deploy.md)."""
CERTIFICATE = frozenset({"tls.crt", "tls.key", "ca.crt"})


def secrets_made(world: World) -> dict[tuple[str, str], frozenset[str]]:
    """The keys of each Secret that is made, by namespace and name."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for one in world.of("ExternalSecret"):
        spec = one["spec"]
        template = spec["target"].get("template", {}).get("data")
        keys = template or {data["secretKey"]: "" for data in spec["data"]}
        found[one["metadata"]["namespace"], spec["target"]["name"]] = frozenset(keys)
    for one in world.of("Certificate"):
        found[one["metadata"]["namespace"], one["spec"]["secretName"]] = CERTIFICATE
    return found


def _secrets_used(one: Manifest) -> Iterator[tuple[str, str | None]]:
    """The Secrets that a manifest reads, each with the key that it needs."""
    spec = one.get("spec", {})
    kind = one["kind"]
    if kind in ("Deployment", "Job"):
        yield from _of_volumes(spec["template"]["spec"].get("volumes", ()))
    if kind == "TriggerAuthentication":
        yield from ((target["name"], target["key"]) for target in spec["secretTargetRef"])
    if kind == "KafkaUser":
        reference = spec["authentication"]["password"]["valueFrom"]["secretKeyRef"]
        yield reference["name"], reference["key"]
    if kind == "Kafka":
        for listener in spec["kafka"]["listeners"]:
            chain = listener["configuration"]["brokerCertChainAndKey"]
            yield chain["secretName"], chain["certificate"]
            yield chain["secretName"], chain["key"]
    if kind == "Cluster":
        yield spec["bootstrap"]["initdb"]["secret"]["name"], "password"
        yield from ((role["passwordSecret"]["name"], "password") for role in spec["managed"]["roles"])
        yield spec["certificates"]["serverCASecret"], "ca.crt"
        yield spec["certificates"]["serverTLSSecret"], "tls.key"
    if kind == "ObjectStore":
        yield from (
            (value["name"], value["key"]) for value in spec["configuration"]["s3Credentials"].values()
        )
    if kind == "Ingress":
        yield from ((tls["secretName"], None) for tls in spec.get("tls", ()))


def _of_volumes(volumes: list[dict[str, Any]]) -> Iterator[tuple[str, str | None]]:
    for volume in volumes:
        if "secret" in volume:
            yield volume["secret"]["secretName"], None
        for source in volume.get("projected", {}).get("sources", ()):
            for item in source.get("secret", {}).get("items", ()):
                yield source["secret"]["name"], item["key"]


def secrets_exist(world: World) -> Iterator[str]:
    """Every Secret that is read is made, with the key that is read."""
    made = secrets_made(world)
    for one in world.manifests:
        where = one["metadata"].get("namespace", "")
        for name, key in _secrets_used(one):
            if (where, name) in MADE_BY_HAND:
                continue
            keys = made.get((where, name))
            if keys is None:
                yield f"{name_of(one)}: nothing makes the Secret {name}"
            elif key is not None and key not in keys:
                yield f"{name_of(one)}: the Secret {name} has no {key}"


def _named_by_pod(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    pod = spec["template"]["spec"]
    yield "ServiceAccount", pod.get("serviceAccountName", "default")
    for container in pod["containers"]:
        for source in container.get("envFrom", ()):
            yield "ConfigMap", source["configMapRef"]["name"]
    for volume in pod.get("volumes", ()):
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        for source in volume.get("projected", {}).get("sources", ()):
            if "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"]


def _named_by_scaling(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Deployment", spec["scaleTargetRef"]["name"]
    for trigger in spec["triggers"]:
        yield "TriggerAuthentication", trigger["authenticationRef"]["name"]


def _named_by_store(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", spec["provider"]["vault"]["auth"]["kubernetes"]["serviceAccountRef"]["name"]


def _named_by_ingress(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for rule in spec["rules"]:
        for path in rule.get("http", {}).get("paths", ()):
            yield "Service", path["backend"]["service"]["name"]


def _named_by_cluster(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for plugin in spec.get("plugins", ()):
        yield "ObjectStore", plugin["parameters"]["barmanObjectName"]


NAMED_BY: dict[str, Callable[[dict[str, Any]], Iterable[tuple[str, str]]]] = {
    "Deployment": _named_by_pod,
    "Job": _named_by_pod,
    "ScaledObject": _named_by_scaling,
    "ExternalSecret": lambda spec: [("SecretStore", spec["secretStoreRef"]["name"])],
    "SecretStore": _named_by_store,
    "Ingress": _named_by_ingress,
    "Cluster": _named_by_cluster,
    "ScheduledBackup": lambda spec: [("Cluster", spec["cluster"]["name"])],
}
"""What names kind and name of other manifests in the same namespace, by kind."""


def _named(one: Manifest) -> Iterator[tuple[str, str]]:
    if one["kind"] in NAMED_BY:
        yield from NAMED_BY[one["kind"]](one["spec"])
    if one["kind"] in ("KafkaTopic", "KafkaUser", "KafkaNodePool"):
        yield "Kafka", one["metadata"]["labels"]["strimzi.io/cluster"]


def names_resolve(world: World) -> Iterator[str]:
    """Accounts, ConfigMaps, volumes, targets, stores, issuers and namespaces that are named exist."""
    issuers = {one["metadata"]["name"] for one in world.of("ClusterIssuer")}
    spaces = {one["metadata"]["name"] for one in world.of("Namespace")} | {"cert-manager"}
    for one in world.manifests:
        where = one["metadata"].get("namespace")
        for kind, name in _named(one):
            if world.get(kind, where or "", name) is None:
                yield f"{name_of(one)}: there is no {kind} {name}"
        if one["kind"] == "Certificate" and one["spec"]["issuerRef"]["name"] not in issuers:
            yield f"{name_of(one)}: there is no such issuer"
        if where is not None and where not in spaces:
            yield f"{name_of(one)}: there is no such namespace"


def names_are_unique(world: World) -> Iterator[str]:
    """No two manifests are the same thing, but for the shared assets, which are equal."""
    seen: dict[tuple[str, str, str], Manifest] = {}
    for one in world.manifests:
        key = (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
        if key in seen and seen[key] != one:
            yield f"{name_of(one)} is there twice"
        seen[key] = one


def selectors_match(world: World) -> Iterator[str]:
    """Every selector selects something: a misspelt label would protect, watch or serve nothing in silence."""
    for one in world.of("Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor", "ServiceMonitor"):
        where, spec = one["metadata"]["namespace"], one["spec"]
        if one["kind"] == "ServiceMonitor":
            found = [
                service["metadata"].get("labels", {})
                for service in world.of("Service")
                if service["metadata"]["namespace"] == where
            ]
        else:
            found = [pod.labels for pod in world.pods if pod.namespace == where]
        selector = {
            "Service": {"matchLabels": spec.get("selector", {})},
            "NetworkPolicy": spec.get("podSelector"),
        }.get(one["kind"], spec.get("selector"))
        if not any(selects(selector or {}, labels) for labels in found):
            yield f"{name_of(one)} selects nothing"
    for pod in world.workloads:
        selector = pod.owner["spec"].get("selector")
        if selector is not None and not selects(selector, pod.labels):
            yield f"{pod.name} does not select its own pods"


def ports_exist(world: World) -> Iterator[str]:
    """A Service leads to a port that its pods have, and an Ingress to a port that its Service has."""
    for service in world.of("Service"):
        pods = [
            pod
            for pod in world.workloads
            if pod.namespace == service["metadata"]["namespace"]
            and selects({"matchLabels": service["spec"]["selector"]}, pod.labels)
        ]
        for pod in pods:
            ports = {port["name"] for port in pod.spec["containers"][0].get("ports", ())}
            for port in service["spec"]["ports"]:
                if port["targetPort"] not in ports:
                    yield f"{name_of(service)}: its pods have no port {port['targetPort']}"
    for ingress in world.of("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule.get("http", {}).get("paths", ()):
                backend = path["backend"]["service"]
                target = world.get("Service", ingress["metadata"]["namespace"], backend["name"])
                if target is not None and backend["port"]["name"] not in {
                    port["name"] for port in target["spec"]["ports"]
                }:
                    yield f"{name_of(ingress)}: {backend['name']} has no port {backend['port']['name']}"


REFERENCES: tuple[Policy, ...] = (
    secrets_exist,
    names_resolve,
    names_are_unique,
    selectors_match,
    ports_exist,
)
