"""What fails for now is tried again, what fails for good is isolated, and a shutdown gives the batch back."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from libs.chassis.tests.integration.inbox_rig import TOPIC, effects, held, stuck_rows
from prizewire_chassis.inbox import Stopping
from prizewire_chassis.testing import records
from prizewire_devstack.waiting import eventually


async def test_an_event_that_keeps_failing_is_quarantined(db, processor, handler, make_spec, outbox):
    """An event on which the handler keeps raising is parked; its neighbours in the batch are applied."""
    failing, fine = held(outbox, uuid4(), 1), held(outbox, uuid4(), 1)
    handler.raising[failing.event_id] = ValueError("cannot be")
    await processor.process(make_spec(), records(failing, fine, topic=TOPIC))
    assert await effects(db) == [fine.event_id]
    assert await stuck_rows(db) == [("parked", "handler_error")]


async def test_an_unexpected_failure_has_three_tries(db, processor, handler, make_spec, outbox):
    """What fails once or twice is not parked for it."""
    event, raised = held(outbox, uuid4(), 1), []

    async def unsteady(tx, batch):
        if len(raised) < 2:
            raised.append(1)
            raise KeyError("for now")
        return await handler(tx, batch)

    await processor.process(replace(make_spec(), handler=unsteady), records(event, topic=TOPIC))
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == []


async def test_a_transient_failure_is_retried_not_given_up(db, processor, handler, make_spec, outbox):
    """While the database is unavailable the batch waits, and nothing of it is parked."""
    event = held(outbox, uuid4(), 1)
    handler.raising[event.event_id] = asyncpg.CannotConnectNowError("starting up")
    task = asyncio.create_task(processor.process(make_spec(), records(event, topic=TOPIC)))
    await eventually(lambda: handler.calls >= 5)
    handler.raising.clear()
    await task
    assert await effects(db) == [event.event_id]
    assert await stuck_rows(db) == []


async def test_stopping_gives_the_batch_back(db, processor, handler, make_spec, outbox):
    """A retry that is interrupted by the shutdown raises, so that Kafka delivers the batch again."""
    event = held(outbox, uuid4(), 1)
    handler.raising[event.event_id] = asyncpg.CannotConnectNowError("starting up")
    task = asyncio.create_task(processor.process(make_spec(), records(event, topic=TOPIC)))
    await eventually(lambda: handler.calls >= 2)
    processor.stop()
    with pytest.raises(Stopping):
        await task
    assert await effects(db) == []


async def test_offsets_do_not_move_without_their_batch(db, processor, handler, make_spec, outbox):
    """A batch that was not applied leaves the stored offsets where they were."""
    event = held(outbox, uuid4(), 1)
    handler.raising[event.event_id] = asyncpg.CannotConnectNowError("starting up")
    task = asyncio.create_task(processor.process(make_spec(), records(event, topic=TOPIC)))
    await eventually(lambda: handler.calls >= 2)
    processor.stop()
    with pytest.raises(Stopping):
        await task
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM consumer_offsets"))).scalar_one() == 0
        assert (await tx.execute(text("SELECT count(*) FROM inbox"))).scalar_one() == 0
