"""The same random walk as in memory, over PostgreSQL: both implementations follow one model."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from prizewire_devstack.testing import DatabaseFactory
from services.rewards.tests.machine.stages import SqlStage
from services.rewards.tests.machine.walk import RewardsMachine
from services.rewards.tests.rig import Rig


@pytest.mark.timeout(600)  # a walk that fails is made shorter for up to five minutes
def test_a_walk_over_postgresql_follows_the_model(make_database: DatabaseFactory) -> None:
    """Whatever is done in whatever order, the ledger agrees with the model, and its own checks find nothing."""
    with asyncio.Runner() as runner:
        rig = runner.run(Rig.open(make_database("rewards", migrated=True)))
        stage = SqlStage(runner, rig)

        def walk() -> RewardsMachine:
            machine = RewardsMachine()
            machine.stage = stage
            return machine

        try:
            run_state_machine_as_test(
                walk,
                settings=settings(
                    max_examples=8,
                    stateful_step_count=20,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(rig.close())
