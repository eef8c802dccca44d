"""The chassis serves every service alike, so it names no thing of the domain."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.repo.house import Repository

NOUNS = frozenset(
    form
    for noun in ("round", "campaign", "wallet", "payout", "prize", "reward", "ledger", "match")
    for form in (noun, f"{noun}s", f"{noun}es")
)


def defined_names(tree: ast.AST) -> Iterator[str]:
    """Names that a module gives to things; what it merely calls (re.match, round) is none of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return spaced.lower().split("_")


def domain_names(path: Path) -> list[str]:
    names = {path.stem, *defined_names(ast.parse(path.read_text()))}
    return sorted(name for name in names if NOUNS & set(words(name)))


def test_chassis_names_nothing_of_the_domain(repository: Repository) -> None:
    """No module, class, function, argument or variable of the chassis is named after money or matches."""
    source = repository.root / "libs/chassis/src/prizewire_chassis"
    found = {repository.short(path): names for path in source.rglob("*.py") if (names := domain_names(path))}
    assert found == {}


def test_the_rule_finds_domain_names(tmp_path: Path) -> None:
    """Names in every spelling are found, and calls of builtin functions are not."""
    module = tmp_path / "sample.py"
    module.write_text(
        "class WalletStore: ...\ndef f(payout_id): x = round(1.5); self.rewards = 1\nprizewire = 2\n"
    )
    assert domain_names(module) == ["WalletStore", "payout_id", "rewards"]
