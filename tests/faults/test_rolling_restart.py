"""Two replicas of every service are restarted one after the other while everything is in use: nothing is lost or doubled, and
no client sees an error.
"""

import json
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import httpx
import pytest

from prizewire_devstack.cli.status import parts
from prizewire_devstack.home import Home
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import Stack, StackOptions
from prizewire_devstack.stack.replicas import part_of
from prizewire_devstack.waiting import eventually_sync
from tests.load import Load
from tests.published import published, stored

REPLICAS = 2
READY = "/health/ready"
LATE_REQUESTS = 3
"""Requests to a process that stops, each on a new connection."""
DRAIN_S = 3.0
"""Longer than a busy machine needs to show a load balancer that a process stops."""
DEADLINE_S = 600


@pytest.fixture(scope="module")
def replicas() -> Iterator[Stack]:
    drain = {service: {"HTTP_DRAIN_S": str(DRAIN_S)} for service in SERVICES}
    options = StackOptions(replicas=REPLICAS, extra_environment=drain)
    with (
        TemporaryDirectory(prefix="prizewire-replicas-", ignore_cleanup_errors=True) as directory,
        Stack(home=Home(root=Path(directory)), options=options) as stack,
    ):
        yield stack


def stop(stack: Stack, part: str) -> None:
    """Stop a process as Kubernetes does. A load balancer sees on the connection that it keeps that the process is not ready, and
    that the answer closes the connection.
    """
    with httpx.Client(base_url=stack.service_url(part), trust_env=False, timeout=600) as balancer:
        assert balancer.get(READY).status_code == 200
        stopping = Thread(target=stack.supervisor.stop, args=(part,))
        stopping.start()
        answers: list[httpx.Response] = []

        def seen() -> bool:
            answers.append(balancer.get(READY))
            return answers[-1].status_code == 503

        try:
            eventually_sync(seen, deadline_s=DEADLINE_S, poll_s=0.01)
            for _ in range(LATE_REQUESTS):
                assert late_status(stack, part) == 503
        finally:
            stopping.join()
        assert answers[-1].headers.get("connection") == "close"


def late_status(stack: Stack, part: str) -> int:
    """The status of an answer over a new connection, without the time that a client of httpx takes to be made."""
    connection = HTTPConnection(LOOPBACK, stack.ports[part], timeout=600)
    try:
        connection.request("GET", READY)
        return connection.getresponse().status
    finally:
        connection.close()


def tracebacks(stack: Stack) -> list[str]:
    """The log lines of all services with an exception or of level ERROR."""
    found: list[str] = []
    for part in processes():
        for line in stack.supervisor.log_file(part).read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                found.append(f"{part}: {line}")
                continue
            if "exception" in entry or entry.get("level", "").lower() in {"error", "critical"}:
                found.append(f"{part}: {line}")
    return found


def processes() -> list[str]:
    return [part_of(service, number) for number in range(1, REPLICAS + 1) for service in SERVICES]


@pytest.mark.replicas
@pytest.mark.local_processes
@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=pytest.mark.large)])
def test_a_rolling_restart_loses_and_doubles_nothing(replicas: Stack, rounds: int) -> None:
    """Each process gets SIGTERM, ends by itself with code 0, is started again, and is ready before the next one."""
    stack = replicas
    states = {one["part"]: one["state"] for one in parts(stack.home.running())}
    assert {part: states[part] for part in processes()} == dict.fromkeys(processes(), "ready")
    load = Load(stack, f"roll{rounds}")
    load.set_up()
    with load.running():
        for _ in range(rounds):
            for part in processes():
                load.wait_for_progress()
                stop(stack, part)
                assert stack.supervisor.exit_code(part) == 0, part
                stack.restart(part)
        load.wait_for_progress()
    assert load.errors == []
    load.settle(deadline_s=DEADLINE_S)
    load.check()
    eventually_sync(lambda: stored(stack).waiting == 0, deadline_s=DEADLINE_S)
    kept, sent = stored(stack), published(stack)
    assert Counter(sent.ids) == Counter(kept.ids)
    assert max(Counter(sent.versions).values()) == 1
    for service in SERVICES:
        stuck = "SELECT reason, subject FROM stuck_events WHERE state IN ('dead', 'parked')"
        assert stack.postgres.run_sql(stuck, database=service) == "", service
    assert tracebacks(stack) == []
