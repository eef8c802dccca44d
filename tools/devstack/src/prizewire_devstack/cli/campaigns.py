"""`prizewire campaigns`: the pools of prizes, and what an operator does about an empty one."""

import json
from typing import Any, Final
from uuid import UUID, uuid4

import click

from prizewire_devstack.api import ROLES, advising, connect
from prizewire_devstack.cli.acting import BY, connect_as
from prizewire_devstack.cli.listing import JSON, LIMIT, minute, show_lines, show_page
from prizewire_devstack.texts import printable

PATH: Final = "/api/campaigns"
_CAMPAIGN: Final = click.argument("campaign", type=click.UUID)
_COLUMNS: Final = (
    "campaign",
    "name",
    "state",
    "asset",
    "available",
    "reserved",
    "funded",
    "missing",
    "waiting",
)


@click.group(name="campaigns")
def command() -> None:
    """Campaigns: list, show, fund, pause and activate them."""


@command.command(name="list")
@click.option("--state", help="Only campaigns in this state.")
@LIMIT
@JSON
def list_campaigns(state: str | None, limit: int, as_json: bool) -> None:
    """List campaigns with their pools, newest first. `waiting` is the number of rounds that wait for money, `missing` what they need."""
    with connect() as api:
        items = (one for one in api.items(PATH) if state in (None, one["state"]))
        show_page(
            items,
            limit=limit,
            as_json=as_json,
            columns=_COLUMNS,
            row=lambda one: (
                str(one["id"]),
                one["name"],
                one["state"],
                one["asset"],
                one["available"],
                one["reserved"],
                one["funded"],
                one["missing"],
                str(one["unfunded_rounds"]),
            ),
            none="There are no such campaigns.",
        )


@command.command(name="show")
@_CAMPAIGN
@JSON
def show(campaign: UUID, as_json: bool) -> None:
    """Show one campaign, and where its money is by the ledger."""
    with connect() as api:
        found = api.get(f"{PATH}/{campaign}")
        sheet = api.get(f"{PATH}/{campaign}/balance-sheet")
    if as_json:
        click.echo(json.dumps({"campaign": found, "balance_sheet": sheet}))
        return
    asset = found["asset"]
    amounts = [
        (name, f"{value} {asset}") for name, value in sheet.items() if name not in ("campaign", "asset")
    ]
    show_lines(
        [
            ("campaign", str(found["id"])),
            ("name", found["name"]),
            ("state", found["state"]),
            ("delivery", found["delivery"]),
            ("created", minute(found["created_at"])),
            ("available", f"{found['available']} {asset}"),
            ("low below", f"{found['low_water']} {asset}" if found["low_water"] else ""),
            ("rounds that wait", str(found["unfunded_rounds"])),
            ("missing for them", f"{found['missing']} {asset}"),
            *amounts,
        ]
    )


@command.command(name="fund")
@_CAMPAIGN
@click.argument("amount")
@click.option("--reference", required=True, help="The payment that came in, as the bank names it.")
@BY
@JSON
def fund(campaign: UUID, amount: str, reference: str, person: str | None, as_json: bool) -> None:
    """Book money that came in for a campaign's pool: AMOUNT in its asset. Rounds that wait are then booked in their order.

    A second payment under the same reference is refused.
    """
    with (
        connect_as(person, roles=ROLES) as api,
        advising(f"`prizewire campaigns show {campaign}` shows what was booked."),
    ):
        answer = api.post(
            f"{PATH}/{campaign}/fund", {"amount": amount, "reference": reference}, key=f"fund:{uuid4()}"
        )
    _said(answer, as_json=as_json)


@command.command(name="pause")
@_CAMPAIGN
@BY
@JSON
def pause(campaign: UUID, person: str | None, as_json: bool) -> None:
    """Let a campaign's settled rounds wait. Payouts that were requested go on: `prizewire payouts pause campaign` stops these."""
    _change(campaign, "pause", person, as_json=as_json)


@command.command(name="activate")
@_CAMPAIGN
@BY
@JSON
def activate(campaign: UUID, person: str | None, as_json: bool) -> None:
    """Book the settled rounds of a draft or paused campaign from now on, waiting rounds first."""
    _change(campaign, "activate", person, as_json=as_json)


def _change(campaign: UUID, verb: str, person: str | None, *, as_json: bool) -> None:
    with connect_as(person, roles=ROLES) as api:
        answer = api.post(f"{PATH}/{campaign}/{verb}")
    _said(answer, as_json=as_json)


def _said(campaign: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(campaign))
        return
    click.echo(
        f"{campaign['id']}  {campaign['state']}, available {campaign['available']} {campaign['asset']}, "
        f"{campaign['unfunded_rounds']} rounds wait  {printable(campaign['name'])}"
    )
