"""The repository, read once for all tests of its rules."""

from pathlib import Path

import pytest

from tests.repo.house import Repository


@pytest.fixture(scope="session")
def repository() -> Repository:
    return Repository(Path(__file__).resolve().parents[2])
