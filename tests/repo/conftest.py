"""One reading of the repository for all house-rule tests."""

from pathlib import Path

import pytest

from tests.repo.house import Repository


@pytest.fixture(scope="session")
def repository() -> Repository:
    return Repository(Path(__file__).resolve().parents[2])
