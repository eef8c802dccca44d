"""Restarts of parts that ended, and of parts that `prizewire restart` names."""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prizewire_devstack.cli.watching import Watcher
from prizewire_devstack.components.processes import ProcessSpec, Supervisor
from prizewire_devstack.errors import DevstackError, NotRunningError, StartError
from prizewire_devstack.home import Home, RunRecord, record_of
from prizewire_devstack.stack import control
from prizewire_devstack.stack.control import Requests, ask_restart
from prizewire_devstack.stack.keeping import PAUSE_S_MAX, STEADY_S, Keeper
from prizewire_devstack.waiting import eventually_sync

PART = "import time; print('up', flush=True); time.sleep(600)"


class Running:
    """Two real parts, a manual clock, and the watcher of `prizewire up`."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.supervisor = Supervisor()
        self.said: list[str] = []
        self.now_s = 0.0
        self.room = self.ready = True
        self.broken = False
        self.requests = Requests(home)
        for name in ("rewards", "kafka"):
            self.supervisor.start(
                ProcessSpec(
                    name=name,
                    argv=(sys.executable, "-c", PART),
                    environment={},
                    log_file=home.logs / f"{name}.log",
                    directory=home.root,
                )
            )
        self.keeper = Keeper(
            stack=self,
            requests=self.requests,
            say=self.said.append,
            may_start=lambda: self.room,
            clock=lambda: self.now_s,
        )
        self.watcher = Watcher(
            supervisor=self.supervisor, directory=home.root, say=self.said.append, ended=self.keeper.ended
        )

    def start_again(self, part: str) -> None:
        if self.broken:
            raise StartError("its program is gone.")
        self.supervisor.restart(part)

    def stop(self, part: str) -> None:
        self.supervisor.stop(part)

    def is_ready(self, part: str) -> bool:
        return self.ready and self.supervisor.is_running(part)

    def look(self) -> None:
        self.watcher.look()
        self.keeper.look()

    def kill(self, part: str) -> None:
        """The part ends without a command of the stack."""
        os.kill(self.supervisor.pid(part), signal.SIGKILL)
        eventually_sync(lambda: part in self.supervisor.ended_unexpectedly())


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Running]:
    home = Home(root=tmp_path)
    home.create()
    home.write_run(RunRecord(supervisor=record_of(os.getpid()), ports={}, urls={}, ready=True))
    made = Running(home)
    with made.requests.opened():
        yield made
    made.supervisor.stop_all()


def test_a_part_that_ended_is_started_again_after_a_pause(stack: Running) -> None:
    """The output reports the end, the restart and the readiness."""
    before = stack.supervisor.pid("rewards")
    stack.kill("rewards")
    stack.look()
    stack.look()
    assert not stack.supervisor.is_running("rewards")
    [death] = stack.said
    assert death.startswith("rewards ended unexpectedly (killed by SIGKILL). Its log: ")
    assert death.endswith("It is started again in 1 s.")
    stack.now_s = 1
    stack.look()
    assert stack.supervisor.is_running("rewards")
    assert stack.supervisor.pid("rewards") != before
    stack.look()
    stack.look()
    assert stack.said[1:] == ["rewards was started again.", "rewards is ready again."]


def test_pauses_grow_until_the_part_stays(stack: Running) -> None:
    """A part that fails at once is restarted more and more rarely; one that ran for a while is restarted soon."""
    pauses = []

    def die() -> None:
        stack.kill("kafka")
        stack.watcher.look()
        pauses.append(float(stack.said[-1].rsplit(" in ", 1)[1].removesuffix(" s.")))
        stack.now_s += pauses[-1]
        stack.keeper.look()

    for _ in range(8):
        die()
    assert pauses == [1, 2, 4, 8, 16, 32, PAUSE_S_MAX, PAUSE_S_MAX]
    stack.now_s += STEADY_S
    die()
    assert pauses[-1] == 1


def test_a_part_that_was_stopped_on_purpose_is_not_restarted(stack: Running) -> None:
    """A part that a test stops is not restarted by the keeper."""
    stack.supervisor.kill("kafka")
    stack.supervisor.stop("rewards")
    stack.now_s = 1000
    stack.look()
    assert stack.said == []
    assert stack.supervisor.records().keys() == {"reaper"}


def test_nothing_is_started_onto_a_full_disk(stack: Running) -> None:
    """The part is started once there is free space."""
    stack.room = False
    stack.kill("rewards")
    stack.look()
    stack.now_s = 1000
    stack.look()
    assert not stack.supervisor.is_running("rewards")
    stack.room = True
    stack.look()
    assert stack.supervisor.is_running("rewards")


def test_a_part_that_cannot_be_started_is_tried_again(stack: Running) -> None:
    """Each failure is reported with its reason."""
    stack.broken = True
    stack.kill("rewards")
    stack.look()
    stack.now_s = 1
    stack.look()
    assert stack.said[-1] == (
        "rewards could not be started: its program is gone. It is started again in 2 s."
    )
    stack.broken = False
    stack.now_s = 3
    stack.look()
    assert stack.supervisor.is_running("rewards")


class Asking(threading.Thread):
    """`prizewire restart` in another terminal."""

    def __init__(self, home: Home, part: str) -> None:
        super().__init__()
        self._home, self._part = home, part
        self.answer: str | DevstackError | None = None
        self.said: list[str] = []

    def run(self) -> None:
        try:
            self.answer = ask_restart(self._home, self._part, deadline_s=600, say=self.said.append)
        except DevstackError as error:
            self.answer = error

    def ask(self) -> None:
        self.start()
        eventually_sync(lambda: any(self._home.control.glob("*.request")))

    def answered(self) -> str | DevstackError:
        self.join(60)
        assert self.answer is not None
        return self.answer


@pytest.fixture
def asking(stack: Running) -> Callable[[str], Asking]:
    def make(part: str) -> Asking:
        made = Asking(stack.home, part)
        made.ask()
        return made

    return make


def test_a_part_is_restarted_from_another_terminal(stack: Running, asking: Callable[[str], Asking]) -> None:
    """The command returns when the part is ready."""
    before = stack.supervisor.pid("kafka")
    stack.ready = False
    terminal = asking("kafka")
    stack.look()
    assert stack.supervisor.pid("kafka") != before
    assert terminal.is_alive()
    stack.ready = True
    stack.look()
    assert terminal.answered() == "kafka was restarted and is ready."
    assert stack.said == [
        "kafka is restarted on request.",
        "kafka was started again.",
        "kafka is ready again.",
    ]


def test_a_restart_says_how_far_it_is(
    stack: Running, asking: Callable[[str], Asking], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other terminal prints each step, and again and again that the part is not ready, with its log."""
    monkeypatch.setattr(control, "REMIND_S", 0.0)
    stack.ready = False
    terminal = asking("kafka")
    stack.look()
    steps = [
        "The stack is asked to restart kafka.",
        "kafka has stopped.",
        "kafka was started. Waiting until it is ready.",
    ]
    eventually_sync(lambda: [one for one in terminal.said if "not ready after" not in one] == steps)
    reminder = f"Its log: {stack.home.logs / 'kafka.log'}"
    eventually_sync(lambda: sum(one.endswith(reminder) for one in terminal.said) >= 2)
    stack.ready = True
    stack.look()
    assert terminal.answered() == "kafka was restarted and is ready."
    assert list(stack.home.control.iterdir()) == []


def test_a_part_that_waits_for_its_pause_is_started_at_once(
    stack: Running, asking: Callable[[str], Asking]
) -> None:
    """A request ends the pause."""
    stack.kill("rewards")
    stack.look()
    terminal = asking("rewards")
    stack.look()
    assert terminal.answered() == "rewards was restarted and is ready."


def test_a_failed_restart_is_reported(stack: Running, asking: Callable[[str], Asking]) -> None:
    """A part that ends while it starts, and one that does not exist."""
    unknown = asking("nothing")
    stack.look()
    assert str(unknown.answered()) == "The stack has no part 'nothing': it has kafka, rewards."
    stack.ready = False
    terminal = asking("kafka")
    stack.look()
    stack.kill("kafka")
    stack.look()
    assert str(terminal.answered()) == "kafka ended while it started: see its log."


def test_requests_are_the_owners_alone(stack: Running, asking: Callable[[str], Asking]) -> None:
    """Other users cannot restart parts or read requests."""
    terminal = asking("kafka")
    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (stack.home.control, *stack.home.control.iterdir())
    ]
    assert modes == [0o700, 0o600]
    stack.look()
    terminal.answered()


def test_a_stack_that_nobody_watches_takes_no_requests(tmp_path: Path) -> None:
    """The demonstration's stack refuses the request at once."""
    home = Home(root=tmp_path)
    home.create()
    with pytest.raises(NotRunningError, match="not running"):
        ask_restart(home, "kafka", deadline_s=600)
    home.write_run(RunRecord(supervisor=record_of(os.getpid()), ports={}, urls={}, ready=True))
    with pytest.raises(NotRunningError, match="takes no requests"):
        ask_restart(home, "kafka", deadline_s=600)
