"""The configuration that is checked: each service's settings and public files, without the content of any secret."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import yaml

from prizewire_devstack.doctor.findings import Profile
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.routes import SERVICES

FILE: Final = "_FILE"
TRUE: Final = frozenset({"true", "1", "yes", "on", "t", "y"})
"""The texts that settings take for true, in any case (pydantic documentation, "Booleans")."""

CERTIFICATES: Final = frozenset({"PGSSLROOTCERT"})
"""Variables of libraries that name a public file: the authority of the database's certificate."""
PARTS: Final = {
    "Deployment": "workloads",
    "NetworkPolicy": "network policies",
    "Ingress": "ingress",
    "Cluster": "database clusters and their backups",
    "Kafka": "Kafka's brokers as ordered",
}
"""What Kubernetes objects tell beside settings and files, by the kind of the objects."""
UNREAD: Final = "(not read)"
"""Stands for a value that a file holds which is not among the given ones. No rule takes it for a sound value."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting that a service has: whether it must be given, whether it is a secret, and its default."""

    name: str
    required: bool
    secret: bool
    default: str | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """What brings a file whose content is not given. `made` says whether an object is given that makes it, as a certificate."""

    name: str
    made: bool


@dataclass(frozen=True, kw_only=True)
class ServiceConfiguration:
    """What one service is given.

    `files` are public files by the path that a setting names. `unseen` are the sources of others, by the path of the file or
    of the folder in which each may be.
    """

    service: str
    environment: Mapping[str, str]
    settings: Mapping[str, Setting]
    files: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, Source] = field(default_factory=dict)

    def source_of(self, path: str) -> Source | None:
        """What brings a file whose content is not given; None if that is given, or nothing brings the file."""
        return next(
            (one for key, one in self.unseen.items() if path == key or path.startswith(f"{key}/")), None
        )

    def knows(self, name: str) -> bool:
        """Say whether the service has this setting."""
        return name in self.settings

    def value(self, name: str) -> str:
        """The value of a setting, its default where it is not set, or an empty text.

        A file may hold it (`NAME_FILE`). The value is `UNREAD` if that is not among the files.
        """
        given = self.environment.get(name, "")
        if not given and (path := self.environment.get(f"{name}{FILE}")) and not self._is_secret(name):
            return self.files.get(path, UNREAD).strip()
        if given or name not in self.settings:
            return given
        return self.settings[name].default or ""

    def _is_secret(self, name: str) -> bool:
        return name in self.settings and self.settings[name].secret

    def by_file(self) -> dict[str, str]:
        """The settings that are no secrets and that a file holds (`NAME_FILE`), each with the path of its file."""
        paths = {name: self.environment.get(f"{name}{FILE}", "") for name in self.settings}
        return {
            name: path
            for name, path in paths.items()
            if path and not name.endswith(FILE) and not self._is_secret(name)
        }

    def given(self) -> dict[str, str]:
        """The variables that are set, with the values of settings that a file holds."""
        return {**self.environment, **{name: self.value(name) for name in self.by_file()}}

    def is_true(self, name: str) -> bool:
        """Say whether a switch is on."""
        return self.value(name).lower() in TRUE

    def values(self, name: str) -> tuple[str, ...]:
        """The parts of a comma list."""
        return tuple(part.strip() for part in self.value(name).split(",") if part.strip())

    def text(self, name: str) -> str | None:
        """The content of the public file that a setting names; None if none is named or it was not found."""
        return self.files.get(self.value(name))

    def document(self, name: str) -> Any:
        """The same as YAML or JSON; None also for a file that is neither."""
        text = self.text(name)
        if text is None:
            return None
        for read in (json.loads, yaml.safe_load):
            with suppress(ValueError, yaml.YAMLError):
                return read(text)
        return None


def by_names(environment: Mapping[str, str], settings: Mapping[str, Setting]) -> dict[str, str]:
    """The variables, each setting under its name in capitals: a service reads `log_level` as `LOG_LEVEL`.

    Raises:
        DevstackError: two variables are one setting.
    """
    found: dict[str, str] = {}
    for name, value in environment.items():
        upper = name.upper()
        known = upper in settings or (upper.endswith(FILE) and upper.removesuffix(FILE) in settings)
        key = upper if known else name
        if key in found:
            raise DevstackError(f"{key} is set twice, in capitals and otherwise: leave one of the two out.")
        found[key] = value
    return found


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """All services' configurations, and the Kubernetes objects where there are any."""

    services: Mapping[str, ServiceConfiguration]
    objects: Sequence[Mapping[str, Any]] = ()

    def left_out(self) -> list[str]:
        """What the rules cannot look at, since it is not among what was given."""
        kinds = {str(one.get("kind")) for one in self.objects}
        return [name for kind, name in PARTS.items() if kind not in kinds]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the rules look at: a configuration, the profile that it is for, and the time now (UTC)."""

    configuration: Configuration
    profile: Profile
    now: datetime

    @property
    def live(self) -> bool:
        """Say whether real money is moved."""
        return self.profile is Profile.PRODUCTION

    @cached_property
    def services(self) -> tuple[ServiceConfiguration, ...]:
        """The services that are configured, in the order in which a prize passes them."""
        found = self.configuration.services
        return tuple(found[name] for name in SERVICES if name in found)

    def get(self, service: str) -> ServiceConfiguration | None:
        """The configuration of a service."""
        return self.configuration.services.get(service)

    def having(self, name: str) -> tuple[ServiceConfiguration, ...]:
        """The services that have a setting of this name."""
        return tuple(one for one in self.services if one.knows(name))
