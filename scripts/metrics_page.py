"""Write docs/metrics.md: every metric of every service, from its definition.

``python -m scripts.metrics_page`` writes it; ``make schemas`` does too.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.routes import SERVICES

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "metrics.md"
_HEAD: Final = """# Metrics

Written by `python -m scripts.metrics_page` (part of `make schemas`) from the definitions in the code. Do not edit it.

Each service serves its metrics at `/metrics`, which the gateway does not pass on. `python -m prizewire_<service> metrics` prints their
definitions as JSON. There are also `process_…` and `python_…`, the metrics of the Prometheus client about the process itself.

- **Replicas.** A counter and a histogram are those of one process: add them up over the replicas. A gauge that is read from the
  database is the same in each replica that runs jobs: take the largest.
- **Labels.** A label has the listed values, or at most the number of values that is given. A further value is shown as `other`, so
  that nobody can fill memory with series. Personal details, ids of players and the thresholds of rules against abuse are no labels.
- **Money.** Amounts are in units of the asset: 12.5 is 12.50 USD. The API has the exact amounts.
"""
_COLUMNS: Final = ("| Metric | Kind | Unit | Labels | Meaning |", "|---|---|---|---|---|")

Metric = Mapping[str, Any]
"""One definition, as the command of a service prints it: name, kind, unit, meaning, labels."""


def metrics_of(service: str) -> list[Metric]:
    """The definitions of a service, by name.

    Raises:
        subprocess.CalledProcessError: its command failed.
    """
    done = subprocess.run(
        (sys.executable, "-m", f"prizewire_{service}", "metrics"),
        env=base_environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: list[Metric] = json.loads(done.stdout)
    return found


def all_metrics() -> dict[str, list[Metric]]:
    """The definitions of each service."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SERVICES, pool.map(metrics_of, SERVICES), strict=True))


def render(metrics: Mapping[str, Sequence[Metric]]) -> str:
    """The page: one table for what all services have, and one for each service."""
    first, *others = metrics.values()
    shared = {metric["name"] for metric in first}.intersection(
        *({metric["name"] for metric in one} for one in others)
    )
    tables = {"Every service": [metric for metric in first if metric["name"] in shared]} | {
        service: [metric for metric in mine if metric["name"] not in shared]
        for service, mine in metrics.items()
    }
    lines = [_HEAD]
    for title, rows in tables.items():
        if rows:
            lines += [f"## {title}", "", *_COLUMNS, *map(_row, rows), ""]
    return "\n".join(lines)


def _row(metric: Metric) -> str:
    labels = "<br>".join(_label(name, values) for name, values in metric["labels"].items())
    cells = (f"`{metric['name']}`", metric["kind"], metric["unit"], labels, metric["meaning"])
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _label(name: str, values: Mapping[str, Any]) -> str:
    meaning = values["meaning"]
    if values["values"] is None:
        return f"`{name}`: {meaning}; at most {values['most']}"
    listed = ", ".join(f"`{value}`" for value in values["values"])
    return f"`{name}`: {meaning}: {listed}" if meaning else f"`{name}`: {listed}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(all_metrics()))
