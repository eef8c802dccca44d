"""Every member has the same layout, so that a reader finds code by its layer and feature."""

import ast
import re
from pathlib import Path

import pytest

from tests.repo.house import LAYERS, Member, Repository

SERVICES = ("payouts", "rewards", "settlement", "signer", "webhooks")
SERVICE_FILES = (
    "README.md",
    "migrations/env.py",
    "tests/conftest.py",
    "tests/fakes.py",
)
SERVICE_FOLDERS = ("migrations/versions",)
# A room is a module, or a package of the same name once it has grown.
SERVICE_MODULES = ("__main__", "app", "settings", "metrics")
WIRING = frozenset({"__init__", "build"})
"""What may stand beside the layers of a feature: `build` puts a feature together that is loaded on demand."""
SHARED = frozenset(
    {"__init__", "errors", "routes", "lineage", "checks", "unit_of_work", "execution", "files"}
)
"""What all features of a service share stands beside them."""
README_PARTS = ("owns", "consumes", "produces", "invariants", "alone")
LINES_MAX = 450
"""Modules past about 400 lines become packages; the limit is a little higher, so that no one deletes blank lines for it."""


def missing_rooms(service: Member) -> list[str]:
    missing = [name for name in SERVICE_FILES if not (service.folder / name).is_file()]
    missing += [f"{name}/" for name in SERVICE_FOLDERS if not (service.folder / name).is_dir()]
    for name in SERVICE_MODULES:
        room = service.source / name
        if not room.with_suffix(".py").is_file() and not (room / "__init__.py").is_file():
            missing.append(f"{service.package}/{name}.py")
    return missing


def contents(folder: Path) -> set[str]:
    """The names of modules and packages in a folder."""
    return {path.stem for path in folder.glob("*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }


def misplaced(service: Member) -> list[str]:
    """Modules of a service that stand neither in a feature's layer nor among what features share."""
    wrong = []
    for name in sorted(contents(service.source) - set(SERVICE_MODULES) - SHARED - LAYERS):
        feature = service.source / name
        if not feature.is_dir():
            wrong.append(f"{service.package}/{name}.py")
            continue
        wrong += [f"{service.package}/{name}/{layer}" for layer in contents(feature) - LAYERS - WIRING]
    return wrong


def test_the_services_are_the_five(repository: Repository) -> None:
    """The services are those that the architecture names."""
    assert tuple(service.name for service in repository.services) == SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_every_room(repository: Repository, name: str) -> None:
    """Each service has the same files, folders and modules at its root."""
    service = next(service for service in repository.services if service.name == name)
    assert missing_rooms(service) == []


def test_services_are_cut_by_feature_then_by_layer(repository: Repository) -> None:
    """A service consists of features, each of the same few layers, and of a few modules that all features share."""
    found = {service.name: misplaced(service) for service in repository.services}
    assert found == {name: [] for name in found}


def test_tests_mirror_the_features(repository: Repository) -> None:
    """Tests of a service that is cut by feature lie in a folder of their feature, as unit or integration tests. Tests of
    the whole service lie beside these folders.
    """
    strange = [
        repository.short(path)
        for service in repository.services
        for path in sorted((service.folder / "tests").rglob("test_*.py"))
        if service.features
        and path.parent.relative_to(service.folder / "tests").parts
        not in {("unit",), ("integration",)}
        | {(feature, kind) for feature in service.features for kind in ("unit", "integration")}
    ]
    assert strange == []


@pytest.mark.parametrize("name", SERVICES)
def test_service_readme_has_its_five_parts(repository: Repository, name: str) -> None:
    """A service's README says what it owns, consumes and produces, its invariants, and how to run it alone."""
    readme = repository.root / "services" / name / "README.md"
    text = readme.read_text().lower() if readme.is_file() else ""
    assert [thing for thing in README_PARTS if thing not in text] == []


def test_every_member_has_its_basics(repository: Repository) -> None:
    """Every member has a README, tests, a typed package with a docstring, and the house's name and licence."""
    wrong = []
    for member in repository.members:
        initial = member.source / "__init__.py"
        wrong += [
            f"{repository.short(member.folder)}: {what}"
            for what, right in (
                ("README.md", (member.folder / "README.md").is_file()),
                ("tests", any((member.folder / "tests").rglob("test_*.py"))),
                ("py.typed", (member.source / "py.typed").is_file()),
                ("docstring", initial.is_file() and bool(ast.get_docstring(ast.parse(initial.read_text())))),
                (
                    "project name",
                    member.pyproject["project"]["name"].replace("-", "_") == member.package,
                ),
                ("licence", member.pyproject["project"].get("license") == "Apache-2.0"),
                ("requires-python", member.pyproject["project"].get("requires-python") == ">=3.11"),
            )
            if not right
        ]
    assert wrong == []


def test_no_module_outgrows_its_room(repository: Repository) -> None:
    """A module that has become long is a package in waiting."""
    long = {
        repository.short(path): lines
        for path in repository.python
        if "src" in path.parts and (lines := len(path.read_text().splitlines())) > LINES_MAX
    }
    assert long == {}


def test_no_room_is_called_utils(repository: Repository) -> None:
    """A module is named for what it holds."""
    vague = re.compile(r"^(utils?|helpers?|common|misc)$")
    assert [repository.short(path) for path in repository.python if vague.match(path.stem)] == []


def test_test_folders_are_no_packages(repository: Repository) -> None:
    """Tests are imported by path; an __init__.py among them would change their names."""
    assert [repository.short(path) for path in repository.test_files if path.name == "__init__.py"] == []
