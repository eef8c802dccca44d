"""Payouts names no rail, no vendor and no method type."""

import ast
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import prizewire_payouts
from prizewire_contracts.rails import PROVIDER_ENTRY_POINTS, VERIFIER_ENTRY_POINTS, RailType
from prizewire_payouts.execution import EXECUTION_ENTRY_POINTS
from prizewire_railkit.method_types.installed import installed_method_types

ROOT = Path(str(prizewire_payouts.__file__)).parent
EXEMPT = {
    "stellar": "the execution of a chain, which is found by its entry point",
    "settings.py": "the names that operators of earlier systems know",
    "metrics.py": "all metrics of a service stand in one module, those of the execution too",
}
VENDORS = {"binance", "okx", "paypal", "stripe", "stripe_connect", "tremendous"}
"""Vendors of rails that are not installed here."""
WORDS = {"bank", "email", "exchange", "manual"}
"""Words of the language. As a part of a name in the code they stand for no rail and no method type."""


def names() -> set[str]:
    groups = (PROVIDER_ENTRY_POINTS, VERIFIER_ENTRY_POINTS, EXECUTION_ENTRY_POINTS)
    providers = {point.name for group in groups for point in entry_points(group=group)}
    types = {value for name, value in vars(RailType).items() if name.isupper()}
    return providers | types | set(installed_method_types()) | VENDORS


def named(code: str) -> Iterator[tuple[int, str]]:
    """(line, name) of each rail, vendor or method type in a module: as a whole text, or as a word of a name."""
    tree = ast.parse(code)
    examples = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "examples"
        for inner in ast.walk(node.value)
    }
    known = names()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.lower() in known and id(node) not in examples:
                yield node.lineno, node.value
            continue
        text = next(
            (
                value
                for name in ("id", "attr", "name", "arg", "module")
                if (value := getattr(node, name, None))
            ),
            None,
        )
        if isinstance(text, str):
            words = re.split(r"[._]", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower())
            for found in known & {text.lower(), *words} - WORDS:
                yield getattr(node, "lineno", 0), found


def test_payouts_names_no_rail() -> None:
    """A rail is a package: what payouts compares or calls by name is no rail, no vendor and no method type."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] not in EXEMPT
        for line, name in named(path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        'if rail == "stellar": pass',
        'RAILS = {"BINANCE"}',
        "from prizewire_payouts.stellar import build",
        "RailType.STELLAR",
        "def pay_stripe(): pass",
        "class FakeRail: pass",
        'run(provider="fiat_provider")',
    ],
)
def test_a_name_is_found(code: str) -> None:
    """In a comparison, a table, an import, an attribute, a function, a class and an argument."""
    assert list(named(code))


@pytest.mark.parametrize("code", ["bank_code = 1", 'Field(examples=["stellar"])', '"""Pays over stellar."""'])
def test_words_and_examples_name_no_rail(code: str) -> None:
    """Words of the language, examples of the documentation, and sentences."""
    assert not list(named(code))
