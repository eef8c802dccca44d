"""`prizewire status`: what runs, where, and how much memory it takes."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import click
import httpx
import psutil
from rich.table import Table

from prizewire_devstack.cli import figures
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.components import alertmanager, gateway, prometheus
from prizewire_devstack.home import Home, ProcessRecord, RunRecord, is_alive
from prizewire_devstack.stack.replicas import service_of

LEFT_OUT: Final = "left out"
"""A service that `up --without` left out, and that is not run by hand now."""
ENDED: Final = "ended"
RESTARTING: Final = "restarting"
"""A part whose process ended, and that the running `prizewire up` starts again."""
SILENT: Final = "does not answer"
"""A service that takes a request and does not answer within ``ANSWER_WITHIN_S``."""
FROZEN: Final = "frozen"
"""A process that a signal stopped (SIGSTOP); SIGCONT continues it."""
ANSWER_WITHIN_S: Final = 5.0
READY_PATH: Final = "/health/ready"


def is_asked(part: str) -> bool:
    """Whether a part has a readiness endpoint of its own: each process of a service, and the gateway."""
    return part == gateway.NAME or service_of(part) is not None


def memory_bytes(pid: int) -> int | None:
    """Proportional set size of a process and its children; None where the kernel does not report it."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return sum(process.memory_full_info().pss for process in family)
    except (psutil.Error, AttributeError):
        return None


def parts(run: RunRecord, *, restarts: bool = False) -> list[dict[str, Any]]:
    """The state of each part of a running stack. Parts that serve HTTP are asked concurrently. ``restarts`` says that the stack starts
    parts again that ended, as `prizewire up` does.
    """
    ended = RESTARTING if restarts else ENDED
    with ThreadPoolExecutor(len(run.processes) + len(run.left_out) + 1) as pool:
        asked = {
            name: pool.submit(_http_state, f"{run.urls[name]}{READY_PATH}")
            for name in (*run.processes, *run.left_out)
            if is_asked(name)
        }
        states = {name: future.result() for name, future in asked.items()}
    found = []
    for name, record in run.processes.items():
        alive = is_alive(record)
        found.append(
            {
                "part": name,
                "state": _state(record, states.get(name, "running"), ended=ended),
                "pid": record.pid,
                "port": run.ports.get(name),
                "memory_bytes": memory_bytes(record.pid) if alive else None,
            }
        )
    found += [
        {"part": name, "state": ended, "pid": None, "port": run.ports.get(name), "memory_bytes": None}
        for name in run.ended
        if name not in run.processes
    ]
    for name in run.left_out:
        state = states[name] if states[name] != "not ready" else LEFT_OUT
        found.append(
            {"part": name, "state": state, "pid": None, "port": run.ports.get(name), "memory_bytes": None}
        )
    return found


def _http_state(url: str) -> str:
    """The state of a part over HTTP; also that it takes a request and does not answer."""
    try:
        answer = httpx.get(url, timeout=ANSWER_WITHIN_S, trust_env=False)
    except httpx.ReadTimeout:
        return SILENT
    except httpx.TransportError:
        return "not ready"
    return "ready" if answer.status_code == httpx.codes.OK else "not ready"


def _state(record: ProcessRecord, said: str, *, ended: str) -> str:
    """The state of a part with a recorded process: its state over HTTP, if it runs."""
    if not is_alive(record):
        return ended
    try:
        if psutil.Process(record.pid).status() == psutil.STATUS_STOPPED:
            return FROZEN
    except psutil.NoSuchProcess:
        return ended
    return said


_HELP: Final = """Show the parts of the running stack; exit code 1 when one of them is not ready, 2 when no stack runs.

\b
state    running: the process runs; it has no endpoint that says more
         ready: it also answers 200 to /health/ready, so it takes requests
         not ready: it does not answer 200
         does not answer: it took a request, and did not answer within 5 s
         frozen: a signal stopped the process
         ended: the process has ended
         restarting: it has ended, and `prizewire up` starts it again
         left out: by `up --without`, and not run by hand
port     on 127.0.0.1
memory   of the process and its children, shared memory divided
pid      the number of its process: `kill PID` ends it, and `prizewire up`
         starts it again; "by hand" is a service that another terminal runs

The part reaper ends the others if `prizewire up` is killed.
"""


@click.command(name="status", help=_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--watch",
    is_flag=True,
    help="Show the main figures of the dashboards until Ctrl-C, instead of the parts.",
)
@click.option("--once", is_flag=True, help="With --watch: print the figures once, for scripts.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=0.5),
    default=2.0,
    show_default=True,
    help="With --watch: seconds between two readings.",
)
def command(as_json: bool, watch: bool, once: bool, every_s: float) -> int:
    """Print the parts and their states; exit code 1 when one of them is not ready. Or show the figures of the dashboards."""
    if watch or once:
        return figures.watch(once=once, as_json=as_json, every_s=every_s)
    home = Home.default()
    run = home.running()
    found = parts(run, restarts=home.control.is_dir())
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
            "" if part["state"] in (LEFT_OUT, ENDED, RESTARTING) else str(part["pid"] or "by hand"),
        )
    console = make_console()
    console.print(table)
    for part in found:
        if part["state"] == FROZEN:
            click.echo(
                f"prizewire: {part['part']} is stopped by a signal: `kill -CONT {part['pid']}` continues it.",
                err=True,
            )
        elif part["state"] == SILENT:
            click.echo(
                f"prizewire: {part['part']} took a request and did not answer within {ANSWER_WITHIN_S:g} s: "
                f"`prizewire restart {part['part']}` restarts it.",
                err=True,
            )
    for name in (prometheus.NAME, alertmanager.NAME):
        if name in run.urls:
            console.print(f"{name}: {run.urls[name]}", soft_wrap=True)
    console.print(
        f"\nOne origin for every path: {run.urls['gateway']}\nState, logs and keys: {home.root}",
        soft_wrap=True,
    )
    return 0 if healthy else 1
