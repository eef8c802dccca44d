"""Prometheus and Alertmanager of a stack: as its parts, or beside a stack that runs already."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack.components import alertmanager, prometheus
from prizewire_devstack.components.processes import Supervisor, answers_ok
from prizewire_devstack.home import repository_root, write_private
from prizewire_devstack.monitoring import rules
from prizewire_devstack.ports import LOOPBACK, choose
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack.replicas import service_of
from prizewire_devstack.stack.running_stack import RunningStack

READY_PATH: Final = prometheus.READY_PATH
"""Of both programs."""
PARTS: Final = (prometheus.NAME, alertmanager.NAME)
SCRAPES_MIN: Final = 4
"""The scrapes that a range of a rule with shorter times holds at least."""
TARGETS_NAME: Final = "targets.json"
"""The file in the state directory of a stack that lists the addresses of its processes for Prometheus."""

Progress = Callable[[str, str], None]
"""Called with a part and what it does next."""


def _silent(_part: str, _message: str) -> None:
    """Report nothing."""


def targets(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """Prometheus's list of targets, one for each process of a service; other parts are left out.

    The labels: `service`, and `part`, which is the name of the process, such as `settlement-2`.
    """
    return [
        {"targets": [f"{LOOPBACK}:{port}"], "labels": {"service": service, "part": part}}
        for part, port in sorted(ports.items())
        if (service := service_of(part)) is not None
    ]


def write_targets(file: Path, ports: Mapping[str, int]) -> None:
    """Write the list of targets in one step. A Prometheus that runs reads it again within seconds."""
    write_private(file, json.dumps(targets(ports), indent=1) + "\n")


@dataclass(frozen=True, kw_only=True)
class MonitoringOptions:
    """How often Prometheus scrapes and evaluates (seconds), and where alerts go.

    `factor` divides every duration of rules and routes, so that an alert that takes minutes fires within seconds.
    `webhook_url` is an address on loopback to which Alertmanager posts. `extra_rules` are further files of rules.
    """

    scrape_interval_s: float = 5.0
    evaluation_interval_s: float = 5.0
    factor: float = 1.0
    webhook_url: str | None = None
    extra_rules: tuple[Path, ...] = field(default=())


class Monitoring:
    """Prometheus with the rules of the repository, and Alertmanager with its routes; both listen on loopback only."""

    def __init__(
        self,
        *,
        directory: Path,
        targets_file: Path,
        ports: Mapping[str, int],
        supervisor: Supervisor,
        logs: Path,
        root: Path | None = None,
        options: MonitoringOptions | None = None,
        progress: Progress = _silent,
    ) -> None:
        self._directory = directory
        self._targets_file = targets_file
        self._ports = ports
        self._supervisor = supervisor
        self._logs = logs
        self._root = root or repository_root()
        self._options = options or MonitoringOptions()
        self._progress = progress

    @property
    def url(self) -> str:
        """Prometheus: queries are at /api/v1/query."""
        return f"http://{LOOPBACK}:{self._ports[prometheus.NAME]}"

    @property
    def alertmanager_url(self) -> str:
        """Alertmanager: its alerts are at /api/v2/alerts."""
        return f"http://{LOOPBACK}:{self._ports[alertmanager.NAME]}"

    def start(self) -> None:
        """Start both, each fetched first where it is not installed.

        Raises:
            DevstackError: one could not be fetched or started.
        """
        for part in PARTS:
            self.start_part(part)

    def start_part(self, part: str) -> None:
        """Start Prometheus with the rules of the repository, or Alertmanager with the routes of deployments.

        Raises:
            DevstackError: it could not be fetched or started.
        """
        begin = {prometheus.NAME: self._start_prometheus, alertmanager.NAME: self._start_alertmanager}
        begin[part]()

    def is_ready(self, part: str) -> bool:
        """Say whether Prometheus or Alertmanager answers now."""
        return answers_ok(f"http://{LOOPBACK}:{self._ports[part]}{READY_PATH}")

    def _start_prometheus(self) -> None:
        prometheus.start(
            directory=self._directory / prometheus.NAME,
            port=self._ports[prometheus.NAME],
            config=prometheus.configuration(
                targets_file=self._targets_file,
                scrape_interval_s=self._options.scrape_interval_s,
                evaluation_interval_s=self._options.evaluation_interval_s,
                rule_files=self._rule_files(),
                alertmanager_port=self._ports[alertmanager.NAME],
                own_port=self._ports[prometheus.NAME],
            ),
            supervisor=self._supervisor,
            log_file=self._logs / "prometheus.log",
            progress=partial(self._progress, prometheus.NAME),
        )

    def _start_alertmanager(self) -> None:
        source = yaml.safe_load((self._root / alertmanager.SOURCE).read_text())
        alertmanager.start(
            directory=self._directory / alertmanager.NAME,
            port=self._ports[alertmanager.NAME],
            config=alertmanager.configuration(
                source, webhook_url=self._options.webhook_url, factor=self._options.factor
            ),
            supervisor=self._supervisor,
            log_file=self._logs / "alertmanager.log",
            progress=partial(self._progress, alertmanager.NAME),
        )

    def _rule_files(self) -> Sequence[Path]:
        """Copies of the rules in the state directory, with the durations divided; then further files."""
        directory = self._directory / "rules"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        copies = []
        for name, text in rules.scaled(
            self._options.factor, root=self._root, range_s_min=SCRAPES_MIN * self._options.scrape_interval_s
        ).items():
            copies.append(directory / name)
            copies[-1].write_text(text)
        return (*copies, *self._options.extra_rules)


@contextmanager
def beside(
    stack: RunningStack, *, directory: Path, options: MonitoringOptions | None = None
) -> Iterator[Monitoring]:
    """Prometheus and Alertmanager for a stack that runs already; they end with the block. Replicas that appear are scraped, too.

    Raises:
        DevstackError: one could not be fetched or started.
    """
    targets_file = stack.home.root / TARGETS_NAME
    if not targets_file.is_file():
        # A stack of containers writes none.
        targets_file = directory / TARGETS_NAME
        write_targets(targets_file, {one: int(stack.service_url(one).rsplit(":", 1)[1]) for one in SERVICES})
    supervisor = Supervisor()
    taken: set[int] = set()
    monitoring = Monitoring(
        directory=directory,
        targets_file=targets_file,
        ports={part: choose(taken=taken) for part in PARTS},
        supervisor=supervisor,
        logs=directory / "logs",
        root=stack.root,
        options=options,
    )
    try:
        monitoring.start()
        yield monitoring
    finally:
        supervisor.stop_all()
