"""The local stack as a whole: parts start concurrently, each as soon as the parts that it needs are ready."""

import importlib.util
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from prizewire_devstack import disk
from prizewire_devstack.components import gateway, kafka_jars, stellar
from prizewire_devstack.components.kafka import KafkaServer
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.postgres import DatabaseUrls, PostgresServer
from prizewire_devstack.components.processes import (
    ProcessSpec,
    Supervisor,
    answers_ok,
    end_recorded,
)
from prizewire_devstack.errors import DevstackError, DiskFullError, StartError
from prizewire_devstack.home import OWNER_ONLY_UMASK, Home, RunRecord, record_of, repository_root
from prizewire_devstack.ports import LOOPBACK, assign, choose
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import fake_payments
from prizewire_devstack.stack.environment import local_environment, rails
from prizewire_devstack.stack.migrated import digest_of
from prizewire_devstack.stack.monitoring import PARTS as MONITORING_PARTS
from prizewire_devstack.stack.monitoring import TARGETS_NAME, Monitoring, write_targets
from prizewire_devstack.stack.options import StackOptions
from prizewire_devstack.stack.replicas import DRAIN_S, part_of, replica_parts, service_of
from prizewire_devstack.stack.reporting import Reporter, SilentReporter

PORT_NAMES: Final = ("postgres", "kafka", "kafka-controller", "stellar", "gateway", *SERVICES)
MIGRATE_TIMEOUT_S: Final = 120.0
READY_DEADLINE_S: Final = 90.0
SERVERS: Final = frozenset({"postgres", "kafka", "stellar"})
"""The parts that other parts need until they have ended."""
NEEDS_CHAIN: Final = frozenset({"payouts", "signer"})


class Stack:
    """One running stack over one state directory. Use as a context manager: leaving it stops every part."""

    def __init__(
        self,
        *,
        home: Home,
        root: Path | None = None,
        options: StackOptions | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.home = home
        self.root = root or repository_root()
        self.options = options or StackOptions()
        self.supervisor = Supervisor()
        self.keyring = Keyring(home=home)
        self.ports: dict[str, int] = {}
        self._reporter: Reporter = reporter or SilentReporter()
        self._databases: dict[str, DatabaseUrls] = {}
        self._exit = ExitStack()
        self._classpath = ""
        self.postgres: PostgresServer
        self.kafka: KafkaServer
        self.chain: stellar.StellarChain
        self.monitoring: Monitoring

    def __enter__(self) -> "Stack":
        """Start every part; when one fails, the started ones are stopped. Children inherit the umask."""
        self._exit.callback(os.umask, os.umask(OWNER_ONLY_UMASK))
        try:
            self._exit.enter_context(self.home.lock())
            self._prepare()
            self._exit.callback(self._shut_down)
            self._start()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every part; the state stays."""
        self._exit.close()

    @property
    def url(self) -> str:
        """The gateway: one origin for every path."""
        return f"http://{LOOPBACK}:{self.ports['gateway']}"

    def service_url(self, part: str) -> str:
        """The HTTP port of a process of a service: health and metrics."""
        return f"http://{LOOPBACK}:{self.ports[part]}"

    def database(self, service: str) -> DatabaseUrls:
        """The URLs of a service's database."""
        return self._databases[service]

    def token(self, *roles: str, subject: str = "operator-1") -> str:
        """A token for `subject` with `roles`, valid for some hours."""
        return self.keyring.token(*roles, subject=subject)

    def kill(self, part: str) -> None:
        """Kill a part with SIGKILL: a service, `kafka`, `postgres`, `stellar`, `gateway`, `prometheus` or `alertmanager`."""
        if part == "postgres":
            self.postgres.kill()
        else:
            self.supervisor.kill(part)

    def stop(self, part: str) -> None:
        """Stop a part cleanly."""
        self.supervisor.stop(part)

    def restart(self, part: str) -> None:
        """Start a part again on its port after it was killed or stopped, and wait until it is ready."""
        self.start_again(part)
        self.wait_ready(part)

    def start_again(self, part: str) -> None:
        """Start a part that ended, on its port and with its settings, and do not wait until it is ready.

        Raises:
            StartError: it runs, or cannot be started.
        """
        self.supervisor.restart(part)
        self._publish(ready=True)

    def start_with(self, service: str, settings: Mapping[str, str]) -> None:
        """Start a stopped service with settings that override its others, and wait until it is ready. A restart keeps them."""
        spec = self._spec(service, "serve")
        self.supervisor.start(replace(spec, environment={**spec.environment, **settings}))
        self._publish(ready=True)
        self.wait_ready(service)

    def add_replica(self, service: str) -> str:
        """Start one more process of a service, and do not wait until it is ready. Returns its name as a part. The gateway sends it
        no requests.
        """
        number = 2
        while self.supervisor.is_running(part_of(service, number)):
            number += 1
        part = part_of(service, number)
        self.ports[part] = choose(taken=set(self.ports.values()))
        self.supervisor.start(self._spec(service, "serve", part=part))
        self._publish(ready=True)
        return part

    def remove_replica(self, part: str) -> None:
        """Stop a process that `add_replica` started. It is no part of the stack any more, and nobody asks it for metrics."""
        self.supervisor.remove(part)
        if self.ports.pop(part, None) is not None:
            self._publish(ready=True)

    def freeze(self, part: str) -> None:
        """Let a part stand still, without its noticing."""
        self.supervisor.send_signal(part, signal.SIGSTOP)

    def thaw(self, part: str) -> None:
        """Let a frozen part go on."""
        self.supervisor.send_signal(part, signal.SIGCONT)

    def log(self, part: str) -> str:
        """What a part has written so far, over all its starts."""
        return self.supervisor.log_file(part).read_text()

    def fake_payments(self) -> list[tuple[str, str, str]]:
        """Every payment of the fake rail: payout, amount in major units, number."""
        return fake_payments.read(self.home.root)

    def wait_ready(self, part: str, *, deadline_s: float = READY_DEADLINE_S) -> None:
        """Wait until a part is ready.

        Raises:
            StartError: it ended, or was not ready in time.
        """
        self.supervisor.wait_until(part, lambda: self.is_ready(part), deadline_s=deadline_s)

    def is_ready(self, part: str) -> bool:
        """Say whether a part answers now."""
        probes: dict[str, Callable[[], bool]] = {
            "postgres": self.postgres.is_ready,
            "kafka": self.kafka.is_ready,
            "stellar": self.chain.is_ready,
            "gateway": lambda: answers_ok(f"{self.url}{gateway.READY_PATH}"),
            **{name: partial(self.monitoring.is_ready, name) for name in MONITORING_PARTS},
        }
        probe = probes.get(part, lambda: answers_ok(f"{self.service_url(part)}/health/ready"))
        return probe()

    def _prepare(self) -> None:
        left = self.home.read_run()
        if left is not None:
            end_recorded(left.processes)
            self.home.run_file.unlink()
        shutil.rmtree(self.home.control, ignore_errors=True)
        if self.options.fresh:
            self.home.wipe()
        self.home.claim()
        if disk.is_low(self.home.root):
            raise DiskFullError(f"{disk.low(self.home.root)}: free some space and start again.")
        self.keyring.ensure(now=datetime.now(UTC))
        self.ports = assign(
            (
                *PORT_NAMES,
                *replica_parts(self.options.services, self.options.replicas),
                *(MONITORING_PARTS * self.options.monitoring),
            ),
            remembered=self.home.remembered_ports(),
            fixed=self.options.fixed_ports,
        )
        self.home.remember_ports(self.ports)
        self.home.rails_file.write_text(
            rails(
                self.home.root,
                webhook_secret_file=self.keyring.fake_webhook_secret_file,
                gateway_url=self.url,
            )
        )
        self.postgres = PostgresServer(
            data_dir=self.home.root / "postgres",
            port=self.ports["postgres"],
            superuser_password=self.keyring.superuser_password(),
            supervisor=self.supervisor,
            log_file=self.home.logs / "postgres.log",
            replicas=self.options.replicas,
        )
        self.kafka = KafkaServer(
            data_dir=self.home.root / "kafka",
            port=self.ports["kafka"],
            controller_port=self.ports["kafka-controller"],
            passwords=self.keyring.kafka_passwords(),
            controller_password=self.keyring.kafka_controller_password(),
            supervisor=self.supervisor,
            log_file=self.home.logs / "kafka.log",
        )
        self.chain = stellar.StellarChain(url=f"http://{LOOPBACK}:{self.ports['stellar']}")
        self.monitoring = Monitoring(
            directory=self.home.root / "monitoring",
            targets_file=self.home.root / TARGETS_NAME,
            ports=self.ports,
            supervisor=self.supervisor,
            logs=self.home.logs,
            root=self.root,
            options=self.options.monitoring_options,
            progress=self._progress,
        )

    def _start(self) -> None:
        self._publish(ready=False)
        with ThreadPoolExecutor(len(self.ports)) as pool, ThreadPoolExecutor(_processors()) as migrations:
            futures: dict[str, Future[None]] = {
                "postgres": pool.submit(self._timed, "postgres", self._start_postgres),
                "kafka": pool.submit(self._timed, "kafka", self._start_kafka),
                "stellar": pool.submit(self._timed, "stellar", self._start_stellar),
                "gateway": pool.submit(self._timed, "gateway", self._start_gateway),
            }
            if self.options.monitoring:
                for part in MONITORING_PARTS:
                    futures[part] = pool.submit(self._timed, part, partial(self._start_monitoring, part))
            for service in self.options.services:
                futures[service] = pool.submit(self._start_service, service, dict(futures), migrations)
            try:
                wait(futures.values(), return_when=FIRST_EXCEPTION)
                _raise_first(futures)
            except BaseException as error:
                # The threads of the other parts wait for processes: end the processes, so that the threads end.
                self.supervisor.close()
                if isinstance(error, DevstackError):
                    self._reporter.failed(error)
                self._stop_parts()
                raise
        self._publish(ready=True)

    def _progress(self, part: str, message: str) -> None:
        """Report what a part does next, unless the stack stops: its start then ends here."""
        self.supervisor.require_open(part)
        self._reporter.progress(part, message)

    def _timed(self, part: str, start: Callable[[], None]) -> None:
        began = time.monotonic()
        start()
        self._reporter.ready(part, time.monotonic() - began)

    def _start_postgres(self) -> None:
        self._progress("postgres", "starting")
        self.postgres.start()
        for service in (*self.options.services, *self.options.left_out):
            passwords = self.keyring.role_passwords(service)
            self._databases[service] = self.postgres.ensure_service(service, passwords=passwords)

    def _start_kafka(self) -> None:
        self._progress("kafka", "checking its jars")
        self._classpath = kafka_jars.classpath(
            progress=lambda done, of: self._progress("kafka", f"fetching its jars, {done} of {of}")
        )
        self._progress("kafka", "starting")
        self.kafka.start(self._classpath)
        self._progress("kafka", "creating topics, principals and ACLs")
        self.kafka.provision()

    def _start_stellar(self) -> None:
        self._progress("stellar", "starting")
        stellar.start(
            directory=self.home.root / "stellar",
            port=self.ports["stellar"],
            supervisor=self.supervisor,
            log_file=self.home.logs / "stellar.log",
        )
        self._progress("stellar", "creating issuer, treasury and channels")
        stellar.set_up(self.chain, self.keyring.stellar())

    def _start_gateway(self) -> None:
        self._progress("gateway", "starting")
        gateway.start(
            directory=self.home.root / "gateway",
            port=self.ports["gateway"],
            service_ports={
                service: tuple(port for part, port in self.ports.items() if service_of(part) == service)
                for service in SERVICES
            },
            supervisor=self.supervisor,
            log_file=self.home.logs / "gateway.log",
        )

    def _start_monitoring(self, part: str) -> None:
        self._progress(part, "starting")
        self.monitoring.start_part(part)

    def _start_service(
        self, service: str, parts: Mapping[str, "Future[None]"], migrations: ThreadPoolExecutor
    ) -> None:
        if importlib.util.find_spec(f"prizewire_{service}.__main__") is None:
            raise StartError(f"The service {service} is not installed: run `make clean demo` to install it.")
        parts["postgres"].result()
        self._progress(service, "migrating its database")
        migrations.submit(self._migrate, service).result()
        self._progress(service, "waiting for Kafka" + (" and the chain" * (service in NEEDS_CHAIN)))
        parts["kafka"].result()
        if service in NEEDS_CHAIN:
            parts["stellar"].result()
        began = time.monotonic()
        self._progress(service, "starting")
        parts_of = (service, *replica_parts((service,), self.options.replicas))
        for part in parts_of:
            self.supervisor.start(self._spec(service, "serve", part=part))
        for part in parts_of:
            self.wait_ready(part)
        self._reporter.ready(service, time.monotonic() - began)

    def _migrate(self, service: str) -> None:
        """Migrate a service's database, unless the same migrations and assets were applied before."""
        marker = self.home.root / "migrated" / service
        digest = digest_of(self.root / "services" / service / "migrations", self.root / "assets.yaml")
        if marker.is_file() and marker.read_text() == digest:
            return
        self.supervisor.run_to_end(self._spec(service, "migrate"), timeout_s=MIGRATE_TIMEOUT_S)
        marker.parent.mkdir(exist_ok=True)
        marker.write_text(digest)

    def _spec(self, service: str, command: str, *, part: str | None = None) -> ProcessSpec:
        """How to run a command of a service; `part` is the name of its process if it is not the service's."""
        name = (part or service) if command == "serve" else f"{service}-{command}"
        environment = local_environment(
            service,
            home=self.home,
            root=self.root,
            ports=self.ports,
            log_level=self.options.log_level,
            migrate=command == "migrate",
        )
        return ProcessSpec(
            name=name,
            argv=(sys.executable, "-m", f"prizewire_{service}", command),
            environment={
                **environment,
                "HTTP_PORT": str(self.ports[part or service]),
                **({"HTTP_DRAIN_S": str(DRAIN_S)} if self.options.replicas > 1 else {}),
                **self.options.extra_environment.get(service, {}),
            },
            log_file=self.home.logs / f"{part or service}.log",
            directory=self.home.root,
        )

    def _publish(self, *, ready: bool) -> None:
        urls = {"gateway": self.url, "stellar": self.chain.url}
        known = (*self.options.services, *self.options.left_out)
        urls |= {part: self.service_url(part) for part in self.ports if service_of(part) in known}
        urls["kafka"] = f"{LOOPBACK}:{self.ports['kafka']}"
        urls |= {part: self.service_url(part) for part in MONITORING_PARTS if part in self.ports}
        write_targets(
            self.home.root / TARGETS_NAME, {part: self.ports[part] for part in urls if service_of(part)}
        )
        self.home.write_run(
            RunRecord(
                supervisor=record_of(os.getpid()),
                ports=self.ports,
                urls=urls,
                processes=self.supervisor.records(),
                ready=ready,
                left_out=self.options.left_out,
                ended=self.supervisor.ended_unexpectedly(),
                settings={name: dict(own) for name, own in self.options.extra_environment.items()},
                log_level=self.options.log_level,
            )
        )

    def _shut_down(self) -> None:
        self._stop_parts()
        self.home.run_file.unlink(missing_ok=True)

    def _stop_parts(self) -> None:
        """Stop in an order in which each part can drain while the parts that it needs still run."""
        self.supervisor.close()
        self._stop_together(part for part in self.supervisor.parts() if part not in SERVERS)
        self._stop_together(("kafka", "stellar"))
        self.supervisor.stop_all()

    def _stop_together(self, parts: Iterable[str]) -> None:
        with ThreadPoolExecutor(len(PORT_NAMES)) as pool:
            for _ in pool.map(self.supervisor.stop, parts):
                pass


def _raise_first(futures: Mapping[str, "Future[None]"]) -> None:
    """Raise the first failure; later ones are often its consequences."""
    for future in futures.values():
        if future.done() and (error := future.exception()) is not None:
            raise error


def _processors() -> int:
    return os.cpu_count() or 1
