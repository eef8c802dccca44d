"""Settings of services that are given to `prizewire up`, checked against those that each service has."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_text
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.service_settings import settings_of


def chosen_settings(
    assignments: Iterable[str],
    file: Path | None,
    *,
    left_out: Collection[str] = (),
    known: Callable[[str], Iterable[Mapping[str, Any]]] = settings_of,
) -> dict[str, dict[str, str]]:
    """Settings by service: those of the file, and over them those of `assignments` (``SERVICE.NAME=VALUE``).

    Raises:
        DevstackError: one is malformed, or names a service or a setting that does not exist, or a service left out.
    """
    found: dict[str, dict[str, str]] = {}
    for service, name, value in [*_from_file(file), *map(_assignment, assignments)]:
        found.setdefault(service, {})[name] = value
    for service, settings in found.items():
        if service not in SERVICES:
            raise DevstackError(f"There is no service {service!r}: there are {', '.join(SERVICES)}.")
        if service in left_out:
            raise DevstackError(
                f"{service} is left out: set its variables in the shell where you run it by hand."
            )
        names = sorted(str(row["name"]) for row in known(service))
        for name in settings:
            if name not in names:
                raise DevstackError(f"{service} has no setting {name!r}: it has {', '.join(names)}.")
    return found


def _assignment(text: str) -> tuple[str, str, str]:
    place, equals, value = text.partition("=")
    service, dot, name = place.partition(".")
    if not equals or not dot or not service or not name:
        raise DevstackError(
            f"--set {text} is no setting: write SERVICE.NAME=VALUE, such as rewards.LOG_LEVEL=DEBUG."
        )
    return service, name, value


def _from_file(file: Path | None) -> list[tuple[str, str, str]]:
    if file is None:
        return []
    try:
        document = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise DevstackError(f"{file} is no valid YAML: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(one, dict) for one in document.values()):
        raise DevstackError(f"{file} holds no settings: write a mapping of NAME: value under each service.")
    return [
        (str(service), str(name), _text(value, f"{file}: {service}.{name}"))
        for service, settings in document.items()
        for name, value in settings.items()
    ]


def _text(value: object, place: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise DevstackError(
        f"{place} is {value!r}, which is no text, whole number, true or false: write it in quotes."
    )
