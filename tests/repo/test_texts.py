"""Texts that no file may have, and the reasons that an ignored finding needs."""

import re
from pathlib import Path

import pytest

from tests.repo.house import Repository

# Written in halves, so that this file does not hold what it looks for.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("repo1", "maven", "org"),
        ("maven", "apache", "org"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
    )
)
MACHINE_PATH = re.compile(
    r"(?<![\w.:/}-])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me", "Us" + "ers")) + r")/\w"
)
# code (or codes), then at least a word that says why
NOQA = re.compile(r"#\s*noqa\b:?(?P<rest>.*)", re.IGNORECASE)
TYPE_IGNORE = re.compile(r"#\s*type:\s*ignore(?P<rest>.*)")
CODES = re.compile(r"^\s*(\[[a-z, -]+\]|[A-Z]+[0-9]+(\s*,\s*[A-Z]+[0-9]+)*)")
REASON = re.compile(r"[A-Za-z]{4,}")


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def test_no_file_names_a_registry(repository: Repository) -> None:
    """The machine configures the package registry: no file names one."""
    found = [
        f"{repository.short(path)}: {registry}"
        for path in repository.files
        for registry in REGISTRIES
        if registry in text_of(path)
    ]
    assert found == []


def test_no_file_names_a_path_of_somebodys_machine(repository: Repository) -> None:
    """No file has a path of a developer's machine."""
    found = [
        f"{repository.short(path)}:{number}: {line.strip()[:80]}"
        for path in repository.files
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def unexplained(line: str) -> bool:
    """Whether a line ignores a finding without codes or without saying why."""
    for pattern in (NOQA, TYPE_IGNORE):
        found = pattern.search(line)
        if found is None:
            continue
        codes = CODES.match(found["rest"])
        if codes is None or not REASON.search(TYPE_IGNORE.sub("", found["rest"][codes.end() :])):
            return True
    return False


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("x = 1  # no" + "qa: E501", True),
        ("x = 1  # no" + "qa", True),
        ("x = 1  # no" + "qa: S101, S102  both are stated invariants", False),
        ("x = 1  # no" + "qa: S101 # an invariant of ours", False),
        ("x = 1  # type: " + "ignore", True),
        ("x = 1  # type: " + "ignore[arg-type]", True),
        ("x = 1  # type: " + "ignore[arg-type]  # the library has no types", False),
    ],
)
def test_the_rule_on_ignores_finds_unexplained_ones(line: str, wrong: bool) -> None:
    """Codes alone are no reason; a word behind them is the least."""
    assert unexplained(line) is wrong


def test_every_ignore_in_code_says_why(repository: Repository) -> None:
    """A finding is ignored by its code and with a reason behind it."""
    itself = Path(__file__).resolve()
    found = [
        f"{repository.short(path)}:{number}"
        for path in repository.python
        if path != itself
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if unexplained(line)
    ]
    assert found == []


IGNORING_KEYS = {"ignore", "extend-ignore", "ignore_missing_imports"}
IGNORING_TABLES = ("per-file-ignores", "per_rule_ignores")


def silent_ignores(text: str) -> list[int]:
    """Numbers of the lines of a pyproject file that ignore a finding without a comment on or above them."""
    silent = []
    table, inside, above = "", False, ""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        explained = "#" in line or above.startswith("#")
        above = line
        if line.startswith("["):
            table, inside = line.strip("[]"), False
        elif entry := re.match(r'^("[^"]+"|[\w-]+) = ', line):
            ignoring = table.endswith(IGNORING_TABLES) or entry[1] in IGNORING_KEYS
            inside = ignoring and line.endswith("[")
            if ignoring and not inside and not explained:
                silent.append(number)
        elif line.startswith("]"):
            inside = False
        elif inside and line.startswith('"') and not explained:
            silent.append(number)
    return silent


def test_the_rule_on_configuration_finds_unexplained_ignores() -> None:
    """Lists, tables and single keys are recognized, and a comment on the line or above it is a reason."""
    text = """
[tool.ruff.lint]
select = ["E"]
ignore = [
  "E1", # said
  "E2",
]
[tool.deptry.per_rule_ignores]
DEP001 = ["x"]
# said
DEP002 = ["y"]
[[tool.mypy.overrides]]
ignore_missing_imports = true
"""
    assert [text.splitlines()[number - 1].strip() for number in silent_ignores(text)] == [
        '"E2",',
        'DEP001 = ["x"]',
        "ignore_missing_imports = true",
    ]


def test_every_ignore_in_configuration_says_why(repository: Repository) -> None:
    """Ignores of ruff, mypy and deptry in a pyproject file have a comment on their line or the one above."""
    found = {
        repository.short(path): lines
        for path in repository.files
        if path.name == "pyproject.toml" and (lines := silent_ignores(path.read_text()))
    }
    assert found == {}


LINK = re.compile(r"\[[^\]]+\]\((?!https?:|mailto:|#)([^)#\s]+)")


def test_links_between_documents_lead_somewhere(repository: Repository) -> None:
    """Every relative link in a Markdown file points to a file or folder that exists."""
    broken = [
        f"{repository.short(path)}: {target}"
        for path in repository.files
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_decisions_are_numbered_and_complete(repository: Repository) -> None:
    """Decision records are numbered without gaps, one page each, and say context, decision, consequences."""
    records = sorted((repository.root / "docs/decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text()
        headings = re.findall(r"^## (\w+)", text, re.MULTILINE)
        required = [heading for heading in headings if heading not in ("Status", "Alternatives")]
        assert required[:3] == ["Context", "Decision", "Consequences"], path.name
        assert len(text.splitlines()) <= 60, path.name
