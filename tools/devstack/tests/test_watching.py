"""Messages while the stack runs: each event once, with a full disk as the reason where it is one."""

import os
import shutil
import signal
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from prizewire_devstack import disk
from prizewire_devstack.cli.watching import Watcher
from prizewire_devstack.components.processes import ProcessSpec, Supervisor
from prizewire_devstack.waiting import eventually_sync

Usage = namedtuple("Usage", "total used free")


class Machine:
    """A part that ends with given log lines, on a disk with given free space."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.supervisor = Supervisor()
        self.said: list[str] = []
        self.free = 10 * disk.FREE_MIN_BYTES
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2 * self.free, self.free, self.free))

    def start(self, last_words: str, *, wait_for: Path) -> Watcher:
        code = (
            "import sys, time, pathlib\n"
            f"while not pathlib.Path({str(wait_for)!r}).exists(): time.sleep(0.01)\n"
            f"sys.exit({last_words!r})"
        )
        self.supervisor.start(
            ProcessSpec(
                name="kafka",
                argv=(sys.executable, "-c", code),
                environment={},
                log_file=self.directory / "kafka.log",
                directory=self.directory,
            )
        )
        return Watcher(
            supervisor=self.supervisor,
            directory=self.directory,
            say=self.said.append,
            ended=lambda part: f"And so {part}.",
        )

    def end(self, wait_for: Path) -> None:
        wait_for.touch()
        eventually_sync(lambda: self.supervisor.ended_unexpectedly() == ("kafka",))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path, monkeypatch)
    yield made
    made.supervisor.stop_all()


def test_a_disk_that_fills_up_is_reported_before_a_part_ends(machine: Machine, tmp_path: Path) -> None:
    """The warning comes once, with advice; again only after there was free space in between."""
    watcher = machine.start("", wait_for=tmp_path / "never")
    watcher.look()
    assert machine.said == []
    for free in (1, 1, 10 * disk.FREE_MIN_BYTES, 1):
        machine.free = free
        watcher.look()
    assert len(machine.said) == 2
    assert all("less than 300 MB left: free some space" in sentence for sentence in machine.said)


def test_a_part_that_ends_on_a_full_disk_says_so(machine: Machine, tmp_path: Path) -> None:
    """The message has the reason, since the log may not have been written."""
    watcher = machine.start("", wait_for=tmp_path / "now")
    machine.free = 1
    machine.end(tmp_path / "now")
    watcher.look()
    watcher.look()
    assert "kafka ended because the disk" in machine.said[0]
    assert "free some space" in machine.said[0]
    assert len(machine.said) == 2


def test_a_full_disk_is_found_in_the_log(machine: Machine, tmp_path: Path) -> None:
    """The space may be free again when the part has ended, since its files are removed."""
    watcher = machine.start(f"java.io.IOException: {os.strerror(28)}", wait_for=tmp_path / "now")
    machine.end(tmp_path / "now")
    watcher.look()
    assert "kafka ended because the disk" in machine.said[0]


def test_another_reason_is_not_taken_for_the_disk(machine: Machine, tmp_path: Path) -> None:
    """A reason of an earlier run in the log does not count either."""
    (tmp_path / "kafka.log").write_text(f"java.io.IOException: {os.strerror(28)}\n")
    watcher = machine.start("out of memory", wait_for=tmp_path / "now")
    machine.end(tmp_path / "now")
    watcher.look()
    log = tmp_path / "kafka.log"
    assert machine.said == [f"kafka ended unexpectedly (exit code 1). Its log: {log}. And so kafka."]


def test_each_death_is_said_also_of_a_part_that_was_started_again(machine: Machine, tmp_path: Path) -> None:
    """Each end is reported once, with its exit code or signal."""
    watcher = machine.start("", wait_for=tmp_path / "never")
    for _ in range(2):
        os.kill(machine.supervisor.pid("kafka"), signal.SIGKILL)
        eventually_sync(lambda: machine.supervisor.ended_unexpectedly() == ("kafka",))
        watcher.look()
        watcher.look()
        machine.supervisor.restart("kafka")
    assert len(machine.said) == 2
    assert all("killed by SIGKILL" in sentence for sentence in machine.said)
