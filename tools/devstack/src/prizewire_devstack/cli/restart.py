"""`prizewire restart`: restart one part of the running stack."""

import click

from prizewire_devstack.components.processes import START_LIMIT_S
from prizewire_devstack.home import Home
from prizewire_devstack.stack.control import ask_restart


@click.command(name="restart")
@click.argument("part")
def command(part: str) -> None:
    """Stop PART of the stack that `prizewire up` runs, start it with the same settings, and wait until it is ready. Its state
    is kept; the other parts go on running. What happens meanwhile is said on standard error. Exit code 2 if it is not ready in time.

    PART is settlement, rewards, payouts, signer, webhooks, postgres, kafka, stellar or gateway; settlement-2 is the second
    process of settlement after `prizewire up --replicas 2`.
    """
    said = ask_restart(
        Home.default(), part, deadline_s=START_LIMIT_S, say=lambda sentence: click.echo(sentence, err=True)
    )
    click.echo(said)
