"""Running one service by hand: the environment is complete, safe to evaluate, and as in its README."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from prizewire_devstack.cli import status
from prizewire_devstack.cli.status import LEFT_OUT, parts
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.processes import PASSED_ON
from prizewire_devstack.home import HOME_VARIABLE, Home, RunRecord, record_of, repository_root
from prizewire_devstack.ports import FIRST_PORT, LOOPBACK
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.service_settings import settings_of
from prizewire_devstack.stack.environment import local_environment
from prizewire_devstack.stack.running import PORT_NAMES
from prizewire_devstack.waiting import eventually_sync

PORTS = {name: FIRST_PORT - 1 - number for number, name in enumerate(PORT_NAMES)}
"""None is one that a stack of another test listens on."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A record of a running stack, in a directory whose name a shell would split."""
    made = Home(root=tmp_path / "it's a $state")
    made.create()
    Keyring(home=made).ensure(now=datetime.now(UTC))
    made.write_run(
        RunRecord(
            supervisor=record_of(os.getpid()),
            ports=PORTS,
            urls={name: f"http://127.0.0.1:{port}" for name, port in PORTS.items()},
            processes={"settlement": record_of(os.getpid())},
            ready=True,
            left_out=("rewards",),
            settings={"webhooks": {"WEBHOOKS_ALLOW_LOOPBACK": "false", "WEBHOOKS_MINE": "it's mine"}},
            log_level="DEBUG",
        )
    )
    return made


def env(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "prizewire_devstack", "env", *arguments),
        env={**os.environ, HOME_VARIABLE: str(home.root)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_that_a_service_requires_is_missing(service: str, home: Home) -> None:
    """Every required variable is set to the value that the stack itself uses."""
    printed = json.loads(env(home, service, "--json").stdout)
    required = {row["name"] for row in settings_of(service) if row["required"]}
    assert {name for name in required if name not in printed and f"{name}_FILE" not in printed} == set()
    given = local_environment(
        service, home=home, root=repository_root(), ports=PORTS, log_level="DEBUG"
    ) | home.running().settings.get(service, {})
    assert printed == {name: value for name, value in given.items() if name not in PASSED_ON}


def test_a_shell_reads_the_values_unchanged(home: Home) -> None:
    """Blanks, quotes and dollars in a path survive `eval`."""
    lines = env(home, "rewards").stdout
    done = subprocess.run(
        ("bash", "-c", 'eval "$1"; printf %s "$TRUST_FILE"', "bash", lines),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == str(home.root / "trust.json")


def test_settings_of_the_running_stack_are_printed(home: Home) -> None:
    """Settings of the start override those of the local stack, for their service alone."""
    printed = json.loads(env(home, "webhooks", "--json").stdout)
    assert (printed["WEBHOOKS_ALLOW_LOOPBACK"], printed["WEBHOOKS_MINE"]) == ("false", "it's mine")
    assert printed["LOG_LEVEL"] == "DEBUG"
    assert "WEBHOOKS_MINE" not in json.loads(env(home, "rewards", "--json").stdout)


def test_the_owner_is_named_only_where_a_migration_needs_it(home: Home) -> None:
    """A serving process has no right to change tables."""
    assert "rewards_owner" not in env(home, "rewards").stdout
    assert "DATABASE_MIGRATION_URL_FILE" in json.loads(env(home, "rewards", "--migrate", "--json").stdout)


def test_a_service_that_still_holds_its_port_is_reported(home: Home) -> None:
    """Two processes would use one port; the message names `--without`."""
    assert "prizewire up --without settlement" in env(home, "settlement").stderr
    assert env(home, "rewards").stderr == ""
    quiet = env(home, "settlement", "--quiet")
    assert (quiet.stderr, quiet.stdout) == ("", env(home, "settlement").stdout)


def test_a_service_that_was_left_out_is_shown(home: Home) -> None:
    """A service that was left out on purpose is no failure."""
    shown = {part["part"]: part["state"] for part in parts(home.running())}
    assert shown["rewards"] == LEFT_OUT


def test_a_part_that_restarts_is_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that ended has its row, also where another part was started since: it restarts where `prizewire up` runs, and has ended
    elsewhere. The stack is not healthy meanwhile.
    """
    run = home.running()
    gone = replace(record_of(os.getpid()), started_at_s=1.0)
    home.write_run(
        replace(
            run,
            processes={**run.processes, "kafka": gone},
            ended=("payouts",),
            ports={**run.ports, "payouts": 1},
        )
    )
    for restarts, state in ((True, status.RESTARTING), (False, status.ENDED)):
        shown = {part["part"]: part["state"] for part in parts(home.running(), restarts=restarts)}
        assert (shown["kafka"], shown["payouts"]) == (state, state)
    home.control.mkdir(parents=True)
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    done = CliRunner().invoke(status.command, standalone_mode=False)
    assert done.return_value == 1
    assert [line.split()[:2] for line in done.stdout.splitlines() if status.RESTARTING in line] == [
        ["kafka", "restarting"],
        ["payouts", "restarting"],
    ]


def test_a_stopped_process_is_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The states of a stopped process, of one that takes a request and does not answer, and of a missing one differ; each
    has its advice.
    """
    monkeypatch.setattr(status, "ANSWER_WITHIN_S", 0.1)
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    run = home.running()
    child = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    with child, socket.create_server((LOOPBACK, 0)) as silent:
        silent_url = f"http://{LOOPBACK}:{silent.getsockname()[1]}"
        processes = {name: record_of(child.pid) for name in ("kafka", "payouts")}
        home.write_run(
            replace(
                run,
                processes={**run.processes, "webhooks": record_of(os.getpid()), **processes},
                urls={**run.urls, "webhooks": silent_url, "payouts": silent_url},
            )
        )
        child.send_signal(signal.SIGSTOP)
        eventually_sync(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
        shown = {part["part"]: part["state"] for part in parts(home.running())}
        done = CliRunner().invoke(status.command, standalone_mode=False)
        child.send_signal(signal.SIGCONT)
        child.communicate(b"\n")
    assert shown == {
        "settlement": "not ready",
        "webhooks": "does not answer",
        "kafka": "frozen",
        "payouts": "frozen",
        "rewards": LEFT_OUT,
    }
    assert done.return_value == 1
    assert f"kafka is stopped by a signal: `kill -CONT {child.pid}`" in done.stderr
    assert (
        "webhooks took a request and did not answer within 0.1 s: `prizewire restart webhooks`" in done.stderr
    )


@pytest.mark.parametrize("service", SERVICES)
def test_each_readme_says_how_to_run_its_service(service: str) -> None:
    """The commands of the section can be followed one after the other."""
    text = (repository_root() / "services" / service / "README.md").read_text()
    section = text[text.lower().index("run it alone") :]
    steps = [
        f"prizewire up --without {service}",
        f'eval "$(prizewire env {service} --migrate)"',
        f"python -m prizewire_{service} migrate",
        f"python -m prizewire_{service} serve",
    ]
    found = [section.index(step) for step in steps]
    assert found == sorted(found)


def test_gates_keep_the_persons_that_they_need_by_default(home: Home) -> None:
    """The local stack adds a gate for two persons, and takes none from the default: one person lets no denied destination pass."""
    default = next(one for one in settings_of("payouts") if one["name"] == "PAYOUTS_GATES_TWO_APPROVERS")[
        "default"
    ]
    given = local_environment("payouts", home=home, root=repository_root(), ports=PORTS)[
        "PAYOUTS_GATES_TWO_APPROVERS"
    ]
    assert {"destination_denied", "screening_hit"} == set(default.split(","))
    assert set(default.split(",")) < set(given.split(","))
