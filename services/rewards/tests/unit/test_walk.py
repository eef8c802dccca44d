"""The use cases over the ports in memory, walked at random beside a model."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from services.rewards.tests.fakes import MemoryStore
from services.rewards.tests.machine.stages import MemoryStage
from services.rewards.tests.machine.walk import RewardsMachine
from services.rewards.tests.rig import ASSETS


@pytest.mark.timeout(600)  # a walk that fails is made shorter for up to five minutes
def test_a_walk_in_memory_follows_the_model() -> None:
    """Whatever is done in whatever order, everybody has what they should."""

    def walk() -> RewardsMachine:
        machine = RewardsMachine()
        machine.stage = MemoryStage(MemoryStore(ASSETS))
        return machine

    run_state_machine_as_test(walk, settings=settings(max_examples=80, stateful_step_count=30, deadline=None))
