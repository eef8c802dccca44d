"""Child processes: start, wait, stop, and no process left after the command."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from prizewire_devstack.components.processes import ProcessSpec, Supervisor, end_recorded
from prizewire_devstack.errors import StartError
from prizewire_devstack.home import is_alive, record_of
from prizewire_devstack.waiting import eventually_sync

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP


def spec(directory: Path, code: str, *, name: str = "part", stop_timeout_s: float = 5.0) -> ProcessSpec:
    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-c", code),
        environment={"ONLY": "this"},
        log_file=directory / f"{name}.log",
        directory=directory,
        stop_timeout_s=stop_timeout_s,
    )


def log_says(directory: Path, text: str, *, name: str = "part") -> bool:
    file = directory / f"{name}.log"
    return file.is_file() and text in file.read_text()


def test_a_part_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """A stop takes a limited time, whatever the part does."""
    supervisor = Supervisor()
    record = supervisor.start(spec(tmp_path, STUBBORN, stop_timeout_s=0.5))
    eventually_sync(lambda: log_says(tmp_path, "up"))
    supervisor.stop("part")
    assert not is_alive(record)
    supervisor.stop_all()


def test_a_failed_start_shows_no_line_of_an_earlier_run(tmp_path: Path) -> None:
    """The log is appended to; the error shows what this start wrote, also if it wrote nothing."""
    (tmp_path / "part.log").write_text("earlier\n")
    for code, words in (("print('now'); raise SystemExit(1)", "now"), ("raise SystemExit(1)", "(nothing)")):
        supervisor = Supervisor()
        supervisor.start(spec(tmp_path, code))
        with pytest.raises(StartError) as failed:
            supervisor.wait_until("part", lambda: False, deadline_s=600)
        assert str(failed.value).splitlines()[1:] == [words]
        with pytest.raises(StartError) as failed:
            supervisor.run_to_end(spec(tmp_path, code), timeout_s=60)
        assert str(failed.value).splitlines()[1:] == [words]
        supervisor.stop_all()


def test_a_stop_ends_a_command_that_runs_to_its_end(tmp_path: Path) -> None:
    """Its caller does not wait any longer, the command is no part any more, and nothing starts after the supervisor closed."""
    supervisor = Supervisor()
    with ThreadPoolExecutor() as pool:
        try:
            done = pool.submit(supervisor.run_to_end, spec(tmp_path, SLEEP), timeout_s=600)
            eventually_sync(lambda: log_says(tmp_path, "up"))
            supervisor.close()
            assert supervisor.is_running("part")
        finally:
            supervisor.stop_all()
        with pytest.raises(StartError, match=f"failed with code -{signal.SIGTERM:d}"):
            done.result(60)
    assert supervisor.parts() == ()
    assert supervisor.records() == {}
    for start in (supervisor.start, partial(supervisor.run_to_end, timeout_s=60)):
        with pytest.raises(StartError, match="the stack stops"):
            start(spec(tmp_path, SLEEP, name="later"))
    assert not (tmp_path / "later.log").exists()


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """It is killed where it ignores SIGTERM."""
    supervisor = Supervisor()
    with pytest.raises(StartError, match="took longer than"):
        supervisor.run_to_end(spec(tmp_path, STUBBORN, stop_timeout_s=0.1), timeout_s=0.1)
    assert supervisor.records().keys() <= {"reaper"}
    supervisor.stop_all()


def test_a_killed_part_starts_again_and_is_not_reported(tmp_path: Path) -> None:
    """A part that a test kills is not unexpected; a part that ended by itself is."""
    supervisor = Supervisor()
    first = supervisor.start(spec(tmp_path, SLEEP))
    supervisor.kill("part")
    assert not is_alive(first)
    assert supervisor.ended_unexpectedly() == ()
    second = supervisor.restart("part")
    assert second.pid != first.pid
    os.kill(second.pid, signal.SIGKILL)
    eventually_sync(lambda: supervisor.ended_unexpectedly() == ("part",))
    supervisor.stop_all()


def test_a_part_that_ends_while_it_starts_says_why(tmp_path: Path) -> None:
    """The error has the end of its log."""
    supervisor = Supervisor()
    supervisor.start(spec(tmp_path, "raise SystemExit('no such database')"))
    with pytest.raises(StartError, match="no such database"):
        supervisor.wait_until("part", lambda: False, deadline_s=10)
    supervisor.stop_all()


def test_the_wait_for_a_part_that_is_never_ready_ends(tmp_path: Path) -> None:
    """A deadline ends the wait."""
    supervisor = Supervisor()
    supervisor.start(spec(tmp_path, SLEEP))
    with pytest.raises(StartError, match="not ready within"):
        supervisor.wait_until("part", lambda: False, deadline_s=0.2)
    supervisor.stop_all()


def test_a_part_with_progress_gets_more_time(tmp_path: Path) -> None:
    """On a slow machine a growing log, or processor time, is progress; silence is none."""
    for work in ("print('.', flush=True); time.sleep(0.05)", "sum(range(20_000))"):
        code = (
            "import pathlib, time\n"
            f"there = pathlib.Path({str(tmp_path)!r}) / 'there'\n"
            "began = time.monotonic()\n"
            f"while time.monotonic() - began < 6: {work}\n"
            "there.touch()\n"
            "time.sleep(600)"
        )
        supervisor = Supervisor()
        supervisor.start(spec(tmp_path, code))
        supervisor.wait_until("part", (tmp_path / "there").exists, deadline_s=3)
        supervisor.stop_all()
        (tmp_path / "there").unlink()


def test_progress_does_not_go_on_for_ever(tmp_path: Path) -> None:
    """A part that only keeps itself busy reaches the limit."""
    supervisor = Supervisor()
    supervisor.start(spec(tmp_path, "import time\nwhile True: print('.', flush=True); time.sleep(0.01)"))
    with pytest.raises(StartError, match="not ready within"):
        supervisor.wait_until("part", lambda: False, deadline_s=600, limit_s=1)
    supervisor.stop_all()


def test_a_child_sees_only_the_environment_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of the command configures no service."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere.else/production")
    supervisor = Supervisor()
    supervisor.start(spec(tmp_path, "import os; print(sorted(os.environ), flush=True)"))
    eventually_sync(lambda: log_says(tmp_path, "ONLY"))
    assert not log_says(tmp_path, "DATABASE_URL")
    supervisor.stop_all()


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    """Kill -9 of `prizewire up` leaves no broker behind."""
    code = f"""
import sys, time
from pathlib import Path
from prizewire_devstack.components.processes import ProcessSpec, Supervisor
here = Path({str(tmp_path)!r})
record = Supervisor().start(ProcessSpec(name="part", argv=(sys.executable, "-c", {SLEEP!r}), environment={{}},
    log_file=here / "part.log", directory=here))
print(record.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen((sys.executable, "-c", code), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    eventually_sync(lambda: log_says(tmp_path, "up"))
    parent.kill()
    parent.wait()
    child.wait(10)


def test_processes_of_a_killed_run_are_ended_by_its_record(tmp_path: Path) -> None:
    """The next start cleans up even where the reaper was killed as well; a reused pid is left alone."""
    left = subprocess.Popen((sys.executable, "-c", SLEEP), stdout=subprocess.DEVNULL)
    record = record_of(left.pid)
    other = record_of(os.getpid())
    namesake = type(other)(pid=other.pid, started_at_s=other.started_at_s - 3600)
    assert end_recorded({"kafka": record, "postgres": namesake}) == ("kafka",)
    assert not is_alive(record)
    assert is_alive(other)
