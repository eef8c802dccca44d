"""Rules for code that ruff does not check."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.repo.house import Repository

Function = ast.FunctionDef | ast.AsyncFunctionDef
SLEEPERS = {"time", "asyncio", "anyio", "trio"}


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def test_every_test_says_what_it_proves(repository: Repository) -> None:
    """Each test function has a docstring of a sentence."""
    silent = [
        f"{repository.short(path)}::{function.name}"
        for path in repository.test_files
        if path.name.startswith("test_")
        for function in functions(path)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").strip()
    ]
    assert silent == []


def is_sleep(node: ast.AST) -> bool:
    """A call of a known sleep for longer than zero."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    module = node.func.value
    known = node.func.attr == "sleep" and isinstance(module, ast.Name) and module.id in SLEEPERS
    zero = bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0
    return known and not zero


def sleeps(node: ast.AST, *, in_test: bool = False, in_loop: bool = False) -> Iterator[int]:
    """Lines that sleep, but for the pause inside a helper's polling loop."""
    if isinstance(node, Function):
        in_test, in_loop = in_test or node.name.startswith("test_"), False
    in_loop = in_loop or isinstance(node, ast.While | ast.For | ast.AsyncFor)
    if isinstance(node, ast.Call) and is_sleep(node) and (in_test or not in_loop):
        yield node.lineno
    for child in ast.iter_child_nodes(node):
        yield from sleeps(child, in_test=in_test, in_loop=in_loop)


def test_no_test_sleeps(repository: Repository) -> None:
    """A test waits for a condition with a deadline; a fixed sleep is slow when it works and fails when it does not."""
    found = {
        repository.short(path): lines
        for path in repository.test_files
        if (lines := list(sleeps(ast.parse(path.read_text()))))
    }
    assert found == {}


def unfinished(node: ast.AST) -> bool:
    """A NotImplementedError, or an error's handler that does nothing."""
    if isinstance(node, ast.ExceptHandler):
        return all(isinstance(line, ast.Pass) for line in node.body)
    return isinstance(node, ast.Name) and node.id == "NotImplementedError"


def test_nothing_is_left_unfinished(repository: Repository) -> None:
    """No source raises NotImplementedError, and no handler of an error does nothing."""
    found = [
        f"{repository.short(path)}: {ast.unparse(node)}"
        for path in repository.python
        for node in ast.walk(ast.parse(path.read_text()))
        if unfinished(node)
    ]
    assert found == []


def test_only_packages_list_their_names(repository: Repository) -> None:
    """`__all__` stands in a package's `__init__` alone: elsewhere an underscore says what is private."""
    listed = [
        repository.short(path)
        for path in repository.python
        if path.name != "__init__.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id == "__all__"
    ]
    assert listed == []


CLOCKS = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "time.monotonic"}


def clock_reads(path: Path) -> list[int]:
    """Lines that call one of CLOCKS."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCKS
    ]


def test_domain_and_handlers_read_no_clock(repository: Repository) -> None:
    """No clock is read in a domain or a handler: `now` is passed in."""
    found = {}
    for service in repository.services:
        for path in sorted(service.source.rglob("*.py")):
            layers = {*path.relative_to(service.source).parts[:-1], path.stem}
            if layers & {"domain", "handlers"} and (lines := clock_reads(path)):
                found[repository.short(path)] = lines
    assert found == {}
