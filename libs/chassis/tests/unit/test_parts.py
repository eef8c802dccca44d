"""Small parts: which errors pass by themselves, jobs that back off, health, paging, key files."""

import asyncio
import os
from pathlib import Path

import asyncpg
import pytest
from litestar import Litestar
from prometheus_client import REGISTRY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prizewire_chassis.db import is_transient
from prizewire_chassis.health import Health
from prizewire_chassis.http import Problem, page_limit
from prizewire_chassis.http.paging import decode_cursor, encode_cursor
from prizewire_chassis.jobs import Job, JobRunner
from prizewire_chassis.keys import UnsafeKeyFile, is_private, load_message_key
from prizewire_chassis.lifecycle import http_config
from prizewire_chassis.settings import ServiceSettings
from prizewire_devstack.waiting import eventually


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.AdminShutdownError("terminating"), True),
        (asyncpg.SerializationError("could not serialize"), True),
        (asyncpg.DeadlockDetectedError("deadlock"), True),
        (asyncpg.TooManyConnectionsError("too many"), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (PoolTimeout("no connection of the pool became free"), True),
        (DBAPIError("x", {}, asyncpg.ConnectionDoesNotExistError("gone"), connection_invalidated=True), True),
        (DBAPIError("x", {}, asyncpg.InternalClientError("state"), connection_invalidated=True), True),
        (asyncpg.InternalClientError("state"), False),
        (asyncpg.UniqueViolationError("duplicate"), False),
        (asyncpg.CheckViolationError("negative"), False),
        (asyncpg.UndefinedTableError("missing"), False),
        (ValueError("bug"), False),
        (KeyError("bug"), False),
    ],
)
def test_transient_errors_are_recognized(error, transient):
    """Retrying is for what passes by itself; a bug or a violated constraint is not retried for ever."""
    assert is_transient(error) is transient


async def test_a_failing_job_goes_on_and_a_woken_one_runs_at_once():
    """An exception does not end a job; waking it does not wait for the interval; stop waits for the run."""
    runs: list[str] = []

    async def flaky() -> bool:
        runs.append("flaky")
        if len(runs) < 3:
            raise RuntimeError("for now")
        return False

    job = Job("flaky", 3600.0, flaky)
    runner = JobRunner([job])
    runner.start()
    await eventually(lambda: len(runs) == 3)
    job.wake()
    await eventually(lambda: len(runs) == 4)
    await runner.stop()


async def test_the_failures_of_a_job_are_counted_from_zero():
    """Prometheus sees the first failure of a job, since its counter was shown before."""

    async def run() -> bool:
        return False

    runner = JobRunner([Job("begun", 3600.0, run, first_s=3600.0)])
    assert REGISTRY.get_sample_value("prizewire_job_failures_total", {"task": "begun"}) is None
    runner.start()
    assert REGISTRY.get_sample_value("prizewire_job_failures_total", {"task": "begun"}) == 0
    await runner.stop()


async def test_a_waiting_job_runs_when_woken_and_not_at_a_stop():
    """The first run waits, unless the job is woken; a stop before that runs nothing."""
    runs: list[str] = []

    async def run() -> bool:
        runs.append("ran")
        return False

    early, late = Job("early", 3600.0, run), Job("late", 3600.0, run, first_s=3600.0)
    runner = JobRunner([late, early])
    runner.start()
    await eventually(lambda: runs == ["ran"])
    late.wake()
    await eventually(lambda: len(runs) == 2)
    await runner.stop()
    never = JobRunner([Job("never", 3600.0, run, first_s=3600.0)])
    never.start()
    await never.stop()
    assert len(runs) == 2


async def test_readiness_names_the_missing_part():
    """Not ready while starting, while a probe fails, and while stopping; ready in between."""
    health = Health()
    assert await health.failing() == {"service": "starting"}
    health.started = True
    assert await health.failing() == {}

    async def broken() -> None:
        await asyncio.sleep(0)
        raise ConnectionError

    health.add("database", broken)
    assert await health.failing() == {"database": "ConnectionError"}
    health.stopping = True
    assert await health.failing() == {"service": "stopping"}


def test_cursors_round_trip_and_foreign_ones_are_refused():
    """A cursor gives back its values; anything else is a clear error."""
    assert decode_cursor(encode_cursor(["2026", 7]), length=2) == ["2026", 7]
    assert decode_cursor(None, length=2) is None
    for foreign in ("!!", "bm9wZQ", encode_cursor([1])):
        with pytest.raises(Problem) as refused:
            decode_cursor(foreign, length=2)
        assert refused.value.code == "cursor_invalid"


@pytest.mark.parametrize("limit", [0, -1, 201])
def test_page_sizes_are_bounded(limit):
    """A page holds 1 to 200 rows."""
    with pytest.raises(Problem) as refused:
        page_limit(limit)
    assert refused.value.code == "limit_invalid"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path):
    """A private key with a loose mode stops the start, with a sentence that says what to do."""
    key = tmp_path / "key.json"
    key.write_text('{"keyid": "x", "private_key": "' + "00" * 32 + '"}')
    key.chmod(0o640)
    with pytest.raises(UnsafeKeyFile, match="chmod 600"):
        load_message_key(key)
    key.chmod(0o600)
    assert load_message_key(key).keyid == "x"
    with pytest.raises(UnsafeKeyFile, match="cannot be read"):
        load_message_key(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("owner", "mode", "private"),
    [
        ("me", 0o600, True),
        ("me", 0o400, True),
        ("me", 0o640, False),
        ("me", 0o604, False),
        ("root", 0o440, True),
        ("root", 0o640, True),
        ("root", 0o444, False),
        ("root", 0o460, False),
        ("root", 0o441, False),
    ],
)
def test_the_group_reads_a_secret_only_of_another_owner(owner: str, mode: int, private: bool):
    """A secret as Kubernetes mounts it, owned by root and read by the group of the process, is private; nothing wider is."""
    owners = {"me": 10001, "root": 0}
    file = os.stat_result((mode | 0o100000, 1, 1, 1, owners[owner], 10001, 9, 0, 0, 0))
    assert is_private(file, user=10001) is private


def test_idle_connections_outlive_those_of_a_proxy():
    """A proxy that keeps connections for ten minutes never finds one that the service is just closing."""
    settings = ServiceSettings.model_construct(http_host="127.0.0.1", http_port=0)
    assert http_config(Litestar(), settings, Health()).timeout_keep_alive > 600
