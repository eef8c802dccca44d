"""Two consumers, or two operators, process events of one subject at the same time."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.chassis.tests.integration.conftest import Scripted
from libs.chassis.tests.integration.inbox_rig import TOPIC, effects, held, stuck_rows
from prizewire_chassis.inbox import Refusal, VersionRule
from prizewire_chassis.stuck_events import NotReplayable
from prizewire_chassis.testing import records
from prizewire_contracts.codes import RefusalCode
from prizewire_devstack.waiting import eventually


class Gate(Scripted):
    """A handler that waits with the events of ``hold`` until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.hold: set[str] = set()
        self.arrivals = 0
        self.arrived, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, tx, batch):
        if self.hold.intersection(item.event.id for item in batch):
            self.arrivals += 1
            self.arrived.set()
            await self.go.wait()
        return await super().__call__(tx, batch)


async def waits_or_got_through(db, task: "asyncio.Task[object]", gate: Gate) -> bool:
    """Whether a statement waits for a lock, or the second one did not have to."""
    async with db.transaction() as tx:
        found = await tx.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
        return bool(found.scalar_one()) or task.done() or gate.arrivals > 1


async def test_an_older_state_never_overwrites_a_newer_one(db, processor, make_spec, outbox):
    """Two consumers process the first two events of one subject at the same time, as after a rebalance: the one that
    was overtaken has no effect, where each event carries the full state.
    """
    payout, gate = uuid4(), Gate()
    spec = replace(make_spec(VersionRule.HIGHEST), handler=gate)
    old, new = held(outbox, payout, 1), held(outbox, payout, 2)
    gate.hold = {old.event_id}
    slow = asyncio.create_task(processor.process(spec, records(old, topic=TOPIC)))
    await gate.arrived.wait()
    await processor.process(spec, records(new, topic=TOPIC, start=1))
    gate.go.set()
    await slow
    assert await effects(db) == [new.event_id]
    assert await stuck_rows(db) == []


async def test_versions_of_one_subject_queue_behind_each_other(db, processor, make_spec, outbox):
    """A consumer with the next version waits for the transaction with the version before it, instead of seeing a gap."""
    payout, gate = uuid4(), Gate()
    spec = replace(make_spec(), handler=gate)
    one, two, three = (held(outbox, payout, version) for version in (1, 2, 3))
    await processor.process(spec, records(one, topic=TOPIC))
    gate.hold = {two.event_id}
    slow = asyncio.create_task(processor.process(spec, records(two, topic=TOPIC, start=1)))
    await gate.arrived.wait()
    follower = asyncio.create_task(processor.process(spec, records(three, topic=TOPIC, start=2)))
    await eventually(lambda: waits_or_got_through(db, follower, gate))
    gate.go.set()
    await asyncio.gather(slow, follower)
    assert await effects(db) == [event.event_id for event in (one, two, three)]
    assert await stuck_rows(db) == []


@pytest.mark.parametrize("rule", [VersionRule.STRICT, VersionRule.NONE])
async def test_two_operators_replay_one_event_once(
    db, processor, handler, make_spec, make_stuck, outbox, rule
):
    """Of two replays at the same time one applies the event, the other one is answered that it was already replayed."""
    gate, event = Gate(), held(outbox, uuid4(), 1)
    spec = replace(make_spec(rule), handler=gate)
    gate.refuse[event.event_id] = Refusal(RefusalCode.NOT_SUPPORTED_YET, "later", park=True)
    await processor.process(spec, records(event, topic=TOPIC))
    gate.refuse.clear()
    gate.hold = {event.event_id}
    stuck = make_stuck(spec)
    stuck_id = (await stuck.page(after=0, limit=1))[0]["id"]
    first = asyncio.create_task(stuck.replay(stuck_id, actor="ana"))
    await gate.arrived.wait()
    second = asyncio.create_task(stuck.replay(stuck_id, actor="ben"))
    await eventually(lambda: waits_or_got_through(db, second, gate))
    gate.go.set()
    assert (await first).state == "replayed"
    with pytest.raises(NotReplayable, match="already_replayed"):
        await second
    assert await effects(db) == [event.event_id]
    assert (await stuck.show(stuck_id))["replayed_by"] == "ana"
