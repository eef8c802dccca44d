"""`prizewire up`: start everything, stay until Ctrl-C, stop everything."""

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click
from rich.console import Console

from prizewire_devstack import disk
from prizewire_devstack.cli.chosen import chosen_settings
from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.cli.progress import LiveReporter
from prizewire_devstack.cli.watching import Watcher
from prizewire_devstack.components import local
from prizewire_devstack.home import Home
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import Stack, StackOptions
from prizewire_devstack.stack.control import Requests
from prizewire_devstack.stack.keeping import Keeper

WATCH_INTERVAL_S: Final = 1.0
REPLICAS_MAX: Final = 9


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived: treated as Ctrl-C is."""


@contextmanager
def terminating() -> Iterator[None]:
    """Let SIGTERM stop the stack as Ctrl-C does."""

    def on_signal(_signum: int, _frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def running_stack(
    *,
    console: Console,
    fresh: bool,
    fixed_ports: Mapping[str, int] | None = None,
    log_level: str = "INFO",
    without: tuple[str, ...] = (),
    settings: Mapping[str, Mapping[str, str]] | None = None,
    replicas: int = 1,
    monitoring: bool = False,
) -> Iterator[Stack]:
    """Start the stack with its progress on `console`; stop it when the block is left."""
    local.require()
    reporter = LiveReporter(console)
    stack = Stack(
        home=Home.default(),
        options=StackOptions(
            fresh=fresh,
            services=tuple(service for service in SERVICES if service not in without),
            left_out=without,
            fixed_ports=fixed_ports or {},
            log_level=log_level,
            extra_environment=settings or {},
            replicas=replicas,
            monitoring=monitoring,
        ),
        reporter=reporter,
    )
    with reporter.showing():
        stack.__enter__()
    try:
        yield stack
    finally:
        stack.__exit__()


@click.command(name="up")
@click.option("--fresh", is_flag=True, help="Delete all state of earlier runs first.")
@click.option("--gateway-port", type=click.IntRange(1, 65535), help="Serve every path on this port.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line with the addresses once all is ready."
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(SERVICES),
    help="Leave a service out, to run it by hand; may be given several times.",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, REPLICAS_MAX),
    default=1,
    show_default=True,
    help="Processes of each service. The gateway sends requests to those that are ready.",
)
@click.option(
    "--monitoring", is_flag=True, help="Run Prometheus with the alert rules, and Alertmanager, too."
)
@click.option("--verbose", is_flag=True, help="Let the services log every detail.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SERVICE.NAME=VALUE",
    help="A setting of a service; may be given several times.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    help="Settings of services as YAML: NAME: value under each service. --set overrides them.",
)
def command(  # noqa: PLR0917 - click passes options by name
    fresh: bool,
    gateway_port: int | None,
    as_json: bool,
    without: tuple[str, ...],
    replicas: int,
    monitoring: bool,
    verbose: bool,
    assignments: tuple[str, ...],
    settings_file: Path | None,
) -> None:
    """Start PostgreSQL, Kafka, the Stellar sandbox, the gateway and the five services; stop them on Ctrl-C.

    A part that ends by itself is started again.
    """
    settings = chosen_settings(assignments, settings_file, left_out=without)
    console = make_console(stderr=as_json)
    fixed = {"gateway": gateway_port} if gateway_port is not None else {}
    with (
        terminating(),
        running_stack(
            console=console,
            fresh=fresh,
            fixed_ports=fixed,
            log_level="DEBUG" if verbose else "INFO",
            without=tuple(dict.fromkeys(without)),
            settings=settings,
            replicas=replicas,
            monitoring=monitoring,
        ) as stack,
    ):
        if as_json:
            click.echo(
                json.dumps(
                    {"ready": True, "url": stack.url, "ports": stack.ports, "state": str(stack.home.root)}
                )
            )
        console.print(f"\nReady: [bold]{stack.url}[/]   state and logs: {stack.home.root}", soft_wrap=True)
        if monitoring:
            console.print(
                f"Prometheus: {stack.monitoring.url}   Alertmanager: {stack.monitoring.alertmanager_url}",
                soft_wrap=True,
            )
        for service in stack.options.left_out:
            console.print(
                f"Left out: {service}. In another shell: "
                f'eval "$(prizewire env {service} --migrate)", then python -m prizewire_{service} migrate and serve.',
                soft_wrap=True,
                highlight=False,
                markup=False,
            )
        console.print("Ctrl-C stops everything; the state is kept.", highlight=False)
        try:
            _watch(stack, console)
        except KeyboardInterrupt:
            console.print("\nStopping…")
    console.print("Stopped.")


def _watch(stack: Stack, console: Console) -> None:
    """Run until interrupted: report and restart parts that end by themselves, and process requests of other terminals."""

    def say(sentence: str) -> None:
        console.print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)

    requests = Requests(stack.home)
    directory = stack.home.root
    keeper = Keeper(stack=stack, requests=requests, say=say, may_start=lambda: not disk.is_low(directory))
    watcher = Watcher(supervisor=stack.supervisor, directory=directory, say=say, ended=keeper.ended)
    nobody = threading.Event()
    with requests.opened():
        while not nobody.wait(WATCH_INTERVAL_S):
            watcher.look()
            keeper.look()
