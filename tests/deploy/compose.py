"""The Compose files as `docker-compose config` reads them, with variables, anchors and files of settings put in."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.home import repository_root

ROOT: Final = repository_root()
SYSTEM: Final = "docker-compose.yml"
MONITORING: Final = "docker-compose.monitoring.yml"
QUICKSTART: Final = "deploy/compose/quickstart.yml"
TESTS: Final = "deploy/compose/tests.yml"
INSTALL: Final = (
    "docker-compose is missing: install Debian's package docker-compose to check the Compose files"
)

Definition = dict[str, Any]
"""One service of a Compose file."""


def effective(*files: str, root: Path = ROOT, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The definitions of some files together, as the tool reads them.

    Raises:
        subprocess.CalledProcessError: the tool refused them.
    """
    arguments = [part for file in files for part in ("-f", str(root / file))]
    done = subprocess.run(
        ("docker-compose", "--project-directory", str(root), *arguments, "config"),
        env={**base_environment(), **(variables or {})},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


@cache
def read_once(*files: str) -> dict[str, Any]:
    """As `effective`, once for each list of files. Do not change the result."""
    return effective(*files)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One mount of a container: a volume's name or a path of this machine, and the path inside."""

    source: str
    target: str
    read_only: bool

    @property
    def is_file_of_the_repository(self) -> bool:
        """Whether it is a path of this machine, not a volume."""
        return self.source.startswith("/")


def mounts(definition: Definition) -> Iterator[Mount]:
    """The mounts of a container."""
    for text in definition.get("volumes", ()):
        source, target, mode = text.split(":")
        yield Mount(source=source, target=target, read_only=mode == "ro")


def environment(definition: Definition) -> dict[str, str]:
    """The variables of a container."""
    return {name: str(value) for name, value in definition.get("environment", {}).items()}


def image(definition: Definition) -> tuple[str, str]:
    """An image's name and its version."""
    name, _, version = str(definition["image"]).rpartition(":")
    return name, version


def part(definition: Definition) -> str | None:
    """The part of Prizewire that a container runs; None for an image of others."""
    name, _ = image(definition)
    return name.removeprefix("prizewire/") if name.startswith("prizewire/") else None


def ends(definition: Definition) -> bool:
    """Whether it is a command that ends."""
    return definition["restart"] == "no"


def is_installed() -> bool:
    """Whether the tool that reads Compose files is here."""
    return any(
        os.access(Path(folder) / "docker-compose", os.X_OK) for folder in os.environ["PATH"].split(":")
    )
