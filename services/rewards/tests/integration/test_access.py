"""Every route with every kind of caller, by the table in ``access.yaml``."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from prizewire_chassis.testing import make_token
from prizewire_rewards.campaigns.domain.model import Delivery
from services.rewards.tests.rig import Match, Rig, method_event
from tests.access import CALLERS, Answer, walk
from tests.hostile import send_with, try_everything

TABLE = yaml.safe_load((Path(__file__).parents[1] / "access.yaml").read_text())
PLAYER, OTHER = "ann-of-the-table", "bob-of-the-table"
SUBJECTS = {"player": PLAYER, "other": OTHER}


async def scene(rig: Rig) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The data that the table names, and what each of two players must not see."""
    campaign = await rig.campaign(funded=100_000)
    match = Match(campaign, [(PLAYER, "60.00"), (OTHER, "40.00")])
    await rig.settle(match)
    to_claim = Match(await rig.campaign(funded=10_000, delivery=Delivery.CLAIM), [(PLAYER, "1.00")])
    await rig.settle(to_claim)
    await rig.feed(rig.payouts, method_event(PLAYER))
    await rig.feed(rig.settlements, b"{")
    async with rig.client(PLAYER) as client:
        body = {"asset": "USDC", "amount": "5.00"}
        headers = {"Idempotency-Key": uuid4().hex}
        payout = (await client.post("/api/wallet/payout-request", json=body, headers=headers)).json()
    transfers = {
        row["player"]: str(row["transfer_id"])
        for row in await rig.rows(
            "SELECT player, transfer_id FROM rewards WHERE round_id = :round", round=match.round_id
        )
    }
    [stuck] = await rig.rows("SELECT id FROM stuck_events")
    things = {
        "player": PLAYER,
        "other": OTHER,
        "campaign": campaign,
        "payout": payout["payout_id"],
        "claim": to_claim.reward_id(PLAYER),
        "transfer": transfers[PLAYER],
        "correlation": match.correlation_id,
        "stuck": stuck["id"],
    }
    secrets = {
        "player": [OTHER, transfers[OTHER], str(match.reward_id(OTHER))],
        "other": [PLAYER, transfers[PLAYER], str(match.reward_id(PLAYER)), payout["payout_id"]],
    }
    return things, secrets


async def test_every_route_answers_every_caller_as_the_table_says(rig: Rig) -> None:
    """Each route is in the table, no caller gets more than it allows, and no player sees another player's data."""
    things, secrets = await scene(rig)

    async with AsyncExitStack() as stack:
        clients = {
            caller: await stack.enter_async_context(
                rig.client(
                    None if caller == "nobody" else SUBJECTS.get(caller, f"{caller}-of-the-table"), *roles
                )
            )
            for caller, roles in CALLERS.items()
        }

        async def call(
            caller: str,
            method: str,
            path: str,
            query: Mapping[str, str],
            body: Any,
            headers: Mapping[str, str],
        ) -> Answer:
            return await clients[caller].request(method, path, params=query, json=body, headers=headers)

        document = (await clients["nobody"].get("/schema/openapi.json")).json()
        assert await walk(document=document, table=TABLE, things=things, call=call, secrets=secrets) == []


async def test_hostile_requests_are_refused_with_a_code(rig: Rig) -> None:
    """Hostile values in every part of a request to every route cause no failure of the service."""

    def token(subject: str) -> dict[str, str]:
        return {"authorization": f"Bearer {make_token(subject=subject, roles=['admin'])}"}

    async with rig.client() as client:
        document = (await client.get("/schema/openapi.json")).json()
        assert await try_everything(document=document, send=send_with(client, token)) == []
