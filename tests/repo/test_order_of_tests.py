"""The order of the tests, and their division among workers, as the root's ``conftest.py`` decides them."""

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.repo.house import Repository


@pytest.fixture
def suite(pytestconfig: pytest.Config, repository: Repository) -> ModuleType:
    """The root's conftest."""
    found = pytestconfig.pluginmanager.get_plugin(str(repository.root / "conftest.py"))
    assert isinstance(found, ModuleType)
    return found


class Hooks:
    """Collects the tests that are deselected."""

    def __init__(self) -> None:
        self.deselected: list[Any] = []

    def pytest_deselected(self, *, items: list[Any]) -> None:
        self.deselected += items


def item(root: Path, path: str, *marks: str, scope: str = "function", number: int = 0) -> Any:
    """A stand-in of a test with these marks, which uses a fixture of this scope."""
    fixtures = {"used": [SimpleNamespace(scope=scope)]}
    return SimpleNamespace(
        nodeid=f"{path}::test_{number}",
        path=root / path,
        get_closest_marker=lambda name: name if name in marks else None,
        _fixtureinfo=SimpleNamespace(name2fixturedefs=fixtures),
    )


def arrange(suite: ModuleType, items: list[Any], *, marks: str = "") -> Hooks:
    hooks = Hooks()
    suite.pytest_collection_modifyitems(
        SimpleNamespace(option=SimpleNamespace(markexpr=marks), hook=hooks), items
    )
    return hooks


@pytest.mark.parametrize(
    ("free_gib", "processors", "workers"),
    [(24, 2, 3), (8, 2, 2), (7.5, 2, 1), (0.5, 2, 1), (64, 16, 4), (24, 1, 2), (24, None, 2)],
)
def test_little_memory_gives_fewer_workers(
    suite: ModuleType, monkeypatch: pytest.MonkeyPatch, free_gib: float, processors: int | None, workers: int
) -> None:
    """One worker more than processors, at most four; 1 GiB each beside 6 GiB for the stacks and the broker; at least one."""
    free = SimpleNamespace(available=int(free_gib * 2**30))
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    assert suite.pytest_xdist_auto_num_workers() == workers


def test_a_shared_part_is_used_by_one_worker(
    suite: ModuleType, repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All tests of the stack are one group, all of the broker, and all of images and replicas. Of the others, those that share a
    fixture of their file.
    """
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    monkeypatch.setenv("PRIZEWIRE_TEST_GROUPS", str(tmp_path / "groups.json"))
    root = repository.root
    items = [
        item(root, "tests/e2e/test_a.py", "stack"),
        item(root, "services/x/tests/test_b.py", "stack", "postgres"),
        item(root, "libs/y/tests/test_c.py", "kafka"),
        item(root, "services/x/tests/test_d.py", "postgres"),
        item(root, "services/x/tests/test_e.py", "postgres", scope="module"),
        item(root, "services/x/tests/test_f.py"),
        item(root, "tests/deploy/test_g.py", "images"),
        item(root, "tests/deploy/test_h.py", "images", "kafka", "postgres"),
        item(root, "tests/faults/test_i.py", "replicas"),
    ]
    arrange(suite, items)
    assert json.loads((tmp_path / "groups.json").read_text()) == {
        "tests/e2e/test_a.py::test_0": "stack",
        "services/x/tests/test_b.py::test_0": "stack",
        "libs/y/tests/test_c.py::test_0": "kafka",
        "services/x/tests/test_e.py::test_0": "services/x/tests/test_e.py",
        "services/x/tests/test_f.py::test_0": "services/x/tests/test_f.py",
        "tests/deploy/test_g.py::test_0": "images",
        "tests/deploy/test_h.py::test_0": "images",
        "tests/faults/test_i.py::test_0": "images",
    }


@pytest.mark.parametrize(
    ("worker", "first"), [(None, "services/x/tests/test_quick.py"), ("gw1", "tests/e2e/test_stack.py")]
)
def test_quick_tests_come_first(
    suite: ModuleType,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    worker: str | None,
    first: str,
) -> None:
    """Several workers begin with the tests of the stack, of the images and of replicas, because one worker runs nothing else until those are
    done.
    """
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker is not None:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    root = repository.root
    items = [
        item(root, "tests/e2e/test_stack.py", "stack"),
        item(root, "tests/deploy/test_built.py", "images", "kafka"),
        item(root, "tests/faults/test_roll.py", "replicas"),
        item(root, "services/x/tests/test_rows.py", "postgres"),
        item(root, "libs/y/tests/test_broker.py", "kafka"),
        item(root, "tests/repo/test_rules.py"),
        item(root, "services/x/tests/test_quick.py"),
    ]
    arrange(suite, items)
    order = [str(found.path.relative_to(root)) for found in items]
    assert order[0] == first
    early = {"tests/deploy/test_built.py", "tests/faults/test_roll.py", "tests/e2e/test_stack.py"}
    assert set(order[:3] if worker else order[-3:]) == early
    assert [name for name in order if name not in early] == [
        "services/x/tests/test_quick.py",
        "tests/repo/test_rules.py",
        "libs/y/tests/test_broker.py",
        "services/x/tests/test_rows.py",
    ]


@pytest.mark.parametrize(("marks", "kept"), [("", 1), ("large", 2)])
def test_large_tests_run_only_when_selected(
    suite: ModuleType, repository: Repository, monkeypatch: pytest.MonkeyPatch, marks: str, kept: int
) -> None:
    """``make test`` leaves them to ``make faults-full``, and counts them as deselected."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    items = [item(repository.root, "a/test_a.py"), item(repository.root, "a/test_a.py", "large", number=1)]
    hooks = arrange(suite, items, marks=marks)
    assert (len(items), len(hooks.deselected)) == (kept, 2 - kept)


def test_names_of_tests_are_the_same_in_each_worker(suite: ModuleType, repository: Repository) -> None:
    """The address of a function in a name would end a run of several workers only, so that it is refused in each run."""
    unnamed = item(repository.root, "libs/y/tests/test_c.py")
    unnamed.nodeid = "libs/y/tests/test_c.py::test_0[<function change at 0x7fe9693a5a80>]"
    with pytest.raises(pytest.UsageError, match="give its parameters ids"):
        arrange(suite, [unnamed])
