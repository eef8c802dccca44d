"""`prizewire env`: the environment of one service, for running it by hand beside the stack."""

import json
import shlex

import click

from prizewire_devstack.components.processes import PASSED_ON
from prizewire_devstack.home import Home, is_alive, repository_root
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack.environment import local_environment


@click.command(name="env")
@click.argument("service", type=click.Choice(SERVICES))
@click.option("--migrate", is_flag=True, help="Add the owner's database URL, which `migrate` needs.")
@click.option("--quiet", is_flag=True, help="Do not say that the stack runs SERVICE itself.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(service: str, migrate: bool, quiet: bool, as_json: bool) -> None:
    """Print the variables of SERVICE on the running stack as export lines, with its local keys and passwords and the
    settings that the stack was started with.

    Use it as `eval "$(prizewire env SERVICE)"` in another shell; `prizewire up --without SERVICE` keeps the port free.
    """
    home = Home.default()
    run = home.running()
    environment = local_environment(
        service,
        home=home,
        root=repository_root(),
        ports=run.ports,
        log_level=run.log_level,
        migrate=migrate,
    )
    environment |= run.settings.get(service, {})
    printed = {name: value for name, value in environment.items() if name not in PASSED_ON}
    if as_json:
        click.echo(json.dumps(printed))
    else:
        for name, value in printed.items():
            click.echo(f"export {name}={shlex.quote(value)}")
    record = run.processes.get(service)
    if not quiet and record is not None and is_alive(record):
        click.echo(
            f"prizewire: These are the variables of {service}. The stack runs {service} itself. Only to run it by hand in its place, start "
            f"the stack with `prizewire up --without {service}`, which keeps port {run.ports[service]} free.",
            err=True,
        )
