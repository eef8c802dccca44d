"""The memory and processor time of each service: at rest, and under load. The resources of the manifests follow from it.

A whole stack runs. The first load is a wave of matches at full speed through settlement and rewards. The second is the
demonstration, several times: payments on the chain and over the fake rail, approvals, signatures, webhooks.

    .venv/bin/prizewire bench resources --matches 20000 --demonstrations 3
"""

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
from rich.console import Console

from bench.match_to_wallet import prepare
from bench.measuring import watch
from bench.messages import matches, send
from bench.sides import COUNT_CREDITS, PROGRESS
from bench.stacks import bench_stack
from prizewire_contracts.topics import MATCHES
from prizewire_contracts.trust import MessageKey
from prizewire_devstack.demo.run import Demonstration
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import repository_root
from prizewire_devstack.routes import SERVICES
from prizewire_devstack.stack import Stack

LOOK_S = 0.5
REST_S = 10.0
PRIZES = 8
MIB = 2**20


@dataclass
class Use:
    """What one process used: the memory of each look in bytes, and the part of a processor between two looks."""

    memory: list[int] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


class Sampler:
    """Looks at the processes of all services again and again, in a thread of its own."""

    def __init__(self, stack: Stack) -> None:
        self._processes = {name: psutil.Process(stack.supervisor.pid(name)) for name in SERVICES}
        self._use = {name: Use() for name in SERVICES}
        self._ended = threading.Event()

    @contextmanager
    def looking(self) -> Iterator[dict[str, Use]]:
        """Look until the block ends; its value is complete then."""
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield self._use
        finally:
            self._ended.set()
            thread.join()

    def _look(self) -> None:
        for process in self._processes.values():
            process.cpu_percent()
        while not self._ended.wait(LOOK_S):
            for name, process in self._processes.items():
                self._use[name].memory.append(process.memory_full_info().uss)
                self._use[name].processor.append(process.cpu_percent() / 100)


def measure(*, count: int, demonstrations: int) -> dict[str, Any]:
    """The use of each service in three phases: rest, matches, demonstration."""
    key = MessageKey.from_seed(keyid="bench-1", seed=bytes(range(32)))
    phases: dict[str, dict[str, Use]] = {}
    with bench_stack(services=SERVICES) as stack:
        prepare(stack, prizes=PRIZES, key=key)
        with Sampler(stack).looking() as use:
            time.sleep(REST_S)
        phases["rest"] = use
        with Sampler(stack).looking() as use:
            send(stack, MATCHES.name, matches(run=0, count=count, prizes=PRIZES, key=None))
            asyncio.run(
                watch(
                    stack.database("rewards").runtime,
                    progress=PROGRESS,
                    credits_query=COUNT_CREDITS,
                    target=count * PRIZES,
                )
            )
        phases["matches"] = use
        with Sampler(stack).looking() as use:
            for _ in range(demonstrations):
                _demonstrate(stack)
        phases["demonstration"] = use
    return {
        "matches": count,
        "demonstrations": demonstrations,
        "services": {
            name: {phase: _figures(found[name]) for phase, found in phases.items()} for name in SERVICES
        },
    }


def _demonstrate(stack: Stack) -> None:
    run = stack.home.read_run()
    assert run is not None, "a stack that runs has its record"
    console = Console(file=io.StringIO())
    outcome = Demonstration(home=stack.home, run=run, root=repository_root(), console=console).perform()
    if not outcome.good:
        raise DevstackError("The demonstration failed, so its use says nothing: run `prizewire demo`.")


def _figures(use: Use) -> dict[str, float]:
    return {
        "memory_mib": round(max(use.memory) / MIB),
        "processor_mean": round(sum(use.processor) / len(use.processor), 3),
        "processor_max": round(max(use.processor), 3),
    }
