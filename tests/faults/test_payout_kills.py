"""Payouts is killed at each of its write boundaries, and started again: each payout is paid once, or not at all.

`make test` kills it once in each run. `make faults-full` kills it once at every point, and twice at every pair of points. A failure
names the seed and the points, and the command that repeats it.
"""

import pickle
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_devstack.fresh_databases import Databases
from prizewire_devstack.home import repository_root
from prizewire_payouts.payouts.handlers.submission import open_attempts
from prizewire_railkit import no_effect
from tests.faults.boundaries import EXIT_CODE, distinct
from tests.faults.faults_report import Report
from tests.faults.payout_world import PLANS, Plan, World

Run = Callable[..., Awaitable[World]]
MANY = "test_one_kill_among_many_payouts"
SAMPLE = 4
"""How many points of the run with all plans `make test` takes."""


@pytest.fixture
def seed(pytestconfig: pytest.Config) -> int:
    """The seed of ids, amounts and samples."""
    return int(pytestconfig.getoption("--faults-seed"))


@pytest.fixture
def given(pytestconfig: pytest.Config) -> list[int] | None:
    """The points of one run that is to be repeated."""
    text = pytestconfig.getoption("--faults-points")
    return None if text is None else [int(point) for point in text.split(",")]


@pytest.fixture(scope="module")
def report(pytestconfig: pytest.Config) -> Iterator[Report]:
    """The report, written when all tests of this file have run."""
    made = Report(int(pytestconfig.getoption("--faults-seed")))
    yield made
    made.write(Path(pytestconfig.getoption("--faults-report")))


@pytest.fixture
def run(devstack_databases: Databases, tmp_path: Path, seed: int) -> Run:
    """Runs plans over a database and a journal of their own, with kills at these points, and returns the world."""
    numbers = iter(range(1_000_000))

    async def go(
        plans: Sequence[Plan], *kills: int, before: Callable[[World], Awaitable[None]] | None = None
    ) -> World:
        folder = tmp_path / str(next(numbers))
        with devstack_databases.dropped_at_the_end() as make:
            urls = make("payouts", migrated=True)
            concurrency = min(len(plans), 4)
            world = await World.make(
                folder=folder, urls=urls, plans=plans, seed=seed, concurrency=concurrency
            )
            if before is not None:
                await before(world)
            await world.run(kills)
        return world

    return go


def fail_on_breaches(world: World, test: str, *, seed: int, kills: Sequence[int]) -> None:
    """Fail with what is needed to repeat the run."""
    if world.breaches:
        at = ", then ".join(
            f"{point} ({passed[-1]})" for point, passed in zip(kills, world.passed, strict=False)
        )
        points = f" --faults-points {','.join(map(str, kills))}" if kills else ""
        command = (
            f"make test ARGS='-n 0 tests/faults/test_payout_kills.py::{test} --faults-seed {seed}{points}'"
        )
        pytest.fail(
            f"seed {seed}, killed at point {at or 'none'}: {'; '.join(world.breaches)}\nrepeat: {command}"
        )


@pytest.mark.long
@pytest.mark.parametrize("name", PLANS)
async def test_one_kill(run: Run, seed: int, given: list[int] | None, name: str) -> None:
    """Payouts is killed at every point that leaves something else behind than the point before it, and is started again."""
    plans = [PLANS[name]]
    golden = await run(plans)
    fail_on_breaches(golden, f"test_one_kill[{name}]", seed=seed, kills=[])
    [points] = golden.passed
    for kills in [[point] for point in distinct(points)] if given is None else [given]:
        world = await run(plans, *kills)
        fail_on_breaches(world, f"test_one_kill[{name}]", seed=seed, kills=kills)
        assert world.passed[0] == points[: kills[0] + 1], "the run is the same until its first kill"


@pytest.mark.parametrize(
    ("name", "rail"),
    [
        ("second_rail", "second"),
        ("second_rail_after_lost_request", "second"),
        ("second_rail_not_after_lost_answer", "fake"),
    ],
)
async def test_the_second_rail_pays_after_a_proved_failure_only(run: Run, name: str, rail: str) -> None:
    """A refusal, and a request that is proved never to have arrived, lead to the second rail; a lost answer does not."""
    world = await run([PLANS[name]])
    assert (world.breaches, world.paid_by()) == ([], [rail])


@pytest.mark.long
async def test_one_kill_among_many_payouts(run: Run, seed: int, given: list[int] | None) -> None:
    """All plans run at once, four calls at a time: payouts is killed at points that the seed chooses."""
    draw = random.Random(seed)
    plans = draw.sample(list(PLANS.values()), len(PLANS))
    golden = await run(plans)
    fail_on_breaches(golden, MANY, seed=seed, kills=[])
    chosen = draw.sample(range(len(golden.passed[0])), SAMPLE)
    for kills in [[point] for point in chosen] if given is None else [given]:
        world = await run(plans, *kills)
        fail_on_breaches(world, MANY, seed=seed, kills=kills)


@pytest.mark.large
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", PLANS)
async def test_every_pair_of_kills(run: Run, seed: int, report: Report, name: str) -> None:
    """Payouts is killed at every point, and the next process at each of its own points."""
    plans = [PLANS[name]]
    [points] = (await run(plans)).passed
    for first in range(len(points)):
        world = await run(plans, first)
        fail_on_breaches(world, f"test_one_kill[{name}]", seed=seed, kills=[first])
        report.count(name, points=len(points), kills=1)
        for second in range(len(world.passed[1])):
            both = await run(plans, first, second)
            fail_on_breaches(both, f"test_one_kill[{name}]", seed=seed, kills=[first, second])
            report.count(name, points=len(points), kills=2)


@pytest.mark.large
@pytest.mark.timeout(0)
async def test_every_kill_among_many_payouts(run: Run, seed: int, report: Report) -> None:
    """All plans run at once: payouts is killed at every point, and the next process at one that the seed chooses."""
    draw = random.Random(seed)
    plans = draw.sample(list(PLANS.values()), len(PLANS))
    points = (await run(plans)).passed[0]
    for first in range(len(points)):
        world = await run(plans, first)
        fail_on_breaches(world, MANY, seed=seed, kills=[first])
        report.count("all", points=len(points), kills=1)
        second = draw.randrange(len(world.passed[1]))
        both = await run(plans, first, second)
        fail_on_breaches(both, MANY, seed=seed, kills=[first, second])
        report.count("all", points=len(points), kills=2)


@pytest.mark.processes
async def test_a_kill_inside_the_test_is_like_the_end_of_a_process(
    run: Run, seed: int, tmp_path: Path
) -> None:
    """A process that ends by ``os._exit`` at a point leaves the same rows and payments behind as a kill at that point inside the
    test's own process.
    """
    plans = [PLANS["pending"]]
    [points] = (await run(plans)).passed
    point = random.Random(seed).choice([number for number, name in enumerate(points) if "create" in name])
    left: list[Any] = []

    async def elsewhere(world: World) -> None:
        file = tmp_path / "world"
        file.write_bytes(pickle.dumps(world))
        command = (sys.executable, "-m", "tests.faults.payout_process", str(file), str(point))
        done = subprocess.run(command, cwd=repository_root(), check=False, timeout=600)  # noqa: ASYNC221 - nothing else runs
        assert done.returncode == EXIT_CODE
        left.append(await world.left_behind())

    async def here(world: World) -> None:
        await world.run_killed(point)
        left.append(await world.left_behind())

    assert (await run(plans, before=elsewhere)).breaches == []
    assert (await run(plans, before=here)).breaches == []
    assert left[0] == left[1]


async def test_a_call_before_its_record_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rail is called before the attempt is committed, a kill between the two pays a payout that is then cancelled."""

    async def hasty(*arguments: Any, **named: Any) -> Any:
        instructions = await open_attempts(*arguments, **named)
        for instruction in instructions:
            await named["rail"].provider.create_payout(instruction, now=named["now"])
        return instructions

    for module in list(sys.modules.values()):
        if getattr(module, "open_attempts", None) is open_attempts and module.__name__.startswith(
            "prizewire"
        ):
            monkeypatch.setattr(module, "open_attempts", hasty)
    plans = [PLANS["cancel_called"]]
    golden = await run(plans)
    assert golden.breaches == []
    world = await run(plans, golden.passed[0].index("after create_payout"))
    assert "the payout is cancelled, and the rail made 1 payments" in world.breaches


async def test_a_second_payment_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a lost answer counts as a proof that nothing was paid, the payout is paid at each attempt, even without a kill."""
    monkeypatch.setattr(
        "prizewire_rail_fake.provider.unknown",
        lambda **_: no_effect(code=PayoutCode.RAIL_UNAVAILABLE),
    )
    golden = await run([PLANS["lost_answer"]])
    assert "the payout is failed, and the rail made 5 payments" in golden.breaches
