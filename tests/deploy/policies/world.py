"""What an overlay applies, with the look-ups that policies need."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from tests.deploy.rendering import Manifest
from tests.deploy.validation import name_of

NAME: Final = "app.kubernetes.io/name"
COMPONENT: Final = "app.kubernetes.io/component"
OUR_NAMESPACES: Final = ("prizewire", "prizewire-signer", "prizewire-kafka", "prizewire-postgres")


@dataclass(frozen=True)
class Pod:
    """The pods of one workload: what makes them, their namespace, labels and specification."""

    owner: Manifest
    namespace: str
    labels: dict[str, str]
    spec: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Kind, namespace and name of what makes them."""
        return name_of(self.owner)

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All containers, those of the start too."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    @property
    def component(self) -> str | None:
        """Service, migration or sandbox."""
        return self.labels.get(COMPONENT)


@dataclass(frozen=True)
class World:
    """One overlay."""

    overlay: str
    manifests: list[Manifest]

    def of(self, *kinds: str) -> list[Manifest]:
        """The manifests of these kinds."""
        return [one for one in self.manifests if one["kind"] in kinds]

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The manifest of this name, if there is one."""
        for one in self.of(kind):
            metadata = one["metadata"]
            if metadata["name"] == name and metadata.get("namespace") == namespace:
                return one
        return None

    @cached_property
    def workloads(self) -> list[Pod]:
        """The pods of Deployments and Jobs, which are ours."""
        return [
            Pod(
                one,
                one["metadata"]["namespace"],
                one["spec"]["template"]["metadata"]["labels"],
                one["spec"]["template"]["spec"],
            )
            for one in self.of("Deployment", "Job")
        ]

    @property
    def services(self) -> list[Pod]:
        """The pods of the five services."""
        return [pod for pod in self.workloads if pod.component == "service"]

    @cached_property
    def pods(self) -> list[Pod]:
        """All pods, those that operators make too, with the labels that operators give them."""
        return [*self.workloads, *self._database_pods(), *self._kafka_pods()]

    def _database_pods(self) -> Iterator[Pod]:
        for one in self.of("Cluster"):
            labels = {"cnpg.io/cluster": one["metadata"]["name"], "cnpg.io/podRole": "instance"}
            yield Pod(one, one["metadata"]["namespace"], labels)

    def _kafka_pods(self) -> Iterator[Pod]:
        for one in self.of("KafkaNodePool"):
            cluster = one["metadata"]["labels"]["strimzi.io/cluster"]
            labels = {
                "strimzi.io/cluster": cluster,
                "strimzi.io/kind": "Kafka",
                "strimzi.io/pool-name": one["metadata"]["name"],
            }
            yield Pod(one, one["metadata"]["namespace"], labels)

    def environment_of(self, pod: Pod) -> dict[str, str]:
        """The variables of the first container: ConfigMaps, then its own."""
        found: dict[str, str] = {}
        container = pod.spec["containers"][0]
        for source in container.get("envFrom", ()):
            configuration = self.get("ConfigMap", pod.namespace, source.get("configMapRef", {}).get("name"))
            if configuration is not None:
                found |= configuration["data"]
        return found | {one["name"]: one.get("value", "") for one in container.get("env", ())}


Policy = Callable[[World], Iterator[str]]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Say whether a label selector fits these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", ()):
        held, values = labels.get(one["key"]), one.get("values", ())
        fits = {
            "In": held in values,
            "NotIn": held not in values,
            "Exists": held is not None,
            "DoesNotExist": held is None,
        }[one["operator"]]
        if not fits:
            return False
    return True
