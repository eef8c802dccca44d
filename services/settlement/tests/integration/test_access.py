"""Every route with every kind of caller, by the table in ``access.yaml``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from services.settlement.tests.service import Service, competition_body, match_event, subject_of
from tests.access import CALLERS, Answer, walk
from tests.hostile import send_with, try_everything

TABLE = yaml.safe_load((Path(__file__).parents[1] / "access.yaml").read_text())


async def test_every_route_answers_every_caller_as_the_table_says(service: Service) -> None:
    """Every route is in the table, and every caller gets the status of the table."""
    await service.take(match_event("completed"), b"{")
    things = {
        "competition": "cup",
        "competition_body": competition_body(),
        "new_competition": competition_body(id="another-cup"),
        "round": subject_of("m1"),
        "correlation": "corr-m1",
        "stuck": (await service.rows("SELECT id FROM stuck_events"))[0].id,
    }

    async def call(
        caller: str, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> Answer:
        token = {} if caller == "nobody" else service.as_(*CALLERS[caller], subject=f"{caller}-of-the-table")
        return await service.client.request(
            method, path, params=query, json=body, headers={**headers, **token}
        )

    document = (await service.client.get("/schema/openapi.json")).json()
    assert await walk(document=document, table=TABLE, things=things, call=call, secrets={}) == []


async def test_hostile_requests_are_refused_with_a_code(service: Service) -> None:
    """Hostile values in every part of a request to every route never cause a 500."""
    document = (await service.client.get("/schema/openapi.json")).json()
    send = send_with(service.client, lambda subject: service.as_("admin", subject=subject))
    assert await try_everything(document=document, send=send) == []
