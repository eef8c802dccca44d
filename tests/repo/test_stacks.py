"""Tests of the whole stack use what every maker of a stack has."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from prizewire_devstack.containers.stack import ContainerStack
from prizewire_devstack.stack import RunningStack, Stack
from tests.repo.house import Repository

STACKS = {"stack", "full_stack"}
MARK = "pytest.mark.local_processes"
NAMES = {name for name in vars(RunningStack) if not name.startswith("_")}


def uses(tree: ast.AST) -> Iterator[str]:
    """The names that a module reads from a stack: `stack.NAME`, `scene.stack.NAME`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            value = node.value
            named = value.id if isinstance(value, ast.Name) else getattr(value, "attr", None)
            if named in STACKS:
                yield node.attr


def is_of_any_stack(path: Path) -> bool:
    """Whether a module has tests of the shared stack, or helps them, and is not marked."""
    text = path.read_text()
    names = {
        node.arg if isinstance(node, ast.arg) else node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.arg | ast.alias)
    }
    return bool(names & {"full_stack", "RunningStack"}) and f"pytestmark = {MARK}" not in text


def test_tests_use_what_every_stack_has(repository: Repository) -> None:
    """A module that reads anything else from a stack is marked `local_processes`: containers have no pids to look at."""
    paths = [path for path in repository.test_files if path != Path(__file__) and is_of_any_stack(path)]
    assert len(paths) > 8
    found = {
        repository.short(path): others
        for path in paths
        if (others := sorted(set(uses(ast.parse(path.read_text()))) - NAMES))
    }
    assert found == {}


@pytest.mark.parametrize("maker", [Stack, ContainerStack])
def test_each_maker_has_every_name(maker: type) -> None:
    """Local processes and containers offer the same; some attributes are set as they start."""
    assert NAMES - set(dir(maker)) == {"home", "root", "keyring", "postgres", "kafka", "chain"}
