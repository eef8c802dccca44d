"""Funding accounts and operators' payouts."""

import asyncio
import csv
import io
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_contracts.events.rewards import PayoutRequestedEvent
from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.storage.accounts import roll_up
from prizewire_rewards.payouts.domain.commands import OperatorPayout
from prizewire_rewards.payouts.domain.funding import Destination
from prizewire_rewards.payouts.handlers.funding import request_operator_payout
from services.rewards.tests.rig import (
    FAKE_RAIL,
    Match,
    Rig,
    closed_event,
    closure_of,
    paid_event,
    returned_event,
)
from services.rewards.tests.sql import as_owner, insert, open_account, refused, refused_to_the_owner

ADDRESS = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
"""An address of the Stellar documentation."""


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def post(
    rig: Rig, path: str, body: dict[str, Any], *, role: str = "admin", by: str = "boss"
) -> httpx.Response:
    async with rig.client(by, role) as client:
        return await client.post(path, json=body, headers=key())


@pytest.fixture
async def funded(rig: Rig) -> Rig:
    """A funding account ``marketing`` with 1,000.00 USDC."""
    made = await post(rig, "/api/funding-accounts", {"name": "marketing", "asset": "USDC"})
    assert made.status_code == 201, made.text
    body = {"amount": "1000.00", "reference": "wire"}
    put_in = await post(rig, "/api/funding-accounts/marketing/fund", body)
    assert (put_in.status_code, put_in.json()["balance"]) == (201, "1000.00")
    return rig


def payout_body(**changes: Any) -> dict[str, Any]:
    return {
        "funding_account": "marketing",
        "amount": "250.00",
        "destination": {"type": "stellar", "address": ADDRESS, "memo": "invoice 77"},
        "reason": "guest appearance",
        **changes,
    }


async def create(rig: Rig, **changes: Any) -> httpx.Response:
    return await post(rig, "/api/payouts/create", payout_body(**changes), role="operator", by="olga")


async def test_an_account_is_made_funded_and_emptied(funded: Rig) -> None:
    """The ledger has its balance, and every change is audited with actor and reason."""
    out = await post(
        funded, "/api/funding-accounts/marketing/withdraw", {"amount": "400.00", "reason": "season over"}
    )
    assert (out.status_code, out.json()["balance"]) == (201, "600.00")
    assert await funded.balance(Kind.FUNDING, "marketing") == 60_000
    audited = await funded.rows("SELECT actor, action, target, reason FROM audit_log ORDER BY sequence")
    assert [(row["actor"], row["action"], row["target"], row["reason"]) for row in audited] == [
        ("boss", "funding_account.created", "marketing", None),
        ("boss", "funding_account.funded", "marketing", None),
        ("boss", "funding_account.withdrawn", "marketing", "season over"),
    ]
    async with funded.client("olga", "operator") as olga:
        [listed] = (await olga.get("/api/funding-accounts")).json()["items"]
        assert (await olga.get("/api/funding-accounts/marketing")).json() == listed
        assert (await olga.get("/api/funding-accounts/nobody")).json()["code"] == "funding_unknown"
    assert (listed["balance"], listed["payout_pending"]) == ("600.00", "0.00")
    assert await funded.breaches() == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("", {"name": "marketing", "asset": "USDC"}, 409, "funding_exists"),
        ("", {"name": "points", "asset": "SEASON"}, 422, "asset_not_redeemable"),
        ("", {"name": "other", "asset": "NOPE"}, 422, "asset_unknown"),
        ("", {"name": "Other Name", "asset": "USDC"}, 400, "invalid_request"),
        ("/marketing/fund", {"amount": "0.00", "reference": "x"}, 422, "amount_not_positive"),
        ("/marketing/fund", {"amount": "0.001", "reference": "x"}, 422, "amount_too_many_decimals"),
        ("/marketing/withdraw", {"amount": "1000.01", "reason": "x"}, 422, "insufficient_balance"),
        ("/nobody/fund", {"amount": "1.00", "reference": "x"}, 404, "funding_unknown"),
    ],
)
async def test_a_wrong_move_is_refused(
    funded: Rig, path: str, body: dict[str, str], status: int, code: str
) -> None:
    """Each wrong move is refused with its code, and nothing moves."""
    answer = await post(funded, f"/api/funding-accounts{path}", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000


async def test_one_key_moves_money_once(funded: Rig) -> None:
    """Twenty concurrent requests with one key fund once; another body is a conflict."""
    same = key()
    path, body = "/api/funding-accounts/marketing/fund", {"amount": "10.00", "reference": "x"}
    async with funded.client("boss", "admin") as boss:
        answers = await asyncio.gather(*(boss.post(path, json=body, headers=same) for _ in range(20)))
        other = await boss.post(path, json={**body, "amount": "11.00"}, headers=same)
        without = await boss.post(path, json=body)
    assert {answer.status_code for answer in answers} == {201}
    assert other.json()["code"] == "idempotency_conflict"
    assert without.json()["code"] == "idempotency_key_required"
    assert await funded.balance(Kind.FUNDING, "marketing") == 101_000


async def test_an_operators_payout_has_intent_and_parties(funded: Rig) -> None:
    """The intent names the account, the address and the memo, and no player, campaign or method. The funder of the
    account is a party.
    """
    answer = await create(funded)
    assert (answer.status_code, answer.json()["state"]) == (202, "requested"), answer.text
    payout = UUID(answer.json()["payout_id"])
    [requested_event] = await funded.events("payout.requested")
    data = PayoutRequestedEvent.model_validate(requested_event).data
    assert (data.player, data.method_id, data.method_version, data.reward_ids) == (None, None, None, [])
    assert data.filed_by == "olga"
    assert [(party.role.value, party.subject) for party in data.parties] == [("funder", "boss")]
    intent = data.intent
    assert (intent.player, intent.campaign, intent.competition, intent.source) == (None,) * 4
    assert intent.funding_account == "marketing"
    assert (intent.debit_amount, intent.pay_amount) == ("250.00", "250.00")
    [way] = intent.allowed
    assert (way.rail, way.destination, way.commitment, way.memo) == ("stellar", ADDRESS, None, "invoice 77")
    assert requested_event["correlationid"] == str(payout)
    assert await funded.balance(Kind.FUNDING, "marketing") == 75_000
    assert await funded.balance(Kind.PAYOUT_PENDING, payout) == 25_000
    [audited] = await funded.rows(
        "SELECT actor, target, reason FROM audit_log WHERE action = 'payout.created'"
    )
    assert audited == {"actor": "olga", "target": str(payout), "reason": "guest appearance"}
    async with funded.client("olga", "operator") as olga:
        view = (await olga.get("/api/funding-accounts/marketing")).json()
        lineage = (await olga.get(f"/api/services/rewards/lineage/{payout}")).json()["entries"]
    assert (view["balance"], view["payout_pending"]) == ("750.00", "250.00")
    assert [entry["detail"]["funding_account"] for entry in lineage if entry["kind"] == "payout_request"] == [
        "marketing"
    ]
    assert await funded.breaches() == []


async def test_a_paid_amount_goes_to_the_treasury(funded: Rig) -> None:
    """The treasury gets the money."""
    payout = UUID((await create(funded)).json()["payout_id"])
    await funded.feed(funded.payouts, paid_event(payout, player=None, amount="250.00"))
    assert await funded.stuck() == []
    assert await funded.balance(Kind.TREASURY, "stellar-main") == 25_000
    assert await funded.breaches() == []


async def test_a_return_goes_back_to_the_funding_account(funded: Rig) -> None:
    """On a rail that may return money; over HTTP operators pay to Stellar addresses only."""
    command = OperatorPayout(
        id=uuid4(),
        funding_account="marketing",
        amount=25_000,
        destination=Destination(rail_type="fake", address=ADDRESS, memo=None),
        operator="olga",
        reason="guest appearance",
    )
    async with funded.db.transaction() as tx:
        ports = funded.ports_of(tx)
        now = funded.clock.now()
        made = await request_operator_payout(command, ports=ports, tools=funded.tools, now=now)
    await funded.feed(
        funded.payouts,
        paid_event(made.id, player=None, amount="250.00", **FAKE_RAIL),
        returned_event(made.id, amount="200.00"),
    )
    assert await funded.stuck() == []
    assert await funded.balance(Kind.TREASURY, "fake") == 5_000
    assert await funded.balance(Kind.FUNDING, "marketing") == 95_000
    assert await funded.breaches() == []


@pytest.mark.parametrize("what", ["failed", "rejected", "cancelled"])
async def test_an_unpaid_payout_comes_back_with_the_signers_closure(funded: Rig, what: str) -> None:
    """Without a closure nothing is given back; with a closure the funding account gets the money back."""
    payout = UUID((await create(funded)).json()["payout_id"])
    await funded.feed(funded.payouts, closed_event(payout, what, closure=None))
    assert await funded.stuck() == [("parked", "closure_invalid")]
    assert await funded.balance(Kind.FUNDING, "marketing") == 75_000
    await as_owner(funded, "DELETE FROM stuck_events")
    await funded.feed(funded.payouts, closed_event(payout, what, closure=closure_of(payout)))
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000
    assert await funded.breaches() == []


async def test_a_payment_to_a_player_does_not_end_an_operators_payout(funded: Rig) -> None:
    """A final event must match the request; an operator's payout has no player."""
    payout = UUID((await create(funded)).json()["payout_id"])
    await funded.feed(funded.payouts, paid_event(payout, player="olga", amount="250.00"))
    assert await funded.stuck() == [("parked", "event_mismatch")]
    assert await funded.balance(Kind.PAYOUT_PENDING, payout) == 25_000


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amount": "1000.01"}, 422, "insufficient_balance"),
        ({"amount": "0.00"}, 422, "amount_not_positive"),
        ({"funding_account": "nobody"}, 422, "funding_unknown"),
        ({"destination": {"type": "stellar", "address": ADDRESS[:-1] + "M"}}, 422, "address_invalid"),
        ({"destination": {"type": "stellar", "address": ADDRESS, "memo": "ü" * 20}}, 422, "memo_too_long"),
        ({"destination": {"type": "fake", "address": "somebody"}}, 400, "invalid_request"),
        ({"reason": ""}, 400, "invalid_request"),
        ({"player": "eve"}, 400, "invalid_request"),
    ],
)
async def test_a_wrong_payout_is_refused(
    funded: Rig, changes: dict[str, Any], status: int, code: str
) -> None:
    """A wrong payout is refused before any money moves."""
    answer = await create(funded, **changes)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000
    assert await funded.events("payout.requested") == []


async def test_an_account_is_never_overdrawn(funded: Rig) -> None:
    """Ten concurrent payouts of 250.00 out of 1,000.00: four succeed."""
    answers = await asyncio.gather(*(create(funded) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [202] * 4 + [422] * 6
    assert await funded.balance(Kind.FUNDING, "marketing") == 0
    assert await funded.breaches() == []


@pytest.mark.parametrize("role", ["player", "organizer", "approver"])
async def test_only_operators_and_admins_file(funded: Rig, role: str) -> None:
    """An approver may not request payouts, and only admins move an account's money."""
    assert (await post(funded, "/api/payouts/create", payout_body(), role=role)).status_code == 403
    for path in ("", "/marketing/fund", "/marketing/withdraw"):
        body = (
            {"name": "x", "asset": "USDC"}
            if not path
            else {"amount": "1.00", "reference": "x", "reason": "x"}
        )
        for who in (role, "operator"):
            assert (await post(funded, f"/api/funding-accounts{path}", body, role=who)).status_code in {
                400,
                403,
            }
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000


async def test_a_player_cannot_cancel_an_operators_payout(funded: Rig) -> None:
    """The payout belongs to the funding account, not to a player."""
    payout = (await create(funded)).json()["payout_id"]
    async with funded.client("olga") as olga:
        answer = await olga.post(f"/api/wallet/payout-requests/{payout}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (404, "payout_unknown")


async def test_an_operator_cancels_a_payout_before_payouts_has_it(funded: Rig) -> None:
    """A payout out of a funding account is cancelled at once after it was requested: payouts gets the request and then the cancel, in this
    order of versions. A second cancel changes nothing, an ended payout is 409, and nobody cancels a player's payout here.
    """
    payout = (await create(funded)).json()["payout_id"]
    path = f"/api/payouts/create/{payout}/cancel"
    body = {"reason": "filed twice"}
    refused = await post(funded, path, body, role="player", by="ann")
    assert refused.status_code == 403
    for _ in range(2):
        said = await post(funded, path, body, role="operator", by="olga")
        assert (said.status_code, said.json()["state"]) == (202, "cancel_requested")
    [requested] = await funded.events("payout.requested")
    [cancelled] = await funded.events("payout.cancel_requested")
    assert {name: cancelled["data"][name] for name in ("by", "code", "reason")} == {
        "by": "olga",
        "code": "cancelled_by_operator",
        "reason": "filed twice",
    }
    assert cancelled["subject"] == requested["subject"] == payout
    assert cancelled["aggregateversion"] == requested["aggregateversion"] + 1
    await funded.feed(
        funded.payouts, closed_event(UUID(payout), "cancelled", closure=closure_of(UUID(payout)))
    )
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000
    late = await post(funded, path, body, role="operator", by="olga")
    assert (late.status_code, late.json()["code"]) == (409, "payout_final")
    other = await post(funded, f"/api/payouts/create/{uuid4()}/cancel", body, role="operator", by="olga")
    assert (other.status_code, other.json()["code"]) == (404, "payout_unknown")
    assert await funded.breaches() == []


async def test_funds_do_not_reach_players_or_pools_by_sql(funded: Rig) -> None:
    """A funding account's money goes only to payouts or outside; a payout belongs to a player or to an account."""
    source = Account(Kind.FUNDING, "marketing", "USDC")
    for kind, type_ in (
        (Kind.WINNINGS, "payout_given_back"),
        (Kind.POOL, "campaign_funded"),
        (Kind.TREASURY, "payout_paid"),
    ):
        to = Account(kind, "x", "USDC")

        async def move(tx: Any, type_: str = type_, to: Account = to) -> None:
            await open_account(tx, to)
            await insert(tx, type_, source, to, 100)

        assert (await refused(funded, move))[0] == "23503"
    await create(funded)
    for change in ("player = 'eve'", "funding_account = NULL", "funding_account = 'nobody'"):
        state, _ = await refused(funded, lambda tx, sql=change: tx.execute(text(f"UPDATE payouts SET {sql}")))
        assert state == "42501"
        state, _ = await refused_to_the_owner(funded, f"UPDATE payouts SET {change}")
        assert state in {"23514", "23503"}


async def test_bodies_of_money_in_and_out_have_examples(rig: Rig) -> None:
    """The OpenAPI document has an example and a path of each body of money in and out."""
    async with rig.client("olga", "operator") as olga:
        document = (await olga.get("/schema/openapi.json")).json()
    for path, method in (
        ("/api/wallet/entries", "post"),
        ("/api/wallet/auto-withdraw/{asset}", "put"),
        ("/api/funding-accounts", "post"),
        ("/api/funding-accounts/{name}/fund", "post"),
        ("/api/funding-accounts/{name}/withdraw", "post"),
        ("/api/payouts/create", "post"),
    ):
        body = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        name = body["$ref"].rsplit("/", 1)[-1]
        schema = document["components"]["schemas"][name]
        shown = schema.get("examples") or [
            part["examples"] for part in schema["properties"].values() if part.get("examples")
        ]
        assert shown, path


async def paths_of(funded: Rig) -> list[str]:
    """The routes by which staff fund an account: a campaign's pool and a funding account."""
    campaign = await funded.campaign(active=False)
    return [f"/api/campaigns/{campaign}/fund", "/api/funding-accounts/marketing/fund"]


async def test_a_reference_funds_an_account_once(funded: Rig) -> None:
    """Another key with the same reference is refused, and the error names the first booking. With
    ``repeated_reference`` it is booked and stored as a repetition. Another account may use the same reference.
    """
    for path in await paths_of(funded):
        body = {"amount": "70.00", "reference": "wire 7"}
        assert (await post(funded, path, body)).status_code == 201
        kind = "campaign_funded" if "campaigns" in path else "funding_added"
        [first] = await funded.rows(
            "SELECT id FROM money_in WHERE type = :kind AND reference = 'wire 7'", kind=kind
        )
        for amount in ("70.00", "5.00"):
            used = await post(funded, path, {**body, "amount": amount}, by="other")
            assert (used.status_code, used.json()["code"]) == (409, "reference_used"), used.text
            for named in ("wire 7", "70.00 USDC by boss at 20", str(first["id"])):
                assert named in used.json()["detail"]
            earlier = used.json()["earlier"]
            assert (earlier.pop("at")[:2], earlier) == (
                "20",
                {"id": str(first["id"]), "asset": "USDC", "amount": "70.00", "by": "boss"},
            )
        again = {**body, "amount": "30.00", "repeated_reference": True}
        assert (await post(funded, path, again)).status_code == 201
        assert (await post(funded, path, body)).json()["code"] == "reference_used"
        repeated = await funded.rows(
            "SELECT amount FROM money_in WHERE repeats = :id AND reference = 'wire 7'", id=first["id"]
        )
        assert repeated == [{"amount": 3_000}]
    assert await funded.balance(Kind.FUNDING, "marketing") == 110_000
    assert await funded.breaches() == []


async def test_case_does_not_distinguish_references(funded: Rig) -> None:
    """A reference that differs from a used one by case alone is refused, and the error shows the used one as it was written.
    With ``repeated_reference`` it is stored as a repetition.
    """
    for path in await paths_of(funded):
        body = {"amount": "70.00", "reference": "wire-ä7"}
        assert (await post(funded, path, body)).status_code == 201
        other = {**body, "reference": "WIRE-ä7"}
        used = await post(funded, path, other, by="other")
        assert (used.status_code, used.json()["code"]) == (409, "reference_used"), used.text
        assert "the reference WIRE-ä7 is used already as wire-ä7, for 70.00 USDC" in used.json()["detail"]
        kind = "campaign_funded" if "campaigns" in path else "funding_added"
        assert (await post(funded, path, {**other, "repeated_reference": True})).status_code == 201
        repeating = await funded.rows(
            "SELECT r.reference FROM money_in r JOIN money_in f ON f.id = r.repeats WHERE f.reference = 'wire-ä7' AND f.type = :kind",
            kind=kind,
        )
        assert repeating == [{"reference": "WIRE-ä7"}]
    assert await funded.breaches() == []


async def test_earlier_bookings_may_differ_by_case_alone(funded: Rig) -> None:
    """Bookings from before references were compared without case stay, and the refusal of a third one names the first."""
    [_, path] = await paths_of(funded)
    assert (await post(funded, path, {"amount": "1.00", "reference": "Old"})).status_code == 201
    async with funded.db.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO money_in SELECT (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid(), "
                "'reference', 'OLD', 'at', m.at + interval '1 s'))).* FROM money_in m WHERE m.reference = 'Old'"
            )
        )
    used = await post(funded, path, {"amount": "1.00", "reference": "old"})
    assert used.json()["code"] == "reference_used", used.text
    assert "is used already as Old, for" in used.json()["detail"]


async def test_two_concurrent_bookings_book_a_reference_once(funded: Rig) -> None:
    """Of two concurrent bookings under one reference, one is booked and the other is refused."""
    for path in await paths_of(funded):
        for turn in range(5):
            body = {"amount": "1.00", "reference": f"wire {turn}"}
            both = await asyncio.gather(
                post(funded, path, body, by="ann"), post(funded, path, body, by="bea")
            )
            assert sorted(answer.status_code for answer in both) == [201, 409]
            [refused_] = [answer for answer in both if answer.status_code == 409]
            assert refused_.json()["code"] == "reference_used"
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_500


async def test_the_database_refuses_a_used_reference(funded: Rig) -> None:
    """The database refuses a second booking under a reference unless it names the first one."""

    async def book(tx: AsyncConnection) -> None:
        await tx.execute(
            text(
                "INSERT INTO money_in SELECT (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid()))).* "
                "FROM money_in m"
            )
        )

    state, message = await refused(funded, book)
    assert (state, "money_in_reference_once" in message) == ("23505", True)


async def test_the_intake_of_an_asset_has_a_limit(funded: Rig) -> None:
    """No sum of an account exceeds 64 bits: more is refused on every way in, with the limit in units of the asset. At
    the limit everything can still be listed and rolled up.
    """
    limit, first = 46_116_860_184_273_879, 46_116_860_184_272_000
    campaign = await funded.campaign()
    paths = (f"/api/campaigns/{campaign}/fund", "/api/funding-accounts/marketing/fund")
    for path in paths:
        refused_ = await post(funded, path, {"amount": f"{limit}.05", "reference": "x"})
        assert (refused_.status_code, refused_.json()["code"]) == (422, "amount_too_large"), refused_.text
        assert (
            f"at most {limit}.04 USDC may come in from outside, and 1000.00 USDC came in before"
            in refused_.json()["detail"]
        )
    accepted = await post(funded, paths[0], {"amount": f"{first}.00", "reference": "x"})
    assert (accepted.status_code, accepted.json()["funded"]) == (201, f"{first}.00")
    for path in paths:
        refused_ = await post(funded, path, {"amount": "1879.05", "reference": "x"})
        assert (refused_.status_code, refused_.json()["code"]) == (422, "amount_too_large")
    last = await post(funded, paths[1], {"amount": "879.04", "reference": "x"})
    assert (last.status_code, last.json()["balance"]) == (201, "1879.04")
    async with funded.db.transaction() as tx:
        await roll_up(tx, rows_max=1000)
    assert await funded.balance(Kind.EXTERNAL_IN, "world") == -(limit * 100 + 4)


async def test_the_sum_of_waiting_rounds_is_shown_beyond_64_bits(rig: Rig) -> None:
    """Waiting rounds are listed with their sum, also where it exceeds 64 bits."""
    campaign = await rig.campaign()
    for _ in range(3):
        await rig.settle(Match(campaign, [("ann", f"{46_116_860_184_273_879}.00")]))
    async with rig.client("boss", "admin") as client:
        shown = await client.get(f"/api/campaigns/{campaign}/balance-sheet")
    assert shown.status_code == 200, shown.text
    assert f"{3 * 46_116_860_184_273_879}.00" in shown.text


async def test_operators_see_the_reference_of_a_booking(funded: Rig) -> None:
    """The listing, its CSV and the single transfer show the reference, the person who booked it, and the booking that
    it repeats.
    """
    for path in await paths_of(funded):
        kind = "campaign_funded" if "campaigns" in path else "funding_added"
        body = {"amount": "70.00", "reference": "wire 8"}
        assert (await post(funded, path, body)).status_code == 201
        assert (await post(funded, path, {**body, "repeated_reference": True})).status_code == 201
        async with funded.client("boss", "admin") as boss:
            listed = (await boss.get("/api/transactions/all", params={"type": kind})).json()["items"]
            again, first = [one for one in listed if one["reference"] == "wire 8"]
            assert (first["booked_by"], first["repeats"]) == ("boss", None)
            assert (again["booked_by"], again["repeats"]) == ("boss", first["id"])
            assert (await boss.get(f"/api/transactions/{again['id']}")).json() == again
            text = (await boss.get("/api/transactions/all.csv", params={"type": kind})).text
            rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text))}
            shown = [rows[again["id"]][name] for name in ("reference", "booked_by", "repeats")]
            assert shown == ["wire 8", "boss", first["id"]]
