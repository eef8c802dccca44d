"""Payouts on the fake rail whose calls take 50 ms, beside a bare loop that makes the same calls.

The rail is paused until all payouts are approved, and then resumed. The rate counts from the first attempt to the last payment, as
payouts stored them. A rail that takes ``concurrency`` calls of 50 ms at one time allows ``concurrency / 0.05`` calls a second. The
rail's journal is in memory on both sides, so that its disk is not measured.

    .venv/bin/prizewire bench payouts --payouts 1000 --concurrency 8 --runs 3
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import psutil
import yaml
from confluent_kafka import Producer

from bench.measuring import cpu_s
from bench.payout_requests import PLAYER, Method, payout_requested
from bench.stacks import bench_stack
from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction
from prizewire_contracts.topics import REWARDS
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.api import Api
from prizewire_devstack.stack import Stack
from prizewire_money import Amount, Asset
from prizewire_rail_fake import FakeProvider, Journal

CALL_S: Final = 0.05
WARM: Final = 100
"""Payouts of each side that are not measured: they fill caches and open connections."""
DEADLINE_S: Final = 600
LOOK_S: Final = 0.5
_COUNTED: Final = "SELECT count(*) >= {count} FROM payouts WHERE state = '{state}'"
_SPAN: Final = (
    "SELECT extract(epoch FROM max(at) FILTER (WHERE to_state = 'paid') - min(at) FILTER (WHERE to_state = 'submitting')) "
    "FROM payout_transitions WHERE correlation_id = '{correlation_id}'"
)


class Paid(NamedTuple):
    """One turn of payouts: calls per second, and milliseconds of processor time for each payout."""

    rate: float
    service_ms: float
    """Of payouts' process, from the resumption until the last payment is stored and published."""
    postgres_ms: float
    request_ms: float
    """Of payouts' process before that: to read the request, check it and approve the payout."""


def measure(*, payouts: int, concurrency: int, runs: int) -> dict[str, Any]:
    """Rates of both sides over ``runs``, alternating, with medians, the share of what the rail allows, and processor time."""
    allowed = concurrency / CALL_S
    bare: list[float] = []
    ours: list[Paid] = []
    with _stack(concurrency=concurrency) as stack:
        side = _Service(stack)
        asyncio.run(_bare(payouts=WARM, concurrency=concurrency))
        side.pay(WARM)
        for _ in range(runs):
            stack.postgres.run_sql("CHECKPOINT")
            bare.append(asyncio.run(_bare(payouts=payouts, concurrency=concurrency)))
            ours.append(side.pay(payouts))
        side.verify()
    median = {name: statistics.median(getattr(one, name) for one in ours) for name in Paid._fields}
    return {
        "payouts": payouts,
        "concurrency": concurrency,
        "call_ms": round(CALL_S * 1000),
        "allowed_per_s": round(allowed),
        "runs": {
            "bare": [round(rate, 1) for rate in bare],
            "ours": [{name: round(value, 2) for name, value in one._asdict().items()} for one in ours],
        },
        "share_of_allowed": round(median["rate"] / allowed, 3),
        "bare_share_of_allowed": round(statistics.median(bare) / allowed, 3),
        "ratio_to_bare": round(median["rate"] / statistics.median(bare), 3),
        "service_ms_per_payout": round(median["service_ms"], 2),
        "request_ms_per_payout": round(median["request_ms"], 2),
        "postgres_ms_per_payout": round(median["postgres_ms"], 2),
        "processors": psutil.cpu_count(),
        "load_1min": round(psutil.getloadavg()[0], 1),
    }


@contextmanager
def _stack(*, concurrency: int) -> Iterator[Stack]:
    """A stack with payouts alone, and one rail."""
    rail = {
        "name": "fake",
        "provider": "fake",
        "latency_ms": round(CALL_S * 1000),
        "concurrency": concurrency,
    }
    with tempfile.TemporaryDirectory(prefix="prizewire-rails-") as folder:
        file = Path(folder) / "rails.yaml"
        file.write_text(yaml.safe_dump({"rails": [rail]}))
        with bench_stack(services=("payouts",), settings={"payouts": {"RAILS_FILE": str(file)}}) as stack:
            yield stack


class _Service:
    """Payouts, with a method of one player."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._key = MessageKey.from_json(stack.keyring.message_key_file("rewards").read_text())
        self._producer = Producer({**stack.kafka.login("rewards").librdkafka(), "acks": "all"})
        self._paid = 0
        with self._api("player", subject=PLAYER) as api:
            made = api.post("/api/payout-methods", {"type": "fake", "details": {"account": "bench"}})
        self._method = Method(
            made["id"],
            self._sql(f"SELECT commitment FROM payout_methods WHERE method_id = '{UUID(made['id'])}'"),
        )

    def pay(self, count: int) -> Paid:
        """Have ``count`` payouts approved while the rail is paused, then resume it, and wait until all are paid."""
        correlation_id = str(uuid4())
        self._paid += count
        before = self._service_s()
        with self._api("operator", subject="bench-operator") as api:
            paused = api.post(
                "/api/admin/payouts/pauses",
                {"scope": "rail", "value": "fake", "reason": "the benchmark prepares payouts"},
                key=correlation_id,
            )
            for _ in range(count):
                value = payout_requested(method=self._method, correlation_id=correlation_id, key=self._key)
                self._producer.produce(REWARDS.name, value=value, key=correlation_id.encode())
                self._producer.poll(0)
            self._producer.flush(60)
            asyncio.run(self._wait(_COUNTED.format(state="approved", count=count)))
            asked, postgres = self._service_s(), self._postgres_s()
            api.delete(f"/api/admin/payouts/pauses/{paused['id']}")
        asyncio.run(self._wait(_COUNTED.format(state="paid", count=self._paid)))
        asyncio.run(self._wait("SELECT count(*) = 0 FROM outbox_waiting"))
        spent, served = self._service_s() - asked, self._postgres_s() - postgres
        span_s = float(self._sql(_SPAN.format(correlation_id=correlation_id)))
        return Paid(
            rate=count / span_s,
            service_ms=spent / count * 1000,
            postgres_ms=served / count * 1000,
            request_ms=(asked - before) / count * 1000,
        )

    def verify(self) -> None:
        """Every check of the service holds."""
        with self._api("operator", subject="bench-operator") as api:
            checks = api.get("/api/services/payouts/checks")["checks"]
        broken = [check["name"] for check in checks if not check["ok"]]
        assert broken == [], broken

    async def _wait(self, condition: str) -> None:
        """Look at the database until it says that a condition holds."""
        connection = await asyncpg.connect(self._stack.database("payouts").runtime)
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not await connection.fetchval(condition):  # noqa: ASYNC110 - the database wakes nobody
                    await asyncio.sleep(LOOK_S)
        finally:
            await connection.close()

    def _sql(self, query: str) -> str:
        return self._stack.postgres.run_sql(query, database="payouts").strip()

    def _api(self, *roles: str, subject: str) -> Api:
        return Api(base_url=self._stack.url, token=self._stack.token(*roles, subject=subject))

    def _service_s(self) -> float:
        return cpu_s(self._stack.supervisor.pid("payouts"))

    def _postgres_s(self) -> float:
        return cpu_s(self._stack.supervisor.pid("postgres"))


async def _bare(*, payouts: int, concurrency: int) -> float:
    """The same calls without anything around them; returns calls per second."""
    asset = Asset("EURC", 2, True)
    rail = FakeProvider(
        name="bare",
        assets=frozenset({asset.code}),
        journal=Journal(),
        latency_s=CALL_S,
        concurrency=concurrency,
    )
    waiting = [
        PayoutInstruction(
            payout_id=(payout_id := uuid4()),
            attempt_no=1,
            provider_key=provider_key(payout_id=payout_id, attempt_no=1),
            correlation_id="bare",
            amount=Amount(asset, 1_250),
            method_type="fake",
            details={"account": "bench"},
        )
        for _ in range(payouts)
    ]

    async def call() -> None:
        while waiting:
            await rail.create_payout(waiting.pop(), now=datetime.now(UTC))

    began = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(concurrency)))
    spent = time.perf_counter() - began
    assert rail.journal.effects() == payouts
    return payouts / spent
