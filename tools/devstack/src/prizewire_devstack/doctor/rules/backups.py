"""Rules about backups, as Kubernetes objects order them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.routes import SERVICES

GROUP: Final = "postgresql.cnpg.io/"


def _ordered(subject: Subject) -> Iterator[Finding]:
    objects = [
        one for one in subject.configuration.objects if str(one.get("apiVersion", "")).startswith(GROUP)
    ]
    clusters = {one["metadata"]["name"]: one for one in objects if one["kind"] == "Cluster"}
    if not clusters:
        return
    scheduled = {
        one["spec"]["cluster"]["name"]
        for one in objects
        if one["kind"] == "ScheduledBackup" and not one["spec"].get("suspend", False)
    }
    for name in SERVICES:
        if name not in clusters:
            yield _finding(
                name, f"There is no database cluster {name} among the objects: add deploy/postgres to them."
            )
        elif not _archives(clusters[name]):
            yield _finding(
                name, f"The database cluster {name} archives no write-ahead log: give it an object store."
            )
        elif name not in scheduled:
            yield _finding(name, f"No ScheduledBackup is for the database cluster {name}: add one.")


def _archives(cluster: Mapping[str, Any]) -> bool:
    spec = cluster["spec"]
    if "barmanObjectStore" in spec.get("backup", {}):
        return True
    return any(plugin.get("isWALArchiver") for plugin in spec.get("plugins", ()))


def _finding(place: str, sentence: str) -> Finding:
    return Finding(code="backups_ordered", place=place, sentence=sentence)


RULES: Final = (_ordered,)
