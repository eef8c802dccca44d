"""`prizewire campaigns`: the pools of prizes, and what an operator does about an empty one."""

import json
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

import click

from prizewire_contracts.text import counted
from prizewire_devstack.api import ROLES, Api, advising, connect
from prizewire_devstack.cli.acting import BY, connect_as
from prizewire_devstack.cli.listing import JSON, LIMIT, minute, show_lines, show_page
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.texts import printable
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

PATH: Final = "/api/campaigns"
BOOKED_WITHIN_S: Final = 15.0
"""How long a command waits for rounds to be booked that the pool covers, in seconds."""
_POLL_S: Final = 0.2
_BOOKS: Final = frozenset({"active", "exhausted", "ended"})
"""States of a campaign in which its waiting rounds are booked."""
_CAMPAIGN: Final = click.argument("campaign")
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
    """Campaigns: list, show, fund, pause, activate and end them. CAMPAIGN is the id or the name of one."""


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
def show(campaign: str, as_json: bool) -> None:
    """Show the campaign of an id or a name, and where its money is by the ledger."""
    with connect() as api:
        chosen = _id_of(api, campaign)
        found = api.get(f"{PATH}/{chosen}")
        sheet = api.get(f"{PATH}/{chosen}/balance-sheet")
    if as_json:
        click.echo(json.dumps({"campaign": found, "balance_sheet": sheet}))
        return
    asset = found["asset"]
    shown_above = ("campaign", "asset", "available")
    amounts = [(name, f"{value} {asset}") for name, value in sheet.items() if name not in shown_above]
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
def fund(campaign: str, amount: str, reference: str, person: str | None, as_json: bool) -> None:
    """Book money that came in for a campaign's pool: AMOUNT in its asset. Rounds that wait are then booked in their order; the
    command waits for those that the pool covers.

    A second payment under the same reference is refused. Case does not distinguish references.
    """
    with connect_as(person, roles=ROLES) as api:
        chosen = _id_of(api, campaign)
        with advising(f"`prizewire campaigns show {chosen}` shows what was booked."):
            answer = api.post(
                f"{PATH}/{chosen}/fund", {"amount": amount, "reference": reference}, key=f"fund:{uuid4()}"
            )
        answer = _once_booked(api, answer)
    _said(answer, as_json=as_json)


@command.command(name="pause")
@_CAMPAIGN
@BY
@JSON
def pause(campaign: str, person: str | None, as_json: bool) -> None:
    """Let a campaign's settled rounds wait. Payouts that were requested go on: `prizewire payouts pause campaign` stops these."""
    _change(campaign, "pause", person, as_json=as_json)


@command.command(name="activate")
@_CAMPAIGN
@BY
@JSON
def activate(campaign: str, person: str | None, as_json: bool) -> None:
    """Book the settled rounds of a draft or paused campaign from now on, waiting rounds first."""
    _change(campaign, "activate", person, as_json=as_json)


@command.command(name="end")
@_CAMPAIGN
@BY
@JSON
def end(campaign: str, person: str | None, as_json: bool) -> None:
    """End a campaign for good: no further round is booked, and later rounds are refused. Refused while rounds wait for money."""
    _change(campaign, "end", person, as_json=as_json)


def _change(campaign: str, verb: str, person: str | None, *, as_json: bool) -> None:
    with connect_as(person, roles=ROLES) as api:
        answer = _once_booked(api, api.post(f"{PATH}/{_id_of(api, campaign)}/{verb}"))
    _said(answer, as_json=as_json)


def _id_of(api: Api, given: str) -> str:
    """The id of the campaign that has this id or this name.

    Raises:
        DevstackError: no campaign has this name, or several have it.
    """
    try:
        return str(UUID(given))
    except ValueError:
        found = [str(one["id"]) for one in api.items(PATH) if one["name"] == given]
    if not found:
        raise DevstackError(
            f"There is no campaign {printable(given)!r}: `prizewire campaigns list` shows ids and names."
        )
    if len(found) > 1:
        raise DevstackError(
            f"Several campaigns have the name {printable(given)!r}: name one by its id, {', '.join(found)}."
        )
    return found[0]


def _is_booking(campaign: dict[str, Any]) -> bool:
    """Whether rounds of a campaign wait that its pool covers, so that a job books them now."""
    waits: int = campaign["unfunded_rounds"]
    return waits > 0 and campaign["state"] in _BOOKS and Decimal(campaign["missing"]) == 0


def _once_booked(api: Api, campaign: dict[str, Any]) -> dict[str, Any]:
    """The campaign once its waiting rounds are booked, where the pool covers them; as it is after ``BOOKED_WITHIN_S`` at most."""
    latest = campaign

    def booked() -> bool:
        nonlocal latest
        latest = api.get(f"{PATH}/{campaign['id']}")
        return not _is_booking(latest)

    if _is_booking(campaign):
        try:
            eventually_sync(booked, deadline_s=BOOKED_WITHIN_S, poll_s=_POLL_S)
        except (DevstackError, NotInTimeError):
            # The change was made. The answer says that rounds still wait.
            return latest
    return latest


def _said(campaign: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(campaign))
        return
    click.echo(
        f"{campaign['id']}  {campaign['state']}, available {campaign['available']} {campaign['asset']}, "
        f"{_waiting(campaign)}  {printable(campaign['name'])}"
    )


def _waiting(campaign: dict[str, Any]) -> str:
    """How many rounds wait, and for what."""
    waits = campaign["unfunded_rounds"]
    if waits == 0:
        return "no round waits"
    said = f"{counted(waits, 'round')} {'waits' if waits == 1 else 'wait'}"
    if Decimal(campaign["missing"]) > 0:
        return f"{said}, {campaign['missing']} {campaign['asset']} missing"
    if campaign["state"] not in _BOOKS:
        return f"{said} until the campaign is active"
    return f"{said} and will be booked now"
