"""The state machine of random walks over PostgreSQL: the ports in memory follow the same model."""

import asyncio

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from prizewire_devstack.testing import DatabaseFactory
from services.rewards.tests.machine.backends import SqlBackend
from services.rewards.tests.machine.walk import RewardsMachine
from services.rewards.tests.rig import Rig


def test_a_walk_over_postgresql_follows_the_model(make_database: DatabaseFactory) -> None:
    """After any handlers in any order, the ledger matches the model, and the service's checks find nothing."""
    with asyncio.Runner() as runner:
        rig = runner.run(Rig.open(make_database("rewards", migrated=True)))
        backend = SqlBackend(runner, rig)

        def walk() -> RewardsMachine:
            machine = RewardsMachine()
            machine.backend = backend
            return machine

        try:
            run_state_machine_as_test(
                walk,
                settings=settings(
                    max_examples=8,
                    stateful_step_count=20,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(rig.close())
