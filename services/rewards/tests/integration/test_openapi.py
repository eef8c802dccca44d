"""Rewards' OpenAPI document."""

from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import httpx

from prizewire_rewards.campaigns.domain.model import Delivery
from prizewire_rewards.campaigns.domain.settings import CampaignSettings, Caps, RiskThresholds
from services.rewards.tests.integration.test_access import scene
from services.rewards.tests.money import opened
from services.rewards.tests.rig import Match, Rig, paid_event
from tests.openapi import faults_of, shown

PEOPLE = {"ada": ("admin",), "bea": ("admin",), "olga": ("operator",), "apo": ("approver",)}
DESTINATION = {"type": "stellar", "address": "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"}
REASON = {"reason": "seen"}

CALLS: list[tuple[str, str, str, dict[str, str], Any]] = [
    # person, method, route, query, body
    ("ada", "POST", "/api/campaigns", {}, {"name": "other", "asset": "USDC"}),
    ("ada", "GET", "/api/campaigns", {}, None),
    ("ada", "GET", "/api/campaigns/{campaign_id}", {}, None),
    ("ada", "GET", "/api/campaigns/{campaign_id}/balance-sheet", {}, None),
    ("ada", "POST", "/api/campaigns/{campaign_id}/fund", {}, {"amount": "9.00", "reference": "wire"}),
    ("ada", "POST", "/api/campaigns/{campaign_id}/withdraw", {}, {"amount": "1.00", **REASON}),
    (
        "ada",
        "PUT",
        "/api/campaigns/{campaign_id}/settings",
        {},
        {"risk": {"velocity": {"count": 5, "window_s": 60}}},
    ),
    ("ada", "POST", "/api/campaigns/{campaign_id}/pause", {}, None),
    ("ada", "POST", "/api/campaigns/{campaign_id}/activate", {}, None),
    ("ada", "POST", "/api/campaigns/{campaign_id}/end", {}, None),
    ("player", "POST", "/api/wallet/entries", {}, {"round_id": "$entered"}),
    ("player", "GET", "/api/wallet/entries", {}, None),
    ("player", "POST", "/api/wallet/payout-request", {}, {"asset": "USDC", "amount": "1.00"}),
    ("player", "GET", "/api/wallet/payout-requests", {"state": "paid"}, None),
    ("player", "GET", "/api/wallet/payout-requests", {"state": "requested"}, None),
    ("player", "POST", "/api/wallet/payout-requests/{payout_id}/cancel", {}, None),
    ("player", "PUT", "/api/wallet/auto-withdraw/{asset}", {}, {"threshold": "900.00"}),
    ("player", "GET", "/api/wallet/auto-withdraw", {}, None),
    ("player", "GET", "/api/wallet", {}, None),
    ("player", "GET", "/api/wallet/transactions", {}, None),
    ("player", "GET", "/api/transactions/my", {}, None),
    ("ada", "GET", "/api/transactions/all", {}, None),
    ("ada", "GET", "/api/transactions/all", {"player": "$player"}, None),
    ("ada", "GET", "/api/transactions/admin/all", {}, None),
    ("player", "GET", "/api/transactions/{transfer_id}", {}, None),
    ("player", "GET", "/api/rewards", {}, None),
    ("olga", "GET", "/api/rewards/rounds", {"ids": "$round"}, None),
    ("olga", "GET", "/api/rewards/rounds/booked", {}, None),
    ("olga", "GET", "/api/rewards/rounds/entries", {}, None),
    ("olga", "GET", "/api/rewards/payouts", {"ids": "$payout"}, None),
    ("olga", "GET", "/api/rewards/payouts/asked", {}, None),
    ("olga", "POST", "/api/rewards/{reward_id}/release", {}, REASON),
    ("olga", "POST", "/api/rewards/{reward_id}/reject", {}, REASON),
    ("player", "POST", "/api/claims/{reward_id}", {}, None),
    ("player", "GET", "/api/claims", {}, None),
    ("olga", "GET", "/api/claims", {"state": "held"}, None),
    ("player", "GET", "/api/claims/{reward_id}", {}, None),
    ("olga", "GET", "/api/claims/{reward_id}", {}, None),
    ("olga", "POST", "/api/claims/{reward_id}/release", {}, REASON),
    ("olga", "POST", "/api/claims/{reward_id}/reject", {}, REASON),
    ("olga", "GET", "/api/receivables", {}, None),
    ("apo", "POST", "/api/receivables/{receivable_id}/write-off", {}, REASON),
    ("ada", "PUT", "/api/players/{player}", {}, {"kyc_state": "verified", "device": "one"}),
    ("ada", "GET", "/api/players/{player}", {}, None),
    ("ada", "POST", "/api/funding-accounts", {}, {"name": "marketing", "asset": "USDC"}),
    ("ada", "POST", "/api/funding-accounts/{name}/fund", {}, {"amount": "90.00", "reference": "wire"}),
    ("ada", "POST", "/api/funding-accounts/{name}/withdraw", {}, {"amount": "1.00", **REASON}),
    ("ada", "GET", "/api/funding-accounts", {}, None),
    ("ada", "GET", "/api/funding-accounts/{name}", {}, None),
    ("olga", "GET", "/api/fees", {}, None),
    (
        "ada",
        "POST",
        "/api/fee-withdrawals",
        {},
        {"source": "platform", "asset": "USDC", "amount": "0.10", "reference": "wire"},
    ),
    ("apo", "POST", "/api/fee-withdrawals/{withdrawal_id}/approve", {}, None),
    ("apo", "POST", "/api/fee-withdrawals/{withdrawal_id}/reject", {}, REASON),
    ("olga", "GET", "/api/fee-withdrawals", {}, None),
    ("olga", "GET", "/api/fee-withdrawals/{withdrawal_id}", {}, None),
    (
        "ada",
        "POST",
        "/api/admin/payee-assignments",
        {},
        {"player": "kim", "payee": "gerd", "until": "2999-01-01T00:00:00Z", **REASON},
    ),
    ("bea", "POST", "/api/admin/payee-assignments/{assignment_id}/confirm", {}, None),
    ("bea", "POST", "/api/admin/payee-assignments/{assignment_id}/end", {}, REASON),
    ("olga", "GET", "/api/admin/payee-assignments", {}, None),
    ("olga", "GET", "/api/admin/payee-assignments/{assignment_id}", {}, None),
    ("ada", "POST", "/api/round-disownments", {}, {"round_id": "$forged", **REASON}),
    ("bea", "POST", "/api/round-disownments/{disownment_id}/approve", {}, None),
    ("bea", "POST", "/api/round-disownments/{disownment_id}/reject", {}, REASON),
    ("olga", "GET", "/api/round-disownments", {}, None),
    ("olga", "GET", "/api/round-disownments/{disownment_id}", {}, None),
    (
        "olga",
        "POST",
        "/api/payouts/create",
        {},
        {"funding_account": "marketing", "amount": "5.00", "destination": DESTINATION, **REASON},
    ),
    ("olga", "POST", "/api/payouts/create/{payout_id}/cancel", {}, REASON),
    (
        "olga",
        "POST",
        "/api/payouts/batches",
        {},
        {
            "funding_account": "marketing",
            "lines": [{"reference": "line 1", "amount": "5.00", "destination": DESTINATION}],
            **REASON,
        },
    ),
    ("olga", "GET", "/api/payouts/batches", {}, None),
    ("olga", "GET", "/api/payouts/batches/{batch_id}", {}, None),
    (
        "ada",
        "POST",
        "/api/imports/balances",
        {},
        {
            "rows": [
                {"player": "new", "asset": asset, "bucket": "topup", "amount": "1.00", "reference": "before"}
                for asset in ("USDC", "NONE")
            ]
        },
    ),
]
"""Every route that answers JSON, in an order in which each has something to return."""


async def things(rig: Rig) -> dict[str, dict[str, Any]]:
    """The values of path parameters, by name, and by the route's end where one name has several meanings."""
    named, _ = await scene(rig)
    player, other = named["player"], named["other"]
    reviewed = Match(
        await rig.campaign(
            funded=10_000,
            delivery=Delivery.CLAIM,
            settings=CampaignSettings(risk=RiskThresholds(amount=1)),
        ),
        [(player, "2.00"), (other, "2.00")],
    )
    capped = Match(
        await rig.campaign(funded=10_000, settings=CampaignSettings(caps=Caps(per_player=100))),
        [(player, "2.00"), (other, "2.00")],
    )
    await rig.settle(reviewed, capped)
    to_enter = Match(await rig.campaign(funded=10_000), [(player, "1.00")])
    await rig.feed(rig.settlements, opened(to_enter))
    async with rig.client(player) as client:
        body = {"asset": "USDC", "amount": "2.00"}
        headers = {"Idempotency-Key": uuid4().hex}
        paid = (await client.post("/api/wallet/payout-request", json=body, headers=headers)).json()
    await rig.feed(rig.payouts, paid_event(paid["payout_id"], player=player, amount="2.00"))
    async with rig.client(other) as client:
        await client.post(
            f"/api/claims/{reviewed.reward_id(other)}", headers={"Idempotency-Key": uuid4().hex}
        )
    debt = await rig.owe("cam", 500)
    await rig.settle(Match(await rig.campaign(funded=10_000), [(player, "1.00")], platform="1.00"))
    filed = []
    async with rig.client("ada", "admin") as client:
        body = {"source": "platform", "asset": "USDC", "amount": "0.10"}
        for number in range(2):
            headers = {"Idempotency-Key": uuid4().hex}
            withdrawal = {**body, "reference": f"wire {number}"}
            made = await client.post("/api/fee-withdrawals", json=withdrawal, headers=headers)
            filed.append(made.json()["withdrawal_id"])
        file = {"lines": [{"reference": "a", "amount": "1.00", "destination": DESTINATION}], **REASON}
        for path, sent in (
            ("/api/funding-accounts", {"name": "casters", "asset": "USDC"}),
            ("/api/funding-accounts/casters/fund", {"amount": "9.00", "reference": "wire"}),
            ("/api/payouts/batches", {"funding_account": "casters", **file}),
        ):
            made = await client.post(path, json=sent, headers={"Idempotency-Key": uuid4().hex})
        batch_id, of_batch = made.json()["batch_id"], made.json()["lines"][0]["payout_id"]
        assigned = []
        for ward in ("lea", "lou"):
            made = await client.post(
                "/api/admin/payee-assignments",
                json={"player": ward, "payee": "gina", **REASON},
                headers={"Idempotency-Key": uuid4().hex},
            )
            assigned.append(made.json()["assignment_id"])
        forged = [Match(await rig.campaign(funded=10_000), [(player, "1.00")]) for _ in range(3)]
        await rig.settle(*forged)
        disowned = []
        for one in forged[1:]:
            made = await client.post(
                "/api/round-disownments",
                json={"round_id": str(one.round_id), **REASON},
                headers={"Idempotency-Key": uuid4().hex},
            )
            disowned.append(made.json()["disownment_id"])
    values = {
        "campaign_id": named["campaign"],
        "payout_id": named["payout"],
        "payout": str(named["payout"]),
        "transfer_id": named["transfer"],
        "receivable_id": debt.id,
        "withdrawal_id": filed[0],
        "disownment_id": disowned[0],
        "assignment_id": assigned[0],
        "forged": str(forged[0].round_id),
        "asset": "USDC",
        "name": "marketing",
        "batch_id": batch_id,
        "player": player,
        "reward_id": reviewed.reward_id(player),
        "entered": str(to_enter.round_id),
        "round": str(reviewed.round_id),
    }
    return {
        "": values,
        "POST /api/rewards/{reward_id}/release": {"reward_id": capped.reward_id(player)},
        "POST /api/rewards/{reward_id}/reject": {"reward_id": capped.reward_id(other)},
        "POST /api/fee-withdrawals/{withdrawal_id}/reject": {"withdrawal_id": filed[1]},
        "POST /api/admin/payee-assignments/{assignment_id}/end": {"assignment_id": assigned[1]},
        "POST /api/round-disownments/{disownment_id}/reject": {"disownment_id": disowned[1]},
        "POST /api/payouts/create/{payout_id}/cancel": {"payout_id": of_batch},
        "POST /api/claims/{reward_id}/reject": {"reward_id": reviewed.reward_id(other)},
    }


async def test_the_document_is_valid_and_shows_every_body(rig: Rig) -> None:
    """The document is served without a token, at /schema and through the gateway, and is the same."""
    async with rig.client() as anonymous:
        document = (await anonymous.get("/schema")).json()
        assert (await anonymous.get("/api/services/rewards/schema")).json() == document
    assert faults_of(document) == []
    assert document["info"]["title"] == "Prizewire rewards"


async def test_the_document_warns_of_what_surprises(rig: Rig) -> None:
    """An entry that is refused over HTTP may be charged by an event, and decisions here are POST, those of payouts PUT."""
    async with rig.client() as anonymous:
        paths = (await anonymous.get("/schema")).json()["paths"]
    entering = paths["/api/wallet/entries"]["post"]["description"]
    assert "the fee is still charged if the game server reports" in entering
    for filed in ("/api/fee-withdrawals/{withdrawal_id}", "/api/round-disownments/{disownment_id}"):
        assert "`PUT`: `/api/admin/payouts/{id}/approve`" in paths[f"{filed}/approve"]["post"]["description"]


async def test_every_answer_is_shown_by_example(rig: Rig) -> None:
    """Every route that answers JSON has an example."""
    async with rig.client() as anonymous:
        document = (await anonymous.get("/schema")).json()
    found = list(shown(document))
    assert {route for route, _, _ in found} == {f"{method} {path}" for _, method, path, _, _ in CALLS}
    assert [f"{route}: {status}" for route, status, examples in found if not examples] == []


async def test_every_route_answers_as_documented(rig: Rig) -> None:
    """Every route is called, and answers with the status and the members of the document."""
    named = await things(rig)
    faults = []
    async with AsyncExitStack() as stack:
        clients: dict[str, httpx.AsyncClient] = {
            "player": await stack.enter_async_context(rig.client(named[""]["player"]))
        }
        for name, roles in PEOPLE.items():
            clients[name] = await stack.enter_async_context(rig.client(name, *roles))
        for who, method, path, query, body in CALLS:
            values = {**named[""], **named.get(f"{method} {path}", {})}
            params = {key: values.get(value.removeprefix("$"), value) for key, value in query.items()}
            sent = body
            if body is not None and str(body.get("round_id", "")).startswith("$"):
                sent = {**body, "round_id": values[body["round_id"].removeprefix("$")]}
            real = await clients[who].request(
                method,
                path.format(**values),
                params=params,
                json=sent,
                headers={"Idempotency-Key": uuid4().hex},
            )
            if not real.is_success:
                faults.append(f"{who} {method} {path}: {real.status_code} {real.text}")
    assert not faults, "\n".join(faults)
