"""Runs a drill: cause the failure, wait for the alert, follow the runbook, wait until the alert resolves."""

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.drills.drill import Drill, Step
from prizewire_devstack.drills.world import World
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import HOME_VARIABLE
from prizewire_devstack.monitoring import runbooks
from prizewire_devstack.stack import Stack
from prizewire_devstack.stack.control import Requests
from prizewire_devstack.stack.keeping import Keeper
from prizewire_devstack.stack.monitoring import Monitoring, MonitoringOptions, beside
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

ALERT_WITHIN_S: Final = 180.0
"""How long an alert may take to fire, and to resolve. With the rules' times divided both take seconds."""
SCRAPE_S: Final = 0.5
COMMAND_WITHIN_S: Final = 300.0
_POLL_S: Final = 0.2


class DrillError(DevstackError):
    """A drill did not go as it should. The message says at which step."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A drill that went as it should: the seconds until its alert fired, and until it resolved after the runbook, both with
    the times of the alert rules divided by `factor`.
    """

    name: str
    factor: float
    fired_s: float
    resolved_s: float


def run(drill: Drill, stack: Stack, *, directory: Path, say: Callable[[str], None]) -> Outcome:
    """Run a drill on a stack. `say` gets each step as a sentence. Prometheus and Alertmanager live in `directory` for its time.

    Raises:
        DrillError: the alert did not fire or did not resolve, or a command of the runbook failed.
    """
    page = next((one for one in runbooks.load(stack.root) if one.name == drill.page), None)
    if page is None:
        raise DrillError(f"There is no runbook {drill.page}.")
    commands = {one.text: one for one in page.commands}
    unknown = [step.command for step in drill.steps if step.command not in commands]
    if unknown:
        raise DrillError(f"The runbook {drill.page} has no command `{unknown[0]}`.")
    options = MonitoringOptions(
        scrape_interval_s=SCRAPE_S, evaluation_interval_s=SCRAPE_S, factor=drill.factor
    )
    with beside(stack, directory=directory, options=options) as monitoring, _requests(stack):
        world = World(stack, prometheus_url=monitoring.url)
        _wait_for_all(world)
        if drill.before is not None:
            say("Normal operation first, which the rule compares with.")
            drill.before(world)
        _expect_silence(monitoring, drill)
        say(f"Cause: {drill.title}.")
        labels = drill.cause(world)
        began = time.monotonic()
        fired = _await_alert(monitoring, drill, labels)
        fired_s = time.monotonic() - began
        say(
            f"Alert: {drill.alert} fires after {fired_s:.0f} s: {fired['annotations']['summary']}. {times(drill)}"
        )
        for step in drill.steps:
            _follow(step, commands[step.command], world, say=say)
        followed = time.monotonic()
        _await_end(monitoring, drill, labels)
        resolved_s = time.monotonic() - followed
        say(f"Resolved: {drill.alert} ends {resolved_s:.0f} s after the last step.")
    return Outcome(name=drill.name, factor=drill.factor, fired_s=fired_s, resolved_s=resolved_s)


def times(drill: Drill) -> str:
    """The sentence about the divided times of the rule."""
    return f"In an installation it takes longer: this drill divides all times of the alert rules by {drill.factor:.0f}."


def _wait_for_all(world: World) -> None:
    """Wait until every service was scraped: a counter that rises before it is first seen does not rise for Prometheus."""
    eventually_sync(
        lambda: (world.measured('count(up{job="prizewire"} == 1)') or 0) >= 5,
        deadline_s=ALERT_WITHIN_S,
        poll_s=_POLL_S,
    )


def _alerts(monitoring: Monitoring, drill: Drill, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The alerts of a drill that Alertmanager has now, with all the labels."""
    answer = httpx.get(
        f"{monitoring.alertmanager_url}/api/v2/alerts",
        params={"filter": f'alertname="{drill.alert}"', "active": "true"},
        trust_env=False,
    )
    answer.raise_for_status()
    return [one for one in answer.json() if labels.items() <= one["labels"].items()]


def _expect_silence(monitoring: Monitoring, drill: Drill) -> None:
    try:
        eventually_sync(lambda: not _alerts(monitoring, drill, {}), deadline_s=ALERT_WITHIN_S, poll_s=_POLL_S)
    except NotInTimeError:
        raise DrillError(f"{drill.name}: {drill.alert} fires before the failure was caused.") from None


def _await_alert(monitoring: Monitoring, drill: Drill, labels: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = eventually_sync(
            lambda: _alerts(monitoring, drill, labels), deadline_s=ALERT_WITHIN_S, poll_s=_POLL_S
        )
    except NotInTimeError:
        raise DrillError(
            f"{drill.name}: {drill.alert} with {dict(labels)} did not fire within {ALERT_WITHIN_S:.0f} s."
        ) from None
    return found[0]


def _await_end(monitoring: Monitoring, drill: Drill, labels: Mapping[str, str]) -> None:
    try:
        eventually_sync(
            lambda: not _alerts(monitoring, drill, labels), deadline_s=ALERT_WITHIN_S, poll_s=_POLL_S
        )
    except NotInTimeError:
        raise DrillError(
            f"{drill.name}: {drill.alert} still fires {ALERT_WITHIN_S:.0f} s after the runbook was followed."
        ) from None


def _follow(step: Step, command: runbooks.Command, world: World, *, say: Callable[[str], None]) -> None:
    """Do one step of the page.

    Raises:
        DrillError: the command ended with another code than the page leads to expect.
    """
    if step.by_hand:
        say(f"By hand: {step.by_hand}")
    if step.hand is not None:
        step.hand(world)
    arguments = command.arguments(step.values(world) if step.values is not None else {})
    say(f"$ {shlex.join(arguments)}")
    done = subprocess.run(  # noqa: S603 - our own command
        (sys.executable, "-m", "prizewire_devstack", *arguments[1:]),
        env={**base_environment(), HOME_VARIABLE: str(world.stack.home.root), "COLUMNS": "160"},
        cwd=world.stack.root,
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_S,
        check=False,
    )
    if done.returncode not in step.codes:
        shown = (done.stdout[-1500:] + done.stderr[-1500:]).strip()
        raise DrillError(f"`{command.text}` of {command.page} ended with {done.returncode}:\n{shown}")


@contextmanager
def _requests(stack: Stack) -> Iterator[None]:
    """Let `prizewire restart` work on the stack, as under `prizewire up`."""
    requests = Requests(stack.home)
    keeper = Keeper(stack=stack, requests=requests, say=lambda _: None)
    done = threading.Event()

    def look() -> None:
        while not done.wait(_POLL_S):
            keeper.look()

    with requests.opened():
        thread = threading.Thread(target=look, name=f"drill-requests-{os.getpid()}")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
