"""Where a configuration comes from: a folder of settings, rendered Kubernetes objects, or the running local stack."""

from collections.abc import Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from dotenv.parser import parse_stream

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.doctor.configuration import (
    CERTIFICATES,
    FILE,
    UNREAD,
    Configuration,
    ServiceConfiguration,
    Setting,
    Source,
    by_names,
)
from prizewire_devstack.doctor.objects import NAME_LABEL, name_of, namespace_of, of_kind, workloads
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_text
from prizewire_devstack.home import Home
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.service_settings import settings_of
from prizewire_devstack.stack.environment import local_environment


def known_settings() -> dict[str, dict[str, Setting]]:
    """Every setting of every service, as the services describe them."""
    with ThreadPoolExecutor(2) as pool:
        rows_of = dict(zip(SERVICES, pool.map(settings_of, SERVICES), strict=True))
    return {
        service: {
            row["name"]: Setting(
                name=row["name"], required=row["required"], secret=row["secret"], default=row["default"]
            )
            for row in rows
        }
        for service, rows in rows_of.items()
    }


def from_folder(folder: Path) -> Configuration:
    """The configuration in a folder: `SERVICE.env` with lines NAME=VALUE for each service, and the public files by their names.

    Raises:
        DevstackError: it is no folder, has no such file, or a line is malformed.
    """
    if not folder.is_dir():
        raise DevstackError(f"{folder} is no folder: name the one that has SERVICE.env for each service.")
    found = {name: folder / f"{name}.env" for name in SERVICES if (folder / f"{name}.env").is_file()}
    if not found:
        names = ", ".join(f"{name}.env" for name in SERVICES)
        raise DevstackError(f"{folder} has no settings of a service: it should hold {names}.")
    settings = known_settings()
    services = {}
    for name, file in found.items():
        environment = by_names(_read_environment(file), settings[name])
        files = {
            path: read_text(beside)
            for path in _named_files(environment, settings[name])
            if (beside := folder / PurePosixPath(path).name).is_file()
        }
        services[name] = ServiceConfiguration(
            service=name, environment=environment, settings=settings[name], files=files
        )
    return Configuration(services=services)


def from_objects(text: str, *, name: str) -> Configuration:
    """The configuration in Kubernetes objects, as `kubectl kustomize` renders them; `name` is the file's.

    A Deployment whose pods have a service's name as the label `app.kubernetes.io/name` configures this service.

    Raises:
        DevstackError: it is no YAML, or configures no service.
    """
    try:
        objects = [one for one in yaml.safe_load_all(text) if one is not None]
    except yaml.YAMLError as error:
        raise DevstackError(f"{name} is no valid YAML: {error}") from error
    if not all(isinstance(one, dict) and "kind" in one for one in objects):
        raise DevstackError(
            f"{name} holds no Kubernetes objects: give the output of `kubectl kustomize FOLDER`."
        )
    settings = known_settings()
    maps = {(namespace_of(one), name_of(one)): one.get("data") or {} for one in of_kind(objects, "ConfigMap")}
    made = set(_made_secrets(objects))
    services: dict[str, ServiceConfiguration] = {}
    for one in workloads(of_kind(objects, "Deployment")):
        if one.service is None:
            continue
        if one.service in services:
            raise DevstackError(f"{name} has two Deployments of {one.service}: leave one of them out.")
        environment = _environment_of(one.pod, namespace=one.namespace, maps=maps)
        files, unseen = _files_of(one.pod, namespace=one.namespace, maps=maps, made=made)
        services[one.service] = ServiceConfiguration(
            service=one.service,
            environment=by_names(environment, settings[one.service]),
            settings=settings[one.service],
            files=files,
            unseen=unseen,
        )
    if not services:
        raise DevstackError(
            f"{name} has no Deployment of a service: its pods would have the label {NAME_LABEL} with one of "
            f"{', '.join(SERVICES)}."
        )
    return Configuration(services=services, objects=objects)


def from_stack(home: Home, *, root: Path) -> Configuration:
    """The configuration of the local stack that runs out of `home`; `root` is the repository.

    Raises:
        NotRunningError: no stack runs.
    """
    run = home.running()
    settings = known_settings()
    own = base_environment()
    services = {}
    for name in SERVICES:
        given = local_environment(name, home=home, root=root, ports=run.ports, log_level=run.log_level)
        environment = {key: value for key, value in given.items() if key not in own}
        environment |= run.settings.get(name, {})
        files = {
            path: read_text(Path(path))
            for path in _named_files(environment, settings[name])
            if Path(path).is_file()
        }
        services[name] = ServiceConfiguration(
            service=name, environment=environment, settings=settings[name], files=files
        )
    return Configuration(services=services)


def is_public_file(setting: Setting) -> bool:
    """Say whether a setting names a public file: not the file of a key or another secret."""
    secret = ("_KEY_FILE", "_SECRET_FILE", "_SECRETS_FILE", "_TOKEN_FILE", "_PASSWORD_FILE")
    return setting.name.endswith("_FILE") and not setting.secret and not setting.name.endswith(secret)


def _named_files(environment: Mapping[str, str], settings: Mapping[str, Setting]) -> Iterator[str]:
    """The paths of the public files that the settings name, defaults included, and of files that hold a setting."""
    for name, setting in settings.items():
        path = environment.get(name) or setting.default
        if path and is_public_file(setting):
            yield path
        if (path := environment.get(f"{name}{FILE}")) and not (setting.secret or name.endswith(FILE)):
            yield path
    yield from (environment[name] for name in CERTIFICATES & environment.keys())


def _read_environment(file: Path) -> dict[str, str]:
    """The variables of a file, as Compose reads it: quotes and comments are no part of a value."""
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(read_text(file))):
        name, number, line = binding.key, binding.original.line, binding.original.string
        if name is None and not binding.error:
            continue
        if binding.error or name is None or binding.value is None or not name.isidentifier():
            raise DevstackError(f"{file}, line {number}, is no setting: write NAME=VALUE.")
        if name in found:
            raise DevstackError(f"{file}, line {number}, sets {name} again: leave one of the two lines out.")
        if "$" in binding.value and not line.partition("=")[2].lstrip().startswith("'"):
            raise DevstackError(
                f"{file}, line {number}: Compose replaces what follows $ in {name}. Put the value into single quotes."
            )
        found[name] = binding.value
    return found


_Maps = Mapping[tuple[str, str], Mapping[str, str]]


def _made_secrets(objects: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Namespace and name of each Secret that an object makes."""
    for one in of_kind(objects, "Certificate"):
        yield namespace_of(one), str(one["spec"]["secretName"])
    for one in of_kind(objects, "ExternalSecret"):
        yield namespace_of(one), str(one["spec"].get("target", {}).get("name", name_of(one)))


def _environment_of(pod: Mapping[str, Any], *, namespace: str, maps: _Maps) -> dict[str, str]:
    """The environment of a pod's first container. A rule about workloads names each value that is not here."""
    container = pod["containers"][0]
    environment: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        if "configMapRef" in source:
            given = maps.get((namespace, source["configMapRef"]["name"]), {})
            environment |= {f"{source.get('prefix', '')}{name}": value for name, value in given.items()}
    for entry in container.get("env") or ():
        if "valueFrom" not in entry:
            environment[entry["name"]] = str(entry.get("value", ""))
        elif "configMapKeyRef" in entry["valueFrom"]:
            reference = entry["valueFrom"]["configMapKeyRef"]
            found = maps.get((namespace, reference["name"]), {})
            environment[entry["name"]] = found.get(reference["key"], UNREAD)
        else:
            environment[entry["name"]] = UNREAD
    return environment


def _files_of(
    pod: Mapping[str, Any], *, namespace: str, maps: _Maps, made: Set[tuple[str, str]]
) -> tuple[dict[str, str], dict[str, Source]]:
    """The public files of a pod's first container, and what brings those whose content is not among the objects.

    A mount hides what a shorter path would have there.
    """
    files: dict[str, str] = {}
    unseen: dict[str, Source] = {}
    volumes = {volume["name"]: volume for volume in pod.get("volumes") or ()}
    for mount in sorted(
        pod["containers"][0].get("volumeMounts") or (), key=lambda one: len(one["mountPath"])
    ):
        root = mount["mountPath"].rstrip("/")
        for hidden in [path for path in (*files, *unseen) if path == root or path.startswith(f"{root}/")]:
            files.pop(hidden, None)
            unseen.pop(hidden, None)
        volume = volumes.get(mount["name"], {})
        for source in volume.get("projected", {}).get("sources", (volume,)):
            texts = _texts(source, namespace=namespace, maps=maps)
            origin = _origin(source, namespace=namespace, made=made)
            for file, text in texts.items():
                if mount.get("subPath", file) != file and file:
                    continue
                path = root if "subPath" in mount or not file else f"{root}/{file}"
                files.pop(path, None)
                unseen.pop(path, None)
                if text is None:
                    unseen[path] = origin
                else:
                    files[path] = text
    return files, unseen


def _texts(source: Mapping[str, Any], *, namespace: str, maps: _Maps) -> dict[str, str | None]:
    """The files of one source by their names in it, each with its content; None for one that is not among the objects.

    An empty name stands for every file of the source.
    """
    kind = "configMap" if "configMap" in source else "secret"
    items = source.get(kind, {}).get("items")
    if kind == "secret":
        return dict.fromkeys([item["path"] for item in items] if items else [""])
    data = maps.get((namespace, source["configMap"]["name"]))
    if items:
        return {item["path"]: (data or {}).get(item["key"]) for item in items}
    return {"": None} if data is None else dict(data)


def _origin(source: Mapping[str, Any], *, namespace: str, made: Set[tuple[str, str]]) -> Source:
    if "configMap" in source:
        return Source(name=f"the ConfigMap {source['configMap']['name']}", made=False)
    if "secret" in source:
        name = source["secret"].get("name", source["secret"].get("secretName"))
        return Source(name=f"the Secret {name}", made=(namespace, name) in made)
    return Source(name="a volume that is no ConfigMap", made=False)
