"""`prizewire bench`: run the benchmark in the repository's folder `bench/`."""

import subprocess
import sys

import click

from prizewire_devstack.home import repository_root


@click.command(
    name="bench",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Measure Prizewire and its lower bounds in the same run: wallet, ledger, latency, history, payouts (`--help` lists the options)."""
    done = subprocess.run(  # noqa: S603 - our own module, without a shell
        (sys.executable, "-m", "bench", *arguments), cwd=repository_root(), check=False
    )
    return done.returncode
