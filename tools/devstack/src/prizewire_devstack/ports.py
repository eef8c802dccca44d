"""Loopback ports for the parts of the stack.

Ports are below the kernel's ephemeral range (32768 and up on Linux): an outgoing connection could use a port of that
range while its part restarts.
"""

import secrets
import socket
from collections.abc import Mapping

from prizewire_devstack.errors import PortBusyError

LOOPBACK = "127.0.0.1"
FIRST_PORT = 18_000
LAST_PORT = 32_000
ATTEMPTS_MAX = 500


def is_free(port: int) -> bool:
    """Say whether `port` can be bound on the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose(*, taken: set[int]) -> int:
    """Choose a free loopback port that is not in `taken`, and add it there.

    Raises:
        PortBusyError: no free port was found in the range.
    """
    for _ in range(ATTEMPTS_MAX):
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    raise PortBusyError(
        f"No free port was found between {FIRST_PORT} and {LAST_PORT}: end programs that listen there and try again."
    )


def assign(
    names: tuple[str, ...], *, remembered: Mapping[str, int], fixed: Mapping[str, int]
) -> dict[str, int]:
    """Give each name a free port: the `fixed` one, else the `remembered` one if free, else a new one.

    Raises:
        PortBusyError: a fixed port is in use.
    """
    taken: set[int] = set()
    ports: dict[str, int] = {}
    for name in names:
        if (wanted := fixed.get(name)) is not None:
            if not is_free(wanted):
                raise PortBusyError(
                    f"Port {wanted} for {name} is in use: end the program that listens there or choose another port."
                )
            ports[name] = wanted
            taken.add(wanted)
    for name in names:
        if name in ports:
            continue
        earlier = remembered.get(name)
        if earlier is not None and earlier not in taken and is_free(earlier):
            ports[name] = earlier
            taken.add(earlier)
        else:
            ports[name] = choose(taken=taken)
    return ports
