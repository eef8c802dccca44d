"""What tests use of a whole running stack, whatever runs its parts: local processes or containers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from confluent_kafka.admin import AdminClient

from prizewire_devstack.components.kafka.login import KafkaLogin
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.stellar import StellarChain
from prizewire_devstack.home import Home


class Sql(Protocol):
    """The PostgreSQL server of all services."""

    def run_sql(self, sql: str, *, database: str = ...) -> str:
        """Run statements as the superuser; return what they print, unaligned.

        Raises:
            StartError: a statement failed.
        """
        ...


class Kafka(Protocol):
    """The Kafka broker, as a client on this machine reaches it."""

    def login(self, principal: str) -> KafkaLogin:
        """The login of `principal`.

        Raises:
            KeyError: no such principal.
        """
        ...

    @property
    def admin(self) -> AdminClient:
        """The client of the administrator."""
        ...


class RunningStack(Protocol):
    """A part is a service, `kafka`, `postgres`, `stellar` or `gateway`."""

    @property
    def home(self) -> Home:
        """A state directory with which the command `prizewire` reaches this stack."""
        ...

    @property
    def root(self) -> Path:
        """The repository that the stack was started from."""
        ...

    @property
    def keyring(self) -> Keyring:
        """The keys and passwords of all parts."""
        ...

    @property
    def postgres(self) -> Sql:
        """The database server."""
        ...

    @property
    def kafka(self) -> Kafka:
        """The broker."""
        ...

    @property
    def chain(self) -> StellarChain:
        """The local Stellar network."""
        ...

    @property
    def url(self) -> str:
        """The gateway: one origin for every path."""
        ...

    def service_url(self, part: str) -> str:
        """The HTTP port of a process of a service: health and metrics."""
        ...

    def token(self, *roles: str, subject: str = ...) -> str:
        """A token for `subject` with `roles`."""
        ...

    def kill(self, part: str) -> None:
        """Kill a part with SIGKILL."""
        ...

    def stop(self, part: str) -> None:
        """Stop a part cleanly. One that does not run stays as it is."""
        ...

    def start_again(self, part: str) -> None:
        """Start a part that ended, and do not wait until it is ready.

        Raises:
            StartError: it cannot be started.
        """
        ...

    def restart(self, part: str) -> None:
        """Start a part that ended, and wait until it is ready.

        Raises:
            StartError: it cannot be started, or was not ready in time.
        """
        ...

    def start_with(self, service: str, settings: Mapping[str, str]) -> None:
        """Start a stopped service with settings that override its others, and wait until it is ready. A restart keeps them.

        Raises:
            StartError: it cannot be started, or was not ready in time.
        """
        ...

    def add_replica(self, service: str) -> str:
        """Start one more process of a service, and do not wait until it is ready. Returns its name as a part. The gateway sends it
        no requests.

        Raises:
            StartError: it cannot be started.
        """
        ...

    def remove_replica(self, part: str) -> None:
        """Stop a process that `add_replica` started. One that was removed before stays so."""
        ...

    def freeze(self, part: str) -> None:
        """Let a part stand still, without its noticing."""
        ...

    def thaw(self, part: str) -> None:
        """Let a frozen part go on. One that is not frozen stays as it is."""
        ...

    def wait_ready(self, part: str, *, deadline_s: float = ...) -> None:
        """Wait until a part is ready.

        Raises:
            StartError: it ended, or was not ready in time.
        """
        ...

    def log(self, part: str) -> str:
        """What a part has written so far. A start with other settings may begin a new log."""
        ...

    def fake_payments(self) -> list[tuple[str, str, str]]:
        """Every payment of the fake rail: payout, amount in major units, number."""
        ...
