"""The page on stuck events knows every reason, and the documents that name it link to it."""

import re

import pytest

from prizewire_contracts.codes import RefusalCode
from prizewire_devstack.home import repository_root

ROW = re.compile(r"^\| `([a-z_]+)` \| ([^|]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
PAGE = "docs/stuck-reasons.md"


def test_every_reason_has_one_row() -> None:
    """A new reason is not released without its meaning, its state, and what to do."""
    rows = ROW.findall((repository_root() / PAGE).read_text())
    assert sorted(reason for reason, _ in rows) == sorted(RefusalCode)
    assert {state.split()[0].rstrip(",") for _, state in rows} == {"dead", "parked"}


@pytest.mark.parametrize("file", ["README.md", "tools/devstack/README.md", "libs/chassis/README.md"])
def test_the_page_is_linked(file: str) -> None:
    """A reader who looks for a reason finds the page."""
    assert PAGE in (repository_root() / file).read_text()
