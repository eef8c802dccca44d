"""The stack of containers over a stand-in for `docker`: its calls are the right ones, and failures become sentences."""

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
import yaml

from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.containers.engine import require_engine
from prizewire_devstack.containers.stack import FILES, ContainerStack
from prizewire_devstack.errors import DevstackError, StartError
from prizewire_devstack.home import Home, repository_root
from prizewire_devstack.stack.fake_payments import BOOK

STAND_IN: Final = Path(__file__).with_name("docker_stand_in.py")
ROOT: Final = repository_root()
SERVICES: Final[dict[str, Any]] = yaml.safe_load((ROOT / FILES[0]).read_text())["services"]
ADVICE: Final = "Install Docker with Compose 2.20 or newer and start its engine, or leave PRIZEWIRE_STACK out"


def short(text: str) -> str:
    """A text without the name of the project."""
    return re.sub(r"prizewire-tests-[0-9a-f]{8}-", "", text)


@dataclass(frozen=True)
class Docker:
    """The stand-in in its folder."""

    folder: Path

    def set(self, **changes: Any) -> None:
        """Change what it answers."""
        world = json.loads((self.folder / "world.json").read_text())
        (self.folder / "world.json").write_text(json.dumps({**world, **changes}))

    def states(self) -> dict[str, str]:
        """The state of each container, by its name without that of its project."""
        world = json.loads((self.folder / "world.json").read_text())
        return {short(name): one["State"] for name, one in world["containers"].items()}

    def calls(self) -> list[dict[str, Any]]:
        """Every call since the last question."""
        file = self.folder / "calls.jsonl"
        found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def said(self) -> list[str]:
        """The commands since the last question, without the files and the project that each names."""
        return [
            short(re.sub(r" -f \S+", "", shlex.join(("docker", *call["arguments"])))) for call in self.calls()
        ]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """The stand-in on PATH, with an engine, keys as `provision keys` makes them, and a folder of payouts."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f"#!{sys.executable} -I\n{STAND_IN.read_text()}")
    program.chmod(0o700)
    made = Home(root=tmp_path / "made")
    made.create()
    Keyring(home=made).ensure(now=datetime.now(UTC))
    state = tmp_path / "payouts"
    state.mkdir()
    services = [name for name, one in SERVICES.items() if "profiles" not in one]
    world = {
        "engine": "28.2.2",
        "compose": "2.39.1",
        "services": services,
        "once": [name for name in services if SERVICES[name]["restart"] == "no"],
        "broken": {},
        "containers": {},
        "folders": {"keys:/provision/keys/.": str(made.root), "/var/lib/prizewire": str(state)},
    }
    (folder / "world.json").write_text(json.dumps(world))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return Docker(folder)


@pytest.fixture
def stack(docker: Docker, tmp_path: Path) -> Iterator[ContainerStack]:
    with ContainerStack(home=Home(root=tmp_path / "home")) as made:
        docker.calls()
        yield made


@pytest.fixture
def answering(stack: ContainerStack) -> Iterator[None]:
    """Rewards is ready at its port."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    server = ThreadingHTTPServer(("127.0.0.1", stack.ports["rewards"]), Ready)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_start_builds_starts_and_takes_the_keys(docker: Docker, tmp_path: Path) -> None:
    """In this order, and in the end containers and volumes are removed. The command `prizewire` reaches the stack with its home."""
    home = Home(root=tmp_path / "home")
    with ContainerStack(home=home) as stack:
        assert docker.said() == [
            "docker compose version",
            "docker version --format '{{.Server.Version}}'",
            "docker compose up --build --wait",
            f"docker compose cp keys:/provision/keys/. {home.root}",
        ]
        assert stack.token("admin").count(".") == 2
        assert stack.kafka.login("game-server").bootstrap_servers == f"127.0.0.1:{stack.ports['kafka']}"
        found = home.installation()
        assert found is not None
        assert (found.gateway, found.kafka) == (stack.url, f"127.0.0.1:{stack.ports['kafka']}")
    assert docker.said() == ["docker compose down --volumes"]
    assert docker.states() == {}


def test_every_call_is_about_a_project_of_its_own(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of another project on this machine have no effect: `down --volumes` would delete its databases."""
    for name in ("COMPOSE_PROJECT_NAME", "COMPOSE_FILE", "PRIZEWIRE_PORT", "PRIZEWIRE_TESTS_KAFKA_PORT"):
        monkeypatch.setenv(name, "1")
    with ContainerStack(home=Home(root=tmp_path / "home")) as stack:
        ports = {f"PRIZEWIRE_TESTS_{part.upper()}_PORT": str(port) for part, port in stack.ports.items()}
        ports["PRIZEWIRE_PORT"] = ports.pop("PRIZEWIRE_TESTS_GATEWAY_PORT")
    calls = [call for call in docker.calls() if "-f" in call["arguments"]]
    assert len(calls) == 3
    for call in calls:
        assert call["variables"] == {"COMPOSE_PROJECT_NAME": stack.name, **ports}
        assert call["directory"] == str(ROOT)
        assert call["arguments"][1:5] == ["-f", FILES[0], "-f", FILES[1]]
    named = set(re.findall(r"PRIZEWIRE_TESTS_\w+", (ROOT / FILES[1]).read_text()))
    assert named | {"PRIZEWIRE_PORT"} == ports.keys()
    assert "PRIZEWIRE_PORT" in (ROOT / FILES[0]).read_text()


@pytest.mark.usefixtures("answering")
def test_parts_are_killed_stopped_and_started_again(docker: Docker, stack: ContainerStack) -> None:
    """Each by the name of its container: what it depends on stays as it is."""
    stack.kill("rewards")
    assert docker.states()["rewards-1"] == "exited"
    stack.start_again("rewards")
    stack.stop("rewards")
    stack.restart("rewards")
    stack.freeze("rewards")
    assert docker.states()["rewards-1"] == "paused"
    stack.thaw("rewards")
    stack.thaw("rewards")
    assert docker.states()["rewards-1"] == "running"
    assert docker.said() == [
        "docker kill --signal SIGKILL rewards-1",
        "docker start rewards-1",
        "docker stop rewards-1",
        "docker start rewards-1",
        "docker pause rewards-1",
        "docker unpause rewards-1",
    ]


@pytest.mark.usefixtures("answering")
def test_settings_are_one_more_file_until_others_come(docker: Docker, stack: ContainerStack) -> None:
    """What a service is started with stays for later starts; a dollar sign is no variable."""
    stack.stop("rewards")
    stack.start_with("rewards", {"LOG_LEVEL": "a$b"})
    _, call = docker.calls()
    name = call["arguments"][6]
    assert call["arguments"][5:] == ["-f", name, "up", "--detach", "--no-deps", "--no-build", "rewards"]
    changed = json.loads(Path(name).read_text())["services"]
    assert changed == {"rewards": {"environment": {"LOG_LEVEL": "a$$b"}}}
    stack.start_with("rewards", {})
    assert json.loads(Path(name).read_text())["services"] == {"rewards": {"environment": {}}}


def test_one_more_process_is_a_container_without_the_services_name(
    docker: Docker, stack: ContainerStack
) -> None:
    """What is done to the service is not done to it; it is removed in the end, as Compose would not."""
    part = stack.add_replica("rewards")
    assert part == "rewards-2"
    port = stack.ports[part]
    assert stack.service_url(part) == f"http://127.0.0.1:{port}"
    stack.kill("rewards")
    assert (docker.states()["rewards-1"], docker.states()["rewards-2-alone"]) == ("exited", "running")
    stack.stop(part)
    with pytest.raises(StartError, match=r"^rewards-2 ended while it started; its log ends with:\nwritten"):
        stack.wait_ready(part)
    assert stack.add_replica("rewards") == "rewards-3"
    run = "docker compose run --detach --no-deps --name"
    assert docker.said() == [
        f"{run} rewards-2-alone --publish 127.0.0.1:{port}:8080 rewards",
        "docker kill --signal SIGKILL rewards-1",
        "docker stop rewards-2-alone",
        "docker inspect --format '{{.State.Status}}' rewards-2-alone",
        "docker logs --tail 12 rewards-2-alone",
        f"{run} rewards-3-alone --publish 127.0.0.1:{stack.ports['rewards-3']}:8080 rewards",
    ]
    stack.__exit__()
    assert docker.said() == [
        "docker rm --force rewards-2-alone",
        "docker rm --force rewards-3-alone",
        "docker compose down --volumes",
    ]


def test_a_log_is_output_and_errors(docker: Docker, stack: ContainerStack) -> None:
    """Services log to their standard error."""
    assert stack.log("signer") == "written to the output\nwritten to the errors\n"
    assert docker.said() == ["docker logs signer-1"]


def test_payments_of_the_fake_rail_are_read_in_its_container(
    stack: ContainerStack, docker: Docker, tmp_path: Path
) -> None:
    """Its file is on a volume; nothing but the standard library is needed to read it."""
    assert stack.fake_payments() == []
    with sqlite3.connect(tmp_path / "payouts" / BOOK) as book:
        book.execute("CREATE TABLE effects (id INTEGER PRIMARY KEY, payout_id TEXT, amount TEXT)")
        book.execute("INSERT INTO effects VALUES (7, 'p-1', '50.00')")
    assert stack.fake_payments() == [("p-1", "50.00", "7")]
    stack.stop("payouts")
    with pytest.raises(StartError, match='service "payouts" is not running'):
        stack.fake_payments()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"compose": None}, "`docker compose version` says: docker: unknown command: docker compose"),
        ({"compose": "2.19.1"}, "`docker compose version` says: Docker Compose version v2.19.1"),
        ({"engine": None}, "`docker version --format` says: Cannot connect to the Docker daemon"),
    ],
)
def test_without_an_engine_a_sentence_says_what_to_do(
    docker: Docker, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    """Nothing is created before."""
    docker.set(**changes)
    with (
        pytest.raises(DevstackError, match=re.escape(why)) as raised,
        ContainerStack(home=Home(root=tmp_path / "home")),
    ):
        pass
    assert ADVICE in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not any("-f" in call["arguments"] for call in docker.calls())
    assert not (tmp_path / "home").exists()


def test_without_docker_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command is not on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DevstackError, match=r"`docker compose version` cannot be run \(No such file"):
        require_engine()


def test_a_failed_start_shows_the_log_and_leaves_nothing(docker: Docker, tmp_path: Path) -> None:
    """The container that is unhealthy and the command that failed are named; containers and volumes are removed."""
    docker.set(broken={"signer": {"Health": "unhealthy"}, "topics": {"State": "exited", "ExitCode": 2}})
    with (
        pytest.raises(StartError) as raised,
        ContainerStack(home=Home(root=tmp_path / "home")),
    ):
        pass
    text = str(raised.value)
    assert text.startswith("`docker compose up --build --wait` failed with code 1:\n")
    assert "is unhealthy" in text
    assert re.findall(r"The log of (\S+) ends with:\nwritten to the output", text) == ["topics", "signer"]
    assert docker.said()[-1] == "docker compose down --volumes"
    assert docker.states() == {}


def test_a_part_that_ends_or_stays_silent_is_reported(docker: Docker, stack: ContainerStack) -> None:
    """With the end of its log."""
    with pytest.raises(StartError, match=r"^webhooks was not ready within 0 s; its log ends with:\nwritten"):
        stack.wait_ready("webhooks", deadline_s=0)
    stack.kill("webhooks")
    with pytest.raises(StartError, match=r"^webhooks ended while it started"):
        stack.wait_ready("webhooks", deadline_s=inf)
    with pytest.raises(
        StartError, match=r"^`docker kill --signal SIGKILL \S+-webhooks-1` failed with code 1:"
    ):
        stack.kill("webhooks")


def test_what_is_frozen_is_thawed_before_it_is_removed(docker: Docker, tmp_path: Path) -> None:
    """A frozen container cannot stop."""
    with ContainerStack(home=Home(root=tmp_path / "home")) as stack:
        stack.freeze("rewards")
        docker.calls()
    assert docker.said() == ["docker unpause rewards-1", "docker compose down --volumes"]


EXAMPLE: Final = '''
import pytest

@pytest.mark.local_processes
def test_of_processes(full_stack):
    """Not run."""
    raise AssertionError

def test_of_any(full_stack):
    """Over the stand-in."""
    assert type(full_stack).__name__ == "ContainerStack"
'''


def run_example(tmp_path: Path, *, chosen: str) -> subprocess.CompletedProcess[str]:
    """Run the example in a process of its own."""
    (tmp_path / "test_example.py").write_text(EXAMPLE)
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        (
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-rs",
            f"--rootdir={tmp_path}",
            "test_example.py",
        ),
        # a run of its own, not a worker of this one
        env={**others, "PRIZEWIRE_STACK": chosen},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_over_containers_skips_tests_of_processes(docker: Docker, tmp_path: Path) -> None:
    """The same test gets the stack of containers; the other is skipped with a sentence."""
    done = run_example(tmp_path, chosen="containers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed, 1 skipped" in done.stdout
    assert "It looks at the processes of the local stack, and PRIZEWIRE_STACK is containers." in done.stdout
    assert docker.said()[-1] == "docker compose down --volumes"


def test_a_run_over_containers_without_an_engine_fails(docker: Docker, tmp_path: Path) -> None:
    """With one sentence, before any test: skipped tests would pass for run ones."""
    docker.set(engine=None)
    done = run_example(tmp_path, chosen="containers")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    [line] = filter(None, done.stderr.splitlines())
    assert line.startswith("ERROR: Containers cannot be run here: ")


def test_an_unknown_kind_of_stack_is_refused(tmp_path: Path) -> None:
    """A misspelt word must not run local processes."""
    done = run_example(tmp_path, chosen="container")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "PRIZEWIRE_STACK is 'container': set it to processes or containers." in done.stderr
