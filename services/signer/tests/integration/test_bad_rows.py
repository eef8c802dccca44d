"""Requests that cannot be read or handled: those behind them are signed at once, and nothing is done with them."""

from datetime import timedelta

from sqlalchemy import text

from prizewire_chassis.batches import POSTPONED_FIRST
from prizewire_chassis.metrics import ROWS_POSTPONED
from prizewire_contracts.events.signing import SigningCompletedEvent
from prizewire_signer.jobs import SIGNING_JOB, SigningWorker
from services.signer.tests.fakes import NOW, intent, request
from services.signer.tests.integration.conftest import Signer

BAD = 12


async def run(signer: Signer, worker: SigningWorker) -> None:
    """Until nothing is due. A run that raises makes the job pause, so none may."""
    while await worker.run_once():
        pass


async def bad_requests(signer: Signer, number: int) -> None:
    """With the login of the signer's database: requests that are no requests."""
    async with signer.db.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO signing_work (event_id, subject, payload, event_time, received_at, state, ready_at) "
                "SELECT 'bad ' || n, 'x', '\\x00ff', :now, :now, 'queued', :now FROM generate_series(1, :number) n"
            ),
            {"now": NOW, "number": number},
        )


def postponed() -> float:
    return float(ROWS_POSTPONED.labels(SIGNING_JOB)._value.get())


async def states(signer: Signer) -> list[str]:
    return [row.state for row in await signer.rows("SELECT state FROM signing_work ORDER BY id")]


async def test_requests_that_cannot_be_read_do_not_stop_the_others(signer: Signer) -> None:
    """Twelve of them in front of a genuine request, which is signed in the same runs of the worker. They are counted, left out
    for a minute, and named by a check until they have an answer.
    """
    worker = signer.worker
    await bad_requests(signer, BAD)
    await signer.take(request([intent(1)]))
    await run(signer, worker)
    (answer,) = await signer.answers()
    assert isinstance(answer, SigningCompletedEvent)
    assert await states(signer) == ["queued"] * BAD + ["completed"]
    assert postponed() == BAD
    assert (await signer.breaches())["requests_answered"] == []
    signer.clock.advance(timedelta(minutes=16))
    found = (await signer.breaches())["requests_answered"]
    assert len(found) == BAD
    assert found[0].endswith("waits since 2030-01-01T12:00:00Z")


async def test_a_request_that_cannot_be_answered_does_not_stop_the_others(signer: Signer) -> None:
    """The database has an answer to a request already, which was never given: it is signed and cannot be answered. The run goes
    on with the next request, and this one is tried again after a minute.
    """
    worker = signer.worker
    await signer.take(request([intent(1)]))
    (event,) = await signer.rows("SELECT event_id FROM signing_work")
    async with signer.db.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO answers (counter, kind, subject, cause, at) VALUES (9, 'completed', 'x', :cause, :now)"
            ),
            {"cause": event.event_id, "now": NOW},
        )
    await bad_requests(signer, 1)
    await run(signer, worker)
    assert await states(signer) == ["recorded", "queued"]
    assert (postponed(), await signer.answers()) == (2, [])
    used = len(signer.backend.signed)
    await run(signer, worker)
    assert len(signer.backend.signed) == used
    signer.clock.advance(POSTPONED_FIRST)
    await run(signer, worker)
    assert len(signer.backend.signed) == 2 * used
    # its lease is over before its time has come
    signer.clock.advance(POSTPONED_FIRST)
    await run(signer, worker)
    assert len(signer.backend.signed) == 2 * used
