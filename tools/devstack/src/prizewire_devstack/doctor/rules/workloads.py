"""Rules about workloads, as Kubernetes objects order them: the image, the program, rights, and where values come from."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.objects import Workload, place_of, texts_of, workloads_of_services
from prizewire_devstack.doctor.rules.settings import PLACEHOLDER

NOBODY: Final = "nobody.invalid"
"""The name in a certificate that nobody presents: it brings the authority's own certificate to a namespace."""


def _images(subject: Subject) -> Iterator[Finding]:
    for workload in workloads_of_services(subject.configuration.objects):
        for container in workload.containers:
            image = str(container.get("image", ""))
            registry, slash, _ = image.partition("/")
            if not slash or not ("." in registry or ":" in registry):
                yield _image(workload, f"The image {image} names no registry: write yours before its name.")
            name, _, digest = image.partition("@")
            if "sha256:" not in digest and (subject.live or _tag(name) in ("", "latest")):
                yield _image(
                    workload,
                    f"The image {image} may change under its name: pin it by its digest, as NAME@sha256:DIGEST.",
                )


def _tag(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[2]


def _image(workload: Workload, sentence: str) -> Finding:
    return Finding(code="image", place=workload.place, sentence=sentence)


def _rights(subject: Subject) -> Iterator[Finding]:
    for workload in workloads_of_services(subject.configuration.objects):
        pod = workload.pod
        shared = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
        shared += ["hostPath" for volume in pod.get("volumes") or () if "hostPath" in volume]
        if shared:
            yield _right(workload, f"{', '.join(shared)} shares the host with the pods: take it out.")
        own = pod.get("securityContext") or {}
        for container in workload.containers:
            context = container.get("securityContext") or {}
            both = {**own, **context}
            if context.get("privileged") or context.get("allowPrivilegeEscalation") is not False:
                yield _right(
                    workload,
                    f"The container {container['name']} may gain rights: set allowPrivilegeEscalation to false, and not privileged.",
                )
            if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
                yield _right(
                    workload, f"The container {container['name']} may run as root: set runAsNonRoot to true."
                )
            if (context.get("capabilities") or {}).get("add"):
                yield _right(workload, f"The container {container['name']} adds capabilities: take them out.")


def _right(workload: Workload, sentence: str) -> Finding:
    return Finding(code="rights_of_pods", place=workload.place, sentence=sentence)


def _programs(subject: Subject) -> Iterator[Finding]:
    for workload in workloads_of_services(subject.configuration.objects):
        if workload.service is None:
            yield _program(
                workload,
                "These pods are of no service, and run beside services: give them a namespace of their own.",
            )
            continue
        for container in workload.containers:
            name = str(container.get("image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0]
            if container is not workload.pod["containers"][0] or workload.service not in name:
                yield _program(
                    workload,
                    f"The container {container['name']} is not the one of {workload.service}, and reads what its pod reads: take it out.",
                )
            elif (
                list(container.get("args") or ()) != ["migrate"] * workload.migrates or "command" in container
            ):
                yield _program(
                    workload,
                    f"The container {container['name']} runs another command than its image's: take command and args out.",
                )
            if "lifecycle" in container:
                yield _program(
                    workload,
                    f"The container {container['name']} runs a program at its start or end: take lifecycle out.",
                )


def _program(workload: Workload, sentence: str) -> Finding:
    return Finding(code="foreign_program", place=workload.place, sentence=sentence)


def _accounts(subject: Subject) -> Iterator[Finding]:
    for workload in workloads_of_services(subject.configuration.objects):
        if workload.pod.get("automountServiceAccountToken") is not False:
            yield Finding(
                code="account_token",
                place=workload.place,
                sentence="The pods are given a token of the cluster's API: set automountServiceAccountToken to false.",
            )
        wanted = f"{workload.service}-migration" if workload.migrates else workload.service
        if workload.service is not None and workload.pod.get("serviceAccountName") != wanted:
            yield Finding(
                code="account_token",
                place=workload.place,
                sentence=f"The pods have the account {workload.pod.get('serviceAccountName', 'default')}: give them {wanted}.",
            )


def _environment(subject: Subject) -> Iterator[Finding]:
    given = {(place_of(one).partition(" ")[2], one["kind"]) for one in subject.configuration.objects}
    for workload in workloads_of_services(subject.configuration.objects):
        for container in workload.containers:
            for source in _sources(container):
                kind, _, name = source.partition(" ")
                if kind != "ConfigMap" or (f"{workload.namespace}/{name}", kind) not in given:
                    yield _unseen(
                        workload, f"Variables come from {source}, which was not seen: {_instead(kind)}"
                    )
            for entry in container.get("env") or ():
                if "$(" in str(entry.get("value", "")):
                    yield _unseen(
                        workload,
                        f"Kubernetes replaces what $(…) names in {entry['name']}: write the value itself.",
                    )


def _instead(kind: str) -> str:
    if kind == "Secret":
        return "mount secrets as files, and write other values into a ConfigMap."
    return "add it to the objects." if kind == "ConfigMap" else "write the value itself."


def _sources(container: Mapping[str, Any]) -> Iterator[str]:
    for source in container.get("envFrom") or ():
        for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if key in source:
                yield f"{kind} {source[key]['name']}"
    for entry in container.get("env") or ():
        source = entry.get("valueFrom") or {}
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if key in source:
                yield f"{kind} {source[key]['name']}"
        yield from (key for key in ("fieldRef", "resourceFieldRef", "fileKeyRef") if key in source)


def _unseen(workload: Workload, sentence: str) -> Finding:
    return Finding(code="environment_not_checked", place=workload.place, sentence=sentence)


def _placeholders(subject: Subject) -> Iterator[Finding]:
    known = {value for one in subject.services for value in (*one.environment.values(), *one.files.values())}
    for one in subject.configuration.objects:
        for text in sorted(set(texts_of(one)) - known - {NOBODY}):
            if found := PLACEHOLDER.search(text):
                whole = text if len(text) < 100 and "\n" not in text else found[0]
                yield Finding(
                    code="placeholder",
                    place=place_of(one),
                    sentence=f"{whole!r} stands for a value: write the real one.",
                )


RULES: Final = (_images, _rights, _programs, _accounts, _environment, _placeholders)
