"""`prizewire payouts batch`: file the payouts of a table; and the decisions about a whole batch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import click
from rich.table import Table
from rich.text import Text

from prizewire_contracts.text import counted
from prizewire_devstack import payout_files
from prizewire_devstack.api import Api, ApiError, advising
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.texts import printable

FILE_PATH: Final = "/api/payouts/batches"
ACCOUNTS_PATH: Final = "/api/funding-accounts"
TRIED: Final = "dry run"
"""The reason of a dry run that names none."""
DECIDE_PATH: Final = "/api/admin/payouts/batches"
_AGAIN: Final = "Send the file again: a line that is filed already is not paid again."


def only_account(api: Api) -> str:
    """The funding account that pays where none is named.

    Raises:
        DevstackError: there is none, or there are several.
    """
    names = [str(one["name"]) for one in api.get(ACCOUNTS_PATH)["items"]]
    if not names:
        raise DevstackError(
            f"there is no funding account that could pay: an admin creates one with POST {ACCOUNTS_PATH} and funds it"
        )
    if len(names) > 1:
        raise DevstackError(
            f"there are several funding accounts: name the one that pays by --account, one of {', '.join(names)}"
        )
    return names[0]


def send(api: Api, file: Path, *, account: str, reason: str, dry_run: bool) -> dict[str, Any]:
    """File the lines of a table, or try them in a dry run. Returns the answer with the line numbers of the file. Where lines
    cannot be read, nothing is filed: the others are tried in a dry run.

    Raises:
        DevstackError: the file is no table of payouts, or the service refuses the request as a whole.
    """
    good, bad = payout_files.read(file)
    unreadable = [
        {
            "line": one.number,
            "reference": None,
            "state": "refused",
            "code": "line_unreadable",
            "detail": one.detail,
        }
        for one in bad
    ]
    if not good:
        return {"batch_id": None, "dry_run": dry_run, "totals": None, "lines": unreadable}
    body = {
        "funding_account": account,
        "reason": reason,
        "dry_run": dry_run or bool(bad),
        "lines": [one.body for one in good],
    }
    try:
        with advising(_AGAIN):
            answer: dict[str, Any] = api.post(FILE_PATH, body, key=f"batch:{uuid4()}")
    except ApiError as error:
        if error.code != "batch_refused":
            raise
        answer = {"batch_id": None, "dry_run": False, "totals": None, "lines": error.problem["lines"]}
    numbered = [{**one, "line": good[one["line"] - 1].number} for one in answer["lines"]]
    lines = sorted([*numbered, *unreadable], key=lambda one: int(one["line"]))
    return {**answer, "lines": lines}


def show_filed(answer: dict[str, Any]) -> None:
    """Print one line for each payout, and the sums."""
    table = Table("line", "reference", "state", "amount", "to", "payout", box=None)
    for one in answer["lines"]:
        state = f"{one['state']}, {one['code']}: {one['detail']}" if one["code"] else str(one["state"])
        table.add_row(
            str(one["line"]),
            printable(one["reference"] or ""),
            Text(printable(state), overflow="fold"),
            printable(one.get("amount") or ""),
            printable(one.get("destination") or ""),
            str(one.get("payout_id") or ""),
        )
    make_console().print(table)
    states = [one["state"] for one in answer["lines"]]
    sums = answer["totals"]
    parts = [
        f"{states.count(state)} {state}" + (f" ({sums[state]['amount']} {answer['asset']})" if sums else "")
        for state in ("accepted", "repeated")
    ]
    click.echo(f"{counted(len(states), 'line')}: {', '.join(parts)}, {states.count('refused')} refused.")
    if answer["batch_id"] is not None and set(states) == {"repeated"}:
        click.echo(f"Nothing was filed: batch {answer['batch_id']} has every line already.")
    elif answer["batch_id"] is not None:
        click.echo(
            f"Filed as batch {answer['batch_id']}. Another person approves it: `prizewire payouts approve --batch {answer['batch_id']}`."
        )
    elif answer["dry_run"]:
        click.echo("Nothing was filed: this was a dry run.")
    elif "refused" in states:
        click.echo("Nothing was filed: correct the refused lines, and send the file again.")
    else:
        click.echo("Nothing was filed: every line was filed before.")


def decide(
    api: Api,
    batch: UUID,
    *,
    approve: bool,
    text: str | None,
    as_json: bool,
    yes: bool,
    also: Sequence[UUID] = (),
) -> int:
    """Approve or reject the payouts of a batch as it is shown now; exit code 1 where one is not decided. ``also`` are payouts that a
    gate holds, and that are approved nevertheless.
    """
    shown = api.get(f"{DECIDE_PATH}/{batch}")
    if not as_json:
        _show_batch(shown)
    if not yes and not as_json:
        click.confirm("Approve it?" if approve else "Reject it?", abort=True)
    body: dict[str, Any] = {
        "lines": shown["lines"],
        "totals": {one["asset"]: one["amount"] for one in shown["totals"]},
    }
    if text is not None:
        body["note" if approve else "reason"] = text
    if also:
        body["also"] = [str(one) for one in also]
    verb = "approve" if approve else "reject"
    answer = api.post(f"{DECIDE_PATH}/{batch}/{verb}", body, key=f"{verb}:{uuid4()}")
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for one in answer["items"]:
            refused = f", {one['code']}: {one['detail']}" if one["code"] else ""
            click.echo(
                f"line {one['line']}  {one['payout_id']}  {printable((one['outcome'] or 'not decided') + refused)}"
            )
    return 1 if any(one["code"] for one in answer["items"]) else 0


def _show_batch(shown: Mapping[str, Any]) -> None:
    sums = ", ".join(f"{one['amount']} {one['asset']}" for one in shown["totals"])
    click.echo(
        f"Batch {shown['batch_id']}, filed by {printable(shown['filed_by'])}: {shown['arrived']} of {counted(shown['lines'], 'line')}, "
        f"{sums}."
    )
    for label in ("states", "holds", "gates"):
        counts = ", ".join(f"{one['payouts']} {one['name']}" for one in shown[label])
        if counts:
            click.echo(f"{label}: {printable(counts)}")
