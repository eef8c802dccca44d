"""The README of rewards names each invariant, and no other."""

import re
from pathlib import Path

from prizewire_rewards.checks.invariants import Invariant

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_lists_each_invariant_once() -> None:
    """Its table has a row for each invariant."""
    table = README.read_text().split("## Invariants", 1)[1].split("\n## ", 1)[0]
    assert sorted(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) == sorted(Invariant)
