"""The changelog, the security policy and the versions of the members say the same."""

import re

import yaml

from tests.repo.house import Repository

SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def releases(repository: Repository) -> list[str]:
    """The released versions in the changelog, the newest first."""
    return re.findall(
        r"^## \[(\d+\.\d+\.\d+)\]", (repository.root / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_members_have_the_newest_version(repository: Repository) -> None:
    """Each member has the version of the changelog's newest release."""
    newest = releases(repository)[0]
    versions = {member.package: member.pyproject["project"]["version"] for member in repository.members}
    assert versions == dict.fromkeys(versions, newest)


def test_the_changelog_keeps_its_form(repository: Repository) -> None:
    """What is not released stands first; each entry stands in a section that Keep a Changelog names."""
    text = (repository.root / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)[0] == "Unreleased"
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= SECTIONS


def test_the_newest_version_is_supported(repository: Repository) -> None:
    """The security policy names the minor version of the newest release as supported."""
    minor = ".".join(releases(repository)[0].split(".")[:2])
    assert f"| {minor} | yes |" in (repository.root / "SECURITY.md").read_text()


def test_commits_run_what_lint_runs(repository: Repository) -> None:
    """Each hook before a commit is a command of `make lint`."""
    hooks = yaml.safe_load((repository.root / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    makefile = (repository.root / "Makefile").read_text()
    strange = [
        hook["id"] for hook in hooks if hook["entry"].replace(".venv/bin", "$(BIN)", 1) not in makefile
    ]
    assert strange == []
