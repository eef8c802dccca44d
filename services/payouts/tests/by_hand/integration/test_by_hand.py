"""Lines, claims, exported files and answer files over HTTP."""

import asyncio
import base64
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_chassis.http import LineageEntry
from prizewire_payouts.by_hand.storage import ByHandLineage
from prizewire_payouts.lineage import joined
from prizewire_payouts.metrics import EVIDENCE_CONTRADICTED
from prizewire_payouts.payouts.http.answers import REFUSED_SENTENCE
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from services.payouts.tests.hands import LINES, REVIEWS, add_hands, claim, confirm, file, lines_of
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import ASSETS, Rig


@pytest.fixture(autouse=True)
def hands(rig: Rig) -> None:
    add_hands(rig)


async def lines(client: Client, **params: Any) -> list[dict[str, Any]]:
    said = await client.get(f"{LINES}/lines", params=params, headers=as_("op", "operator"))
    assert said.status_code == 200, said.text
    found: list[dict[str, Any]] = said.json()["items"]
    return found


async def answer(client: Client, content: str, *, by: str = "olga", key: str = "a1", **body: Any) -> Any:
    encoded = base64.b64encode(content.encode()).decode()
    sent = {"media_type": "text/csv", "content": encoded, **body}
    return await client.post(f"{LINES}/answers", json=sent, headers=as_(by, "operator", key=key))


async def export(client: Client, batch_id: str, file_format: str = "csv") -> Any:
    path = f"{LINES}/batches/{batch_id}/export"
    return await client.get(path, params={"format": file_format}, headers=as_("olga", "operator"))


def codes(said: Any) -> list[str | None]:
    assert said.status_code == 200, said.text
    return [one["code"] for one in said.json()["items"]]


async def test_lines_are_listed_page_by_page(rig: Rig, client: Client) -> None:
    """Staff read the lines oldest first and by state, with a masked destination; players do not."""
    payouts = await lines_of(rig, count=3)
    found = await client.get(f"{LINES}/lines", params={"limit": 2}, headers=as_("op", "operator"))
    rest = await lines(client, cursor=found.json()["next_cursor"])
    assert {one["payout_id"] for one in (*found.json()["items"], *rest)} == {str(one) for one in payouts}
    assert found.json()["items"][0]["masked"] == "ac…"
    assert "account of ana" not in found.text
    assert await lines(client, state="claimed") == []
    assert (await client.get(f"{LINES}/lines", headers=as_("ana"))).status_code == 403


async def test_a_line_is_claimed_once(rig: Rig, client: Client) -> None:
    """Of two persons who claim the same lines one gets them; a party gets none; the same request may be repeated."""
    payouts = await lines_of(rig, count=2)
    assert codes(await claim(client, *payouts, by="ana")) == ["decider_is_party"] * 2
    both = await asyncio.gather(claim(client, *payouts, by="olga"), claim(client, *payouts, by="piet"))
    assert sorted(map(codes, both), key=str) == [["line_not_open"] * 2, [None] * 2]
    winner = "olga" if codes(both[0]) == [None, None] else "piet"
    assert codes(await claim(client, *payouts, by=winner)) == [None, None]
    stray = await claim(client, uuid4(), key="c2")
    assert codes(stray) == ["line_unknown"]
    assert stray.json()["batch_id"] is None
    held = await rig.request(await rig.method(), amount="5000.00")
    early = await claim(client, held, key="c3")
    assert (codes(early), early.json()["batch_id"]) == (["line_unknown"], None)
    assert "approve it first" in early.json()["items"][0]["detail"]
    assert {one["claimed_by"] for one in await lines(client, state="claimed")} == {winner}


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        ("rail", "hands"),
        ("asset", "EURC"),
        ("player", "ana"),
        ("campaign", "11111111-1111-4111-8111-111111111111"),
        ("competition", "spring-cup"),
    ],
)
async def test_a_paused_line_is_not_claimed(rig: Rig, client: Client, scope: str, value: str) -> None:
    """While a pause keeps a payout, its open line is refused and says why; a line that was claimed before is exported, and the request
    for it may be repeated. When the pause is lifted the line is claimed.
    """
    before, later = await lines_of(rig, count=2)
    batch_id = (await claim(client, before)).json()["batch_id"]
    body = {"scope": scope, "value": value, "reason": "bank holiday"}
    made = await client.post("/api/admin/payouts/pauses", json=body, headers=as_("nik", "operator", key="p1"))
    assert made.status_code == 201, made.text
    said = await claim(client, before, later, key="c2", batch_id=batch_id)
    assert codes(said) == [None, "line_paused"]
    assert f"nik has paused the {scope} {value} (bank holiday)" in said.json()["items"][1]["detail"]
    shown = {one["payout_id"]: one["paused"] for one in await lines(client)}
    assert shown == {str(before): None, str(later): said.json()["items"][1]["detail"]}
    assert (await export(client, batch_id)).status_code == 200
    lifted = await client.delete(
        f"/api/admin/payouts/pauses/{made.json()['id']}", headers=as_("nik", "operator")
    )
    assert lifted.status_code == 200
    assert codes(await claim(client, later, key="c3")) == [None]


async def test_one_batch_begins_once(rig: Rig, client: Client) -> None:
    """Two requests of one person that begin a batch at the same time: both are done, or one is refused and can be sent again."""
    first, second = await lines_of(rig, count=2)
    both = await asyncio.gather(
        claim(client, first, key="c1", batch_id="mine"), claim(client, second, key="c2", batch_id="mine")
    )
    assert {one.status_code for one in both} <= {200, 409}
    for one in both:
        assert one.status_code == 200 or one.json()["code"] == "batch_changed"
    for key, payout_id in (("c3", first), ("c4", second)):
        assert codes(await claim(client, payout_id, key=key, batch_id="mine")) == [None]
    assert {one["batch_id"] for one in await lines(client)} == {"mine"}


async def test_a_claimed_payment_is_not_cancelled(rig: Rig, client: Client) -> None:
    """A cancel before the claim ends the payout; after the claim it is too late, and evidence decides."""
    first, second = await lines_of(rig, count=2)
    await claim(client, second)
    for payout_id in (first, second):
        path = f"/api/admin/payouts/{payout_id}/cancel"
        said = await client.post(
            path, json={"reason": "stop"}, headers=as_("op", "operator", key=str(payout_id))
        )
        assert said.status_code == 202
    await rig.watch("hands")
    assert (await rig.payout(first)).state == "cancelled"
    payout = await rig.payout(second)
    assert payout.state == "pending"
    async with rig.db.transaction() as tx:
        steps = await PayoutLineage(assets=ASSETS)(tx, payout.correlation_id)
    waits = {one.id: one.detail["now"]["waits_for"] for one in steps if one.kind == "payout.requested"}
    assert (
        "op requested a cancel, which takes effect once it is proved that nothing was paid: stop"
        in waits[str(second)]
    )


async def test_a_batch_is_exported_the_same_again(rig: Rig, client: Client) -> None:
    """An export holds the details, is the same when it is repeated, closes the batch, and is audited."""
    first, second = await lines_of(rig, count=2)
    batch_id = (await claim(client, first)).json()["batch_id"]
    made = await export(client, batch_id)
    assert made.status_code == 200
    header, line = made.json()["content"].splitlines()
    assert (header.split(",")[-1], line.split(",")[-1]) == ("details.account", "account of ana")
    assert (await export(client, batch_id)).json() == made.json()
    assert codes(await claim(client, second, key="c2", batch_id=batch_id)) == ["batch_exported"]
    rows = await rig.rows("SELECT actor FROM audit_log WHERE action = 'payouts.exported'")
    assert [one.actor for one in rows] == ["olga", "olga"]


async def test_a_trace_names_who_claimed_and_exported(rig: Rig, client: Client) -> None:
    """The trace of a payout says who claimed its payment, who exported its file each time, and who filed and confirmed evidence, in
    this order; so does the list of lines. A row that was changed in the database is said in the trace.
    """
    (payout_id,) = await lines_of(rig)
    batch_id = (await claim(client, payout_id)).json()["batch_id"]
    for _ in range(2):
        rig.clock.advance(timedelta(minutes=1))
        assert (await export(client, batch_id)).status_code == 200
    rig.clock.advance(timedelta(minutes=1))
    evidence_id = (await file(client, payout_id)).json()["evidence"][0]["evidence_id"]
    assert (await confirm(client, payout_id, evidence_id)).status_code == 200
    correlation = (await rig.payout(payout_id)).correlation_id
    read = joined(
        [PayoutLineage(assets=ASSETS), ByHandLineage(rails=rig.rails, unit_of_work=rig.unit_of_work)]
    )

    async def steps() -> list[LineageEntry]:
        async with rig.db.transaction() as tx:
            return await read(tx, correlation)

    wanted = ("payout.claimed", "payout.exported", "payout.evidence_filed", "payout.evidence_confirmed")
    found = [one for one in await steps() if one.kind in wanted]
    assert [one.kind for one in found] == [wanted[0], wanted[1], wanted[1], *wanted[2:]]
    assert f"claimed by olga, batch {batch_id}" in found[0].summary
    assert f"exported by olga as csv, batch {batch_id}" in found[1].summary
    assert "filed by olga" in found[3].summary
    assert "confirmed by piet" in found[4].summary
    (line,) = await lines(client)
    assert [one["by"] for one in line["exports"]] == ["olga", "olga"]
    assert line["claimed_at"] <= line["exports"][0]["at"] <= line["changed_at"]
    assert await rig.rows("UPDATE rail_rows SET mac = NULL WHERE collection = 'lines' RETURNING 1")
    (changed,) = [one for one in await steps() if one.kind == "payout.line_not_authentic"]
    assert "see `prizewire verify`" in changed.summary


async def test_audit_records_of_one_match_are_in_its_trace(rig: Rig, client: Client) -> None:
    """A claim, an export and an answer file have the correlation id of their payouts, if these have one in common."""
    method = await rig.method()
    ids: list[UUID] = []
    for name in ("c-1", "c-2", "c-3"):
        intent = rig.intent(method, correlation_id=name)
        await rig.feed(rig.requested(method, intent, correlation_id=name))
        ids.append(UUID(intent.payout_id))
    one = ids[0]
    await rig.submit("hands")
    batch_id = (await claim(client, one)).json()["batch_id"]
    assert (await export(client, batch_id)).status_code == 200
    assert (await claim(client, *ids[1:], key="c2")).status_code == 200
    mine = {row.correlation_id for row in await rig.rows("SELECT correlation_id FROM payouts")}
    found = await rig.rows("SELECT action, correlation_id FROM audit_log ORDER BY sequence")
    assert len(mine) == 3
    assert [(row.action, row.correlation_id in mine) for row in found] == [
        ("payouts.claimed", True),
        ("payouts.exported", True),
        ("payouts.claimed", False),
    ]
    assert {row.correlation_id for row in found[:2]} == {(await rig.payout(one)).correlation_id}


@pytest.mark.parametrize(
    ("batch_id", "file_format", "status", "code"),
    [
        (None, "pdf", 422, "format_unknown"),
        ("other", "csv", 404, "batch_unknown"),
        (None, "pain.001.001.09", 409, "export_not_possible"),
    ],
)
async def test_files_that_cannot_be_made_have_codes(
    rig: Rig, client: Client, batch_id: str | None, file_format: str, status: int, code: str
) -> None:
    """An unknown format or batch, and a line to no bank account, are refused with codes."""
    (payout_id,) = await lines_of(rig)
    made = (await claim(client, payout_id)).json()["batch_id"]
    said = await export(client, batch_id or made, file_format)
    assert (said.status_code, said.json()["code"]) == (status, code)


async def test_an_answer_file_becomes_evidence(rig: Rig, client: Client) -> None:
    """Each line is reported; those that fit become evidence of the uploader, which another person confirms; a dry run files
    nothing, and a repeated upload changes nothing.
    """
    payouts = await lines_of(rig, count=3)
    await claim(client, *payouts[:2])
    reference = {one["payout_id"]: one["reference"] for one in await lines(client)}
    names = [reference[str(one)] for one in payouts]
    table = "\n".join(
        [
            "reference,status,evidence,code,amount,currency",
            f"{names[0]},paid,17,,12.50,EUR",
            f"{names[0]},paid,18,,12.50,EUR",
            f"{names[1]},failed,letter,AC04,12.50,EUR",
            f"{names[2]},paid,19,,,",
            f"{names[1]},open,,,,",
            "PW-OTHER,paid,20,,12.50,EUR",
        ]
    )
    dry = await answer(client, table, dry_run=True, key="a0")
    assert codes(dry) == [None, "line_repeated", None, "line_not_claimed", None, None]
    assert (dry.json()["filed"], dry.json()["would_be_filed"]) == (None, 2)
    assert "claim it first" in dry.json()["items"][3]["detail"]
    assert await rig.rows("SELECT 1 FROM payout_evidence") == []
    said = await answer(client, table)
    assert codes(said) == [None, "line_repeated", None, "line_not_claimed", None, None]
    items = said.json()["items"]
    assert (said.json()["filed"], said.json()["would_be_filed"]) == (2, None)
    assert [one["finding"] for one in items] == ["paid", "paid", "no_effect", "paid", None, "paid"]
    assert [one["problem"] is None for one in items] == [True, True, True, True, True, False]
    assert (await answer(client, table)).json() == said.json()
    assert codes(await answer(client, table, key="a2", by="pia"))[0] == "evidence_open"
    own = await confirm(client, payouts[0], items[0]["evidence_id"], by="olga", reference="17")
    assert own.json()["code"] == "same_person"
    other = await confirm(client, payouts[0], items[0]["evidence_id"], by="piet", reference="17")
    assert other.json()["state"] == "paid"
    failed = await confirm(
        client, payouts[1], items[2]["evidence_id"], by="piet", finding="no_effect", reference="letter"
    )
    assert failed.json()["state"] == "failed"
    shown = (await client.get(f"/api/payouts/{payouts[1]}", headers=as_("op", "operator"))).json()
    assert (shown["code"], shown["state"]) == ("provider_rejected", "failed")
    assert shown["reason"].startswith("letter: answer file ")
    assert shown["reason"].endswith("line 3, code AC04; filed by olga, confirmed by piet")
    assert [(one["reference"], one["decided_by"]) for one in shown["evidence"]] == [("letter", "piet")]
    shown = (await client.get(f"/api/payouts/{payouts[1]}", headers=as_("ana"))).json()
    assert (shown["reason"], shown["evidence"]) == (REFUSED_SENTENCE, None)
    assert "AC04" not in str(shown)
    assert (await client.get(REVIEWS, headers=as_("op", "operator"))).json()["items"] == []
    assert await rig.breaches() == []


async def test_a_file_that_contradicts_a_proof_is_reported(rig: Rig, client: Client) -> None:
    """A bank that reports a confirmed payment as failed is answered with a code, a sentence, the audit record and a counter, in a dry run too;
    so is a person who files it. A file that says the same again changes nothing.
    """
    (payout_id,) = await lines_of(rig)
    await claim(client, payout_id)
    ((reference, _),) = [(one["reference"], one["payout_id"]) for one in await lines(client)]
    header = "reference,status,evidence,amount,currency"
    first = await answer(client, f"{header}\n{reference},paid,17,12.50,EUR")
    evidence_id = first.json()["items"][0]["evidence_id"]
    paid = await confirm(client, payout_id, evidence_id, reference="17")
    assert paid.json()["state"] == "paid"
    before = EVIDENCE_CONTRADICTED._value.get()
    for dry_run in (True, False):
        said = await answer(
            client, f"{header}\n{reference},failed,18,12.50,EUR", key=f"b{dry_run}", dry_run=dry_run
        )
        assert codes(said) == ["proof_contradicts"]
        assert said.json()["would_be_filed" if dry_run else "filed"] == 0
        assert "ask the bank" in said.json()["items"][0]["detail"]
    assert EVIDENCE_CONTRADICTED._value.get() == before + 1
    (row,) = await rig.rows(
        "SELECT detail FROM audit_log WHERE action = 'payouts.answers_filed' ORDER BY sequence DESC LIMIT 1"
    )
    assert row.detail["contradicted"] == [str(payout_id)]
    filed = await file(client, payout_id, finding="no_effect")
    assert (filed.status_code, filed.json()["code"]) == (409, "proof_contradicts")
    again = await answer(client, f"{header}\n{reference},paid,17,12.50,EUR", key="b3")
    assert (codes(again), again.json()["filed"]) == (["not_in_review"], 0)


async def test_malformed_files_and_other_rails_are_refused(rig: Rig, client: Client) -> None:
    """A file that cannot be read is refused as a whole; a rail over which people do not pay has none of these routes."""
    said = await answer(client, "x")
    assert (said.status_code, said.json()["code"]) == (422, "file_malformed")
    said = await answer(client, "<!DOCTYPE a><a/>", media_type="application/xml", key="a2")
    assert (said.status_code, said.json()["code"]) == (422, "file_malformed")
    sent = {"media_type": "text/csv", "content": "x"}
    said = await client.post(f"{LINES}/answers", json=sent, headers=as_("olga", "operator", key="a3"))
    assert (said.status_code, said.json()["code"]) == (400, "invalid_request")
    other = LINES.replace("hands", "fake")
    said = await client.get(f"{other}/lines", headers=as_("op", "operator"))
    assert (said.status_code, said.json()["code"]) == (404, "rail_not_by_hand")
    said = await client.post(
        f"{other}/claims", json={"payout_ids": [str(UUID(int=1))]}, headers=as_("op", "operator", key="x")
    )
    assert (said.status_code, said.json()["code"]) == (404, "rail_not_by_hand")
