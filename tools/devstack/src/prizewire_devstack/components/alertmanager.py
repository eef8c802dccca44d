"""Alertmanager on loopback, with the routes of deployments and receivers of the local stack."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack.components import debian
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, answers_ok, base_environment
from prizewire_devstack.ports import LOOPBACK

NAME: Final = "alertmanager"
READY_PATH: Final = "/-/ready"
START_DEADLINE_S: Final = 60.0
SOURCE: Final = Path("deploy/monitoring/alertmanager.yaml")
"""The configuration of deployments, in the repository."""
TIMES: Final = ("group_wait", "group_interval", "repeat_interval")
_DURATION: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def configuration(
    source: Mapping[str, Any], *, webhook_url: str | None = None, factor: float = 1.0
) -> dict[str, Any]:
    """The configuration of the local Alertmanager: routes and inhibitions of `source`, its receivers replaced.

    Each receiver posts to `webhook_url`, a URL on loopback, or nowhere if there is none. All times of routes are divided by
    `factor`.
    """
    found = copy.deepcopy({name: source[name] for name in ("route", "inhibit_rules") if name in source})
    hook = [{"url": webhook_url, "send_resolved": True}] if webhook_url is not None else None
    found["receivers"] = [
        {"name": one["name"], **({"webhook_configs": hook} if hook else {})} for one in source["receivers"]
    ]
    _divide(found["route"], factor)
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
    """Write the configuration, start Alertmanager and wait until it answers. Silences lie in `directory`.

    Raises:
        StartError: it is not installed, ended, or did not answer in time.
        DownloadError: it could not be fetched.
    """
    binary = debian.program("alertmanager", progress=progress)
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "alertmanager.yml"
    file.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    supervisor.start(
        ProcessSpec(
            name=NAME,
            argv=(
                str(binary),
                f"--config.file={file}",
                f"--storage.path={directory / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
                # One process: without an address it opens no port for others.
                "--cluster.listen-address=",
                "--log.level=warn",
            ),
            environment={**base_environment(), "GOMAXPROCS": "2", "GOMEMLIMIT": "64MiB"},
            log_file=log_file,
            directory=debian.working_directory(binary, otherwise=directory),
        )
    )
    supervisor.wait_until(
        NAME, lambda: answers_ok(f"http://{LOOPBACK}:{port}{READY_PATH}"), deadline_s=START_DEADLINE_S
    )


def _divide(route: dict[str, Any], factor: float) -> None:
    for name in TIMES:
        if name in route:
            total = sum(int(number) * _UNIT_MS[unit] for number, unit in _DURATION.findall(route[name]))
            route[name] = f"{max(round(total / factor), 1)}ms"
    for child in route.get("routes", ()):
        _divide(child, factor)
