"""What the tests of wheels, images and manifests share."""

from pathlib import Path

import pytest

from tests.repo.house import Repository


@pytest.fixture(scope="session")
def repository() -> Repository:
    """The repository that this file is part of."""
    return Repository(Path(__file__).resolve().parents[2])
