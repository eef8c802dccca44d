"""The order of a lineage, where the recorded times contradict the order of a round's steps."""

from datetime import timedelta
from typing import cast

from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_settlement.lineage import lineage_over
from prizewire_settlement.rounds.ports import Queries, RoundRecord
from services.settlement.tests.fakes import NOW, FakeWorld, apply, completed, make_competition, opened, voided


class OneRecord:
    """Queries that find one record under every correlation id."""

    def __init__(self, record: RoundRecord) -> None:
        self._record = record

    async def rounds_of(self, correlation_id: str) -> list[RoundRecord]:
        del correlation_id
        return [self._record]


async def test_steps_are_in_the_order_in_which_they_were_taken() -> None:
    """The second report has the earlier time: its steps and its settlement still follow the steps before them."""
    world = FakeWorld()
    world.add(make_competition(dispute_window=timedelta(hours=1)))
    await apply(world, opened())
    await apply(world, completed())
    await apply(world, voided())
    late, early = NOW + timedelta(seconds=2), NOW + timedelta(seconds=1)
    first, *settled, last = world.steps
    steps = (first._replace(at=late), *(step._replace(at=early) for step in settled), last._replace(at=late))
    record = RoundRecord(
        round=world.round_of("m1"), transitions=steps, parts=(), settlements=(), lines_total={}
    )
    story = lineage_over(lambda _: cast("Queries", OneRecord(record)))
    entries = await story(cast("AsyncConnection", None), "corr-m1")
    assert [entry.kind for entry in entries] == [
        "round.open",
        "round.closed",
        "round.resolved",
        "round.settled",
        "round.voided",
    ]
