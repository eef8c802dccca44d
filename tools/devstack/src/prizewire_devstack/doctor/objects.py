"""What the rules read in Kubernetes objects: workloads with their pods, and the texts of an object."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prizewire_devstack.routes import SERVICES

NAME_LABEL: Final = "app.kubernetes.io/name"
"""The label of a pod with the name of its service (Kubernetes documentation, "Recommended Labels")."""
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
WITH_TEMPLATE: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"})

KubernetesObject = Mapping[str, Any]


def of_kind(objects: Iterable[KubernetesObject], *kinds: str) -> Iterator[KubernetesObject]:
    """The objects of these kinds."""
    return (one for one in objects if one["kind"] in kinds)


def name_of(one: KubernetesObject) -> str:
    """The name of an object."""
    return str(one["metadata"]["name"])


def namespace_of(one: KubernetesObject) -> str:
    """The namespace of an object."""
    return str(one["metadata"].get("namespace", "default"))


def place_of(one: KubernetesObject) -> str:
    """Kind, namespace and name of an object, as a finding names it."""
    return f"{one['kind']} {namespace_of(one)}/{name_of(one)}"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Pods that one object makes."""

    place: str
    namespace: str
    labels: Mapping[str, str]
    pod: Mapping[str, Any]

    @property
    def service(self) -> str | None:
        """The service that runs in the pods; None if it is none of ours."""
        found = self.labels.get(NAME_LABEL)
        return found if found in SERVICES else None

    @property
    def migrates(self) -> bool:
        """Say whether the pods run the service's migration."""
        return self.labels.get(COMPONENT_LABEL) == "migration"

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        """All containers: those of the start, the others, and those for debugging."""
        kinds = ("initContainers", "containers", "ephemeralContainers")
        return [one for kind in kinds for one in self.pod.get(kind) or ()]


def workloads(objects: Iterable[KubernetesObject]) -> Iterator[Workload]:
    """All workloads among the objects."""
    for one in objects:
        if one["kind"] in WITH_TEMPLATE:
            made = one["spec"]["template"]
        elif one["kind"] == "CronJob":
            made = one["spec"]["jobTemplate"]["spec"]["template"]
        elif one["kind"] == "Pod":
            made = one
        else:
            continue
        yield Workload(
            place=place_of(one),
            namespace=namespace_of(one),
            labels=made.get("metadata", {}).get("labels") or {},
            pod=made["spec"],
        )


def workloads_of_services(objects: Iterable[KubernetesObject]) -> list[Workload]:
    """The workloads of services, and every other one in a namespace in which a service runs."""
    found = list(workloads(objects))
    namespaces = {one.namespace for one in found if one.service is not None}
    return [one for one in found if one.namespace in namespaces]


def texts_of(value: object) -> Iterator[str]:
    """Every text in an object, but for the networks that a rule of a network policy leaves out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if key != "except":
                yield from texts_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts_of(part)
