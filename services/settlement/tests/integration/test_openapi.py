"""Settlement's OpenAPI document."""

from services.settlement.tests.integration.conftest import Service
from tests.openapi import faults_of


async def test_the_document_is_valid_and_shows_every_body(service: Service) -> None:
    """It is served at /schema without a token, and to operators through the gateway; both are the same."""
    document = (await service.client.get("/schema")).json()
    told = await service.client.get("/api/services/settlement/schema", headers=service.as_("operator"))
    assert told.json() == document
    assert faults_of(document) == []
    assert document["info"]["title"] == "Prizewire settlement"
