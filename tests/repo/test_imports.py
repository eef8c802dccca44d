"""The configuration of import-linter, mypy, uv and pytest lists every member of the repository."""

import configparser
import re
import tomllib

import pytest

from tests.repo.house import Repository

PURE_CONTRACTS = {"codes", "ids", "intents", "parties", "quotes", "rails", "screening"}


@pytest.fixture(scope="module")
def linter(repository: Repository) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string((repository.root / ".importlinter").read_text())
    return parser


def listed(parser: configparser.ConfigParser, section: str, option: str) -> set[str]:
    return set(re.split(r"[\s|]+", parser[section][option].strip()))


def test_every_member_is_linted(repository: Repository, linter: configparser.ConfigParser) -> None:
    """Every member is listed: import-linter would not check another one."""
    packages = {member.package for member in repository.members}
    assert listed(linter, "importlinter", "root_packages") == packages
    assert listed(linter, "importlinter:contract:members", "layers") == packages


@pytest.mark.parametrize(
    ("contract", "option", "rooms"),
    [
        ("services", "modules", ("",)),
        ("frameworks", "source_modules", (".domain", ".ports", ".handlers")),
        ("domain", "source_modules", (".domain",)),
        ("pure", "source_modules", (".ports", ".handlers")),
    ],
)
def test_every_service_is_linted(
    repository: Repository,
    linter: configparser.ConfigParser,
    contract: str,
    option: str,
    rooms: tuple[str, ...],
) -> None:
    """Each contract about services names exactly the services that exist: by wildcard where they are cut by feature."""
    expected = {
        service.package + (".*" if service.features and room else "") + room
        for service in repository.services
        for room in rooms
    }
    assert listed(linter, f"importlinter:contract:{contract}", option) == expected


def test_no_member_has_a_circle(repository: Repository, linter: configparser.ConfigParser) -> None:
    """In no member two neighbours of a package import each other."""
    members = {member.package for member in repository.members}
    assert listed(linter, "importlinter:contract:acyclic", "ancestors") == members


def test_every_service_has_its_layers(repository: Repository, linter: configparser.ConfigParser) -> None:
    """Each service has an exhaustive contract of layers, over its features or, where it has one feature, over itself."""
    for service in repository.services:
        contract = f"importlinter:contract:{service.name}-layers"
        containers = {f"{service.package}.{name}" for name in service.features} or {service.package}
        assert listed(linter, contract, "containers") == containers
        assert linter[contract]["exhaustive"] == "True"


def test_every_module_of_contracts_is_pure_or_kept_out(
    repository: Repository, linter: configparser.ConfigParser
) -> None:
    """A new module of contracts must be named pure, or be kept out of ports and handlers."""
    source = repository.root / "libs/contracts/src/prizewire_contracts"
    modules = {path.stem for path in source.glob("*.py")} | {
        path.parent.name for path in source.glob("*/__init__.py")
    }
    kept_out = {
        name.removeprefix("prizewire_contracts.")
        for name in listed(linter, "importlinter:contract:pure", "forbidden_modules")
        if name.startswith("prizewire_contracts.")
    }
    assert modules - {"__init__"} == kept_out | PURE_CONTRACTS


def test_every_member_is_known_to_the_tools(repository: Repository) -> None:
    """A member is never looked up in a registry by uv, and mypy finds each one's sources."""
    root = tomllib.loads((repository.root / "pyproject.toml").read_text())
    assert set(root["tool"]["uv"]["sources"]) == {
        member.pyproject["project"]["name"] for member in repository.members
    }
    sources = {
        f"$MYPY_CONFIG_FILE_DIR/{repository.short(member.source.parent)}" for member in repository.members
    }
    assert set(root["tool"]["mypy"]["mypy_path"].split(":")) == sources
