"""Rewards' OpenAPI document."""

from services.rewards.tests.rig import Rig
from tests.openapi import faults_of


async def test_the_document_is_valid_and_shows_every_body(rig: Rig) -> None:
    """It is served at /schema without a token, and to operators through the gateway; both are the same."""
    async with rig.client() as nobody:
        document = (await nobody.get("/schema")).json()
    async with rig.client("olga", "operator") as olga:
        assert (await olga.get("/api/services/rewards/schema")).json() == document
    assert faults_of(document) == []
    assert document["info"]["title"] == "Prizewire rewards"
