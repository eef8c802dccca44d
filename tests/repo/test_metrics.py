"""Each metric is defined once, by `prizewire_chassis.metrics.definitions`, and docs/metrics.md lists all of them."""

import ast
from collections.abc import Iterator

import pytest

from scripts.metrics_page import PAGE, all_metrics, render
from tests.repo.house import Repository

CLIENT = "prometheus_client"
KINDS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}
DEFINITIONS = "libs/chassis/src/prizewire_chassis/metrics/definitions.py"
PLACES = ("metrics.py", "metrics/__init__.py")
"""Where a member defines its metrics, as files of its package."""


def test_the_page_of_metrics_is_current() -> None:
    """The page is generated: run `make schemas` after a change of a metric."""
    assert PAGE.read_text() == render(all_metrics()), "run make schemas"


def made_by_the_client(tree: ast.AST) -> Iterator[int]:
    """Lines that make a metric of the Prometheus client directly, however its classes were imported."""
    classes: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == CLIENT:
            names = {one.asname or one.name for one in node.names if one.name in KINDS}
            classes |= names
            modules |= {one.asname or one.name for one in node.names} - names
        elif isinstance(node, ast.Import):
            modules |= {one.asname or CLIENT for one in node.names if one.name.split(".")[0] == CLIENT}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        made = node.func
        if isinstance(made, ast.Name) and made.id in classes:
            yield node.lineno
        if isinstance(made, ast.Attribute) and made.attr in KINDS:
            root = made.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in modules:
                yield node.lineno


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("from prometheus_client import Counter\nCounter('x', 'y')", [2]),
        ("from prometheus_client.metrics import Gauge as G\nG('x', 'y')", [2]),
        ("import prometheus_client\nprometheus_client.Histogram('x', 'y')", [2]),
        ("import prometheus_client.metrics\nprometheus_client.metrics.Histogram('x', 'y')", [2]),
        ("from prometheus_client import metrics as m\nm.Gauge('x', 'y')", [2]),
        ("from collections import Counter\nCounter('x')", []),
        ("from prometheus_client import Counter\ndef count(one: Counter) -> None:\n    one.inc()", []),
    ],
    ids=["class", "alias", "module", "submodule", "from module", "another Counter", "a type"],
)
def test_the_search_finds_each_form(text: str, lines: list[int]) -> None:
    """A metric that is made past its definition is found in each form of the import, and nothing else is."""
    assert list(made_by_the_client(ast.parse(text))) == lines


def test_no_metric_is_made_without_a_definition(repository: Repository) -> None:
    """A metric without a definition would have no unit, no bound on its labels, and no line in docs/metrics.md."""
    found = {
        name: lines
        for path in repository.python
        if (name := repository.short(path)) != DEFINITIONS and "tests" not in path.parts
        if (lines := list(made_by_the_client(ast.parse(path.read_text()))))
    }
    assert found == {}


def definitions_in(tree: ast.AST) -> Iterator[int]:
    """Lines that define a metric."""
    makers: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "prizewire_chassis.metrics.definitions":
            makers |= {
                one.asname or one.name for one in node.names if one.name in {"counter", "gauge", "histogram"}
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers:
            yield node.lineno


def test_metrics_are_defined_in_one_place_of_a_member(repository: Repository) -> None:
    """All metrics of a service are in its metrics.py, so that a reader finds them, and its command lists each."""
    found = {}
    for member in repository.members:
        for path in sorted(member.source.rglob("*.py")):
            if str(path.relative_to(member.source)) in PLACES:
                continue
            if lines := list(definitions_in(ast.parse(path.read_text()))):
                found[repository.short(path)] = lines
    assert found == {}
