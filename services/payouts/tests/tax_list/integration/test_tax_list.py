"""The list of a year: who was paid how much, by the time of payment, less what was returned."""

import csv
import io
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from prizewire_payouts.tax_list import http as tax_list
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import Rig

PATH = "/api/admin/payouts/tax-list"
CAMPAIGN = "11111111-1111-4111-8111-111111111111"


async def listed(client: Client, **wanted: Any) -> list[dict[str, str]]:
    said = await client.get(PATH, params={"year": 2026, **wanted}, headers=as_("olga", "operator"))
    assert said.status_code == 200, said.text
    assert said.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(said.text)))


def sums(lines: list[dict[str, str]]) -> list[tuple[str, str, str, str]]:
    return [(one["person"], one["campaign"], one["payouts"], one["paid"]) for one in lines]


async def test_a_year_is_summed_by_the_person_who_is_paid(rig: Rig, client: Client) -> None:
    """By campaign; a payee's list has what was paid to them. Payouts that are not paid do not count, and other years do not."""
    assert rig.clock.now().year == 2026
    ana, gerd = await rig.method("ana"), await rig.method("gerd")
    for amount in ("10.00", "2.50"):
        await rig.request(ana, amount=amount)
    await rig.request(ana, amount="7.00", campaign=None, competition=None, source=None)
    await rig.request(gerd, amount="40.00", player="kim", payee="gerd")
    await rig.request(await rig.method("bob"), amount="5000.00")
    await rig.submit()
    expected = [("ana", "", "1", "7.00"), ("ana", CAMPAIGN, "2", "12.50"), ("gerd", CAMPAIGN, "1", "40.00")]
    assert sums(await listed(client)) == expected
    assert sums(await listed(client, campaign=CAMPAIGN)) == expected[1:]
    assert sums(await listed(client, above="12.50")) == expected[2:]
    assert sums(await listed(client, above="12.49")) == expected[1:]
    assert await listed(client, year=2025) == []
    rig.clock.advance(timedelta(days=366))
    await rig.request(ana, amount="1.00", expires_at=int(rig.clock.now().timestamp()) + 60)
    await rig.submit()
    assert sums(await listed(client, year=2027)) == [("ana", CAMPAIGN, "1", "1.00")]
    assert sums(await listed(client)) == expected
    rows = await rig.rows(
        "SELECT actor, target, detail FROM audit_log WHERE action = 'payouts.tax_list_read'"
    )
    assert len(rows) == 7
    assert (rows[0].actor, rows[0].target) == ("olga", "2026")


async def test_returned_money_is_not_paid(rig: Rig, client: Client) -> None:
    """A partial return reduces the sum of the year in which it was paid, and a whole one leaves no line."""
    for name in ("ana", "bob", "eve"):
        await rig.request(await rig.method(name))
    await rig.submit()
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute("ALTER TABLE payouts DISABLE TRIGGER USER")
    for name, minor in (("ana", 500), ("bob", 1250)):
        await owner.execute(
            f"UPDATE payouts SET state = 'returned', returned_minor = {minor} WHERE player = '{name}'"
        )
    await owner.close()
    assert [(one["person"], one["paid"]) for one in await listed(client)] == [
        ("ana", "7.50"),
        ("eve", "12.50"),
    ]


async def test_states_are_named_and_no_cell_is_a_formula(rig: Rig, client: Client) -> None:
    """A person without reports has the states `missing` and `none`; a name that begins like a formula is shown, not evaluated."""
    await rig.request(await rig.method("=cmd|calc"))
    await rig.submit()
    [line] = await listed(client)
    assert line["person"] == "'=cmd|calc"
    assert (line["tax_state"], line["identity_state"], line["identity_until"]) == ("missing", "none", "")


async def test_a_list_has_bounds(rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of too many lines is refused whole, and players read none."""
    for name in ("ana", "bob"):
        await rig.request(await rig.method(name))
    await rig.submit()
    monkeypatch.setattr(tax_list, "LINES_MAX", 1)
    said = await client.get(PATH, params={"year": 2026}, headers=as_("olga", "operator"))
    assert (said.status_code, said.json()["code"]) == (422, "list_too_long")
    assert (await client.get(PATH, params={"year": 2026}, headers=as_("ana"))).status_code == 403
    assert (await client.get(PATH, headers=as_("olga", "operator"))).status_code == 400
