"""The generated files under `deploy`, and how they are written."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import yaml

from prizewire_devstack.manifests.ingress import ingress_manifests
from prizewire_devstack.manifests.kafka import topic_manifests, user_manifests
from prizewire_devstack.manifests.monitoring import monitoring_manifests
from prizewire_devstack.manifests.names import PARTS, Manifest, Part
from prizewire_devstack.manifests.postgres import database_manifests
from prizewire_devstack.manifests.services import migration_manifests, service_manifests

HEADER: Final = (
    "# Written by `prizewire manifests` (make schemas) from the tables in tools/devstack. Do not edit.\n"
)


def _each(make: Callable[[Part], list[Manifest]], part: Part) -> Callable[[], list[Manifest]]:
    return lambda: make(part)


GENERATED: Final[dict[str, Callable[[], list[Manifest]]]] = {
    **{f"k8s/base/{part.name}.yaml": _each(service_manifests, part) for part in PARTS},
    "k8s/base/ingress.yaml": ingress_manifests,
    "k8s/base/monitoring.yaml": monitoring_manifests,
    **{f"k8s/migrations/base/{part.name}.yaml": _each(migration_manifests, part) for part in PARTS},
    "kafka/base/topics.yaml": topic_manifests,
    "kafka/base/users.yaml": user_manifests,
    **{f"postgres/base/{part.name}.yaml": _each(database_manifests, part) for part in PARTS},
}
"""What makes each file, by its path below `deploy`."""


class _Dumper(yaml.SafeDumper):
    """Writes every value where it stands, without anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """No anchors: a reader should not have to look up."""
        del data
        return True


def text_of(manifests: Iterable[Manifest]) -> str:
    """The manifests as a file of YAML."""
    parts = (yaml.dump(one, Dumper=_Dumper, sort_keys=False, width=120) for one in manifests)
    return HEADER + "---\n".join(parts)


def write_manifests(deploy: Path) -> list[str]:
    """Write all files below `deploy`; returns the paths of those that changed."""
    changed: list[str] = []
    for name, make in GENERATED.items():
        path, text = deploy / name, text_of(make())
        if path.is_file() and path.read_text() == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        changed.append(name)
    return changed
