"""The page on payout codes knows every code, and what the service does by itself."""

import re

import pytest

from prizewire_contracts.codes import PAYOUT_DECISIONS, PayoutCode, RetryDecision
from prizewire_devstack.home import repository_root

WORDS = {
    RetryDecision.RETRY: "tries again",
    RetryDecision.LOOK_UP: "asks the rail",
    RetryDecision.GIVE_UP: "gives up",
    RetryDecision.HOLD: "holds",
    RetryDecision.WAIT: "waits",
}
ROW = re.compile(r"^\| `([a-z_]+)` \| [^|]+ \| [^|]+ \| ([a-z ]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, str]]:
    return ROW.findall((repository_root() / "docs" / "payout-codes.md").read_text())


def test_every_code_has_one_row(rows: list[tuple[str, str]]) -> None:
    """A new code is not released without its meaning."""
    assert sorted(code for code, _ in rows) == sorted(PayoutCode)


def test_the_page_agrees_with_the_table_of_decisions(rows: list[tuple[str, str]]) -> None:
    """Retry, look-up, hold, wait, or the end."""
    assert dict(rows) == {str(code): WORDS[decision] for code, decision in PAYOUT_DECISIONS.items()}
