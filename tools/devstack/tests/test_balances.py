"""Opening balances from files: reading, sending, and the sums of the report."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from prizewire_devstack import balances
from prizewire_devstack.api import SilentError
from prizewire_devstack.cli import imports
from prizewire_devstack.errors import DevstackError

HEAD = "player,asset,bucket,amount,reference\n"
ANN = "ann,USDC,winnings,1.50,arena\n"


class FakeService:
    """Books like rewards, as far as a report shows it; a context manager like the client."""

    def __init__(self) -> None:
        self.booked: dict[tuple[str, ...], Decimal] = {}
        self.batches: list[tuple[bool, str | None, int]] = []

    def __enter__(self) -> "FakeService":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        assert path == "/api/imports/balances"
        self.batches.append((body["dry_run"], key, len(body["rows"])))
        before = self._sums()
        known = dict(self.booked)
        imported, already, refused = 0, 0, []
        for number, row in enumerate(body["rows"]):
            name = (row["player"], row["asset"], row["bucket"], row["reference"])
            amount = Decimal(row["amount"])
            if amount <= 0:
                refused.append({"row": number, "code": "amount_not_positive", "detail": "above zero"})
            elif known.setdefault(name, amount) != amount:
                refused.append({"row": number, "code": "amount_changed", "detail": f"not {amount}"})
            elif name in self.booked:
                already += 1
            else:
                imported += 1
        was, self.booked = self.booked, known
        after = self._sums()
        if body["dry_run"]:
            self.booked = was
        sums = [
            {
                "asset": asset, "bucket": bucket, "before": str(before.get((asset, bucket), Decimal("0.00"))),
                "imported": str(total - before.get((asset, bucket), Decimal("0.00"))), "after": str(total),
            }
            for (asset, bucket), total in after.items()
        ]  # fmt: skip
        return {"imported": imported, "already": already, "refused": refused, "sums": sums}

    def _sums(self) -> dict[tuple[str, str], Decimal]:
        sums: dict[tuple[str, str], Decimal] = {}
        for (_, asset, bucket, _), amount in self.booked.items():
            sums[asset, bucket] = sums.get((asset, bucket), Decimal(0)) + amount
        return sums


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    made = FakeService()
    monkeypatch.setattr(imports, "connect", lambda: made)
    return made


@pytest.fixture
def run(service: FakeService, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Runs the command with a file of this text; returns exit code and report."""

    def command(text: str, *options: str, name: str = "old.csv") -> tuple[int, dict[str, Any]]:
        file = tmp_path / name
        file.write_text(text)
        done = CliRunner().invoke(
            imports.command, ["balances", str(file), "--json", *options], standalone_mode=False
        )
        if done.exception is not None:
            raise done.exception
        return int(done.return_value), json.loads(done.stdout)

    return command


def test_a_dry_run_comes_first_and_alone(run: Any, service: FakeService) -> None:
    """Without --apply nothing is booked; with it the same is booked, and a second run changes nothing."""
    code, report = run(HEAD + ANN)
    assert (code, report["imported"], report["dry_run"], service.booked) == (0, 1, True, {})
    code, report = run(HEAD + ANN, "--apply")
    assert (code, report["imported"], report["dry_run"]) == (0, 1, False)
    assert report["sums"] == [
        {
            "asset": "USDC",
            "bucket": "winnings",
            "before": "0.00",
            "imported": "1.50",
            "after": "1.50",
            "reconciles": True,
        }
    ]
    booked = dict(service.booked)
    code, report = run(HEAD + ANN, "--apply")
    assert (code, report["imported"], report["already"]) == (0, 0, 1)
    assert service.booked == booked


def test_nothing_is_booked_while_a_row_is_refused(run: Any, service: FakeService) -> None:
    """The refused row is named by its line; --partial books the others."""
    run(HEAD + ANN, "--apply")
    text = HEAD + "bob,USDC,topup,2.00,arena\n" + ANN.replace("1.50", "1.60")
    code, report = run(text, "--apply")
    assert (code, report["dry_run"], len(service.booked)) == (1, True, 1)
    assert [(one["line"], one["code"]) for one in report["refusals"]] == [(3, "amount_changed")]
    code, report = run(text, "--apply", "--partial")
    assert (code, report["imported"], report["refused"], len(service.booked)) == (1, 1, 1, 2)


def test_a_key_counts_once_in_a_file(run: Any, service: FakeService) -> None:
    """The same amount again is a repetition, another amount a conflict, also in another batch."""
    others = "".join(f"p{number},USDC,winnings,1.00,arena\n" for number in range(balances.BATCH_ROWS))
    again = ANN.replace("1.50", "1.5")
    code, report = run(HEAD + ANN + others + again + ANN.replace("1.50", "2.00"), "--apply", "--partial")
    assert (code, report["rows"], report["repeated"], report["refused"]) == (1, balances.BATCH_ROWS + 3, 1, 1)
    assert report["imported"] == balances.BATCH_ROWS + 1
    assert [size for _, _, size in service.batches] == [balances.BATCH_ROWS, 1] * 2
    keys = [key for dry, key, _ in service.batches if not dry]
    assert len(set(keys)) == 2
    digit = "eve,USDC,winnings,5,arena\n"
    assert run(HEAD + digit * 2)[1]["repeated"] == 1


def test_refused_rows_are_listed_in_the_order_of_the_file(run: Any) -> None:
    """Conflicts within the file are included. A row whose amount is not above zero is refused for that, and makes no other
    row a conflict.
    """
    zero, negative, other = (ANN.replace("1.50", amount) for amount in ("0.00", "-1.00", "2.00"))
    code, report = run(HEAD + zero + ANN + other + negative)
    assert (code, report["imported"], report["refused"]) == (1, 1, 3)
    assert [(one["line"], one["code"]) for one in report["refusals"]] == [
        (2, "amount_not_positive"),
        (4, "amount_changed"),
        (5, "amount_not_positive"),
    ]
    assert report["refusals"][1]["detail"] == "ann is in the file twice under arena: with 1.50 and with 2.00"


def test_json_lines_say_the_same_as_csv(run: Any) -> None:
    """One object in each line, blank lines skipped."""
    row = {"player": "ann", "asset": "USDC", "bucket": "winnings", "amount": "1.50", "reference": "arena"}
    assert run(f"\n{json.dumps(row)}\n", name="old.jsonl") == run(HEAD + ANN)


def test_a_sum_that_does_not_match_is_reported(
    run: Any, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the ledger did not grow by the imported sum, the report and the exit code show it."""
    original = service.post

    def lossy(path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        answer = original(path, body, key=key)
        return {**answer, "sums": [{**one, "after": "1.49"} for one in answer["sums"]]}

    monkeypatch.setattr(service, "post", lossy)
    code, report = run(HEAD + ANN, "--apply")
    assert code == 1
    assert [one["reconciles"] for one in report["sums"]] == [False]


@pytest.mark.parametrize(
    ("freezes_when_dry", "said"),
    [
        (True, "This was the dry run: nothing was booked. Once the service answers, import the file again."),
        (False, "import the file again"),
    ],
)
def test_an_import_into_a_frozen_service_reports_what_is_unknown(
    run: Any, service: FakeService, monkeypatch: pytest.MonkeyPatch, *, freezes_when_dry: bool, said: str
) -> None:
    """After a real batch it is unknown whether it was booked; a dry run books nothing."""
    original = service.post

    def freezing(path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        if body["dry_run"] is freezes_when_dry:
            raise SilentError(service="rewards", method="POST", path=path, within_s=30)
        return original(path, body, key=key)

    monkeypatch.setattr(service, "post", freezing)
    with pytest.raises(DevstackError) as caught:
        run(HEAD + ANN, "--apply")
    assert "rewards did not answer POST /api/imports/balances within 30 s" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("old.txt", HEAD, "give a .csv file"),
        ("old.csv", "player,amount\n", "its first line must name"),
        ("old.csv", HEAD.replace("player", "payer") + ANN, "its first line must name"),
        ("old.csv", HEAD + "ann,USDC\n", "line 2: it does not have 5 cells"),
        ("old.csv", HEAD + ANN.strip() + ",more\n", "line 2: it does not have 5 cells"),
        ("old.csv", HEAD + '"ann\n', "it is no CSV"),
        ("old.jsonl", "{\n", "line 1: it is no JSON"),
        ("old.jsonl", "[]\n", "line 1: it must hold player"),
        (
            "old.jsonl",
            '{"player":"a","asset":"USDC","bucket":"winnings","amount":1.5,"reference":"r"}\n',
            'amount must be a text, such as "12.50"',
        ),
    ],
)
def test_an_unreadable_file_is_refused_with_its_line(run: Any, name: str, text: str, said: str) -> None:
    """The error is one sentence, and nothing is booked."""
    with pytest.raises(DevstackError) as caught:
        run(text, "--apply", name=name)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("amount", "printed"),
    [
        ("0.0000000", "0.0000000"),
        ("0", "0"),
        ("0.00", "0.00"),
        ("12.5000000", "12.5000000"),
        ("0.0000001", "0.0000001"),
    ],
)
def test_sums_are_printed_without_exponents(amount: str, printed: str) -> None:
    """An asset with seven decimals has sums that a Decimal would write with an exponent."""
    assert balances.plain(Decimal(amount)) == printed
    report = balances.Report(dry_run=False)
    report.sums["XLM", "winnings"] = balances.SumOf(Decimal("0.0000000"), Decimal(amount), Decimal(amount))
    assert report.to_json()["sums"][0]["before"] == "0.0000000"
    assert report.to_json()["sums"][0]["after"] == printed
