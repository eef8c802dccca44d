"""The command: failures are sentences with exit code 2, and no traceback."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import jwt

from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.home import HOME_VARIABLE, Home


def prizewire(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "prizewire_devstack", *arguments),
        env={**os.environ, HOME_VARIABLE: str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_commands_that_need_the_stack_say_how_to_start_it(tmp_path: Path) -> None:
    """Exit code 2 and one sentence, no traceback."""
    for arguments in (("status",), ("trace", "some-id"), ("stuck", "list"), ("token", "--role", "admin")):
        done = prizewire(*arguments, home=tmp_path)
        assert done.returncode == 2, arguments
        assert "prizewire up" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_token_is_for_the_player_or_the_role_asked_for(tmp_path: Path) -> None:
    """A player's token carries the player's role; a role's token a subject of its own."""
    home = Home(root=tmp_path)
    home.create()
    keyring = Keyring(home=home)
    keyring.ensure(now=datetime.now(UTC))
    secret = keyring.jwt_secret_file.read_text().strip()

    def claims(*arguments: str) -> dict[str, object]:
        done = prizewire("token", *arguments, "--json", home=tmp_path)
        decoded: dict[str, object] = jwt.decode(
            json.loads(done.stdout)["token"], secret, algorithms=["HS256"], audience="prizewire"
        )
        return decoded

    assert claims("--player", "ada")["roles"] == ["player"]
    assert claims("--player", "ada")["sub"] == "ada"
    assert claims("--role", "admin", "--role", "approver")["roles"] == ["admin", "approver"]


def test_an_unknown_command_names_the_help(tmp_path: Path) -> None:
    """A typing error is answered by the usage line."""
    done = prizewire("upp", home=tmp_path)
    assert done.returncode == 2
    assert "Usage" in done.stderr
