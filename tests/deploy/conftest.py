"""What the tests of wheels, images and manifests share."""

from pathlib import Path

import pytest

from tests.deploy.policies.world import World
from tests.deploy.rendering import OVERLAYS, render_all
from tests.repo.house import Repository


@pytest.fixture(scope="session")
def repository() -> Repository:
    """The repository that this file is part of."""
    return Repository(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="session")
def worlds() -> dict[str, World]:
    """What each overlay applies to a cluster, rendered once."""
    return {overlay: World(overlay, rendered.manifests) for overlay, rendered in render_all().items()}


@pytest.fixture(params=OVERLAYS)
def world(request: pytest.FixtureRequest, worlds: dict[str, World]) -> World:
    """Each overlay in turn."""
    return worlds[request.param]
