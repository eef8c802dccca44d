"""A route that changes something takes an Idempotency-Key, or is listed here: repeating it has no further effect."""

import ast

from tests.repo.house import Repository

CHANGING = frozenset({"post", "put", "patch", "delete"})
WITHOUT_KEY = {
    ("payouts", "begin"),
    ("payouts", "confirm"),
    ("payouts", "confirm_approval"),
    ("payouts", "end_approval"),
    ("payouts", "lift"),
    ("payouts", "quote"),
    ("payouts", "remove_method"),
    ("payouts", "set_default"),
    ("rewards", "activate"),
    ("rewards", "cancel"),
    ("rewards", "choose"),
    ("rewards", "drop"),
    ("rewards", "end"),
    ("rewards", "forget"),
    ("rewards", "pause"),
    ("rewards", "settings"),
    ("rewards", "tell"),
    ("settlement", "create"),
    ("settlement", "replace"),
    ("settlement", "revoke"),
    ("settlement", "show"),
    ("webhooks", "receive"),
    ("webhooks", "remove"),
}


def without_key(repository: Repository) -> set[tuple[str, str]]:
    """(service, function) of every changing route whose function has no parameter for an Idempotency-Key."""
    found = set()
    for service in repository.services:
        for file in sorted(service.source.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.AsyncFunctionDef) and _changes(node) and not _takes_key(node):
                    found.add((service.name, node.name))
    return found


def _changes(node: ast.AsyncFunctionDef) -> bool:
    calls = (one for one in node.decorator_list if isinstance(one, ast.Call))
    return any(isinstance(one.func, ast.Name) and one.func.id in CHANGING for one in calls)


def _takes_key(node: ast.AsyncFunctionDef) -> bool:
    given = [*node.args.args, *node.args.kwonlyargs]
    words = {ast.unparse(one.annotation) for one in given if one.annotation is not None}
    return any("RequiredKey" in word or "OptionalKey" in word for word in words)


def test_a_route_without_a_key_is_listed(repository: Repository) -> None:
    """The README of the chassis says what repeating each of them does."""
    assert without_key(repository) == WITHOUT_KEY
