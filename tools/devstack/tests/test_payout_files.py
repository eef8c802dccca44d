"""`prizewire payouts batch`: what it reads, what it sends, what it prints, and its exit codes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner, Result

from prizewire_devstack.api import ApiError
from prizewire_devstack.cli import payouts
from prizewire_devstack.cli.main import group
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.payout_files import read

BATCH = str(uuid4())
TABLE = """reference,amount,type,holder,iban,account
ana,250.00,bank,"Example, Ana",DE89370400440532013000,

ben,40.00,fake,,,ben
"""


class StubApi:
    """Rewards and payouts as the command sees them; it notes each request."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.repeated = False
        self.refused = ""
        self.accounts = ["marketing"]

    def get(self, path: str) -> Any:
        if path == "/api/funding-accounts":
            return {"items": [{"name": name} for name in self.accounts]}
        assert path == f"/api/admin/payouts/batches/{BATCH}"
        return {
            "batch_id": BATCH, "filed_by": "olga", "lines": 2, "arrived": 2,
            "totals": [{"asset": "USDC", "amount": "290.00"}], "states": [{"name": "held", "payouts": 2}],
            "holds": [], "gates": [],
        }  # fmt: skip

    def post(self, path: str, body: dict[str, Any], *, key: str) -> Any:
        assert key
        self.sent.append((path, body))
        if path != "/api/payouts/batches":
            return {
                "items": [
                    {
                        "line": 1,
                        "payout_id": str(uuid4()),
                        "outcome": "approved",
                        "code": None,
                        "detail": None,
                    }
                ]
            }
        lines = [
            {
                "line": number, "reference": one["reference"], "state": "accepted", "code": None, "detail": None,
                "payout_id": None if body["dry_run"] else str(uuid4()), "destination": "…", "amount": one["amount"],
            }
            for number, one in enumerate(body["lines"], 1)
        ]  # fmt: skip
        if self.repeated:
            for line in lines:
                line |= {"state": "repeated"}
        if self.refused:
            lines[0] |= {"state": "refused", "code": self.refused, "detail": "it is wrong"}
            if not body["dry_run"]:
                problem = {"lines": lines, "detail": "1 of 2 lines"}
                raise ApiError(status=422, code="batch_refused", detail="", path=path, problem=problem)
        sums = {"lines": len(lines), "amount": "290.00"}
        return {
            "batch_id": None if body["dry_run"] and not self.repeated else BATCH, "dry_run": body["dry_run"], "asset": "USDC", "lines": lines,
            "totals": {"accepted": sums, "repeated": {"lines": 0, "amount": "0.00"}, "refused": 0},
        }  # fmt: skip


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> StubApi:
    stub = StubApi()

    @contextmanager
    def connected(person: str | None, *, roles: tuple[str, ...]) -> Iterator[StubApi]:
        yield stub

    monkeypatch.setattr(payouts, "connect_as", connected)
    return stub


def run(*arguments: str) -> Result:
    return CliRunner().invoke(group, ["payouts", *arguments], standalone_mode=False)


def filed(tmp_path: Path, text: str, *arguments: str) -> Result:
    file = tmp_path / "april.csv"
    file.write_text(text)
    return run("batch", str(file), "--account", "marketing", "--reason", "casters", *arguments)


def test_a_dry_run_needs_the_file_alone(api: StubApi, tmp_path: Path) -> None:
    """The only funding account pays. Where there are several, or none, the command says what to do; to file needs a reason."""
    file = tmp_path / "april.csv"
    file.write_text(TABLE)
    assert run("batch", str(file), "--dry-run").return_value == 0
    [(_, body)] = api.sent
    assert (body["funding_account"], body["dry_run"]) == ("marketing", True)
    with pytest.raises(click.UsageError, match="--reason"):
        CliRunner().invoke(
            group, ["payouts", "batch", str(file)], standalone_mode=False, catch_exceptions=False
        )
    for accounts, wrong in ((["marketing", "staff"], "marketing, staff"), ([], "POST /api/funding-accounts")):
        api.accounts = accounts
        result = run("batch", str(file), "--dry-run")
        assert isinstance(result.exception, DevstackError)
        assert wrong in str(result.exception)
    assert len(api.sent) == 1


def test_a_table_is_sent_as_lines(api: StubApi, tmp_path: Path) -> None:
    """Cells that are no fixed column are details; empty ones are left out. The answer names lines as the file has them."""
    result = filed(tmp_path, TABLE)
    assert result.return_value == 0
    [(_, body)] = api.sent
    assert body == {
        "funding_account": "marketing",
        "reason": "casters",
        "dry_run": False,
        "lines": [
            {
                "reference": "ana",
                "amount": "250.00",
                "method": {
                    "type": "bank",
                    "details": {"holder": "Example, Ana", "iban": "DE89370400440532013000"},
                },
            },
            {
                "reference": "ben",
                "amount": "40.00",
                "method": {"type": "fake", "details": {"account": "ben"}},
            },
        ],
    }
    assert f"approve --batch {BATCH}" in result.output
    assert "DE89" not in result.output
    answer = json.loads(filed(tmp_path, TABLE, "--dry-run", "--json").output)
    assert [one["line"] for one in answer["lines"]] == [2, 4]
    assert answer["dry_run"] is True


def test_an_unreadable_line_files_nothing(api: StubApi, tmp_path: Path) -> None:
    """The line is named with its reason and without its cells; the others are tried in a dry run."""
    result = filed(tmp_path, TABLE + "cat,9.50,bank\n,1.00,fake,,,secret\n")
    assert result.return_value == 1
    assert [body["dry_run"] for _, body in api.sent] == [True]
    assert "line_unreadable" in result.output
    assert "secret" not in result.output


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_a_repeated_file_names_its_batch(api: StubApi, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The command says that nothing was filed, and which batch has the lines."""
    api.repeated = True
    result = filed(tmp_path, TABLE, *arguments)
    assert f"Nothing was filed: batch {BATCH} has every line already." in result.output
    assert "Filed as batch" not in result.output


def test_a_refused_line_ends_with_one(api: StubApi, tmp_path: Path) -> None:
    """The answer of each line is printed, and the exit code says that nothing was filed."""
    api.refused = "iban_invalid"
    result = filed(tmp_path, TABLE)
    assert (result.return_value, "iban_invalid" in result.output) == (1, True)
    assert "Nothing was filed" in result.output


@pytest.mark.parametrize(
    "text", ["", "reference,amount\nana,1\n", "reference,amount,type,type\n", "reference,amount,type\n"]
)
def test_a_file_without_payouts_is_refused(text: str, tmp_path: Path) -> None:
    """A missing or repeated column, and a table without lines, end in a sentence."""
    file = tmp_path / "wrong.csv"
    file.write_text(text)
    with pytest.raises(DevstackError, match=r"wrong\.csv"):
        read(file)


def test_a_batch_is_approved_as_it_is_shown(api: StubApi) -> None:
    """The decision repeats lines and sums that were shown; without a batch or payouts there is no decision."""
    result = run("approve", "--batch", BATCH, "--yes", "--also", BATCH)
    assert (result.return_value, "2 of 2 lines, 290.00 USDC" in result.output) == (0, True)
    [(path, body)] = api.sent
    assert (path, body) == (
        f"/api/admin/payouts/batches/{BATCH}/approve",
        {"lines": 2, "totals": {"USDC": "290.00"}, "also": [BATCH]},
    )
    assert run("reject", "--batch", BATCH, "--yes", "--reason", "wrong").return_value == 0
    assert api.sent[-1][1] == {"reason": "wrong", "lines": 2, "totals": {"USDC": "290.00"}}
    for wrong in (["approve"], ["approve", "--batch", BATCH, BATCH]):
        assert run(*wrong).exception is not None
    assert len(api.sent) == 2
