"""`prizewire payouts`: the queue of payouts, one payout, and decisions about them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import click

from prizewire_devstack.api import Api, ApiError, connect, remote
from prizewire_devstack.cli import evidence, pauses, payout_files
from prizewire_devstack.cli.acting import BY, connect_as
from prizewire_devstack.cli.deciding import decide_each, show_outcomes
from prizewire_devstack.cli.listing import JSON, LIMIT, show_lines, show_page
from prizewire_devstack.monitoring.words import abbreviated
from prizewire_devstack.texts import printable

PATH: Final = "/api/admin/payouts"
ROLES: Final = ("operator", "approver", "admin")
_IDS: Final = click.argument("payouts", metavar="[PAYOUT…]", nargs=-1, type=click.UUID)
_BATCH: Final = click.option(
    "--batch", type=click.UUID, help="All payouts of this batch, in place of single ones."
)
_YES: Final = click.option("--yes", is_flag=True, help="With --batch: do not ask after showing the batch.")
_PAYEE: Final = "an operator's payee"
_NAME_ANOTHER: Final = "; on the local stack, --by names another person"
_LOOK: Final = "`prizewire payouts show {}` shows its state."


@click.group(name="payouts")
def command() -> None:
    """Payouts: list, show, approve, reject, retry, pause and resume them; file many by a table; prove unknown outcomes."""


command.add_command(evidence.command)


@command.command(name="list")
@click.option("--state", help="States, separated by commas; held is the queue of approvers.")
@click.option("--rail", help="The rail's name, as `prizewire rails list` shows it.")
@click.option("--asset", help="The asset's code.")
@click.option("--player", help="Whose payouts.")
@click.option("--campaign", type=click.UUID, help="Of prizes of one campaign.")
@click.option("--competition", help="Of prizes of one competition.")
@click.option("--correlation-id", help="Of one match or payout.")
@LIMIT
@JSON
def list_payouts(limit: int, as_json: bool, **filters: Any) -> None:
    """List payouts, newest first."""
    wanted = {name: None if value is None else str(value) for name, value in filters.items()}
    with connect(roles=ROLES) as api:
        show_page(
            api.items(PATH, **wanted),
            limit=limit,
            as_json=as_json,
            columns=("payout", "state", "amount", "to", "destination", "rail", "campaign", "requested"),
            row=lambda one: (
                str(one["payout_id"]),
                _state(one),
                f"{one['pay_amount']} {one['asset']}",
                one["player"] or _PAYEE,
                _destination(one),
                one["rail"] or "",
                abbreviated(str(one["campaign"] or "")),
                f"{str(one['requested_at'])[:16]}Z",
            ),
            none="There are no such payouts.",
        )


def _destination(payout: dict[str, Any]) -> str:
    """The masked destination with its memo; empty where the service cannot read it."""
    return " ".join(part for part in (payout.get("destination"), payout.get("destination_memo")) if part)


def _state(payout: dict[str, Any]) -> str:
    words = (str(payout["state"]), payout.get("code"), "paused" if payout.get("paused") else None)
    return printable(", ".join(word for word in words if word))


@command.command(name="show")
@click.argument("payout", type=click.UUID)
@JSON
def show(payout: UUID, as_json: bool) -> None:
    """Show one payout: what it pays, what it waits for, who may not decide on it, its attempts and evidence about them."""
    with connect(roles=ROLES) as api:
        found = api.get(f"/api/payouts/{payout}")
    if as_json:
        click.echo(json.dumps(found))
        return
    show_lines(_lines(found))


def _lines(payout: dict[str, Any]) -> list[tuple[str, str]]:
    """The lines about a payout, without those that say nothing."""
    parties, needed = payout.get("parties") or [], payout["approvers_needed"]
    approvers = payout.get("approvers") or []
    pause = payout.get("pause")
    lines = [
        ("payout", str(payout["payout_id"])),
        ("state", _state(payout)),
        ("why", payout.get("reason") or ""),
        ("pays", f"{payout['pay_amount']} {payout['asset']} to {payout['player'] or _PAYEE}"),
        ("method", f"{payout['method_type']} {payout['method_id'] or ''}".strip()),
        ("destination", _destination(payout)),
        ("rail", payout["rail"] or ""),
        ("campaign", str(payout["campaign"] or "")),
        ("competition", payout.get("competition") or ""),
        ("correlation id", payout["correlation_id"]),
        ("retry of", str(payout.get("retry_of") or "")),
        ("requested", str(payout["requested_at"])),
        ("paid", str(payout["paid_at"] or "")),
        ("reference", payout["tx_hash"] or payout["provider_ref"] or ""),
        (
            "approved by",
            f"{len(approvers)} of {needed}: {', '.join(approvers)}".rstrip(": ") if needed else "",
        ),
        ("paused", pauses.words(pause) if pause else ""),
        ("cancel", f"asked by {payout['cancel_asked_by']}" if payout.get("cancel_asked_by") else ""),
        ("may not decide", ", ".join(f"{one['subject']} ({one['role']})" for one in parties)),
    ]
    lines += [(f"gate {gate['code']}", gate["reason"]) for gate in payout.get("gates") or []]
    for attempt in payout.get("attempt_list") or []:
        words = (attempt.get("rail"), attempt.get("state"), attempt.get("code"), attempt.get("provider_ref"))
        lines.append((f"attempt {attempt['attempt_no']}", " ".join(str(word) for word in words if word)))
    for one in payout.get("evidence") or []:
        decided = (
            f"{one['state']} by {one['decided_by']}" if one["decided_by"] else "waits for another person"
        )
        said = f"{one['finding']}, {one['reference']}, by {one['filed_by']} ({one['note']}): {decided}"
        lines.append((f"evidence {one['evidence_id']}", said))
    for retry in payout.get("retries") or []:
        answer = retry["retried_by"] or retry["code"] or "not answered yet"
        lines.append((f"retry {retry['retry_no']}", f"by {retry['asked_by']}: {answer}"))
    return [(label, value) for label, value in lines if value]


@command.command(name="approve")
@_IDS
@_BATCH
@_YES
@click.option(
    "--also",
    multiple=True,
    type=click.UUID,
    help="With --batch: a payout that a gate holds, and that is approved nevertheless. Repeatable.",
)
@click.option("--note", help="Kept in the audit record.")
@BY
@JSON
def approve(
    *,
    payouts: tuple[UUID, ...],
    batch: UUID | None,
    yes: bool,
    also: tuple[UUID, ...],
    note: str | None,
    person: str | None,
    as_json: bool,
) -> int:
    """Approve held payouts; exit code 1 when one of them is refused, or gets no answer.

    Nobody approves what they filed or are paid by. A payout above the limit of one person needs two.
    """
    _one_of(payouts, batch)
    if batch is not None:
        with connect_as(person, roles=ROLES) as api:
            return payout_files.decide(
                api, batch, approve=True, text=note, as_json=as_json, yes=yes, also=also
            )
    body = {} if note is None else {"note": note}
    return _decide(
        payouts, person, as_json, lambda api, payout: api.put(f"{PATH}/{payout}/approve", body), _approved
    )


@command.command(name="reject")
@_IDS
@_BATCH
@_YES
@click.option("--reason", required=True, help="Shown at the payout and in the audit record.")
@BY
@JSON
def reject(
    *,
    payouts: tuple[UUID, ...],
    batch: UUID | None,
    yes: bool,
    reason: str,
    person: str | None,
    as_json: bool,
) -> int:
    """Reject held payouts: the money goes back. Exit code 1 when one of them is refused, or gets no answer."""
    _one_of(payouts, batch)
    if batch is not None:
        with connect_as(person, roles=ROLES) as api:
            return payout_files.decide(api, batch, approve=False, text=reason, as_json=as_json, yes=yes)
    return _decide(
        payouts,
        person,
        as_json,
        lambda api, payout: api.put(f"{PATH}/{payout}/reject", {"reason": reason}),
        _state,
    )


@command.command(name="batch")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--account", help="The funding account that pays; default: the only one that there is.")
@click.option(
    "--reason", help="The purpose of the payouts, for approvers and the audit record; a dry run needs none."
)
@click.option("--dry-run", is_flag=True, help="Show what would be filed, and file nothing.")
@BY
@JSON
def batch(
    *, file: Path, account: str | None, reason: str | None, dry_run: bool, person: str | None, as_json: bool
) -> int:
    """File the payouts of FILE out of a funding account: a table (CSV) with the columns reference, amount and type, and the
    members of the details such as address, iban or holder.

    All lines are filed, or none. A line that was filed before is not paid again. Exit code 1 when a line is refused.
    """
    if reason is None and not dry_run:
        raise click.UsageError("--reason is needed to file payouts: approvers see it.")
    with connect_as(person, roles=ROLES) as api:
        answer = payout_files.send(
            api,
            file,
            account=account or payout_files.only_account(api),
            reason=reason or payout_files.TRIED,
            dry_run=dry_run,
        )
    if as_json:
        click.echo(json.dumps(answer))
    else:
        payout_files.show_filed(answer)
    return 1 if any(one["state"] == "refused" for one in answer["lines"]) else 0


@command.command(name="retry")
@click.argument("payout", type=click.UUID)
@click.option("--reason", required=True, help="Shown at the payout and in the audit record.")
@click.option(
    "--method", type=click.UUID, help="The payout method to pay to; default: the player's default one."
)
@BY
@JSON
def retry(payout: UUID, reason: str, method: UUID | None, person: str | None, as_json: bool) -> int:
    """Pay the money of a failed, rejected, cancelled or returned payout again, by a new payout.

    The new payout is held for another person. `prizewire payouts show` has it, or says why there is none.
    """
    body: dict[str, Any] = {"reason": reason}
    if method is not None:
        body["method_id"] = str(method)
    return _decide(
        (payout,),
        person,
        as_json,
        lambda api, one: api.post(f"{PATH}/{one}/retry", body, key=f"retry:{uuid4()}"),
        lambda _: "retry requested",
    )


@command.command(name="pauses")
@JSON
def list_pauses(as_json: bool) -> None:
    """List the pauses in force, newest first, with the ids that `prizewire payouts resume` takes."""
    with connect(roles=ROLES) as api:
        pauses.show(api, as_json=as_json)


@command.command(name="pause")
@click.argument("scope", type=click.Choice(pauses.SCOPES))
@click.argument("value")
@click.option("--reason", required=True, help="Shown at each payout that waits, and in the audit record.")
@BY
@JSON
def pause(scope: str, value: str, reason: str, person: str | None, as_json: bool) -> None:
    """Let no new payment of a rail, an asset, a campaign, a competition or a player start.

    VALUE is the rail's name, the asset's code, the campaign's id, the competition or the player. What was sent before is followed to
    its end. The pause stays until `prizewire payouts resume`.
    """
    with connect_as(person, roles=ROLES) as api:
        pauses.begin(api, scope=scope, value=value, reason=reason, as_json=as_json)


@command.command(name="resume")
@click.argument("pause_id", metavar="PAUSE", type=click.UUID)
@BY
@JSON
def resume(pause_id: UUID, person: str | None, as_json: bool) -> None:
    """Lift a pause, by its id of `prizewire payouts pauses`."""
    with connect_as(person, roles=ROLES) as api:
        pauses.lift(api, pause_id, as_json=as_json)


def _approved(payout: dict[str, Any]) -> str:
    given, needed = len(payout["approvers"]), payout["approvers_needed"]
    waits = f", approved by {given} of {needed}" if payout["state"] == "held" else ""
    return f"{_state(payout)}{waits}"


def _decide(
    payouts: Sequence[UUID],
    person: str | None,
    as_json: bool,
    act: Callable[[Api, UUID], Any],
    said: Callable[[dict[str, Any]], str],
) -> int:
    """Act on each payout; one answer for each."""
    with connect_as(person, roles=ROLES) as api:
        outcomes = decide_each(
            payouts,
            lambda payout: act(api, payout),
            said=said,
            look=_LOOK,
            hint=lambda error: _hint(error, person),
        )
    return show_outcomes(outcomes, key="payout_id", as_json=as_json)


def _one_of(payouts: Sequence[UUID], batch: UUID | None) -> None:
    """Check that a decision names payouts or a batch.

    Raises:
        UsageError: it names both, or none.
    """
    if bool(payouts) == (batch is not None):
        raise click.UsageError("name payouts, or a batch with --batch")


def _hint(error: ApiError, person: str | None) -> str:
    """What to do where the command's own name may not decide."""
    own = person is None and remote(roles=ROLES) is None
    return _NAME_ANOTHER if own and error.code.startswith("approver_is_") else ""
