"""Drills: each failure raises its alert on the real stack, and the commands of its runbook end it."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prizewire_devstack.components import debian
from prizewire_devstack.drills import DRILLS
from prizewire_devstack.drills.drill import Step
from prizewire_devstack.drills.money import POOL
from prizewire_devstack.drills.running import DrillError, _follow, run, times
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import Home
from prizewire_devstack.monitoring import rules, runbooks
from prizewire_devstack.stack import Stack, StackOptions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def _programs() -> None:
    """Prometheus and Alertmanager, or a skip that says why they cannot be had."""
    try:
        for name in ("prometheus", "alertmanager"):
            debian.program(name)
    except DevstackError as error:
        pytest.skip(str(error))


def test_drills_follow_pages_and_alerts_that_there_are() -> None:
    """Each drill names an alert of the rules, a page, and commands of this page."""
    alerts = {one.name for one in rules.load(root=ROOT)}
    pages = {one.name: [command.text for command in one.commands] for one in runbooks.load(ROOT)}
    assert len(DRILLS) == 7
    for drill in DRILLS.values():
        assert drill.alert in alerts
        assert [step.command for step in drill.steps if step.command not in pages[drill.page]] == []


def test_a_drill_with_a_command_that_its_page_does_not_have_is_refused(tmp_path: Path) -> None:
    """A drill follows the page and nothing else; nothing is caused."""

    class Nothing:
        root = ROOT

    wrong = type(POOL)(
        name="x",
        title="x",
        alert=POOL.alert,
        page=POOL.page,
        cause=POOL.cause,
        steps=(Step(command="prizewire nothing"),),
    )
    with pytest.raises(DrillError, match="has no command `prizewire nothing`"):
        run(wrong, Nothing(), directory=tmp_path, say=print)  # type: ignore[arg-type] # no stack is started


def test_a_printed_command_can_be_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell reads the printed line as the arguments that ran: a reason of several words stays one argument."""
    ran: list[list[str]] = []

    def executed(command: tuple[str, ...], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(list(command[3:]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", executed)
    text = 'prizewire payouts pause rail RAIL --reason "it\'s an outage; 5 s"'
    said: list[str] = []
    _follow(
        Step(command=text, values=lambda _: {"RAIL": "fake"}),
        runbooks.Command(page="x", section="Mitigation", text=text),
        SimpleNamespace(stack=SimpleNamespace(home=Home(root=tmp_path), root=tmp_path)),  # type: ignore[arg-type] # no stack is started
        say=said.append,
    )
    assert ran == [["payouts", "pause", "rail", "fake", "--reason", "it's an outage; 5 s"]]
    assert shlex.split(said[0]) == ["$", "prizewire", *ran[0]]


def test_a_drill_says_that_times_are_divided() -> None:
    """The sentence about an alert has the factor of its drill."""
    for drill in DRILLS.values():
        assert f"divides all times of the alert rules by {drill.factor:.0f}." in times(drill)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own: on one that others use, an alert may fire before its failure is caused."""
    with Stack(home=Home(root=tmp_path_factory.mktemp("drills") / "home"), options=StackOptions()) as found:
        yield found


@pytest.mark.large
@pytest.mark.processes
@pytest.mark.local_processes
@pytest.mark.usefixtures("_programs")
@pytest.mark.parametrize("name", list(DRILLS))
def test_every_failure_is_seen_and_ended(stack: Stack, tmp_path: Path, name: str) -> None:
    """Each drill, as `prizewire drill --all` runs it: the alert fires and, once the page was followed, resolves."""
    said: list[str] = []
    outcome = run(DRILLS[name], stack, directory=tmp_path, say=said.append)
    assert outcome.name == name
    assert any(
        line.startswith(f"Alert: {DRILLS[name].alert} fires") and times(DRILLS[name]) in line for line in said
    )
