"""The HTTP routes over a real database."""

import asyncio
from uuid import UUID, uuid4

import pytest

from prizewire_rewards.checks.invariants import Invariant
from prizewire_rewards.ledger.domain.accounts import Kind
from services.rewards.tests.rig import Match, Rig, method_event


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def make_campaign(rig: Rig, **changes: str) -> UUID:
    body = {"name": "cup", "asset": "USDC", "delivery": "wallet", **changes}
    async with rig.client("boss", "admin") as admin:
        answer = await admin.post("/api/campaigns", json=body, headers=key())
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def test_a_campaign_from_draft_to_balance_sheet(rig: Rig) -> None:
    """A campaign is created, funded and activated over HTTP, and its sheet sums up after a round."""
    campaign = await make_campaign(rig)
    async with rig.client("boss", "admin") as admin:
        funded = await admin.post(
            f"/api/campaigns/{campaign}/fund", json={"amount": "1000.00", "reference": "wire"}, headers=key()
        )
        assert funded.status_code == 201
        assert funded.json()["available"] == "1000.00"
        activated = await admin.post(f"/api/campaigns/{campaign}/activate")
        assert activated.json()["state"] == "active"
        await rig.settle(
            Match(campaign, [("ann", "500.00"), ("bob", "250.00")], platform="100.00", unclaimed="50.00")
        )
        sheet = (await admin.get(f"/api/campaigns/{campaign}/balance-sheet")).json()
        listed = (await admin.get("/api/campaigns")).json()
    assert sheet == {
        "campaign": str(campaign),
        "asset": "USDC",
        "funded": "1000.00",
        "available": "150.00",
        "withdrawn": "0.00",
        "reserved": "0.00",
        "claimable": "0.00",
        "platform_fees": "100.00",
        "organizer_fees": "0.00",
        "wallets": "750.00",
        "payout_pending": "0.00",
        "paid": "0.00",
        "unfunded": "0.00",
    }
    assert [item["id"] for item in listed["items"]] == [str(campaign)]
    assert listed["items"][0]["granted"] == "850.00"
    assert await rig.breaches() == []


async def test_fifty_concurrent_fundings_with_one_key_fund_once(rig: Rig) -> None:
    """Concurrent requests with the same key move money once."""
    campaign = await make_campaign(rig)
    same = key()
    async with rig.client("boss", "admin") as admin:
        answers = await asyncio.gather(
            *(
                admin.post(
                    f"/api/campaigns/{campaign}/fund",
                    json={"amount": "10.00", "reference": "wire"},
                    headers=same,
                )
                for _ in range(50)
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert await rig.balance(Kind.POOL, campaign) == 1_000
    assert len(await rig.events("campaign.funded")) == 1


async def test_a_key_with_another_body_is_a_conflict(rig: Rig) -> None:
    """The second amount is refused and not booked."""
    campaign = await make_campaign(rig)
    same = key()
    async with rig.client("boss", "admin") as admin:
        path = f"/api/campaigns/{campaign}/fund"
        await admin.post(path, json={"amount": "10.00", "reference": "wire"}, headers=same)
        answer = await admin.post(path, json={"amount": "11.00", "reference": "wire"}, headers=same)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert await rig.balance(Kind.POOL, campaign) == 1_000


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount": "10.001", "reference": "x"}, 422, "amount_too_many_decimals"),
        ({"amount": 10.5, "reference": "x"}, 400, "invalid_request"),
        ({"amount": 10**30, "reference": "x"}, 400, "number_out_of_range"),
        ({"amount": "1e3", "reference": "x"}, 400, "amount_malformed"),
        ({"amount": "-1.00", "reference": "x"}, 400, "amount_negative"),
        ({"amount": "0.00", "reference": "x"}, 422, "amount_not_positive"),
        ({"amount": "99999999999999999999", "reference": "x"}, 422, "amount_overflow"),
        ({"amount": "92233720368547758.07", "reference": "x"}, 422, "amount_too_large"),
        ({"amount": "1.00", "reference": "x", "amout": "2.00"}, 400, "invalid_request"),
    ],
)
async def test_a_wrong_funding_is_refused(rig: Rig, body: dict[str, object], status: int, code: str) -> None:
    """Every malformed amount has its code and moves nothing."""
    campaign = await make_campaign(rig)
    async with rig.client("boss", "admin") as admin:
        answer = await admin.post(f"/api/campaigns/{campaign}/fund", json=body, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await rig.balance(Kind.POOL, campaign) == 0


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"low_water": "fifty"}, "low_water"),
        ({"caps": {"per_player_day": "fifty"}}, "caps.per_player_day"),
        ({"risk": {"kyc_above": "fifty"}}, "risk.kyc_above"),
    ],
)
async def test_a_refused_amount_is_named(rig: Rig, settings: dict[str, object], field: str) -> None:
    """The refusal names the member whose text is no amount."""
    body = {"name": "cup", "asset": "USDC", "delivery": "wallet", **settings}
    async with rig.client("boss", "admin") as admin:
        answer = await admin.post("/api/campaigns", json=body, headers=key())
    message = "'fifty' is no amount: a decimal number such as 12.50"
    assert (answer.status_code, answer.json()["code"]) == (400, "amount_malformed")
    assert answer.json()["errors"] == [{"field": field, "message": message}]
    assert answer.json()["detail"] == f"{field}: {message}"


async def test_a_campaign_that_pays_out_needs_a_redeemable_asset(rig: Rig) -> None:
    """Season points can be neither delivered directly nor claimed."""
    async with rig.client("boss", "admin") as admin:
        answers = {
            delivery: await admin.post(
                "/api/campaigns",
                json={"name": "cup", "asset": "SEASON", "delivery": delivery},
                headers=key(),
            )
            for delivery in ("direct", "claim", "wallet")
        }
    assert answers["wallet"].status_code == 201
    for delivery in ("direct", "claim"):
        assert answers[delivery].status_code == 422
        assert answers[delivery].json()["code"] == "asset_not_redeemable"


async def test_a_player_requests_a_payout_and_cancels_it(rig: Rig) -> None:
    """Winnings move into the request; a cancellation is requested from payouts once."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "100.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        answer = await ann.post(
            "/api/wallet/payout-request", json={"asset": "USDC", "amount": "60.00"}, headers=key()
        )
        assert answer.status_code == 202, answer.text
        payout = answer.json()["payout_id"]
        wallet = (await ann.get("/api/wallet")).json()
        cancels = [await ann.post(f"/api/wallet/payout-requests/{payout}/cancel") for _ in range(2)]
        listed = (await ann.get("/api/wallet/payout-requests")).json()
    assert wallet["balances"] == [
        {
            "asset": "USDC",
            "winnings": "40.00",
            "topup": "0.00",
            "pending": "0.00",
            "held": "0.00",
            "payout_pending": "60.00",
            "lifetime_earnings": "100.00",
            "short": "0.00",
            "owed": "0.00",
        }
    ]
    assert [cancel.status_code for cancel in cancels] == [202, 202]
    assert listed["items"][0]["state"] == "cancel_requested"
    [requested_event] = await rig.events("payout.requested")
    intent = requested_event["data"]["intent"]
    assert (intent["pay_asset"], intent["pay_amount"], intent["player"]) == ("USDC", "60.00", "ann")
    assert intent["allowed"] == [
        {"rail": "stellar", "destination": "GANN", "memo": None, "commitment": None, "amount_max": "60.00"}
    ]
    [request] = await rig.events("payout.cancel_requested")
    assert (request["aggregateversion"], request["data"]["code"]) == (2, "cancelled_by_player")
    assert await rig.breaches() == []


async def test_fifty_payout_requests_with_one_key_debit_once(rig: Rig) -> None:
    """The same key requests one payout; with another amount it is a conflict."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "100.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    path, body, same = "/api/wallet/payout-request", {"asset": "USDC", "amount": "1.00"}, key()
    async with rig.client("ann") as ann:
        answers = await asyncio.gather(*(ann.post(path, json=body, headers=same) for _ in range(50)))
        other = await ann.post(path, json={**body, "amount": "2.00"}, headers=same)
    assert {answer.status_code for answer in answers} == {202}
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert await rig.winnings("ann") == 9_900
    assert len(await rig.events("payout.requested")) == 1


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (
            {"asset": "USDC", "amount": "100.01"},
            "insufficient_balance",
            "the winnings do not cover the requested 100.01 USDC: 100.00 USDC is available",
        ),
        ({"asset": "SEASON", "amount": "1"}, "asset_not_redeemable", "SEASON"),
        ({"asset": "NOPE", "amount": "1"}, "asset_unknown", "there is no asset NOPE: use one of "),
        ({"asset": "USDC", "amount": "0.00"}, "amount_not_positive", "above zero"),
        (
            {"asset": "USDC", "amount": "1.00", "method_id": str(uuid4())},
            "method_unknown",
            "use one of them, or register one with POST /api/payout-methods",
        ),
    ],
)
async def test_a_wrong_payout_request_is_refused(
    rig: Rig, body: dict[str, str], code: str, words: str
) -> None:
    """Nothing moves, the code is stable, and the sentence says what to do."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "100.00")]))
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        answer = await ann.post("/api/wallet/payout-request", json=body, headers=key())
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert words in answer.json()["detail"]
    if code == "insufficient_balance":
        amounts = {name: answer.json()[name] for name in ("asset", "requested", "available")}
        assert amounts == {"asset": "USDC", "requested": "100.01", "available": "100.00"}
    assert await rig.winnings("ann") == 10_000
    assert await rig.events("payout.requested") == []


async def test_a_payout_goes_only_to_ones_own_active_method(rig: Rig) -> None:
    """Another player's method, and a removed one, are unknown."""
    campaign = await rig.campaign(funded=10_000)
    await rig.settle(Match(campaign, [("ann", "100.00")]))
    of_bob, removed = uuid4(), uuid4()
    await rig.feed(
        rig.payouts,
        method_event("bob", method_id=of_bob),
        method_event("ann", method_id=removed, state="removed", is_default=False),
    )
    async with rig.client("ann") as ann:
        for method in (of_bob, removed):
            body = {"asset": "USDC", "amount": "1.00", "method_id": str(method)}
            answer = await ann.post("/api/wallet/payout-request", json=body, headers=key())
            assert answer.json()["code"] == "method_unknown"
        body = {"asset": "USDC", "amount": "1.00"}
        answer = await ann.post("/api/wallet/payout-request", json=body, headers=key())
        assert answer.json()["code"] == "no_payout_method"
        assert "POST /api/payout-methods" in answer.json()["detail"]


async def test_history_pages_by_cursor_and_filters(rig: Rig) -> None:
    """Each entry is listed once, newest first; type, direction and asset filter the list."""
    campaign = await rig.campaign(funded=100_000)
    for _ in range(5):
        await rig.settle(Match(campaign, [("ann", "10.00"), ("bob", "5.00")]))
    pending = Match(campaign, [("ann", "7.00")], final=False)
    await rig.settle(pending)
    await rig.feed(rig.settlements, pending.finalized())
    await rig.feed(rig.payouts, method_event("ann"))
    async with rig.client("ann") as ann:
        await ann.post("/api/wallet/payout-request", json={"asset": "USDC", "amount": "20.00"}, headers=key())
        seen: list[str] = []
        cursor = None
        while True:
            params = {"limit": "3", **({"cursor": cursor} if cursor else {})}
            page = (await ann.get("/api/wallet/transactions", params=params)).json()
            seen += [item["type"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        rewards = (await ann.get("/api/transactions/my", params={"type": "reward"})).json()["items"]
        debits = (await ann.get("/api/transactions/my", params={"type": "debit"})).json()["items"]
        second = (await ann.get("/api/transactions/my", params={"page": 2, "limit": 6})).json()["items"]
        none = (await ann.get("/api/transactions/my", params={"asset": "EURC"})).json()["items"]
        wrong = await ann.get("/api/transactions/my", params={"type": "nonsense"})
    assert seen == ["payout_requested", "prize_matured", "prize_pending", *["prize_credited"] * 5]
    assert len(rewards) == 7
    assert [item["type"] for item in debits] == ["payout_requested", "prize_matured"]
    assert len(second) == 2
    assert none == []
    assert wrong.json()["code"] == "type_unknown"


async def test_a_player_sees_only_what_is_theirs(rig: Rig) -> None:
    """Wallets, transfers, prizes and requests of others are refused or not found; an operator sees them."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, [("ann", "60.00"), ("bob", "40.00")])
    await rig.settle(match)
    [own] = await rig.rows("SELECT transfer_id FROM rewards WHERE player = 'ann'")
    path = f"/api/transactions/{own['transfer_id']}"
    async with rig.client("bob") as bob:
        assert (await bob.get("/api/wallet", params={"player": "ann"})).status_code == 403
        assert (await bob.get("/api/wallet/transactions", params={"player": "ann"})).status_code == 403
        assert (await bob.get("/api/wallet/payout-requests", params={"player": "ann"})).status_code == 403
        assert (await bob.get(path)).status_code == 404
        assert (await bob.get("/api/transactions/all")).status_code == 403
        assert (await bob.get("/api/campaigns")).status_code == 403
        mine = (await bob.get("/api/rewards", params={"round_id": str(match.round_id)})).json()["items"]
        assert [item["player"] for item in mine] == ["bob"]
    async with rig.client("ann") as ann:
        assert (await ann.get(path)).json()["amount"] == "60.00"
    async with rig.client("olga", "operator") as olga:
        assert (await olga.get("/api/wallet", params={"player": "ann"})).json()["player"] == "ann"
        params = {"correlation_id": match.correlation_id}
        everybody = (await olga.get("/api/rewards", params=params)).json()["items"]
        assert [(item["player"], item["place"], item["state"]) for item in everybody] == [
            ("ann", 1, "credited"),
            ("bob", 2, "credited"),
        ]
    async with rig.client("boss", "admin") as admin:
        both = [
            (await admin.get(path)).json()
            for path in ("/api/transactions/all", "/api/transactions/admin/all")
        ]
        assert both[0] == both[1]
        assert both[0]["items"][0]["credit"]["kind"].startswith("wallet:")


async def test_every_route_wants_a_token(rig: Rig) -> None:
    """Without a token every route is refused."""
    async with rig.client() as anonymous:
        for path in (
            "/api/campaigns",
            "/api/wallet",
            "/api/wallet/transactions",
            "/api/wallet/payout-requests",
            "/api/transactions/my",
            "/api/transactions/all",
            "/api/rewards",
            "/api/services/rewards/checks",
        ):
            assert (await anonymous.get(path)).status_code == 401, path
        for path in ("/api/campaigns", "/api/wallet/payout-request"):
            assert (await anonymous.post(path, json={})).status_code == 401, path


async def test_money_needs_an_idempotency_key(rig: Rig) -> None:
    """Without a valid key the request is refused before it changes anything."""
    campaign = await make_campaign(rig)
    async with rig.client("boss", "admin") as admin:
        path, body = f"/api/campaigns/{campaign}/fund", {"amount": "1.00", "reference": "x"}
        without = await admin.post(path, json=body)
        malformed = await admin.post(path, json=body, headers={"Idempotency-Key": "not a key"})
    assert without.json()["code"] == "idempotency_key_required"
    assert malformed.json()["code"] == "idempotency_key_invalid"


async def test_lineage_and_checks_are_served(rig: Rig) -> None:
    """The round's steps are in order, and every invariant holds."""
    campaign = await rig.campaign(funded=10_000)
    match = Match(campaign, [("ann", "60.00")], platform="6.00")
    await rig.settle(match)
    async with rig.client("olga", "operator") as olga:
        lineage = (await olga.get(f"/api/services/rewards/lineage/{match.correlation_id}")).json()
        checks = (await olga.get("/api/services/rewards/checks")).json()["checks"]
        schema = (await olga.get("/schema/openapi.json")).json()
    kinds = [entry["kind"] for entry in lineage["entries"]]
    assert kinds == ["round", "round_state", "transfer", "transfer", "transfer"]
    assert all(check["ok"] for check in checks)
    assert {check["name"] for check in checks} > set(Invariant), "the audit chain is checked too"
    assert "/api/wallet/payout-request" in schema["paths"]


async def test_campaign_states_move_only_along_their_edges(rig: Rig) -> None:
    """A draft cannot pause, an ended campaign stays ended, and a campaign that owes prizes cannot end."""
    campaign = await make_campaign(rig)
    async with rig.client("boss", "admin") as admin:
        assert (await admin.post(f"/api/campaigns/{campaign}/pause")).json()["code"] == "illegal_transition"
        await admin.post(f"/api/campaigns/{campaign}/activate")
        await rig.settle(Match(campaign, [("ann", "60.00")]))
        assert (await admin.get(f"/api/campaigns/{campaign}")).json()["state"] == "exhausted"
        owing = await admin.post(f"/api/campaigns/{campaign}/end")
        assert (owing.status_code, owing.json()["code"]) == (409, "campaign_has_unfunded")
        await admin.post(
            f"/api/campaigns/{campaign}/fund", json={"amount": "60.00", "reference": "x"}, headers=key()
        )
        await rig.release()
        assert (await admin.post(f"/api/campaigns/{campaign}/end")).json()["state"] == "ended"
        late = await admin.post(
            f"/api/campaigns/{campaign}/fund", json={"amount": "1.00", "reference": "x"}, headers=key()
        )
        assert late.json()["code"] == "campaign_ended"
        assert (await admin.post(f"/api/campaigns/{uuid4()}/activate")).status_code == 404
