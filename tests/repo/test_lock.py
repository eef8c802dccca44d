"""The lock: hashed, free of addresses, and in step with what the members ask for."""

import re
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.repo.house import Member, Repository

LOCKS = ("requirements.lock", "requirements-bootstrap.lock")


def entries(lock: Path) -> dict[str, list[str]]:
    """Versions in the lock by name; a name may stand more than once under different markers."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(), re.MULTILINE
    ):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def dependencies(member: Member) -> list[str]:
    """What a member asks for beside other members, its extras included."""
    project = member.pyproject["project"]
    found = [
        *project["dependencies"],
        *chain.from_iterable(project.get("optional-dependencies", {}).values()),
    ]
    return [text for text in found if not text.startswith("prizewire-")]


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_is_hashed(repository: Repository, name: str) -> None:
    """Each requirement is pinned to one version and carries SHA-256 hashes."""
    text = (repository.root / name).read_text()
    blocks = re.split(r"^(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    requirements = [block for block in blocks if block.strip()]
    assert requirements
    assert [block.splitlines()[0] for block in requirements if "==" not in block.splitlines()[0]] == []
    assert [block.splitlines()[0] for block in requirements if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_registry_and_no_member(repository: Repository, name: str) -> None:
    """Addresses, options and the repository's own packages have no place in the lock."""
    text = re.sub(r"#.*", "", (repository.root / name).read_text())
    assert (
        re.findall(r"https?://|--(?:extra-)?index-url|--find-links|file:|^-e |^prizewire", text, re.MULTILINE)
        == []
    )


def test_lock_has_what_the_members_ask_for(repository: Repository) -> None:
    """Every dependency of every member and of development is in the lock in a version that fits; else: make lock."""
    locked = entries(repository.root / "requirements.lock")
    wanted = [Requirement(text) for member in repository.members for text in dependencies(member)]
    wanted += [
        Requirement(line)
        for line in (repository.root / "requirements-dev.in").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    missing = sorted(
        {
            str(requirement)
            for requirement in wanted
            if not any(
                requirement.specifier.contains(v) for v in locked.get(canonicalize_name(requirement.name), [])
            )
        }
    )
    assert missing == []


def test_members_state_lower_bounds(repository: Repository) -> None:
    """A dependency of a member has a lower bound and no upper one: the lock pins, the member says what works."""
    loose = [
        f"{member.name}: {text}"
        for member in repository.members
        for text in dependencies(member)
        if not re.search(r">=[0-9][^,<]*(;.*)?$", text)
    ]
    assert loose == []
