"""Opening balances from a file: read line by line, sent in batches, and compared with the sums in the service's answers."""

import csv
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from prizewire_devstack.api import Api
from prizewire_devstack.errors import DevstackError

FIELDS: Final = ("player", "asset", "bucket", "amount", "reference")
PATH: Final = "/api/imports/balances"
BATCH_ROWS: Final = 1_000
"""The most rows that the service takes in one request."""
REFUSED_SHOWN_MAX: Final = 1_000
"""The most refused rows that a report names; further ones are only counted."""


class Row(NamedTuple):
    """A row of the file, with its line number."""

    line: int
    values: dict[str, str]


class RefusedRow(NamedTuple):
    """A row that is not booked, with the reason."""

    line: int
    code: str
    detail: str


@dataclass
class SumOf:
    """One bucket of all wallets in one asset: the sum of all imports before and after this one, and of this one."""

    before: Decimal
    imported: Decimal
    after: Decimal

    @property
    def reconciles(self) -> bool:
        """Whether the ledger grew by the imported sum."""
        return self.before + self.imported == self.after


@dataclass
class Report:
    """The result of an import or of its dry run. ``repeated`` counts rows that are in the file twice with the same amount."""

    dry_run: bool
    rows: int = 0
    imported: int = 0
    already: int = 0
    repeated: int = 0
    refused_count: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    sums: dict[tuple[str, str], SumOf] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether every row is booked and the sums agree."""
        return self.refused_count == 0 and all(one.reconciles for one in self.sums.values())

    def refuse(self, row: RefusedRow) -> None:
        """Count a row that is not booked; the first ``REFUSALS_MAX`` are named."""
        self.refused_count += 1
        if len(self.refused) < REFUSED_SHOWN_MAX:
            self.refused.append(row)

    def add(self, answer: dict[str, Any], batch: list[Row]) -> None:
        """Add the service's answer for a batch."""
        self.imported += int(answer["imported"])
        self.already += int(answer["already"])
        for one in answer["refused"]:
            self.refuse(RefusedRow(batch[int(one["row"])].line, str(one["code"]), str(one["detail"])))
        for one in answer["sums"]:
            before, imported, after = (Decimal(one[name]) for name in ("before", "imported", "after"))
            known = self.sums.setdefault((one["asset"], one["bucket"]), SumOf(before, Decimal(0), before))
            known.imported += imported
            known.after = known.after + imported if self.dry_run else after

    def to_json(self) -> dict[str, Any]:
        """The report as JSON for scripts."""
        return {
            "dry_run": self.dry_run,
            "ok": self.good,
            "rows": self.rows,
            "imported": self.imported,
            "already": self.already,
            "repeated": self.repeated,
            "refused": self.refused_count,
            "refusals": [one._asdict() for one in sorted(self.refused)],
            "sums": [
                {
                    "asset": asset,
                    "bucket": bucket,
                    "before": plain(one.before),
                    "imported": plain(one.imported),
                    "after": plain(one.after),
                    "reconciles": one.reconciles,
                }
                for (asset, bucket), one in sorted(self.sums.items())
            ],
        }


def read(file: Path) -> Iterator[Row]:
    """The rows of a CSV file with a header, or of a file with one JSON object a line.

    Raises:
        DevstackError: the file does not have the format of its name; the message has the line.
    """
    if file.suffix.lower() == ".csv":
        yield from _read_csv(file)
    elif file.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        yield from _read_json_lines(file)
    else:
        raise DevstackError(f"{file.name}: give a .csv file, or a .jsonl file with one JSON object a line.")


def _read_csv(file: Path) -> Iterator[Row]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines, strict=True)
        if sorted(reader.fieldnames or ()) != sorted(FIELDS):
            raise DevstackError(
                f"{file.name}: its first line must name {', '.join(FIELDS)}, and nothing else."
            )
        try:
            for values in reader:
                if None in values or None in values.values():
                    raise DevstackError(
                        f"{file.name}, line {reader.line_num}: it does not have {len(FIELDS)} cells: write {', '.join(FIELDS)}."
                    )
                yield Row(reader.line_num, {name: values[name].strip() for name in FIELDS})
        except (csv.Error, UnicodeDecodeError) as error:
            raise DevstackError(
                f"{file.name}, line {reader.line_num}: it is no CSV ({error}): correct the line."
            ) from error


def _read_json_lines(file: Path) -> Iterator[Row]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:
                raise DevstackError(
                    f"{file.name}, line {number}: it is no JSON ({error}): correct the line."
                ) from error
            if not isinstance(values, dict) or sorted(values) != sorted(FIELDS):
                raise DevstackError(
                    f"{file.name}, line {number}: it must hold {', '.join(FIELDS)}, and nothing else."
                )
            if wrong := [name for name in FIELDS if not isinstance(values[name], str)]:
                raise DevstackError(
                    f'{file.name}, line {number}: {wrong[0]} must be a text, such as "12.50".'
                )
            yield Row(number, values)


def send(api: Api, rows: Iterable[Row], *, apply: bool) -> Report:
    """Book the rows, or without ``apply`` preview what would be booked. Returns the report.

    Each run has new idempotency keys: the service finds the rows of an earlier run by their contents, so the report
    shows what this run did.

    Raises:
        DevstackError: the service refused a whole batch, or did not answer. Send the file again to continue.
    """
    report = Report(dry_run=not apply)
    run = secrets.token_hex(8)
    once = _each_once(rows, report)
    number = 0
    while batch := list(islice(once, BATCH_ROWS)):
        number += 1
        body = {"rows": [row.values for row in batch], "dry_run": not apply}
        report.add(api.post(PATH, body, key=f"import:{run}:{number}"), batch)
    return report


def _each_once(rows: Iterable[Row], report: Report) -> Iterator[Row]:
    """Each key once: the service cannot find a duplicate in a dry run, since nothing is booked. A row with an impossible amount
    is left to the service to refuse, and does not make a duplicate of another row.
    """
    seen: dict[bytes, tuple[Decimal, str]] = {}
    for row in rows:
        report.rows += 1
        values = row.values
        amount = _bookable(values["amount"])
        if amount is None:
            yield row
            continue
        key = json.dumps([values[name] for name in ("player", "asset", "bucket", "reference")])
        digest = blake2b(key.encode(), digest_size=16).digest()
        known = seen.get(digest)
        if known is None:
            seen[digest] = (amount, values["amount"])
            yield row
        elif known[0] == amount:
            report.repeated += 1
        else:
            detail = (
                f"{values['player']} is in the file twice under {values['reference']}: with {known[1]} and with "
                f"{values['amount']}"
            )
            report.refuse(RefusedRow(row.line, "amount_changed", detail))


def plain(amount: Decimal) -> str:
    """An amount as text: digits and a point with the decimals of the value, without an exponent."""
    return f"{amount:f}"


def _bookable(amount: str) -> Decimal | None:
    """The amount in a text; None where it is no number above zero."""
    try:
        number = Decimal(amount)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None
