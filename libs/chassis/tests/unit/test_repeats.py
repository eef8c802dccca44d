"""Repeated lines of libraries: few are written, none is lost from the sums, and ours all pass."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_chassis.logging import configure, get_logger
from prizewire_chassis.repeats import KINDS_MAX, WINDOW_S, Repeats, SummingHandler
from prizewire_devstack.waiting import eventually_sync

LIBRARY = "aiokafka.client"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def record(
    text: str, *arguments: object, name: str = LIBRARY, level: int = logging.ERROR
) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, text, arguments, None)


def stands_for(lines: list[logging.LogRecord]) -> int:
    """How many lines the written ones are the sum of."""
    return sum(1 + getattr(line, "repeated", 0) for line in lines)


def test_of_a_flood_few_lines_are_written_and_all_are_summed() -> None:
    """Ten minutes at 200 lines a second of three kinds make as many lines as the windows allow."""
    repeats, written, now_s, sent = Repeats(), [], 0.0, 0
    kinds = ("Unable connect to node %s: %s", "Failed fetch from node %s (%s)", "Heartbeat to %s failed: %s")
    for step in range(120_000):
        now_s = step / 200
        passed = repeats.take(record(kinds[step % 3], step, "refused"), now_s=now_s)
        written += [passed] if passed else []
        sent += 1
    assert {line.msg for line in written[:3]} == set(kinds)
    assert len(written) <= 3 * (now_s / WINDOW_S + 1)
    written += repeats.due(now_s=None)
    assert stands_for(written) == sent
    assert not repeats.holding


def test_the_last_sum_of_a_flood_is_written_when_it_is_due() -> None:
    """The last sum does not wait for another line of its kind."""
    repeats = Repeats()
    assert repeats.take(record("away"), now_s=0) is not None
    for _ in range(5):
        assert repeats.take(record("away"), now_s=1) is None
    assert repeats.due(now_s=WINDOW_S / 2) == []
    [line] = repeats.due(now_s=WINDOW_S)
    assert (line.getMessage(), getattr(line, "repeated", None)) == ("away", 4)
    assert repeats.due(now_s=10 * WINDOW_S) == []


def test_kinds_differ_by_logger_level_text_and_exception_and_not_by_numbers() -> None:
    """What a library formatted by itself is one kind, whatever node or offset it names."""

    def with_error(error: type[Exception]) -> logging.LogRecord:
        made = record("failed")
        made.exc_info = (error, error(), None)
        return made

    lines = [
        record("node 1 is away"),
        record("node 1 is away", level=logging.WARNING),
        record("node 1 is away", name="aiokafka.cluster"),
        record("node 1 is late"),
        with_error(OSError),
        with_error(ValueError),
    ]
    repeats = Repeats()
    assert [repeats.take(line, now_s=0) for line in lines] == lines
    assert repeats.take(record("node 22 is away"), now_s=0) is None


def test_texts_that_are_all_different_are_bounded_too() -> None:
    """Beyond the largest number of kinds, the lines of a logger and level are one."""
    repeats = Repeats()
    words = [f"{chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(5000)]
    written = [line for word in words if (line := repeats.take(record(word), now_s=0)) is not None]
    assert len(written) == KINDS_MAX + 1
    assert stands_for([*written, *repeats.due(now_s=None)]) == len(words)


@pytest.mark.parametrize(
    "line",
    [
        lambda: record("ours", name="prizewire_rewards.jobs"),
        lambda: record("a detail", level=logging.DEBUG),
    ],
    ids=["ours", "debug"],
)
def test_our_own_lines_and_details_all_pass(line: Callable[[], logging.LogRecord]) -> None:
    """We do not repeat ourselves without saying something; who wants details gets all."""
    repeats = Repeats()
    assert all(repeats.take(line(), now_s=0) is not None for _ in range(100))


def test_threads_lose_no_line() -> None:
    """Eight threads log at once; what is written sums up to all of it."""
    out = io.StringIO()
    handler = SummingHandler(out, repeats=Repeats())
    handler.setFormatter(logging.Formatter("%(message)s %(repeated)s", defaults={"repeated": 0}))
    threads = [
        threading.Thread(target=lambda: [handler.handle(record("away")) for _ in range(500)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert sum(1 + int(line.split()[1]) for line in lines) == 4000


def test_a_sum_comes_without_another_line() -> None:
    """A thread of the handler's own writes what became due."""
    out, clock = io.StringIO(), Clock()
    handler = SummingHandler(out, repeats=Repeats(), every_s=0.01, clock=clock)
    for _ in range(3):
        handler.handle(record("away"))
    clock.now_s += WINDOW_S
    eventually_sync(lambda: out.getvalue().count("away") == 2)
    handler.close()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Logging as a service has it, into a text."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    configure(service="test", level="INFO")
    return out


def test_a_line_has_no_values_of_rows(configured: io.StringIO) -> None:
    """PostgreSQL says which row a constraint refuses; the row may have personal details."""
    refused = asyncpg.CheckViolationError("new row violates check constraint")
    refused.detail = "Failing row contains (1, IBAN DE89,\n second line)."
    try:
        try:
            raise refused
        except asyncpg.CheckViolationError as error:
            raise DBAPIError("INSERT INTO methods", {}, Exception(f"{type(error)}: {error}")) from error
    except DBAPIError as error:
        get_logger("prizewire_test").exception("batch failed", error=repr(error))
        logging.getLogger("library").warning("failed: %s", refused)
    written = configured.getvalue()
    assert "IBAN" not in written
    assert "second line" not in written
    assert written.count("new row violates check constraint") >= 2
    assert "INSERT INTO methods" in written


def test_a_service_writes_sums_as_json(configured: io.StringIO) -> None:
    """As logging is set up: a library's flood is two lines, FastStream's too; ours are all there."""
    for _ in range(1000):
        logging.getLogger("aiokafka.consumer.fetcher").error("Failed fetch from %s", 1)
        logging.getLogger("prizewire_chassis.faststream").error("Something failed")
        get_logger("prizewire_test").warning("ours")
    logging.getLogger().handlers[0].close()
    lines = [json.loads(line) for line in configured.getvalue().splitlines()]
    written = [(line["message"], line.get("repeated")) for line in lines if line["message"] != "ours"]
    assert sorted(written, key=str) == [
        ("Failed fetch from 1", 998),
        ("Failed fetch from 1", None),
        ("Something failed", 998),
        ("Something failed", None),
    ]
    assert len(lines) - len(written) == 1000
