"""What every test run of the repository shares: the order of the tests, and who of several workers runs which.

Tests are known by what they use: a fixture that starts a part marks the test (`prizewire_devstack.testing`).
"""

import os
from collections import Counter
from pathlib import Path
from typing import Final

import psutil
import pytest

ROOT: Final = Path(__file__).parent
SHARED: Final = ("stack", "kafka")
"""Parts that are too expensive to have twice: one worker runs all tests of each."""
OWN_SCOPES: Final = ("module", "package", "class")
WORKER_BYTES: Final = 2**30
"""What a worker takes at most: the process, its PostgreSQL with two databases, the files of that in memory."""
SHARED_BYTES: Final = 4 * 2**30
"""What the stack and the broker take beside them."""
WORKERS_MAX: Final = 4
LARGE: Final = "large"


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors, since a test of the stack mostly waits; as many as there is memory for."""
    room = (psutil.virtual_memory().available - SHARED_BYTES) // WORKER_BYTES
    return max(1, min((os.cpu_count() or 1) + 1, room, WORKERS_MAX))


def _uses(item: pytest.Item, *marks: str) -> bool:
    return any(item.get_closest_marker(mark) for mark in marks)


def _rank(item: pytest.Item) -> int:
    """What needs nothing, then the repository's rules, then what needs a broker, PostgreSQL, processes, the stack."""
    if _uses(item, "stack"):
        # One of several workers has nothing else to do until the stack's tests are over: they begin first.
        return -1 if "PYTEST_XDIST_WORKER" in os.environ else 5
    if _uses(item, "kafka"):
        return 2
    if _uses(item, "long"):
        return 3
    if _uses(item, "postgres", "processes"):
        return 4
    return 1 if item.path.is_relative_to(ROOT / "tests" / "repo") else 0


def _group(item: pytest.Item) -> str | None:
    """The name of the tests that one worker runs together; None where a test may be run by any worker."""
    for part in SHARED:
        if _uses(item, part):
            return part
    information = getattr(item, "_fixtureinfo", None)
    found = {} if information is None else information.name2fixturedefs
    shares = any(definition.scope in OWN_SCOPES for made in found.values() for definition in made)
    quick = not _uses(item, "postgres", "processes")
    return str(item.path.relative_to(ROOT)) if shares or quick else None


# Before pytest-xdist, which reads the groups in a hook of its own.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the large tests to those who ask for them, put quick tests first, and group what shares a fixture."""
    if LARGE not in config.option.markexpr:
        large = [item for item in items if _uses(item, LARGE)]
        if large:
            config.hook.pytest_deselected(items=large)
            items[:] = [item for item in items if not _uses(item, LARGE)]
    sizes = Counter(group for item in items if (group := _group(item)))
    for item in items:
        if group := _group(item):
            item.add_marker(pytest.mark.xdist_group(group))
    # Of one rank the largest groups come first, so that none of them is the last to end.
    items.sort(key=lambda item: (_rank(item), -sizes.get(_group(item) or "", 0) if _rank(item) > 1 else 0))
