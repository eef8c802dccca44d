"""Calls of payouts over HTTP, for tests."""

from typing import Any
from uuid import UUID

import httpx

from prizewire_chassis.testing import make_token
from prizewire_payouts.methods.domain import Method
from services.payouts.tests.rig import ADDRESS, Rig

Client = httpx.AsyncClient


def as_(subject: str, *roles: str, key: str | None = None) -> dict[str, str]:
    token = make_token(subject=subject, roles=roles or ("player",))
    return {"authorization": f"Bearer {token}", **({"idempotency-key": key} if key else {})}


async def create(client: Client, player: str = "ana", key: str | None = None, **body: Any) -> Any:
    given = {"type": "stellar", "details": {"address": ADDRESS}, **body}
    return await client.post("/api/payout-methods", json=given, headers=as_(player, key=key))


async def stored(rig: Rig, method_id: str) -> Method:
    key = UUID(method_id)
    return (await rig.run(lambda storages: storages.methods.find([key])))[key]


async def pages(client: Client, path: str, headers: dict[str, str], **params: str) -> list[str]:
    """The ids of all payouts of a list, page by page."""
    seen: list[str] = []
    cursor: str | None = None
    while True:
        wanted = {**params, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(path, params=wanted, headers=headers)).json()
        seen += [item["payout_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return seen
