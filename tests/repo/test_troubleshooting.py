"""Commands and routes of docs/troubleshooting.md are those that there are."""

import re
import shlex
from typing import Final

import click
import pytest

from prizewire_devstack.cli.main import group
from prizewire_devstack.home import repository_root

PAGE: Final = (repository_root() / "docs" / "troubleshooting.md").read_text()
CODE: Final = tuple(dict.fromkeys(re.findall(r"`([^`\n]+)`", PAGE)))
COMMANDS: Final = tuple(one for one in CODE if re.match(r"(\w+=\S+ )?prizewire [a-z-]", one))
ROUTES: Final = tuple(one for one in CODE if re.match(r"(GET|POST|PUT|DELETE) /", one))
VALUES: Final = {
    "SERVICE/NUMBER": "payouts/1",
    "AMOUNT": "1.00",
    "COMMAND": "status",
    **dict.fromkeys(("ID", "ROUND", "CLAIM", "PRIZE", "CAMPAIGN"), "6f9619ff-8b86-4011-b42d-00c04fc964ff"),
    **dict.fromkeys(("MATCH", "PLAYER", "NAME", "TEXT"), "x"),
}
"""A value for each word in capitals."""


def parse(command: str) -> None:
    """Read a command as `prizewire` would, without running it.

    Raises:
        click.UsageError: there is no such command or option, or an argument is missing or wrong.
    """
    words = [one for one in shlex.split(command.partition(" > ")[0]) if "=" not in one][1:]
    found: click.Command = group
    context = click.Context(found, info_name="prizewire")
    arguments = [VALUES.get(one, one) for one in words]
    while isinstance(found, click.Group):
        context = found.make_context(context.info_name, arguments, parent=context.parent)
        arguments = [*context._protected_args, *context.args]
        name, chosen, arguments = found.resolve_command(context, arguments)
        assert chosen is not None, name
        if "--help" in arguments:
            return
        found = chosen
        if not isinstance(found, click.Group):
            found.make_context(name, arguments, parent=context)


def test_the_page_has_commands_and_routes() -> None:
    """The tests below have something to test."""
    assert len(COMMANDS) > 30
    assert ROUTES


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_can_be_run(command: str) -> None:
    """Its name, options and number of arguments are right."""
    parse(command)


@pytest.mark.parametrize(
    "command", ["prizewire nothing", "prizewire rounds list --lost", "prizewire claims show"]
)
def test_a_wrong_command_is_found(command: str) -> None:
    """An unknown name, an unknown option and a missing argument."""
    with pytest.raises(click.UsageError):
        parse(command)


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_is_served(route: str) -> None:
    """The HTTP reference has it."""
    reference = "\n".join(one.read_text() for one in (repository_root() / "docs" / "http").glob("*.md"))
    served = re.sub(r"\{\w+\}", "{}", reference)
    wanted = re.sub(r"\{\w+\}", "{}", route)
    # Each service serves its own document, which does not list itself.
    assert f"## {wanted}\n" in served or wanted == "GET /api/services/{}/openapi.json", route
