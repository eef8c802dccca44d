"""What every pod of ours is allowed, and how services are kept available."""

from collections.abc import Iterator
from typing import Final

import yaml

from prizewire_contracts.topics import TOPICS
from prizewire_devstack.routes import SERVICES
from tests.deploy.policies.world import Policy, World
from tests.deploy.rendering import DEPLOY

PARTS = (*SERVICES, "tools", "sandbox")
USER = 10001
REGISTRY: Final = "registry.example/"
"""Stands in the overlays for the registry of an installation."""


def no_privileges(world: World) -> Iterator[str]:
    """No container gains rights, and no pod shares anything with its host."""
    for pod in world.workloads:
        shared = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(key)]
        shared += ["hostPath" for volume in pod.spec.get("volumes", ()) if "hostPath" in volume]
        if shared:
            yield f"{pod.name} uses {', '.join(shared)}"
        if pod.spec.get("securityContext", {}).get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod.name} has no seccomp profile"
        for container in pod.containers:
            context = container.get("securityContext", {})
            if context.get("privileged") or context.get("allowPrivilegeEscalation") is not False:
                yield f"{pod.name}: {container['name']} may gain privileges"
            if context.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{pod.name}: {container['name']} keeps capabilities"


def not_root(world: World) -> Iterator[str]:
    """Every process runs as the image's user, and files of secrets belong to its group."""
    for pod in world.workloads:
        context = pod.spec.get("securityContext", {})
        wanted = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER}
        for key, value in wanted.items():
            if context.get(key) != value:
                yield f"{pod.name}: {key} is not {value}"
        for container in pod.containers:
            if set(container.get("securityContext", {})) & set(wanted):
                yield f"{pod.name}: {container['name']} has a user of its own"


def read_only_root(world: World) -> Iterator[str]:
    """The root file system is read-only, and /tmp is memory with a limit."""
    for pod in world.workloads:
        for container in pod.containers:
            if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
                yield f"{pod.name}: {container['name']} can write its root"
        for volume in pod.spec.get("volumes", ()):
            room = volume.get("emptyDir")
            if room is not None and (room.get("medium") != "Memory" or "sizeLimit" not in room):
                yield f"{pod.name}: {volume['name']} is not memory with a limit"


def limited_resources(world: World) -> Iterator[str]:
    """Every container says what it needs, and has a limit of memory."""
    for pod in world.workloads:
        for container in pod.containers:
            resources = container.get("resources", {})
            if not {"cpu", "memory"} <= set(resources.get("requests", {})):
                yield f"{pod.name}: {container['name']} requests no processor or no memory"
            if "memory" not in resources.get("limits", {}):
                yield f"{pod.name}: {container['name']} has no limit of memory"


def pinned_images(world: World) -> Iterator[str]:
    """An image is one of ours or listed, and has a release or a digest."""
    listed = {
        one["image"] for one in yaml.safe_load((DEPLOY / "images/third-party.yaml").read_text())["images"]
    }
    images = [(pod.name, container["image"]) for pod in world.workloads for container in pod.containers]
    images += [(one["metadata"]["name"], one["spec"].get("imageName", "")) for one in world.of("Cluster")]
    for name, image in images:
        path, _, tag = image.removeprefix(REGISTRY).partition("@")[0].partition(":")
        if image not in listed and path not in {f"prizewire/{part}" for part in PARTS}:
            yield f"{name}: {image!r} is neither ours nor in third-party.yaml"
        if tag in ("", "latest") and "@sha256:" not in image:
            yield f"{name}: {image!r} is not pinned"


def no_account_token(world: World) -> Iterator[str]:
    """No pod of ours can talk to the cluster's API, and each has an account of its own."""
    for pod in world.workloads:
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.name} mounts a token"
        if pod.spec.get("serviceAccountName", "default") == "default":
            yield f"{pod.name} has the account `default`"
    for account in world.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"{account['metadata']['name']} mounts its token"


def probes(world: World) -> Iterator[str]:
    """Kubernetes asks a starting, a living and a ready service, each at its path."""
    wanted = {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    for pod in world.services:
        for probe, path in wanted.items():
            asked = pod.spec["containers"][0].get(probe, {}).get("httpGet", {})
            if asked.get("path") != path or asked.get("port") != "http":
                yield f"{pod.name}: {probe} does not ask {path}"


def gentle_roll_out(world: World) -> Iterator[str]:
    """A release starts a new pod before it stops an old one, and a stopping one has a minute."""
    for pod in world.services:
        if pod.spec.get("terminationGracePeriodSeconds") != 60:
            yield f"{pod.name} has no minute to stop"
        rolling = pod.owner["spec"].get("strategy", {}).get("rollingUpdate", {})
        alone = world.overlay == "dev" and pod.labels["app.kubernetes.io/name"] == "payouts"
        if rolling.get("maxUnavailable") != 0 and not alone:
            yield f"{pod.name} may have fewer pods during a roll-out"


def spread(world: World) -> Iterator[str]:
    """The pods of a service are divided among hosts and zones."""
    for pod in world.services:
        keys = {one["topologyKey"] for one in pod.spec.get("topologySpreadConstraints", ())}
        if keys != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
            yield f"{pod.name} is not spread over zones and hosts"


def scaled_by_lag(world: World) -> Iterator[str]:
    """Two replicas at least, at most one for each partition; lag decides, and no fixed number is in the way."""
    partitions = {topic.name: topic.partitions for topic in TOPICS}
    for pod in world.services:
        name = pod.owner["metadata"]["name"]
        if "replicas" in pod.owner["spec"]:
            yield f"{pod.name} sets the number that KEDA sets"
        scaling = world.get("ScaledObject", pod.namespace, name)
        if scaling is None or scaling["spec"]["scaleTargetRef"]["name"] != name:
            yield f"{pod.name} is not scaled"
            continue
        spec = scaling["spec"]
        if world.overlay == "dev" and name == "payouts":
            continue
        topics = [trigger["metadata"]["topic"] for trigger in spec["triggers"]]
        if spec["minReplicaCount"] < 2:
            yield f"{pod.name} may have one replica"
        if spec["maxReplicaCount"] != max(partitions[topic] for topic in topics):
            yield f"{pod.name}: the most replicas are not the partitions of its topics"


def disruption_budget(world: World) -> Iterator[str]:
    """A drained node takes one pod of a service at a time."""
    for pod in world.services:
        budget = world.get("PodDisruptionBudget", pod.namespace, pod.owner["metadata"]["name"])
        if budget is None or budget["spec"].get("maxUnavailable") != 1:
            yield f"{pod.name} has no budget of disruptions"


def monitored(world: World) -> Iterator[str]:
    """Prometheus finds every service, every database and the brokers."""
    for pod in world.services:
        monitor = world.get("ServiceMonitor", pod.namespace, pod.owner["metadata"]["name"])
        if monitor is None or monitor["spec"]["endpoints"][0].get("path") != "/metrics":
            yield f"{pod.name} is not monitored"
    for kind in ("Cluster", "Kafka"):
        for one in world.of(kind):
            namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
            wanted = f"{name}-database" if kind == "Cluster" else "kafka"
            if world.get("PodMonitor", namespace, wanted) is None:
                yield f"{kind} {name} is not monitored"


def releases(world: World) -> Iterator[str]:
    """Migration and service of one part are of one release."""
    tags: dict[str, set[str]] = {}
    for pod in world.workloads:
        for container in pod.containers:
            name, _, tag = container["image"].partition(":")
            tags.setdefault(name, set()).add(tag)
    for name, found in tags.items():
        if len(found) > 1:
            yield f"{name} has several releases: {', '.join(sorted(found))}"


def all_services(world: World) -> Iterator[str]:
    """Each service runs once, and each has its migration."""
    for component in ("service", "migration"):
        found = sorted(
            pod.labels["app.kubernetes.io/name"] for pod in world.workloads if pod.component == component
        )
        if found != sorted(SERVICES):
            yield f"not every service has one {component}: {', '.join(found)}"


WORKLOADS: tuple[Policy, ...] = (
    no_privileges,
    not_root,
    read_only_root,
    limited_resources,
    pinned_images,
    no_account_token,
    probes,
    gentle_roll_out,
    spread,
    scaled_by_lag,
    disruption_budget,
    monitored,
    releases,
    all_services,
)
