"""The members' wheels: what is in them, and that code finds its files where they are installed."""

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from prizewire_chassis.lifecycle import migrations_of
from tests.repo.house import Member, Repository

OUTSIDE = {
    "libs/contracts/src/prizewire_contracts/asyncapi.py": "writes the document of the repository",
    "libs/contracts/src/prizewire_contracts/schemas.py": "writes the schemas of the repository",
    "tools/devstack/src/prizewire_devstack/home.py": "finds the repository for commands that need it",
}
"""Modules that look for files outside of their package; no installed command may need these files."""


def names_in_wheel(repository: Repository, member: Member) -> dict[str, Path]:
    """The files that belong into a member's wheel, by their name in it."""
    migrations = member.folder / "migrations"
    return {
        **{
            str(path.relative_to(member.folder / "src")): path
            for path in repository.files
            if path.is_relative_to(member.source)
        },
        **{
            f"{member.package}/migrations/{path.relative_to(migrations)}": path
            for path in repository.files
            if path.is_relative_to(migrations)
        },
    }


def test_wheels_hold_every_file_of_their_member(repository: Repository, tmp_path: Path) -> None:
    """A wheel holds the files of its package byte by byte, a service's also its migrations, and no others."""
    for member in repository.members:
        wheel = next(WheelBuilder(str(member.folder)).build(directory=str(tmp_path)))
        with zipfile.ZipFile(wheel) as archive:
            found = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
        wanted = {name: path.read_bytes() for name, path in names_in_wheel(repository, member).items()}
        assert sorted(found) == sorted(wanted), f"wheel of {repository.short(member.folder)}"
        assert found == wanted


def test_migrations_are_found_in_both_layouts(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrations lie beside `src` in the repository, and in the package where a wheel is installed."""
    for service in repository.services:
        assert migrations_of(service.package) == service.folder / "migrations"
    package = tmp_path / "installed_service"
    (package / "migrations").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert migrations_of("installed_service") == package / "migrations"


def test_code_reads_no_file_outside_of_its_package(repository: Repository) -> None:
    """A module that leaves its package by `__file__` finds nothing where it is installed; the exceptions are listed."""
    leaving = {
        repository.short(path)
        for path in repository.python
        if "src" in path.relative_to(repository.root).parts and "Path(__file__)" in path.read_text()
    }
    assert leaving == set(OUTSIDE)
