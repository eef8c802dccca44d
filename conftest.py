"""All test runs of the repository: the order of the tests, and their division among several workers.

A test is marked by what it uses: a fixture that starts a part marks the test (`prizewire_devstack.testing`).
"""

import gc
import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import hypothesis
import psutil
import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from prizewire_chassis.metrics.definitions import forget_shown
from prizewire_chassis.repeats import SummingHandler

pytest.register_assert_rewrite(
    "services.payouts.tests.stellar.unit.conformance", "prizewire_railkit.conformance"
)  # the second is a package: its modules are included

# A machine under load is slow: an example takes the time that it takes, and so does its generation.
hypothesis.settings.register_profile(
    "prizewire", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("prizewire")

ROOT: Final = Path(__file__).parent
SHARED: Final = {"images": "images", "stack": "stack", "replicas": "images", "kafka": "kafka"}
"""Parts that are too expensive to have twice, with the group of their tests: one worker runs a group. The replicas are a second
stack: it starts after the tests of the images, since three such parts at one time are too much for two processors.
"""
OWN_SCOPES: Final = ("module", "package", "class")
WORKER_BYTES: Final = 2**30
"""The memory of a worker in bytes: the process, its PostgreSQL with two databases, their files in memory."""
SHARED_BYTES: Final = 6 * 2**30
"""The memory of the stack, of the one with two replicas, and of the broker in bytes."""
WORKERS_MAX: Final = 4
LARGE: Final = "large"
ADDRESS: Final = " at 0x"
"""In the name of a test, the address of an object that is a parameter: it differs from process to process."""
WORKER: Final = "PYTEST_XDIST_WORKER"
GROUPS: Final = "PRIZEWIRE_TEST_GROUPS"


_configure_logging = structlog.configure


def _configure_uncached(**options: Any) -> None:
    _configure_logging(**{**options, "cache_logger_on_first_use": False})


@pytest.fixture(autouse=True)
def _labels_without_values() -> None:
    """The bound of a label is one of a process, and a process of tests runs many services with consumers of different names."""
    forget_shown()


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """End the log of a service that the test ran in this process. Its lines would later be written among those of other tests."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in root.handlers[:]:
        if isinstance(handler, SummingHandler):
            root.removeHandler(handler)
            handler.close()
            root.setLevel(level)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the fault tests of payouts (`tests/faults/test_payout_kills.py`)."""
    group = parser.getgroup("faults", "kills of payouts at its write boundaries")
    group.addoption("--faults-seed", type=int, default=1, help="chooses ids, amounts and samples (1)")
    group.addoption("--faults-points", help="kill only at these points: 3 or 3,5")
    group.addoption(
        "--faults-report",
        default=str(ROOT / "build" / "faults.json"),
        help="where `make faults-full` writes seed, commit and counts (build/faults.json)",
    )


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors, since a test of the stack mostly waits; fewer if memory is short."""
    room = (psutil.virtual_memory().available - SHARED_BYTES) // WORKER_BYTES
    return max(1, min((os.cpu_count() or 1) + 1, room, WORKERS_MAX))


def _uses(item: pytest.Item, *marks: str) -> bool:
    return any(item.get_closest_marker(mark) for mark in marks)


def _rank(item: pytest.Item) -> int:
    """The rank of a test: tests without servers, then those of the repository, then of broker, PostgreSQL, processes, stack,
    images.
    """
    if _uses(item, "stack", "images", "replicas"):
        # With several workers, one of them runs only tests of the stack until these are done, and one those of images and replicas:
        # they begin first.
        return -1 if WORKER in os.environ else 5
    if _uses(item, "kafka"):
        return 2
    if _uses(item, "long"):
        return 3
    if _uses(item, "postgres", "processes"):
        return 4
    return 1 if item.path.is_relative_to(ROOT / "tests" / "repo") else 0


def _group(item: pytest.Item) -> str | None:
    """The name of the tests that one worker runs together; None where a test may be run by any worker."""
    for part, group in SHARED.items():
        if _uses(item, part):
            return group
    information = getattr(item, "_fixtureinfo", None)
    found = {} if information is None else information.name2fixturedefs
    shares = any(definition.scope in OWN_SCOPES for made in found.values() for definition in made)
    quick = not _uses(item, "postgres", "processes")
    return str(item.path.relative_to(ROOT)) if shares or quick else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect large tests unless they are selected, put quick tests first, and name the groups for the scheduler."""
    if LARGE not in config.option.markexpr:
        large = [item for item in items if _uses(item, LARGE)]
        if large:
            config.hook.pytest_deselected(items=large)
            items[:] = [item for item in items if not _uses(item, LARGE)]
    if unnamed := [item.nodeid for item in items if ADDRESS in item.nodeid]:
        raise pytest.UsageError(
            f"each worker would name this test in another way; give its parameters ids: {unnamed[0]}"
        )
    groups = {item.nodeid: group for item in items if (group := _group(item))}
    sizes = Counter(groups.values())
    # In one rank the largest groups come first, so that none of them ends last.
    items.sort(key=lambda item: (_rank(item), -sizes[groups.get(item.nodeid, "")] if _rank(item) > 1 else 0))
    if os.environ.get(WORKER) == "gw0":
        Path(os.environ[GROUPS]).write_text(json.dumps(groups))


class _GroupScheduling(LoadScopeScheduling):
    """Assigns whole groups to workers, in the order of the collection; a test without a group is a group of its own.

    Instead of `--dist loadgroup`: pytest-xdist 3.8 writes groups into the ids of tests, which pytest 9.2 refuses.
    """

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)

    @cached_property
    def _groups(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(Path(os.environ[GROUPS]).read_text())
        return found


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Divide tests among workers by what they use and share."""
    config.option.loadscopereorder = False
    return _GroupScheduling(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Pass the workers the file in which the first of them stores the groups. No logger keeps the configuration of its first
    use, since a test reads the log of a logger that another test used.
    """
    structlog.configure = _configure_uncached
    # Without a configuration, structlog draws each traceback with rich, which takes seconds.
    *before, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])
    if WORKER not in os.environ:
        directory = tempfile.TemporaryDirectory(prefix="prizewire-groups-")
        config.add_cleanup(directory.cleanup)
        os.environ[GROUPS] = str(Path(directory.name) / "groups.json")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what the collection made: it stays to the end, and each full pass over it takes long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
