"""Where a configuration comes from: a folder of settings, rendered Kubernetes objects, or the running local stack."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    Configuration,
    ServiceConfiguration,
    Setting,
    by_names,
)
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_text
from prizewire_devstack.home import Home
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.service_settings import settings_of
from prizewire_devstack.stack.environment import local_environment

NAME_LABEL = "app.kubernetes.io/name"
"""The label of a pod with the name of its service (Kubernetes documentation, "Recommended Labels")."""


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
    maps = {(_namespace(one), _name(one)): one.get("data") or {} for one in _of_kind(objects, "ConfigMap")}
    services = {}
    for one in _of_kind(objects, "Deployment"):
        pod = one["spec"]["template"]
        service = pod.get("metadata", {}).get("labels", {}).get(NAME_LABEL)
        if service in SERVICES:
            environment, files = _of_pod(pod["spec"], namespace=_namespace(one), maps=maps)
            services[service] = ServiceConfiguration(
                service=service, environment=environment, settings=settings[service], files=files
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


def _of_kind(objects: Iterable[Mapping[str, Any]], kind: str) -> Iterator[Mapping[str, Any]]:
    return (one for one in objects if one["kind"] == kind)


def _name(one: Mapping[str, Any]) -> str:
    return str(one["metadata"]["name"])


def _namespace(one: Mapping[str, Any]) -> str:
    return str(one["metadata"].get("namespace", "default"))


_Maps = Mapping[tuple[str, str], Mapping[str, str]]


def _of_pod(pod: Mapping[str, Any], *, namespace: str, maps: _Maps) -> tuple[dict[str, str], dict[str, str]]:
    """The environment and the public files of a pod's first container."""
    container = pod["containers"][0]
    environment: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            environment |= maps.get((namespace, source["configMapRef"]["name"]), {})
    for entry in container.get("env", ()):
        if "value" in entry:
            environment[entry["name"]] = str(entry["value"])
        elif "configMapKeyRef" in entry.get("valueFrom", {}):
            reference = entry["valueFrom"]["configMapKeyRef"]
            environment[entry["name"]] = maps.get((namespace, reference["name"]), {}).get(
                reference["key"], ""
            )
        else:
            # A secret as a variable: the rule about secrets in the environment names it.
            environment[entry["name"]] = "(from a Secret)"
    files: dict[str, str] = {}
    volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
    for mount in container.get("volumeMounts", ()):
        for file, text in _texts(volumes.get(mount["name"], {}), namespace=namespace, maps=maps).items():
            path = mount["mountPath"] if "subPath" in mount else f"{mount['mountPath'].rstrip('/')}/{file}"
            if mount.get("subPath", file) == file:
                files[path] = text
    return environment, files


def _texts(volume: Mapping[str, Any], *, namespace: str, maps: _Maps) -> dict[str, str]:
    """The public files of a volume, by their names in it. One that a Secret brings, as a certificate, has no text here."""
    sources: Sequence[Mapping[str, Any]] = volume.get("projected", {}).get("sources", (volume,))
    found: dict[str, str] = {}
    for source in sources:
        if "configMap" not in source:
            found |= {item["path"]: "" for item in source.get("secret", {}).get("items", ())}
            continue
        data = maps.get((namespace, source["configMap"]["name"]), {})
        items = source["configMap"].get("items")
        found |= data if items is None else {item["path"]: data.get(item["key"], "") for item in items}
    return found
