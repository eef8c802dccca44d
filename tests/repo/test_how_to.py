"""The how-tos name files that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.house import Repository

FOLDER = "docs/how-to"
INDEX = "README.md"
PAGES = (
    "docs/how-to/add-a-ledger-move.md",
    "docs/how-to/add-a-prize-rule.md",
    "docs/how-to/add-an-event.md",
    "docs/adding-a-rail.md",
)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w<>./-]+\.(?:json|lock|md|py|toml|typed|yaml|yml)|\.importlinter")
FOLDER_PATH = re.compile(r"[\w<>.-]+(?:/[\w<>.-]+)+/?|[\w<>.-]+/")


def paths(text: str) -> Iterator[tuple[str, str]]:
    """The paths in backticks, each with the name of the test that follows ``::``, or nothing."""
    for quoted in QUOTED.findall(FENCED.sub("", text)):
        path, _, test = quoted.partition("::")
        if FILE.fullmatch(path) or FOLDER_PATH.fullmatch(path):
            yield path, test


def missing(root: Path, path: str, test: str = "") -> bool:
    """Whether a path, or the folder that its first placeholder stands in, does not exist; or its test does not."""
    before, placeholder, _ = path.partition("<")
    if placeholder:
        return not (root / before.rpartition("/")[0]).is_dir()
    if test:
        return not (root / path).is_file() or not re.search(rf"\bdef {test}\(", (root / path).read_text())
    return not (root / path).exists()


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_a_how_to_exists(repository: Repository, page: str) -> None:
    """Each path in backticks exists from the root; of a path with a placeholder, the folder before it exists."""
    found = list(paths((repository.root / page).read_text()))
    assert found
    assert [path for path, test in found if missing(repository.root, path, test)] == []


def test_the_index_names_every_how_to(repository: Repository) -> None:
    """The index links each how-to that this file checks, and each page of the folder is one of them."""
    folder = repository.root / FOLDER
    linked = re.findall(r"\]\(([^)]+)\)", (folder / INDEX).read_text())
    assert {(folder / link).resolve() for link in linked} == {repository.root / page for page in PAGES}
    assert {*folder.glob("*.md")} - {folder / INDEX} == {
        repository.root / page for page in PAGES if page.startswith(FOLDER)
    }


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_index_is_linked(repository: Repository, document: str) -> None:
    """A reader of the documents at the root finds the how-tos."""
    assert f"({FOLDER})" in (repository.root / document).read_text()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `docs/trust.md`", [("docs/trust.md", "")]),
        ("`tests/repo/house.py::Repository`", [("tests/repo/house.py", "Repository")]),
        ("`rails/<name>/pyproject.toml`, `.importlinter`", [("rails/<name>/pyproject.toml", ""), (".importlinter", "")]),
        ("`rails/` and `make demo`, `/api/rounds`, `round.refused`", [("rails/", "")]),
        ("```\n`docs/trust.md`\n```", []),
    ],
)  # fmt: skip
def test_paths_are_found_among_other_words(text: str, found: list[tuple[str, str]]) -> None:
    """Files and folders count; commands, routes, event types and fenced blocks do not."""
    assert list(paths(text)) == found


@pytest.mark.parametrize(
    ("path", "test", "wrong"),
    [
        ("docs/trust.md", "", False),
        ("docs/trusts.md", "", True),
        ("trust.md", "", True),
        ("rails/<name>/src/<name>.py", "", False),
        ("libs/contracts/schemas/prizewire.<name>.v1.json", "", False),
        ("rail/<name>/pyproject.toml", "", True),
        ("tests/repo/test_how_to.py", "test_the_index_is_linked", False),
        ("tests/repo/test_how_to.py", "test_the_index", True),
    ],
)
def test_missing_files_and_tests_are_found(repository: Repository, path: str, test: str, wrong: bool) -> None:
    """A wrong file, a wrong folder before a placeholder and a wrong test are each found."""
    assert missing(repository.root, path, test) is wrong
