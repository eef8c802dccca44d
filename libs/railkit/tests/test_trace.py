"""A rail's request carries the trace of the payout that it is about."""

import httpx

from prizewire_contracts.traces import carrying_trace
from prizewire_railkit import RailClient

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_request_carries_the_trace_of_the_running_work():
    """Outside such work it carries none."""
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("traceparent"))
        return httpx.Response(200, json={})

    transport = httpx.MockTransport(answer)
    async with RailClient(
        base_url="http://rail.invalid", headers={}, timeout_s=1, transport=transport
    ) as client:
        await client.call("GET", "/one")
        with carrying_trace(TRACE):
            await client.call("GET", "/two")
    assert seen == [None, TRACE]
