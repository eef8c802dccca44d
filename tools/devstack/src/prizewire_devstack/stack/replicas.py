"""The names of several processes of one service: the first has the name of its service, the second is `settlement-2`."""

from collections.abc import Iterable
from typing import Final

from prizewire_devstack.routes import SERVICES

DRAIN_S: Final = 1.5
"""`HTTP_DRAIN_S` of services with replicas, in seconds: longer than the gateway takes to see that one is not ready."""


def part_of(service: str, number: int) -> str:
    """The name of process `number` of a service, counted from 1."""
    return service if number == 1 else f"{service}-{number}"


def service_of(part: str) -> str | None:
    """The service that a part is a process of; None for a part that is none, such as `kafka`."""
    name, _, number = part.partition("-")
    return name if name in SERVICES and (not number or number.isdigit()) else None


def replica_parts(services: Iterable[str], replicas: int) -> tuple[str, ...]:
    """The names of the further processes of these services, of which each has so many."""
    return tuple(part_of(service, number) for service in services for number in range(2, replicas + 1))
