"""The whole system in the containers of docker-compose.yml, for tests."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

from prizewire_devstack.components import gateway
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.processes import answers_ok
from prizewire_devstack.components.psql import Superuser
from prizewire_devstack.components.stellar import StellarChain
from prizewire_devstack.containers.compose import Compose
from prizewire_devstack.containers.engine import require_engine
from prizewire_devstack.containers.kafka import PublishedKafka
from prizewire_devstack.errors import StartError
from prizewire_devstack.home import INSTALLATION_NAME, Home, Installation, repository_root, write_private
from prizewire_devstack.ports import LOOPBACK, choose
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import fake_payments
from prizewire_devstack.stack.replicas import part_of

FILES: Final = ("docker-compose.yml", "deploy/compose/tests.yml")
SERVERS: Final = ("postgres", "kafka", "stellar")
KEYS: Final = "keys:/provision/keys/."
"""The folder of all keys, in the container that made them and has ended."""
STATE_OF_PAYOUTS: Final = "/var/lib/prizewire"
SERVICE_PORT: Final = 8080
READY_DEADLINE_S: Final = 120.0
POLL_S: Final = 0.2
TAIL: Final = ("--tail", "12")
ENDED: Final = frozenset({"exited", "dead"})


class ContainerStack:
    """One project of containers, from images that are built of this repository. Use as a context manager: leaving it removes the
    containers with all their volumes. `home` becomes a state directory with all keys.
    """

    def __init__(self, *, home: Home, root: Path | None = None) -> None:
        self.home = home
        self.root = root or repository_root()
        taken: set[int] = set()
        self.ports = {part: choose(taken=taken) for part in ("gateway", *SERVERS, *SERVICES)}
        self.name = f"prizewire-tests-{secrets.token_hex(4)}"
        self.keyring = Keyring(home=home)
        self._settings: dict[str, dict[str, str]] = {}
        self._replicas: list[str] = []
        self._frozen: set[str] = set()
        self._exit = ExitStack()
        self._compose = self._made()
        self.postgres: Superuser
        self.kafka: PublishedKafka
        self.chain: StellarChain

    def __enter__(self) -> Self:
        """Build the images, start every container and copy the keys.

        Raises:
            DevstackError: containers cannot be run here.
            StartError: a container did not start; the message has the end of its log.
        """
        require_engine()
        self.home.create()
        self._exit.callback(self._remove)
        try:
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Remove containers, networks and volumes."""
        self._exit.close()

    @property
    def url(self) -> str:
        """The gateway: one origin for every path."""
        return f"http://{LOOPBACK}:{self.ports['gateway']}"

    def service_url(self, part: str) -> str:
        """The HTTP port of a process of a service: health and metrics."""
        return f"http://{LOOPBACK}:{self.ports[part]}"

    def token(self, *roles: str, subject: str = "operator-1") -> str:
        """A token for `subject` with `roles`, valid for some hours."""
        return self.keyring.token(*roles, subject=subject)

    def kill(self, part: str) -> None:
        """Kill a part with SIGKILL. Docker does not start what was killed by a command."""
        self._docker("kill", part, "--signal", "SIGKILL")

    def stop(self, part: str) -> None:
        """Stop a part cleanly. One that does not run stays as it is."""
        self._docker("stop", part)

    def start_again(self, part: str) -> None:
        """Start a part that ended, and do not wait until it is ready.

        Raises:
            StartError: it cannot be started.
        """
        self._docker("start", part)

    def restart(self, part: str) -> None:
        """Start a part that ended, and wait until it is ready.

        Raises:
            StartError: it cannot be started, or was not ready in time.
        """
        self.start_again(part)
        self.wait_ready(part)

    def start_with(self, service: str, settings: Mapping[str, str]) -> None:
        """Start a stopped service with settings that override its others, and wait until it is ready. A restart keeps them.

        Raises:
            StartError: it cannot be started, or was not ready in time.
        """
        self._settings[service] = dict(settings)
        self._compose = self._made()
        # What it depends on has run: commands that ended would run again.
        self._compose.compose("up", "--detach", "--no-deps", "--no-build", service)
        self.wait_ready(service)

    def add_replica(self, service: str) -> str:
        """Start one more process of a service, and do not wait until it is ready. Returns its name as a part. The gateway sends it
        no requests, since the container does not have the name of its service.

        Raises:
            StartError: it cannot be started.
        """
        number = 2
        while part_of(service, number) in self._replicas:
            number += 1
        part = part_of(service, number)
        port = choose(taken=set(self.ports.values()))
        published = f"{LOOPBACK}:{port}:{SERVICE_PORT}"
        self._replicas.append(part)
        self.ports[part] = port
        self._compose.compose(
            "run", "--detach", "--no-deps", "--name", self._container(part), "--publish", published, service
        )
        return part

    def remove_replica(self, part: str) -> None:
        """Stop a process that `add_replica` started. Its container is removed with the stack."""
        self.stop(part)

    def freeze(self, part: str) -> None:
        """Let a part stand still, without its noticing."""
        self._docker("pause", part)
        self._frozen.add(part)

    def thaw(self, part: str) -> None:
        """Let a frozen part go on. One that is not frozen stays as it is."""
        if part in self._frozen:
            self._docker("unpause", part)
            self._frozen.discard(part)

    def log(self, part: str) -> str:
        """What a part has written so far: its output, then its errors. Services write to the latter only. A start with other settings
        begins a new log.
        """
        return self._docker("logs", part)

    def fake_payments(self) -> list[tuple[str, str, str]]:
        """Every payment of the fake rail: payout, amount in major units, number. Payouts must run.

        Raises:
            StartError: it does not run.
        """
        script = Path(fake_payments.__file__).read_text()
        printed = self._python("payouts", script, STATE_OF_PAYOUTS)
        return [(payout, amount, number) for payout, amount, number in json.loads(printed)]

    def wait_ready(self, part: str, *, deadline_s: float = READY_DEADLINE_S) -> None:
        """Wait until a part is ready.

        Raises:
            StartError: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + deadline_s
        while not self.is_ready(part):
            ended = self._docker("inspect", part, "--format", "{{.State.Status}}").strip() in ENDED
            if ended or time.monotonic() > deadline:
                why = "ended while it started" if ended else f"was not ready within {deadline_s:g} s"
                raise StartError(f"{part} {why}; its log ends with:\n{self._docker('logs', part, *TAIL)}")
            time.sleep(POLL_S)

    def is_ready(self, part: str) -> bool:
        """Say whether a part answers now."""
        probes: dict[str, Callable[[], bool]] = {
            "postgres": self.postgres.is_ready,
            "kafka": self.kafka.is_ready,
            "stellar": self.chain.is_ready,
            "gateway": lambda: answers_ok(f"{self.url}{gateway.READY_PATH}"),
        }
        probe = probes.get(part, lambda: answers_ok(f"{self.service_url(part)}/health/ready"))
        return probe()

    def _made(self) -> Compose:
        """Compose with the present settings."""
        files: list[str | Path] = [*FILES]
        if self._settings:
            file = self.home.root / "settings.json"
            changed = {
                service: {"environment": {name: value.replace("$", "$$") for name, value in own.items()}}
                for service, own in self._settings.items()
            }
            write_private(file, json.dumps({"services": changed}, indent=1) + "\n")
            files.append(file)
        ports = {
            "PRIZEWIRE_PORT" if part == "gateway" else f"PRIZEWIRE_TESTS_{part.upper()}_PORT": str(port)
            for part, port in self.ports.items()
            if part not in self._replicas
        }
        return Compose(name=self.name, root=self.root, files=files, variables=ports)

    def _start(self) -> None:
        try:
            self._compose.start()
        except StartError as error:
            raise StartError(f"{error}{self._logs_of_failed()}") from error
        self._compose.compose("cp", KEYS, str(self.home.root))
        self._connect()

    def _connect(self) -> None:
        """Reach the servers, with the keys that are in the state directory."""
        place = Installation(gateway=self.url, kafka=f"{LOOPBACK}:{self.ports['kafka']}")
        write_private(self.home.root / INSTALLATION_NAME, json.dumps(asdict(place)) + "\n")
        self.chain = StellarChain(url=f"http://{LOOPBACK}:{self.ports['stellar']}")
        self.postgres = Superuser(port=self.ports["postgres"], password=self.keyring.superuser_password())
        self.kafka = PublishedKafka(port=self.ports["kafka"], passwords=self.keyring.kafka_passwords())

    def _logs_of_failed(self) -> str:
        """The end of the log of each container that failed or is unhealthy."""
        found = self._compose.get_containers(include_all=True)
        failed = [
            str(one.Service)
            for one in found
            if one.Health == "unhealthy" or (one.State in ENDED and one.ExitCode)
        ]
        return "".join(
            f"\nThe log of {part} ends with:\n{self._docker('logs', part, *TAIL)}" for part in failed
        )

    def _container(self, part: str) -> str:
        """The name of a part's container, as Compose chooses it for a service."""
        return f"{self.name}-{part}-alone" if part in self._replicas else f"{self.name}-{part}-1"

    def _docker(self, verb: str, part: str, *options: str) -> str:
        """Run a command on one container; returns what it prints. `docker compose kill SERVICE` would kill the service's replica, too."""
        return self._compose.docker(verb, *options, self._container(part))

    def _python(self, service: str, script: str, argument: str) -> str:
        """What a script prints in a service's container."""
        return self._compose.exec_in_container(["python", "-c", script, argument], service)[0]

    def _remove(self) -> None:
        for part in tuple(self._frozen):
            with suppress(StartError):
                self.thaw(part)
        for part in self._replicas:
            with suppress(StartError):
                self._docker("rm", part, "--force")
        self._compose.stop()
