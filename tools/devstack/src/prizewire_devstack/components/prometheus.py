"""Prometheus on loopback: it scrapes every process of every service, and evaluates rules."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack.components import debian
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, answers_ok, base_environment
from prizewire_devstack.ports import LOOPBACK

NAME: Final = "prometheus"
JOB: Final = "prizewire"
"""The value of the label `job` of every service's metrics, here and in deployments."""
READY_PATH: Final = "/-/ready"
START_DEADLINE_S: Final = 60.0
RETENTION: Final = "7d"
TARGETS_REFRESH_S: Final = 5.0
"""Seconds after which Prometheus reads the file of targets again, where the file system reports no change."""
SCRAPE_TIMEOUT_S_MAX: Final = 10.0
LOOKBACK: Final = "30s"
"""How long a series without new samples is shown. Prometheus' own five minutes would show values of an earlier run of a stack that was
started again, and draw a line over its end.
"""


def configuration(
    *,
    targets_file: Path,
    scrape_interval_s: float,
    evaluation_interval_s: float,
    rule_files: Sequence[Path] = (),
    alertmanager_port: int | None = None,
    own_port: int | None = None,
) -> dict[str, Any]:
    """Prometheus's configuration. Intervals are in seconds, exact to the millisecond. With their ports, Prometheus and Alertmanager are
    scraped, too: alerts tell of their own failures.
    """
    scrape = _duration(scrape_interval_s)
    found: dict[str, Any] = {
        "global": {
            "scrape_interval": scrape,
            "scrape_timeout": _duration(min(scrape_interval_s, SCRAPE_TIMEOUT_S_MAX)),
            "evaluation_interval": _duration(evaluation_interval_s),
        },
        "rule_files": [str(file) for file in rule_files],
        "scrape_configs": [
            {
                "job_name": JOB,
                "file_sd_configs": [
                    {"files": [str(targets_file)], "refresh_interval": _duration(TARGETS_REFRESH_S)}
                ],
            }
        ],
    }
    for name, port in (("prometheus", own_port), ("alertmanager", alertmanager_port)):
        if port is not None:
            targets = [{"targets": [f"{LOOPBACK}:{port}"]}]
            found["scrape_configs"].append({"job_name": name, "static_configs": targets})
    if alertmanager_port is not None:
        found["alerting"] = {
            "alertmanagers": [{"static_configs": [{"targets": [f"{LOOPBACK}:{alertmanager_port}"]}]}]
        }
    return found


def start(
    *,
    directory: Path,
    port: int,
    config: Mapping[str, Any],
    supervisor: Supervisor,
    log_file: Path,
    progress: debian.Progress | None = None,
) -> None:
    """Write the configuration, start Prometheus and wait until it answers queries. Its data lies in `directory`.

    Raises:
        StartError: it is not installed, ended, or did not answer in time.
        DownloadError: it could not be fetched.
    """
    binary = debian.program("prometheus", progress=progress)
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    supervisor.start(
        ProcessSpec(
            name=NAME,
            argv=(
                str(binary),
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--query.lookback-delta={LOOKBACK}",
                f"--web.listen-address={LOOPBACK}:{port}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ),
            environment={**base_environment(), "GOMAXPROCS": "2", "GOMEMLIMIT": "256MiB"},
            log_file=log_file,
            directory=directory,
        )
    )
    supervisor.wait_until(
        NAME, lambda: answers_ok(f"http://{LOOPBACK}:{port}{READY_PATH}"), deadline_s=START_DEADLINE_S
    )


def _duration(seconds: float) -> str:
    """Prometheus's notation of a duration."""
    return f"{max(round(seconds * 1000), 1)}ms"
