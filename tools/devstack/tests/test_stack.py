"""The stack without services: kept state, cleanup, messages."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from prizewire_devstack.components.processes import ProcessSpec, answers_ok
from prizewire_devstack.errors import AlreadyRunningError, DevstackError, StartError
from prizewire_devstack.home import Home, is_alive
from prizewire_devstack.stack import Stack, StackOptions, running
from prizewire_devstack.stack.running import SilentReporter
from prizewire_devstack.waiting import eventually_sync

NO_SERVICES = StackOptions(services=())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(root=tmp_path_factory.mktemp("stack"))


def test_a_stopped_stack_starts_with_its_former_state(home: Home) -> None:
    """Ports, chain accounts and keys are kept; nothing keeps running in between."""
    with Stack(home=home, options=NO_SERVICES) as first:
        ports = first.ports
        channel = first.keyring.stellar().channels[0].public_key
        assert first.chain.exists(channel)
        record = home.running()
        with pytest.raises(AlreadyRunningError), Stack(home=home, options=NO_SERVICES):
            pass
        first.kill("stellar")
        assert not first.chain.is_ready()
        first.restart("stellar")
        assert first.chain.exists(channel)
    assert not home.run_file.exists()
    assert not any(is_alive(process) for process in record.processes.values())
    with Stack(home=home, options=NO_SERVICES) as second:
        assert second.ports == ports
        assert second.chain.exists(channel)
    with Stack(home=home, options=StackOptions(services=(), fresh=True)) as third:
        assert third.keyring.stellar().channels[0].public_key != channel
        assert not third.chain.exists(channel)


def test_state_of_another_version_stops_the_start(tmp_path: Path) -> None:
    """The start stops before it changes anything; --fresh deletes the state and starts."""
    home = Home(root=tmp_path / "state")
    (home.root / "postgres").mkdir(parents=True)
    with pytest.raises(DevstackError, match="--fresh"), Stack(home=home, options=NO_SERVICES):
        pass
    assert list((home.root / "postgres").iterdir()) == []
    assert home.read_run() is None
    with Stack(home=home, options=StackOptions(services=(), fresh=True)):
        assert home.running()


def test_a_killed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """After kill -9 of the command its parts end, and the next start finds its data."""
    code = """
import sys, time
from dataclasses import replace
from pathlib import Path
from prizewire_devstack.home import Home
from prizewire_devstack.stack import Stack, StackOptions, running
from prizewire_devstack.stack.running import SilentReporter
with Stack(home=Home(root=Path(sys.argv[1])), options=StackOptions(services=())):
    time.sleep(600)
"""
    home = Home(root=tmp_path / "state")
    command = subprocess.Popen((sys.executable, "-c", code, str(home.root)))
    eventually_sync(lambda: (run := home.read_run()) is not None and run.ready, deadline_s=600)
    run = home.running()
    assert answers_ok(f"{run.urls['gateway']}/health/ready")
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    eventually_sync(lambda: not any(is_alive(one) for one in run.processes.values()))
    with Stack(home=home, options=NO_SERVICES) as stack:
        assert stack.chain.exists(stack.keyring.stellar().treasury.public_key)


def test_a_part_that_ends_while_it_starts_cancels_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is printed while the others still run; no process starts then, and the servers are stopped last."""
    code = {
        ("rewards", "migrate"): "import pathlib, time; pathlib.Path('migrating').touch(); time.sleep(600)",
        ("payouts", "serve"): "import pathlib, time\n"
        "while not pathlib.Path('migrating').exists(): time.sleep(0.05)\n"
        "raise SystemExit('ten is no amount')",
    }
    real = Stack._spec

    def spec(stack: Stack, service: str, command: str, *, part: str | None = None) -> ProcessSpec:
        argv = (sys.executable, "-c", code.get((service, command), ""))
        return replace(real(stack, service, command, part=part), argv=argv)

    monkeypatch.setattr(Stack, "_spec", spec)
    monkeypatch.setattr(running, "_processors", lambda: 2)

    class Printed(SilentReporter):
        def failed(self, error: DevstackError) -> None:
            seen.append((str(error), stack.supervisor.is_running("rewards-migrate")))
            with pytest.raises(StartError, match="the stack stops"):
                stack.supervisor.start(spec(stack, "payouts", "migrate"))

    seen: list[tuple[str, bool]] = []
    options = StackOptions(services=("payouts", "rewards"))
    stack = Stack(home=Home(root=tmp_path / "state"), options=options, reporter=Printed())
    running_at_stop: dict[str, set[str]] = {}
    stop = stack.supervisor.stop

    def watched(part: str) -> None:
        parts = stack.supervisor.parts()
        running_at_stop.setdefault(part, {name for name in parts if stack.supervisor.is_running(name)})
        stop(part)

    monkeypatch.setattr(stack.supervisor, "stop", watched)
    with pytest.raises(StartError, match="payouts ended while it started") as failed, stack:
        pass
    assert seen == [(str(failed.value), True)]
    assert str(failed.value).endswith("ten is no amount")
    assert "rewards-migrate" in running_at_stop
    assert running_at_stop["kafka"] <= running.SERVERS
    assert running_at_stop["postgres"] == {"postgres"}
    assert stack.supervisor.records() == {}


def test_a_service_that_is_left_out_has_its_database(tmp_path: Path) -> None:
    """A service that runs by hand has its database, and other commands have its port."""
    options = StackOptions(services=(), left_out=("rewards",))
    home = Home(root=tmp_path / "state")
    with Stack(home=home, options=options) as stack:
        assert stack.postgres.run_sql("SELECT 1", database="rewards") == "1"
        run = home.running()
        assert run.left_out == ("rewards",)
        assert run.urls["rewards"] == stack.service_url("rewards")
        assert "rewards" not in run.processes
