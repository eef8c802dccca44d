"""`prizewire dashboards`: Grafana's files, and pictures from the running Prometheus."""

import importlib.util
import time
from contextlib import suppress
from pathlib import Path

import click

from prizewire_devstack.components import prometheus
from prizewire_devstack.errors import DevstackError, NotRunningError
from prizewire_devstack.home import Home, RunRecord, repository_root
from prizewire_devstack.monitoring import watches
from prizewire_devstack.monitoring.dashboards import DASHBOARDS
from prizewire_devstack.monitoring.query import Prometheus
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

STEP_S = 1.0
"""How exactly the beginning of the pictures is found, in seconds, where that is not more than POINTS_MAX points."""
POINTS_MAX = 1000
POOLS_WITHIN_S = 60.0
"""How long pictures wait for the figures of pools, in seconds: rewards renews them every 20 s."""
_LOOK_AGAIN_S = 1.0
_POOLS_SHOWN = "min(count_over_time(prizewire_rewards_pool_funded[1m])) >= 5"

DIRECTORY = Path("deploy/monitoring/dashboards")
"""Grafana's files, in the repository."""


@click.group(name="dashboards")
def command() -> None:
    """Write Grafana's dashboards, or draw them from the running Prometheus."""


@command.command(name="write")
def write() -> None:
    """Write deploy/monitoring/dashboards from the panels and the alert rules of this repository."""
    _need("grafana_foundation_sdk")
    from prizewire_devstack.monitoring import grafana  # noqa: PLC0415 - only the extra `drawing` has it

    root = repository_root()
    known = watches.load(root=root)
    changed = grafana.write(root / DIRECTORY, known, runbooks=watches.runbooks(root=root))
    click.echo(f"{len(DASHBOARDS)} dashboards, {len(changed)} changed")


@command.command(name="draw")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--minutes", type=click.FloatRange(min=1), default=30.0, show_default=True, help="How far back."
)
@click.option("--prometheus", "url", metavar="URL", help="Another Prometheus than the running stack's.")
def draw(directory: Path, minutes: float, url: str | None) -> None:
    """Draw every panel of every dashboard from the running Prometheus: a PNG file for each dashboard in DIRECTORY.

    The pictures of the running stack begin at its start at the earliest.
    """
    _need("matplotlib")
    since_s = time.time() - minutes * 60
    if url is None:
        run = Home.default().running()
        ready_to_draw(run)
        url, since_s = run.urls[prometheus.NAME], max(since_s, run.supervisor.started_at_s)
    for file in draw_all(directory, url=url, since_s=since_s):
        click.echo(file)


def draw_all(directory: Path, *, url: str, since_s: float) -> list[Path]:
    """Draw every dashboard from a Prometheus, from a Unix time in seconds until now. Returns the files.

    Samples of before that time are not drawn, also where Prometheus still shows them.

    Raises:
        DevstackError: the package that draws is not installed, or Prometheus does not answer.
    """
    _need("matplotlib")
    from prizewire_devstack.monitoring import pictures  # noqa: PLC0415 - only the extra `drawing` has it

    known = watches.load(root=repository_root())
    directory.mkdir(parents=True, exist_ok=True)
    end_s = time.time()
    files = [directory / f"{one.name}.png" for one in DASHBOARDS]
    with Prometheus(url) as asked:
        step_s = max(STEP_S, (end_s - since_s) / POINTS_MAX)
        start_s = asked.begin_s(since_s=since_s, until_s=end_s, step_s=step_s)
        for one, file in zip(DASHBOARDS, files, strict=True):
            pictures.draw(asked, one, file, watches=known, start_s=start_s, end_s=end_s)
    return files


def wait_for_pools(url: str) -> None:
    """Wait until a Prometheus has enough samples of pools for a line; at most ``POOLS_WITHIN_S``, after which they are drawn as they are.

    Raises:
        DevstackError: Prometheus does not answer.
    """
    with Prometheus(url) as asked, suppress(NotInTimeError):
        eventually_sync(lambda: asked.now(_POOLS_SHOWN), deadline_s=POOLS_WITHIN_S, poll_s=_LOOK_AGAIN_S)


def ready_to_draw(run: RunRecord) -> None:
    """Check that the dashboards of a stack can be drawn.

    Raises:
        DevstackError: the package that draws is not installed.
        NotRunningError: the stack has no Prometheus.
    """
    _need("matplotlib")
    if prometheus.NAME not in run.urls:
        raise NotRunningError(
            "The running stack has no Prometheus: start it with `prizewire up --monitoring` and try again."
        )


def _need(package: str) -> None:
    """Check that a package of the extra `drawing` is installed.

    Raises:
        DevstackError: it is not.
    """
    if importlib.util.find_spec(package) is None:
        raise DevstackError(
            f"The package {package} is not installed, which only dashboards need: install prizewire-devstack[drawing], or in "
            "the repository run `make clean demo`."
        )
