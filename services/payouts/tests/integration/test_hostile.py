"""Hostile requests to every route of payouts."""

from services.payouts.tests.http import Client, as_
from tests.hostile import send_with, try_everything


async def test_hostile_requests_are_refused_with_a_code(client: Client) -> None:
    """To every route, in every part of a request: none is a failure of the service."""
    document = (await client.get("/schema/openapi.json")).json()
    send = send_with(client, lambda subject: as_(subject, "admin", "approver"))
    assert await try_everything(document=document, send=send) == []
