"""`prizewire drill`: cause a failure, wait for its alert, follow its runbook, wait until the alert resolves."""

import json
import shlex
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from prizewire_devstack.cli.console import console as make_console
from prizewire_devstack.cli.progress import LiveReporter
from prizewire_devstack.cli.up import terminating
from prizewire_devstack.components import local
from prizewire_devstack.drills import DRILLS
from prizewire_devstack.drills.running import DrillError, run
from prizewire_devstack.home import HOME_VARIABLE, Home
from prizewire_devstack.stack import Stack, StackOptions
from prizewire_devstack.waiting import NotInTimeError

_HELP = """Cause a failure on a local stack of its own, wait for its alert, follow the runbook, and wait until the alert resolves.

The stack has real Prometheus and Alertmanager. The times of the alert rules are divided, so that an alert that takes minutes fires
within seconds. Exit code 1 when a drill does not go as it should.

\b
"""


@click.command(
    name="drill", help=_HELP + "\n".join(f"{name.ljust(18)}{one.title}" for name, one in DRILLS.items())
)
@click.argument("names", metavar="[NAME…]", nargs=-1, type=click.Choice(list(DRILLS)))
@click.option("--all", "every", is_flag=True, help="Run every drill, one after the other.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(names: tuple[str, ...], every: bool, as_json: bool) -> int:
    """Run drills."""
    if bool(names) == every:
        raise click.UsageError(f"name drills, or --all: {', '.join(DRILLS)}")
    chosen = [DRILLS[name] for name in (DRILLS if every else dict.fromkeys(names))]
    console = make_console(stderr=as_json)
    local.require()
    reporter = LiveReporter(console)
    outcomes, failed = [], []
    with terminating(), tempfile.TemporaryDirectory(prefix="prizewire-drill-") as directory:
        stack = Stack(home=Home(root=Path(directory) / "home"), options=StackOptions(), reporter=reporter)
        with reporter.showing():
            stack.__enter__()
        console.print(
            f"While the drills run, your commands reach their stack after: export {HOME_VARIABLE}={shlex.quote(str(stack.home.root))}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        try:
            for drill in chosen:
                console.print(f"\n[bold]{drill.name}[/]", highlight=False)

                def say(sentence: str) -> None:
                    console.print(f"  {sentence}", markup=False, highlight=False, soft_wrap=True)

                try:
                    outcomes.append(run(drill, stack, directory=Path(directory) / drill.name, say=say))
                except (DrillError, NotInTimeError) as error:
                    failed.append({"name": drill.name, "error": str(error)})
                    say(f"FAILED: {error}")
        finally:
            stack.__exit__()
    if as_json:
        click.echo(json.dumps({"done": [asdict(one) for one in outcomes], "failed": failed}))
    else:
        for one in outcomes:
            console.print(
                f"{one.name}: fired after {one.fired_s:.0f} s, resolved after {one.resolved_s:.0f} s, with the rules' times divided by "
                f"{one.factor:.0f}",
                highlight=False,
                soft_wrap=True,
            )
        console.print(f"\n{len(outcomes)} of {len(chosen)} drills went as they should.", highlight=False)
    return 1 if failed else 0
