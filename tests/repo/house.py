"""The repository for the tests of its rules: its members, and the files that git tracks or would track."""

import subprocess
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

GROUPS = ("libs", "rails", "services", "tools")
LAYERS = frozenset(
    {"domain", "ports", "handlers", "storage", "messages", "adapters", "http", "consumers", "jobs"}
)
"""What a feature consists of, as far as it needs it; a service with one feature consists of it directly."""


@dataclass(frozen=True)
class Member:
    """One package of the repository."""

    folder: Path
    group: str

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "pyproject.toml").read_text())

    @property
    def package(self) -> str:
        return f"prizewire_rail_{self.name}" if self.group == "rails" else f"prizewire_{self.name}"

    @property
    def source(self) -> Path:
        return self.folder / "src" / self.package

    @property
    def features(self) -> list[str]:
        """The packages of a service that is cut by feature; none where the layers stand directly in it."""
        packages = sorted(path.parent.name for path in self.source.glob("*/__init__.py"))
        return [name for name in packages if name not in {*LAYERS, "checks", "lineage"}]


@dataclass(frozen=True)
class Repository:
    """The whole repository, read once for all tests."""

    root: Path

    @cached_property
    def members(self) -> list[Member]:
        return [
            Member(path.parent, group)
            for group in GROUPS
            for path in sorted((self.root / group).glob("*/pyproject.toml"))
        ]

    @property
    def services(self) -> list[Member]:
        return [member for member in self.members if member.group == "services"]

    @cached_property
    def files(self) -> list[Path]:
        """Tracked files, and those not yet added but not ignored either."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [
            path for name in sorted(filter(None, listed.split("\0"))) if (path := self.root / name).is_file()
        ]

    @cached_property
    def python(self) -> list[Path]:
        return [path for path in self.files if path.suffix == ".py"]

    @cached_property
    def test_files(self) -> list[Path]:
        return [path for path in self.python if "tests" in path.relative_to(self.root).parts]

    def short(self, path: Path) -> str:
        return str(path.relative_to(self.root))
