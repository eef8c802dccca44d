"""Rows of payments by hand that somebody changed in the database pay nobody, and end no payout."""

from typing import Any
from uuid import UUID

import pytest

from prizewire_payouts.payouts.domain.states import PayoutState
from services.payouts.tests.hands import LINES, add_hands, claim, confirm, file, lines_of
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import Rig


@pytest.fixture(autouse=True)
def hands(rig: Rig) -> None:
    add_hands(rig)


def line_of(payout_id: UUID) -> str:
    return f"collection = 'lines' AND payout_id = '{payout_id}'"


async def change(rig: Rig, what: str, where: str) -> None:
    assert await rig.rows(f"UPDATE rail_rows SET {what} WHERE {where} RETURNING 1")


async def watch(rig: Rig, payout_id: UUID) -> str:
    await rig.rows(f"UPDATE payouts SET due_at = NULL WHERE payout_id = '{payout_id}' RETURNING 1")
    await rig.rows(
        f"UPDATE payouts SET due_at = '2020-01-01T00:00:00Z' WHERE payout_id = '{payout_id}' RETURNING 1"
    )
    await rig.watch("hands")
    return (await rig.payout(payout_id)).state


async def export(client: Client, batch_id: str) -> Any:
    path = f"{LINES}/batches/{batch_id}/export"
    return await client.get(path, params={"format": "csv"}, headers=as_("olga", "operator"))


def codes(said: Any) -> list[str | None]:
    assert said.status_code == 200, said.text
    return [one["code"] for one in said.json()["items"]]


@pytest.mark.parametrize(
    "what",
    [
        'document = document || \'{"amount": "9915.00"}\'',
        'document = document || \'{"masked": "other"}\'',
        "changed_at = changed_at + interval '1 second'",
        "details = (SELECT details FROM rail_rows r WHERE r.collection = 'lines' AND r.name <> rail_rows.name LIMIT 1)",
        "mac = NULL",
        "mac_key = 'other'",
        "version = version + 1",
    ],
)
async def test_a_changed_line_is_not_claimed(rig: Rig, client: Client, what: str) -> None:
    """Whatever is changed of an open line, nobody claims it; the other line of the request is claimed, and a check names the row."""
    changed, other = await lines_of(rig, count=2)
    await change(rig, what, line_of(changed))
    assert codes(await claim(client, changed, other)) == ["row_not_authentic", None]
    shown = await client.get(f"{LINES}/lines", params={"limit": 1}, headers=as_("op", "operator"))
    assert [one["payout_id"] for one in shown.json()["items"]] == [str(other)]
    assert [one for one in await rig.breaches() if "of the rail hands was changed in the database" in one]


@pytest.mark.parametrize("state", ["confirmed", "failed", "cancelled", "open"])
async def test_a_changed_state_ends_nothing(rig: Rig, client: Client, state: str) -> None:
    """A claimed line whose state is changed neither pays, fails nor cancels its payout, and is not claimed or exported again: the payout
    is unknown until two persons prove what happened.
    """
    (payout_id,) = await lines_of(rig)
    batch_id = (await claim(client, payout_id)).json()["batch_id"]
    await change(
        rig,
        f'state = \'{state}\', document = document || \'{{"code": "provider_rejected", "evidence": "x"}}\'',
        line_of(payout_id),
    )
    assert codes(await claim(client, payout_id, by="piet", key="c2")) == ["row_not_authentic"]
    assert (await export(client, batch_id)).json()["code"] == "row_not_authentic"
    assert await watch(rig, payout_id) == PayoutState.UNKNOWN
    filed = await file(client, payout_id, by="olga")
    assert filed.status_code == 201, filed.text
    ended = await confirm(client, payout_id, filed.json()["evidence"][0]["evidence_id"])
    assert ended.status_code == 200, ended.text
    assert (await rig.payout(payout_id)).state == PayoutState.PAID


async def test_a_closed_key_cancels_nothing(rig: Rig, client: Client) -> None:
    """The row of a key that is changed to closed proves no end: the payout is unknown."""
    (payout_id,) = await lines_of(rig)
    await claim(client, payout_id)
    await change(
        rig,
        "state = 'closed', document = '{\"code\": \"provider_rejected\"}'",
        f"collection = 'keys' AND payout_id = '{payout_id}'",
    )
    assert await watch(rig, payout_id) == PayoutState.UNKNOWN


async def test_an_older_row_is_not_put_back(rig: Rig, client: Client) -> None:
    """The database refuses the version of a row that it had before, and another payout for it."""
    first, second = await lines_of(rig, count=2)
    (before,) = await rig.rows(f"SELECT * FROM rail_rows WHERE {line_of(first)}")
    await claim(client, first)
    with pytest.raises(Exception, match="does not go back from version 2 to 1"):
        await change(rig, f"state = 'open', version = {before.version}", line_of(first))
    with pytest.raises(Exception, match="permission denied"):
        await change(rig, f"payout_id = '{second}'", line_of(first))


async def test_a_line_of_an_ended_payout_is_not_claimed(rig: Rig, client: Client) -> None:
    """A line is claimed, and exported, only while its payout waits for it: an authentic open line of another payout state is refused."""
    first, second = await lines_of(rig, count=2)
    batch_id = (await claim(client, first)).json()["batch_id"]
    for one in (first, second):
        await rig.rows(f"UPDATE payouts SET state = 'unknown' WHERE payout_id = '{one}' RETURNING 1")
    assert codes(await claim(client, second, key="c2")) == ["line_not_open"]
    refused = await export(client, batch_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "export_not_possible")


async def test_a_line_that_does_not_fit_its_attempt_is_a_breach(rig: Rig) -> None:
    """A line that is open although its attempt had no effect is found."""
    (payout_id,) = await lines_of(rig)
    assert await rig.breaches() == []
    await rig.rows("UPDATE attempts SET state = 'no_effect' RETURNING 1")
    assert [one for one in await rig.breaches() if f"of payout {payout_id} is no_effect" in one]
