"""`prizewire payouts evidence`: what two persons found about a payment whose outcome the rail does not know."""

import json
from typing import Any, Final
from uuid import UUID, uuid4

import click

from prizewire_devstack.api import Api, connect
from prizewire_devstack.cli.acting import BY, connect_as
from prizewire_devstack.cli.listing import JSON, LIMIT, show_page
from prizewire_devstack.texts import printable

PATH: Final = "/api/admin/payouts/reviews"
ROLES: Final = ("operator", "approver", "admin")
_PAYOUT: Final = click.argument("payout", type=click.UUID)
_EVIDENCE: Final = click.argument("evidence", type=click.UUID)
_FINDING: Final = click.option(
    "--finding",
    type=click.Choice(["paid", "no_effect"]),
    required=True,
    help="paid: the recipient has the money. no_effect: nothing was paid, and nothing will be.",
)
_REFERENCE: Final = click.option(
    "--reference", required=True, help="What names the payment, or its refusal, at the bank or the vendor."
)


@click.group(name="evidence")
def command() -> None:
    """Evidence of two persons about payments whose outcome is unknown: list, file, confirm, refuse."""


@command.command(name="list")
@LIMIT
@JSON
def list_reviews(limit: int, as_json: bool) -> None:
    """List payments whose outcome persons prove: first those with evidence that waits for a second person."""
    with connect(roles=ROLES) as api:
        show_page(
            api.get(PATH)["items"],
            limit=limit,
            as_json=as_json,
            columns=("payout", "state", "amount", "rail", "evidence"),
            row=lambda one: (
                str(one["payout_id"]),
                one["state"],
                f"{one['amount']} {one['asset']}",
                one["rail"] or "",
                "; ".join(_words(found) for found in one["evidence"]),
            ),
            none="No payment waits for evidence.",
        )


@command.command(name="file")
@_PAYOUT
@_FINDING
@_REFERENCE
@click.option("--note", required=True, help="Where others can see it.")
@BY
@JSON
def file(*, payout: UUID, finding: str, reference: str, note: str, person: str | None, as_json: bool) -> None:
    """File evidence about a payment, as the first of two persons."""
    body = {"finding": finding, "reference": reference, "note": note}
    with connect_as(person, roles=ROLES) as api:
        _said(_post(api, f"{PATH}/{payout}/evidence", body), as_json=as_json)


@command.command(name="confirm")
@_PAYOUT
@_EVIDENCE
@_FINDING
@_REFERENCE
@click.option("--note", help="Kept in the audit record.")
@BY
@JSON
def confirm(
    *,
    payout: UUID,
    evidence: UUID,
    finding: str,
    reference: str,
    note: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Confirm evidence, as the second of two persons, who repeats what was filed: it is applied at once."""
    body = {"finding": finding, "reference": reference, **({} if note is None else {"note": note})}
    with connect_as(person, roles=ROLES) as api:
        _said(_post(api, f"{PATH}/{payout}/evidence/{evidence}/confirm", body), as_json=as_json)


@command.command(name="refuse")
@_PAYOUT
@_EVIDENCE
@click.option("--reason", required=True, help="Kept in the audit record.")
@BY
@JSON
def refuse(payout: UUID, evidence: UUID, reason: str, person: str | None, as_json: bool) -> None:
    """Withdraw or refuse evidence: nothing is applied."""
    with connect_as(person, roles=ROLES) as api:
        _said(_post(api, f"{PATH}/{payout}/evidence/{evidence}/refuse", {"reason": reason}), as_json=as_json)


def _post(api: Api, path: str, body: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = api.post(path, body, key=f"evidence:{uuid4()}")
    return answer


def _words(one: dict[str, Any]) -> str:
    decided = (
        f", {one['state']} by {one['decided_by']}" if one["decided_by"] else ", waits for another person"
    )
    return f"{one['evidence_id']} {one['finding']} ({one['reference']}) by {one['filed_by']}{decided}"


def _said(review: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(review))
        return
    click.echo(f"{review['payout_id']}  {review['state']}")
    for one in review["evidence"]:
        click.echo(f"  evidence {printable(_words(one))}")
