"""The state machine of random walks over the ports in memory."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from services.rewards.tests.fakes import MemoryStore
from services.rewards.tests.machine.backends import MemoryBackend
from services.rewards.tests.machine.walk import RewardsMachine
from services.rewards.tests.rig import ASSETS


def test_a_walk_in_memory_follows_the_model() -> None:
    """After any handlers in any order, all balances match the model."""

    def walk() -> RewardsMachine:
        machine = RewardsMachine()
        machine.backend = MemoryBackend(MemoryStore(ASSETS))
        return machine

    run_state_machine_as_test(walk, settings=settings(max_examples=80, stateful_step_count=30))
