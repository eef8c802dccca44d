"""The stack without services: kept state, cleanup, messages."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prizewire_devstack.components.processes import answers_ok
from prizewire_devstack.errors import AlreadyRunningError, DevstackError
from prizewire_devstack.home import Home, is_alive
from prizewire_devstack.stack import Stack, StackOptions
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
from pathlib import Path
from prizewire_devstack.home import Home
from prizewire_devstack.stack import Stack, StackOptions
with Stack(home=Home(root=Path(sys.argv[1])), options=StackOptions(services=())):
    time.sleep(600)
"""
    home = Home(root=tmp_path / "state")
    command = subprocess.Popen((sys.executable, "-c", code, str(home.root)))
    eventually_sync(lambda: (run := home.read_run()) is not None and run.ready, deadline_s=60)
    run = home.running()
    assert answers_ok(f"{run.urls['gateway']}/health/ready")
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    eventually_sync(lambda: not any(is_alive(one) for one in run.processes.values()), deadline_s=30)
    with Stack(home=home, options=NO_SERVICES) as stack:
        assert stack.chain.exists(stack.keyring.stellar().treasury.public_key)


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
