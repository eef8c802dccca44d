"""The statuses of payouts, entries and prizes in a history, and the fees of payouts."""

import csv
import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from pypdf import PdfReader

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.entries.domain import EntryEnd
from services.rewards.tests.money import end, entered, opened, top_up
from services.rewards.tests.rig import Match, Rig, closed_event, closure_of, method_event, paid_event

HISTORY = "/api/wallet/transactions"


async def history(rig: Rig, **query: str) -> dict[str, dict[str, Any]]:
    """Ann's entries by type. No type occurs twice here."""
    async with rig.client("ann") as ann:
        answer = await ann.get(HISTORY, params=query)
    assert answer.status_code == 200, answer.text
    return {one["type"]: one for one in answer.json()["items"]}


async def exported(rig: Rig, **query: str) -> dict[str, dict[str, str]]:
    """The same as CSV."""
    async with rig.client("ann") as ann:
        text = (await ann.get(f"{HISTORY}.csv", params=query)).text
    return {row["type"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


async def in_all(rig: Rig, type_: str, status: str) -> None:
    """An entry has one status and is found by this status only, in the listing, the CSV and the admins' listing."""
    assert (await history(rig))[type_]["status"] == status
    for asked in ("pending", status):
        found = asked == status
        assert (type_ in await history(rig, status=asked)) is found
        assert (type_ in await exported(rig, status=asked)) is found
        async with rig.client("boss", "admin") as boss:
            answer = await boss.get("/api/transactions/all", params={"status": asked, "type": type_})
        assert bool(answer.json()["items"]) is found


async def request(rig: Rig) -> UUID:
    """Ann asks for 40.00 of her winnings."""
    await rig.settle(Match(await rig.campaign(funded=10_000), [("ann", "60.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        body = {"asset": "USDC", "amount": "40.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers={"idempotency-key": "k"})
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["payout_id"])


@pytest.mark.parametrize("status", ["failed", "rejected", "cancelled"])
async def test_a_payout_without_payment_shows_its_end(rig: Rig, status: str) -> None:
    """It is pending until it ends, and it costs nothing."""
    payout = await request(rig)
    await in_all(rig, "payout_requested", "pending")
    assert (await history(rig))["payout_requested"]["code"] is None
    ended = closed_event(
        payout, status, closure=closure_of(payout), code="winnings_taken_back", reason="round 7 was corrected"
    )
    await rig.feed(rig.payouts, ended)
    await in_all(rig, "payout_requested", status)
    shown = await history(rig)
    assert (shown["payout_requested"]["fees"], shown["payout_requested"]["arrives"]) == ([], None)
    assert shown["payout_requested"]["code"] == "winnings_taken_back"
    assert shown["payout_given_back"]["code"] is None
    assert (await exported(rig))["payout_requested"]["code"] == "winnings_taken_back"
    async with rig.client("ann") as ann:
        [asked] = (await ann.get("/api/wallet/payout-requests")).json()["items"]
        query = {"asset": "USDC", "from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}
        document = (await ann.get("/api/wallet/statement.pdf", params=query)).content
    assert (asked["state"], asked["outcome"]["code"], asked["outcome"]["reason"]) == (
        status,
        "winnings_taken_back",
        "round 7 was corrected",
    )
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)
    assert f"payout requested, {status} (winnings_taken_back)" in text


async def test_a_paid_payout_shows_its_fee_and_who_bears_it(rig: Rig) -> None:
    """A fee that the recipient bears reduces what arrives. The listing, the CSV and the statement show the same."""
    payout = await request(rig)
    fee = {"fee": "0.75", "fee_asset": "USDC", "fee_borne_by": "recipient"}
    await rig.feed(rig.payouts, paid_event(payout, player="ann", amount="40.00", **fee))
    assert await rig.stuck() == []
    await in_all(rig, "payout_requested", "paid")
    shown = (await history(rig))["payout_requested"]
    assert shown["fees"] == [{"asset": "USDC", "amount": "0.75", "borne_by": "recipient"}]
    assert shown["arrives"] == "39.25"
    row = (await exported(rig))["payout_requested"]
    assert (row["fees"], row["arrives"]) == ("0.75 USDC (recipient)", "39.25")
    async with rig.client("ann") as ann:
        query = {"asset": "USDC", "from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}
        document = (await ann.get("/api/wallet/statement.pdf", params=query)).content
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)
    assert "payout requested, paid" in text
    assert "fee of the recipient 0.75 USDC" in text


@pytest.mark.parametrize(("how", "status"), [(EntryEnd.EARNED, "earned"), (EntryEnd.REFUNDED, "refunded")])
async def test_an_entry_fee_has_the_status_of_its_round(rig: Rig, how: EntryEnd, status: str) -> None:
    """It is pending until its round ends."""
    await top_up(rig, "ann", "20.00")
    match = Match(await rig.campaign(), [])
    await rig.feed(rig.settlements, opened(match), entered(match, "ann", version=2))
    await in_all(rig, "entry_fee_held", "pending")
    await end(rig, match, how)
    await in_all(rig, "entry_fee_held", status)


@pytest.mark.parametrize("void", [False, True])
async def test_a_pending_prize_is_completed_or_reversed(rig: Rig, void: bool) -> None:
    """Finality completes it, and a void reverses it."""
    match = Match(await rig.campaign(funded=10_000), [("ann", "60.00")], final=False)
    await rig.settle(match)
    await in_all(rig, "prize_pending", "pending")
    await rig.feed(rig.settlements, match.voided(at=2) if void else match.finalized())
    await in_all(rig, "prize_pending", "reversed" if void else "completed")


async def test_a_prize_to_claim_is_pending_until_the_claim(rig: Rig) -> None:
    """Finality completes the pending entry and adds the entry of the claim."""
    match = Match(await rig.campaign(funded=10_000, delivery=Delivery.CLAIM), [("ann", "60.00")], final=False)
    await rig.settle(match)
    await rig.feed(rig.settlements, match.finalized())
    await in_all(rig, "prize_pending", "completed")
    await in_all(rig, "claim_opened", "pending")
    [reward] = await rig.rows("SELECT id FROM rewards")
    async with rig.client("ann") as ann:
        answer = await ann.post(f"/api/claims/{reward['id']}", headers={"idempotency-key": uuid4().hex})
    assert answer.status_code == 200, answer.text
    await in_all(rig, "claim_opened", "completed")
