"""The command: failures are sentences with exit code 2, and no traceback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import jwt
import pytest
from click.testing import CliRunner

from prizewire_devstack.api import TOKEN_VARIABLE, URL_VARIABLE
from prizewire_devstack.cli import main, restart, status
from prizewire_devstack.cli.console import console
from prizewire_devstack.cli.main import group
from prizewire_devstack.cli.progress import LiveReporter
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.errors import StartError
from prizewire_devstack.home import HOME_VARIABLE, Home
from prizewire_devstack.interrupts import INTERRUPTED
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.waiting import eventually_sync

MATCH = '{"match_id": "m-1", "competition": "cup", "results": [{"player": "ada", "place": 1}]}'
NOT_UTF8 = b"campaigns: [{name: \xff}]"
KAFKA = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "KAFKA_SASL_USERNAME": "game-server",
    "KAFKA_SASL_PASSWORD": "unused",
}
"""A broker that does not exist: arguments are checked before a connection is made."""


def prizewire(
    *arguments: str, home: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "prizewire_devstack", *arguments),
        env={**os.environ, HOME_VARIABLE: str(home), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_commands_that_need_the_stack_say_how_to_start_it(tmp_path: Path) -> None:
    """Exit code 2 and one sentence, no traceback."""
    for arguments in (("status",), ("trace", "some-id"), ("stuck", "list"), ("token", "--role", "admin")):
        done = prizewire(*arguments, home=tmp_path)
        assert done.returncode == 2, arguments
        assert "prizewire up" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_failed_start_is_printed_at_once_and_only_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence is there before the parts are stopped; the command then ends with exit code 2 and adds nothing."""
    error = StartError("payouts ended while it started.")
    LiveReporter(console()).failed(error)
    assert capsys.readouterr().err == "prizewire: payouts ended while it started.\n"
    monkeypatch.setattr(group, "main", Mock(side_effect=error))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == ""


def test_a_token_is_for_the_player_or_the_role_asked_for(tmp_path: Path) -> None:
    """A player's token carries the player's role; a role's token a subject of its own."""
    home = Home(root=tmp_path)
    home.create()
    keyring = Keyring(home=home)
    keyring.ensure(now=datetime.now(UTC))
    public = jwt.PyJWKSet.from_json(keyring.jwks_file.read_text())

    def claims(*arguments: str) -> dict[str, object]:
        done = prizewire("token", *arguments, "--json", home=tmp_path)
        decoded: dict[str, object] = jwt.decode(
            (token := json.loads(done.stdout)["token"]),
            public[jwt.get_unverified_header(token)["kid"]],
            algorithms=["EdDSA"],
            audience="prizewire",
        )
        return decoded

    assert claims("--player", "ada")["roles"] == ["player"]
    assert claims("--player", "ada")["sub"] == "ada"
    assert claims("--role", "admin", "--role", "approver")["roles"] == ["admin", "approver"]


@pytest.mark.parametrize("module", ["click", "confluent_kafka"])
def test_ctrl_c_during_an_import_shows_no_traceback(module: str, tmp_path: Path) -> None:
    """Neither while the command's own modules are imported, nor those of one command. The exit code is that of Ctrl-C."""
    reached = tmp_path / "reached"
    (tmp_path / f"{module}.py").write_text(
        f"import pathlib, threading\npathlib.Path({str(reached)!r}).touch()\nthreading.Event().wait()\n"
    )
    process = subprocess.Popen(
        (sys.executable, "-m", "prizewire_devstack", "publish", "--help"),
        env={**os.environ, HOME_VARIABLE: str(tmp_path), "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The tests' own shell may ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    )
    try:
        eventually_sync(reached.exists, deadline_s=60)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "Stopped.\n")
        assert process.returncode == INTERRUPTED
    finally:
        process.kill()


def test_an_unknown_command_names_the_help(tmp_path: Path) -> None:
    """A misspelt command prints the usage line."""
    done = prizewire("upp", home=tmp_path)
    assert done.returncode == 2
    assert "Usage" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("publish", "--raw", "{dir}/nope"), "nope cannot be read"),
        (("publish", "{dir}/match.json", "--key", "{dir}/nope"), "nope cannot be read"),
        (("publish", "{dir}/match.json", "--key", "{dir}/no-key.json"), "holds no message key"),
        (("publish", "{dir}/match.json", "--key", "{dir}/text.txt"), "holds no message key"),
        (("publish", "{dir}/match.json"), "--unsigned"),
        (("publish", "{dir}/half.json", "--unsigned"), "data/competition: it is missing"),
        (("publish", "{dir}/half.json", "--unsigned"), "Nothing was sent."),
        (("publish", "{dir}/binary.yaml"), "no UTF-8 text"),
        (("publish", "{dir}/empty-list.json", "--unsigned"), "holds no event"),
        (("publish", "{dir}/empty.jsonl", "--unsigned"), "holds no event"),
        (("publish", "{dir}/empty.jsonl", "--raw"), "holds no event"),
        (("apply", "{dir}/binary.yaml"), "no UTF-8 text"),
        (("apply", "{dir}/gaps.yaml"), "campaigns, entry 1 has no asset and no delivery"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Missing, of another encoding, empty, or with gaps: a sentence that says what to do, and exit code 2."""
    (tmp_path / "match.json").write_text(MATCH)
    (tmp_path / "half.json").write_text('{"match_id": "m-1"}')
    (tmp_path / "no-key.json").write_text("[]")
    (tmp_path / "text.txt").write_text("# a heading")
    (tmp_path / "binary.yaml").write_bytes(NOT_UTF8)
    (tmp_path / "empty-list.json").write_text("[]")
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "gaps.yaml").write_text("campaigns: [{name: x}]")
    named = [argument.format(dir=tmp_path) for argument in arguments]
    done = prizewire(*named, home=tmp_path / "state", environment=KAFKA)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("arguments", [("up",), ("status",), ("token", "--role", "admin"), ("stuck", "list")])
def test_a_state_directory_that_is_a_file_is_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A sentence names the variable that can be set."""
    file = tmp_path / "state"
    file.write_text("")
    done = prizewire(*arguments, home=file)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert HOME_VARIABLE in done.stderr
    assert str(file) in done.stderr


def test_a_state_directory_that_cannot_be_made_is_named() -> None:
    """`/proc` refuses new directories, even for root."""
    done = prizewire("up", home=Path("/proc/prizewire"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert HOME_VARIABLE in done.stderr


def test_an_unexpected_system_error_names_its_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A failed system call in the middle of a command ends it with one sentence."""
    home = tmp_path / "state"
    (home / "keys").mkdir(parents=True)
    (home / "run.json").mkdir()
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.setattr(sys, "argv", ["prizewire", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"prizewire: {home / 'run.json'} cannot be used (Is a directory)"
    )


@pytest.mark.parametrize(
    ("given", "missing"), [(URL_VARIABLE, TOKEN_VARIABLE), (TOKEN_VARIABLE, URL_VARIABLE)]
)
def test_half_of_another_installation_is_refused(given: str, missing: str, tmp_path: Path) -> None:
    """With only one of the two variables the command does not use the local stack."""
    (tmp_path / "campaigns.yaml").write_text("campaigns: []")
    file = str(tmp_path / "campaigns.yaml")
    discard = ("stuck", "discard", "rewards/1", "--reason", "poisoned")
    for arguments in (("stuck", "replay", "rewards/1"), discard, ("apply", file), ("publish", file)):
        done = prizewire(*arguments, home=tmp_path, environment={given: "http://127.0.0.1:1"})
        assert done.returncode == 2
        assert f"{given} is set and {missing} is not" in done.stderr, arguments


@pytest.mark.parametrize(
    "environment",
    [
        {URL_VARIABLE: "http://127.0.0.1:1", TOKEN_VARIABLE: "any"},
        {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
        {"KAFKA_SASL_USERNAME": "game-server", "KAFKA_SASL_PASSWORD": "unused"},
    ],
    ids=",".join,
)
def test_results_for_another_installation_do_not_reach_the_local_broker(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The error names the missing variables of the broker."""
    (tmp_path / "match.json").write_text(MATCH)
    done = prizewire("publish", str(tmp_path / "match.json"), home=tmp_path, environment=environment)
    assert done.returncode == 2
    assert "but not its broker: set KAFKA_" in done.stderr


def test_a_broker_that_is_not_there_is_named_soon(tmp_path: Path) -> None:
    """The command fails within seconds, and the error says where to look."""
    (tmp_path / "match.json").write_text(MATCH)
    began = time.monotonic()
    done = prizewire("publish", str(tmp_path / "match.json"), "--unsigned", home=tmp_path, environment=KAFKA)
    assert done.returncode == 2
    assert "127.0.0.1:1 does not answer" in done.stderr
    assert "prizewire status" in done.stderr
    assert time.monotonic() - began < 15


def test_the_help_names_what_can_be_restarted_and_every_state() -> None:
    """A reader of the help needs no other page: each service is a part, and each state is explained."""
    restarted = CliRunner().invoke(restart.command, ["--help"]).output
    assert all(name in restarted for name in (*SERVICES, "postgres", "kafka", "stellar", "gateway"))
    explained = CliRunner().invoke(status.command, ["--help"]).output
    states = (
        "running",
        "ready",
        "not ready",
        status.ENDED,
        status.RESTARTING,
        status.SILENT,
        status.FROZEN,
        status.LEFT_OUT,
    )
    assert all(f"{state}: " in explained for state in states)
    assert "pid  " in explained
