"""docker-compose.yml without an engine: its commands, settings, secrets and mounts run as processes until prizes are paid."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from prizewire_devstack.home import Home
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.waiting import eventually_sync
from tests.deploy.compose import (
    INSTALL,
    MONITORING,
    ROOT,
    SYSTEM,
    TESTS,
    environment,
    is_installed,
    mounts,
    read_once,
)
from tests.deploy.container_processes import ContainerProcesses
from tests.deploy.processes_as_stack import ProcessesAsStack
from tests.scene import Scene

pytestmark = [pytest.mark.long, pytest.mark.processes, pytest.mark.skipif(not is_installed(), reason=INSTALL)]

DOCUMENT: Final = "docs/deploy.md"
DEADLINE_S: Final = 90
STAND_IN: Final = """
docker() {
    test "$*" = "compose up --wait" && return
    test "$1 $2 $3 $4" = "compose run --rm tools" || { echo "unknown: docker $*" >&2; return 64; }
    shift 4
    env -i PATH="$PATH" PRIZEWIRE_HOME="$TOOLS_HOME" "$PYTHON" -m prizewire_devstack "${@//\\/examples/$ROOT/examples}"
}
curl() { command curl --fail-with-body "$@"; }
set -a -e -u -o pipefail
"""
"""The stack runs already, and the tools are the command in this environment."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerProcesses]:
    """Every container of docker-compose.yml, as a process, with the ports that tests need."""
    found = read_once(SYSTEM, TESTS)
    with ContainerProcesses(found, tmp_path_factory.mktemp("containers")) as processes:
        processes.up(name for name, one in found["services"].items() if "profiles" not in one)
        yield processes


def commands() -> list[str]:
    """The commands of the document's chapter about Compose that play a payment, in their order."""
    text = (ROOT / DOCUMENT).read_text()
    chapter = re.split(r"^## ", text.partition("\n## Docker Compose\n")[2], flags=re.MULTILINE)[0]
    section = re.split(
        r"^### ", chapter.partition("\n### A match, and a paid prize\n")[2], flags=re.MULTILINE
    )[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+# .*", "", line) for line in lines]


class Terminal:
    """A shell on the host of the containers. Variables that a command sets stay."""

    def __init__(self, processes: ContainerProcesses, directory: Path) -> None:
        self._stored = directory / "variables"
        tools = processes.environment_of("tools")
        self._variables = {
            "PATH": os.environ["PATH"],
            "TOOLS_HOME": tools["PRIZEWIRE_HOME"],
            "PYTHON": sys.executable,
            "ROOT": str(ROOT),
        }
        self._port = processes.ports["gateway"]

    def run(self, command: str) -> str:
        """The output of a command.

        Raises:
            AssertionError: it failed.
        """
        line = command.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{self._port}")
        done = subprocess.run(
            ("bash", "-c", f"{STAND_IN}{line}\nenv -0 > {self._stored}\n"),
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        pairs = (one.partition("=") for one in self._stored.read_text().split("\0") if one)
        self._variables |= {name: value for name, _, value in pairs if name.isupper() and name != "_"}
        return done.stdout

    def wait_for(self, command: str, *words: str) -> str:
        """The output of a command, once it succeeds and has all words: services learn from each other by events."""

        def done() -> tuple[str]:
            output = self.run(command)
            assert all(word in output for word in words), output
            return (output,)

        return eventually_sync(done, deadline_s=DEADLINE_S, poll_s=0.5)[0]


def test_a_prize_is_paid_by_the_commands_of_the_document(running: ContainerProcesses, tmp_path: Path) -> None:
    """From keys to a paid prize with what docker-compose.yml gives each process, and with nothing else. In the end every
    invariant holds.
    """
    terminal = Terminal(running, tmp_path)
    said = {command: terminal.wait_for(command, *_words(command)) for command in commands()}
    assert len(said) >= 7
    assert any("paid over fake" in output for output in said.values())


def test_a_scene_of_the_whole_system_plays_over_them(running: ContainerProcesses, tmp_path: Path) -> None:
    """Its keys come out of their volume, its messages through Kafka's listener for this machine, its questions to each published port:
    every prize is paid once, though rewards is killed.
    """
    with ProcessesAsStack(running, Home(root=tmp_path / "home")) as stack:
        scene = Scene(stack, "compose", 10)
        scene.set_up()
        scene.publish(*(scene.result(*scene.match(number)) for number in range(3)))
        stack.kill("rewards")
        stack.restart("rewards")
        wanted = scene.wanted(range(3))
        eventually_sync(lambda: len(scene.paid()) >= wanted.total(), deadline_s=DEADLINE_S, poll_s=0.5)
        assert Counter((one.player, one.cents) for one in scene.paid()) == wanted
        assert any(one.proof.startswith("fake-") for one in scene.paid())
        assert scene.breaches() == []


def _words(command: str) -> tuple[str, ...]:
    """What the document says that a command prints."""
    expected = {
        "tools apply": ("400.00 USDC booked now",),
        "tools publish": ("Sent 1 message",),
        "tools trace small-round": ("winnings ada",),
        "/api/payout-methods": ('"fake"',),
        "tools trace $PAYOUT": ("paid over fake",),
        "tools verify": ("invariants hold",),
    }
    return next((words for part, words in expected.items() if part in command), ())


def test_a_second_start_changes_nothing(running: ContainerProcesses) -> None:
    """`docker compose up` runs the commands that end each time: the same keys are there, and a restarted service takes them."""
    before = _contents(running, "keys", "secrets-settlement", "public")
    for name in ("keys", "databases", "topics", "chain"):
        running.run_again(name)
    assert _contents(running, "keys", "secrets-settlement", "public") == before
    running.supervisor.stop("settlement")
    running.supervisor.restart("settlement")
    eventually_sync(lambda: running.is_healthy("settlement"), deadline_s=DEADLINE_S)


def _contents(running: ContainerProcesses, *volumes: str) -> dict[Path, tuple[str, float]]:
    files = (file for name in volumes for file in running.volume(name).rglob("*") if file.is_file())
    return {file: (file.read_text(), file.stat().st_mtime) for file in files if "keys/logs" not in str(file)}


def test_prometheus_reaches_every_services_metrics(running: ContainerProcesses) -> None:
    """Each target of its configuration is a service's port, and answers with metrics of that service's process."""
    [mount] = [
        one for one in mounts(read_once(MONITORING)["services"]["prometheus"]) if one.source.endswith(".yml")
    ]
    configuration: dict[str, Any] = yaml.safe_load(Path(mount.source).read_text())
    job, *own = configuration["scrape_configs"]
    assert [one["job_name"] for one in own] == ["prometheus", "alertmanager"]
    targets = {one["labels"]["service"]: one["targets"] for one in job["static_configs"]}
    assert targets == {service: [f"{service}:8080"] for service in SERVICES}
    for service in SERVICES:
        answer = httpx.get(f"http://127.0.0.1:{running.ports[service]}{job['metrics_path']}", timeout=600)
        assert answer.status_code == 200
        assert "prizewire_" in answer.text


def test_settings_come_from_files_of_the_containers_alone(running: ContainerProcesses) -> None:
    """No process was given a variable that its definition does not name, beside those of every child process here."""
    spec = running.spec("signer", ("serve",))
    named = environment(running.services["signer"]).keys()
    assert {name for name in spec.environment if name.isupper()} - named <= {
        *(
            "PATH",
            "HOME",
            "LANG",
            "LC_ALL",
            "TMPDIR",
            "SSL_CERT_FILE",
            "MALLOC_ARENA_MAX",
            "PYTHONUNBUFFERED",
            "TZ",
        )
    }
