"""What every test run of the repository shares: quick tests first, the slow kinds marked by their folder."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent

# (folder name in the path, marker or None, rank): the first match wins; lower ranks run earlier.
KINDS: tuple[tuple[str, str | None, int], ...] = (
    ("faults", "faults", 4),
    ("e2e", "e2e", 3),
    ("integration", "integration", 2),
    ("repo", None, 1),
)


def _kind(item: pytest.Item) -> tuple[str | None, int]:
    folders = item.path.relative_to(ROOT).parts[:-1]
    for folder, marker, rank in KINDS:
        if folder in folders:
            return marker, rank
    return None, 0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder and put unit tests before repository, integration, e2e and fault tests."""
    for item in items:
        marker, _ = _kind(item)
        if marker is not None:
            item.add_marker(marker)
    items.sort(key=lambda item: _kind(item)[1])
