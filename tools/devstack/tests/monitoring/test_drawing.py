"""The commands that draw: from when on, and a Prometheus that shows nothing of before."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner

from prizewire_devstack.cli import dashboards, demo
from prizewire_devstack.components import debian, prometheus
from prizewire_devstack.components.processes import ProcessSpec
from prizewire_devstack.home import Home, ProcessRecord, RunRecord
from prizewire_devstack.monitoring import pictures
from prizewire_devstack.monitoring.dashboards import DASHBOARDS

URL = "http://127.0.0.1:9"


class Asked:
    """A Prometheus that has samples of an earlier run during the first five seconds."""

    since: ClassVar[list[float]] = []
    empty: ClassVar[int] = 0
    """So many questions are answered before rewards has shown its pools."""

    def __init__(self, url: str) -> None:
        assert url == URL

    def __enter__(self) -> "Asked":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def now(self, expr: str) -> tuple[str, ...]:
        assert "prizewire_rewards_pool_funded" in expr
        Asked.empty -= 1
        return () if Asked.empty >= 0 else ("pool",)

    def begin_s(self, *, since_s: float, until_s: float, step_s: float) -> float:
        assert since_s < until_s
        assert step_s >= 1
        self.since.append(since_s)
        return since_s + 5


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times from which pictures are drawn."""
    found: list[float] = []

    def draw(*_: object, start_s: float, **_more: object) -> None:
        found.append(start_s)

    monkeypatch.setattr(dashboards, "Prometheus", Asked)
    monkeypatch.setattr(Asked, "since", [])
    monkeypatch.setattr(Asked, "empty", 0)
    monkeypatch.setattr(pictures, "draw", draw)
    return found


def run_of(started_at_s: float) -> RunRecord:
    return RunRecord(
        supervisor=ProcessRecord(pid=1, started_at_s=started_at_s),
        ports={},
        urls={"prometheus": URL, "gateway": URL},
        ready=True,
    )


def test_all_pictures_begin_where_the_earlier_run_is_not_seen(starts: list[float], tmp_path: Path) -> None:
    """All of them at the same time."""
    since_s = time.time() - 60
    dashboards.draw_all(tmp_path, url=URL, since_s=since_s)
    assert starts == [since_s + 5] * len(DASHBOARDS)


@pytest.mark.parametrize(("minutes", "age_s"), [(30, 60), (1, 600)], ids=["young-stack", "old-stack"])
def test_pictures_of_the_running_stack_begin_at_its_start(
    minutes: int, age_s: int, starts: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not before, although Prometheus has the data of earlier runs; and not before the minutes that were asked for."""
    began_s = time.time()
    monkeypatch.setattr(Home, "running", lambda _: run_of(began_s - age_s))
    done = CliRunner().invoke(dashboards.command, ["draw", str(tmp_path), "--minutes", str(minutes)])
    assert done.exit_code == 0, done.output
    [since_s] = Asked.since
    if age_s < minutes * 60:
        assert since_s == began_s - age_s
    else:
        assert since_s >= began_s - minutes * 60
    assert len(starts) == len(DASHBOARDS)


def test_pictures_of_another_prometheus_begin_at_the_minutes(
    starts: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is known of the stack behind it, so the local one is not asked for."""
    monkeypatch.setattr(Home, "running", lambda _: pytest.fail("the local stack was asked for"))
    earliest_s = time.time() - 30 * 60
    done = CliRunner().invoke(dashboards.command, ["draw", str(tmp_path), "--prometheus", URL])
    assert done.exit_code == 0, done.output
    assert Asked.since[0] >= earliest_s
    assert len(starts) == len(DASHBOARDS)


@pytest.mark.usefixtures("starts")
def test_pictures_of_the_demonstration_begin_with_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where the stack ran before. They wait until rewards has shown the pools."""
    monkeypatch.setattr(dashboards, "_LOOK_AGAIN_S", 0.0)
    monkeypatch.setattr(Asked, "empty", 2)

    @contextmanager
    def stack(*_: object, **__: object) -> Iterator[RunRecord]:
        yield run_of(0.0)

    performed = SimpleNamespace(perform=lambda: SimpleNamespace(good=True))
    monkeypatch.setattr(demo, "_stack", stack)
    monkeypatch.setattr(demo, "Demonstration", lambda **_: performed)
    began_s = time.time()
    done = CliRunner().invoke(demo.command, ["--draw", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 0, done.output
    assert Asked.empty == -1
    assert Asked.since[0] >= began_s


def test_the_local_prometheus_forgets_a_series_without_samples_soon(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its own five minutes would show an earlier run after a new start, and lines over the end of a process."""
    started: list[ProcessSpec] = []
    supervisor: Any = SimpleNamespace(start=started.append, wait_until=lambda *_, **__: None)
    monkeypatch.setattr(debian, "program", lambda *_, **__: tmp_path / "prometheus")
    prometheus.start(
        directory=tmp_path, port=1, config={}, supervisor=supervisor, log_file=tmp_path / "prometheus.log"
    )
    assert "--query.lookback-delta=30s" in started[0].argv
