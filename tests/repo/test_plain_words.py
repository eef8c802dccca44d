"""Clean folders stay free of metaphors; docs/glossary.md says which words to use instead."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.house import Repository

CLEAN = (
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "bench",
    "conftest.py",
    "docs",
    "libs",
    "rails",
    "scripts",
    "services/payouts",
    "services/rewards",
    "services/settlement",
    "services/signer",
    "services/webhooks",
    "tests",
    "tools",
)
"""Folders and files whose names, docstrings, comments and messages use plain words. Add a folder when it is clean."""

STOP_WORDS = (
    "desk",
    "docket",
    "clerk",
    "hear",
    "hears",
    "heard",
    "bell",
    "bells",
    "door",
    "doors",
    "told",
    "telling",
    "tells",
    "insist",
    "insists",
    "vouch",
    "vouches",
    "vouched",
    "honest",
    "poison",
    "poisonous",
    "thief",
    "intruder",
    "forger",
    "stranger",
    "whoever",
    "anew",
    "born",
    "wish",
    "wishes",
)
STOP_PHRASES = (
    "became of",
    "becomes of",
    "far side",
    "given again what",
    "not at most what",
    "nothing ahead",
    "ours to tell",
    "somebody else was faster",
    "times are no times",
    "told what cannot",
    "turn it is",
    "turned away",
    "turns away",
)
STOP_NAMES = ("Front", "Means", "Works", "_isolate", "hang", "means_of")
"""Names of things; as other words of a sentence they are allowed."""

SECTION = "## Words to use in code"
"""The heading in docs/glossary.md of the table with the words not to use."""
LEFT_OUT = re.compile("egg-info|migrations/versions|tests/repo/test_plain_words.py")
"""Generated files, migrations, which are never edited, and this list."""
COLUMNS = (
    "expiry_told",
    "told_refusals",
    "told_at",
    "registered_at_told",
    "kyc_state_told",
    "device_hash_told",
    "device_told",
    "address_hash_told",
    "address_told",
    "_told``",
    "{fact}_told",
    "told_of_each",
    "player.told",
    "fees, told",
    "told = :announced",
    "row.told",
    "s.anew",
    "row.anew",
    "OR anew",
    '"anew"',
    '"tells"',
    ".tells",
    "tells: [",
    "FROM born",
    "AS born",
)
"""Tables, columns, fields of files and answers, and audited actions that keep their former names."""
STORED = ("anything else was heard of it",)
"""Texts that migrations have written into databases, and that code repeats."""


def words(line: str) -> str:
    """The line in lower case with the parts of each name apart: ``_tellNow`` is ``tell now``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", line)
    return spaced.replace("_", " ").lower()


def stop_words(line: str) -> Iterator[str]:
    """The stop words, phrases and names in a line."""
    for column in (*COLUMNS, *STORED):
        line = line.replace(column, "")
    plain = words(line)
    for stop in (*STOP_WORDS, *STOP_PHRASES):
        if re.search(rf"\b{stop}\b", plain):
            yield stop
    for name in STOP_NAMES:
        if re.search(rf"\bdef {name}\b|\bclass {name}\b|\b{name}\(", line):
            yield name


def files(repository: Repository) -> Iterator[Path]:
    for folder in CLEAN:
        top = repository.root / folder
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.name == "Makefile" or (
                path.suffix in {".md", ".py", ".toml", ".yaml"} and not LEFT_OUT.search(str(path))
            ):
                yield path


def prose(path: Path) -> str:
    """The text of a file; of a document without names of tests, and without the table of words not to use."""
    text = path.read_text()
    return re.sub(r"\btest_\w+", "", text.split(SECTION)[0]) if path.suffix == ".md" else text


def test_clean_folders_have_no_stop_words(repository: Repository) -> None:
    """Each of these words has a plain one in the glossary."""
    found = [
        f"{repository.short(path)}:{number}: {stop}"
        for path in files(repository)
        for number, line in enumerate(prose(path).splitlines(), 1)
        for stop in stop_words(line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "stops"),
    [
        ("class Desk(Books):", ["desk"]),
        ("class _UnreadableClerk:", ["clerk"]),
        ('"""The door: what nobody vouches for."""', ["door", "vouches"]),
        ("await offsets.commit()  # not ours to tell", ["ours to tell"]),
        ("def means_of(player):", ["means_of"]),
        ("class Front:", ["Front"]),
        ("in front of the database, which means that it works", []),
        ("a process that hangs must not keep the lock", []),
        ("hardest shortest outdoors", []),
    ],
)
def test_the_list_finds_its_words(line: str, stops: list[str]) -> None:
    """Words are found within names and sentences, and not within other words."""
    assert list(stop_words(line)) == stops


def test_the_glossary_has_the_words_to_use(repository: Repository) -> None:
    """The glossary's section exists, with a plain word for each row."""
    section = (repository.root / "docs/glossary.md").read_text().split(SECTION)[1]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert all(len(row.split("|")) == 5 and all(cell.strip() for cell in row.split("|")[1:4]) for row in rows)
