"""Entry point: command lookup, and every anticipated failure as one sentence with exit code 2.

A command is imported when it is called: `prizewire token` does not load a broker's client library.
"""

import errno
import importlib
import os
import sys
from typing import Final

import click

from prizewire_devstack.cli.failures import print_failure
from prizewire_devstack.errors import EXIT_CODE, DevstackError
from prizewire_devstack.home import OWNER_ONLY_UMASK
from prizewire_devstack.interrupts import INTERRUPTED, imported
from prizewire_devstack.proxies import spare_loopback

COMMANDS: Final = {
    "up": "prizewire_devstack.cli.up",
    "restart": "prizewire_devstack.cli.restart",
    "demo": "prizewire_devstack.cli.demo",
    "apply": "prizewire_devstack.cli.apply",
    "publish": "prizewire_devstack.cli.publish",
    "source": "prizewire_devstack.cli.source",
    "import": "prizewire_devstack.cli.imports",
    "trace": "prizewire_devstack.cli.trace",
    "status": "prizewire_devstack.cli.status",
    "stuck": "prizewire_devstack.cli.stuck",
    "campaigns": "prizewire_devstack.cli.campaigns",
    "rounds": "prizewire_devstack.cli.rounds",
    "claims": "prizewire_devstack.cli.claims",
    "prizes": "prizewire_devstack.cli.prizes",
    "rails": "prizewire_devstack.cli.rails",
    "payouts": "prizewire_devstack.cli.payouts",
    "verify": "prizewire_devstack.cli.verify",
    "audit": "prizewire_devstack.cli.audit",
    "doctor": "prizewire_devstack.cli.doctor",
    "token": "prizewire_devstack.cli.token",
    "provision": "prizewire_devstack.cli.provision",
    "env": "prizewire_devstack.cli.env",
    "env-example": "prizewire_devstack.cli.env_example",
    "dashboards": "prizewire_devstack.cli.dashboards",
    "manifests": "prizewire_devstack.cli.manifests",
    "drill": "prizewire_devstack.cli.drill",
    "bench": "prizewire_devstack.cli.bench",
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command, or its help, is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name: its module's `command`."""
        del ctx
        if (module := COMMANDS.get(cmd_name)) is None:
            return None
        command: click.Command = importlib.import_module(module).command
        imported()
        return command


@click.group(cls=LazyGroup)
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.version_option(package_name="prizewire-devstack")
def group(debug: bool) -> None:
    """From match result to paid prize: the local stack, its demonstration and the operator's tools."""
    del debug


def _sentence(error: OSError) -> str:
    """The sentence about a failed system call, with the path."""
    if error.errno == errno.ENOSPC:
        return "The disk is full: free some space and run the command again."
    reason = error.strerror or type(error).__name__
    if error.filename is None:
        return f"The operating system refused ({reason}): `prizewire --debug …` shows where."
    return f"{error.filename} cannot be used ({reason}): make it accessible and run the command again."


def main() -> None:
    """Run the command; exit 2 with one sentence after an anticipated failure."""
    debug = "--debug" in sys.argv
    try:
        spare_loopback(os.environ)
        os.umask(OWNER_ONLY_UMASK)
        code = group.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(INTERRUPTED)
    except DevstackError as error:
        if debug:
            raise
        print_failure(error)
        sys.exit(EXIT_CODE)
    except OSError as error:
        if debug:
            raise
        click.echo(f"prizewire: {_sentence(error)}", err=True)
        sys.exit(EXIT_CODE)
    sys.exit(code if isinstance(code, int) else 0)
