"""`prizewire status`: what runs, where, and how much memory it takes."""

import json
from typing import Any, Final

import click
import psutil
from rich.table import Table

from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.components.processes import answers_ok
from prizewire_devstack.home import Home, RunRecord, is_alive
from prizewire_devstack.routes import SERVICES

LEFT_OUT: Final = "left out"
"""A service that `up --without` did not start, and that nobody runs by hand now."""


def memory_bytes(pid: int) -> int | None:
    """Proportional set size of a process and its children; None where the kernel does not tell."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return sum(process.memory_full_info().pss for process in family)
    except (psutil.Error, AttributeError):
        return None


def parts(run: RunRecord) -> list[dict[str, Any]]:
    """What is known of each part of a running stack."""
    found = []
    for name, record in run.processes.items():
        alive = is_alive(record)
        state = "running" if alive else "ended"
        if alive and name in SERVICES:
            state = "ready" if answers_ok(f"{run.urls[name]}/health/ready") else "not ready"
        found.append(
            {
                "part": name,
                "state": state,
                "pid": record.pid,
                "port": run.ports.get(name),
                "memory_bytes": memory_bytes(record.pid) if alive else None,
            }
        )
    for name in run.left_out:
        state = "ready" if answers_ok(f"{run.urls[name]}/health/ready") else LEFT_OUT
        found.append(
            {"part": name, "state": state, "pid": None, "port": run.ports.get(name), "memory_bytes": None}
        )
    return found


@click.command(name="status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Show the parts of the running stack; exit code 1 when one is not as it should be."""
    home = Home.default()
    run = home.running()
    found = parts(run)
    healthy = all(part["state"] in {"running", "ready", LEFT_OUT} for part in found)
    if as_json:
        click.echo(
            json.dumps({"healthy": healthy, "urls": run.urls, "state": str(home.root), "parts": found})
        )
        return 0 if healthy else 1
    table = Table("part", "state", "port", "memory", "pid", box=None)
    for part in found:
        memory = part["memory_bytes"]
        table.add_row(
            part["part"],
            part["state"],
            str(part["port"] or ""),
            f"{memory / 2**20:.0f} MB" if memory is not None else "",
            "" if part["state"] == LEFT_OUT else str(part["pid"] or "by hand"),
        )
    console = make_console()
    console.print(table)
    console.print(
        f"\nOne origin for every path: {run.urls['gateway']}\nState, logs and keys: {home.root}",
        soft_wrap=True,
    )
    return 0 if healthy else 1
