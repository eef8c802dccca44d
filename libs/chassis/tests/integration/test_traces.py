"""Each event continues the trace of its own cause: in a batch, in a job, and where a caller named the trace."""

import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from libs.chassis.tests.integration.inbox_rig import TOPIC, held
from prizewire_chassis.inbox import ConsumerSpec, Incoming, VersionRule, never
from prizewire_chassis.testing import event_bytes, make_key, records
from prizewire_chassis.tracing import (
    TRACES_KEPT,
    Unit,
    derived,
    new_trace,
    purge_traces,
    set_recorder,
    traces_of,
    working,
)
from prizewire_contracts.events.payouts import PayoutHeld, PayoutHeldEvent
from prizewire_contracts.topics import MATCHES, PAYOUTS
from prizewire_contracts.traces import derived_trace, trace_id_of


def trace(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


def event_of(outbox, correlation: str, *, cause: str | None = None, follows: str | None = None):
    payout = uuid4()
    return outbox.event(
        PayoutHeldEvent,
        PayoutHeld(payout_id=payout, reason="limit_exceeded"),
        subject=str(payout),
        version=1,
        correlation_id=correlation,
        causation_id=cause,
        follows=follows,
    )


def traced(outbox, correlation: str, traceparent: object):
    """An event's message with this traceparent."""
    raw = orjson.loads(event_of(outbox, correlation).value)
    return orjson.dumps({**raw, "traceparent": traceparent})


async def outgoing(db) -> dict[str, str]:
    """The traceparent of each event in the outbox, by correlation id."""
    async with db.transaction() as tx:
        rows = (await tx.execute(text("SELECT value FROM outbox ORDER BY id"))).scalars()
        found = [orjson.loads(value) for value in rows]
    return {one["correlationid"]: one["traceparent"] for one in found}


async def stored(db) -> dict[str, str]:
    async with db.transaction() as tx:
        rows = await tx.execute(text("SELECT correlation_id, traceparent FROM traces"))
        return {row.correlation_id: row.traceparent for row in rows}


@pytest.fixture
def answering(outbox) -> ConsumerSpec:
    """A consumer that answers each event with one of the same correlation id, and the first also with one of another id."""

    async def handle(tx, batch: Sequence[Incoming]):
        answers = [event_of(outbox, item.event.correlationid, cause=item.event.id) for item in batch]
        other = event_of(outbox, f"{batch[0].event.correlationid}-withdrawal", cause=batch[0].event.id)
        await outbox.add(tx, [*answers, other])
        return {}

    return ConsumerSpec("test.answers", PAYOUTS, handle, lambda _: VersionRule.NONE)


async def test_each_event_of_a_batch_continues_its_own_trace(db, processor, outbox, answering):
    """Five hundred events of as many traces: each answer has the trace of its cause, and one of another correlation id its own."""
    batch = [traced(outbox, f"c-{number}", trace(number)) for number in range(1, 501)]
    await processor.process(answering, records(*batch, topic=TOPIC))
    found = await outgoing(db)
    assert {name: found[name] for name in found if not name.endswith("withdrawal")} == {
        f"c-{number}": trace(number) for number in range(1, 501)
    }
    assert found["c-1-withdrawal"] == derived_trace("c-1-withdrawal")


@pytest.mark.parametrize("text", ["nonsense", "", 7, f"00-{'0' * 32}-{'1' * 16}-01"], ids=str)
async def test_a_malformed_traceparent_stops_no_event(db, processor, outbox, answering, text):
    """It counts as none: the event continues the trace of its correlation id."""
    await processor.process(answering, records(traced(outbox, "c-1", text), topic=TOPIC))
    assert (await outgoing(db))["c-1"] == derived_trace("c-1")
    assert await stored(db) == {}


async def test_one_event_under_two_traces_is_one_event(db, processor, outbox, answering):
    """No signature covers the trace, so that it must not make a repeated event contradict itself."""
    raw = orjson.loads(event_of(outbox, "c-1").value)
    twice = [orjson.dumps({**raw, "traceparent": trace(number)}) for number in (1, 2)]
    await processor.process(answering, records(*twice, topic=TOPIC))
    async with db.transaction() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM stuck_events"))).scalar_one() == 0


async def test_a_job_continues_the_trace_that_a_caller_named(db, processor, outbox, answering, clock):
    """It was stored with the event; the trace of an event without one follows from its correlation id and is not stored."""
    batch = [traced(outbox, "named", trace(5)), event_of(outbox, "unnamed").value]
    await processor.process(answering, records(*batch, topic=TOPIC))
    assert await stored(db) == {"named": trace(5)}
    with working(Unit(new_trace())):
        async with db.transaction() as tx:
            await outbox.add(tx, [event_of(outbox, "named"), event_of(outbox, "unnamed")])
            await outbox.add(tx, [event_of(outbox, "slot", follows="named")])
            assert await traces_of(tx, ["named", "else"]) == {"named": trace(5), "else": derived("else")}
    found = await outgoing(db)
    assert found["named"] == found["slot"] == trace(5)
    assert found["unnamed"] == derived("unnamed")
    assert (await stored(db))["slot"] == trace(5)


async def test_the_first_trace_of_a_correlation_id_stays(db, outbox, processor, answering):
    """A later caller changes only what it causes itself."""
    for number in (1, 2):
        await processor.process(
            answering, records(traced(outbox, "c-1", trace(number)), topic=TOPIC, start=number)
        )
    assert (await stored(db))["c-1"] == trace(1)
    assert (await outgoing(db))["c-1"] == trace(2)


async def test_events_of_a_request_continue_its_callers_trace(db, outbox):
    """A caller that names no trace gets that of the correlation id."""
    for name, unit in {"given": Unit(trace(9), given=True), "own": Unit(trace(8))}.items():
        with working(unit):
            async with db.transaction() as tx:
                await outbox.add(tx, [event_of(outbox, name)])
    found = await outgoing(db)
    assert (found["given"], found["own"]) == (trace(9), derived("own"))
    assert await stored(db) == {"given": trace(9)}


async def test_a_refused_event_stores_no_trace(db, processor, handler, make_spec, outbox):
    """A forged event cannot choose the trace of a match."""
    raw = orjson.loads(held(outbox, uuid4(), 1).value)
    forged = {**raw, "traceparent": trace(3), "subject": str(uuid4())}
    await processor.process(make_spec(), records(orjson.dumps(forged), topic=TOPIC))
    assert await stored(db) == {}


def result(source: str, match: str, correlation: str | None, traceparent: str) -> bytes:
    """A game server's event."""
    named = {} if correlation is None else {"correlationid": correlation}
    return event_bytes(
        topic=MATCHES.name,
        kind="prizewire.match.voided.v1",
        source=source,
        subject=match,
        data={"match_id": match, "competition": "cup", "reason": "test"},
        key=make_key("webhooks"),
        id=f"{source}-{match}",
        traceparent=traceparent,
        time="2026-05-01T12:00:00+00:00",
        **named,
    )


@pytest.fixture
def matches(outbox) -> ConsumerSpec:
    """A consumer of game servers' events that answers each with one of its correlation id."""

    def correlation(source: str, subject: str) -> str:
        return f"of-{source}-and-{subject}"

    async def handle(tx, batch: Sequence[Incoming]):
        answers = [
            event_of(
                outbox,
                item.event.correlationid or correlation(item.event.source, item.event.subject),
                cause=item.event.id,
            )
            for item in batch
        ]
        await outbox.add(tx, answers)
        return {}

    return ConsumerSpec("test.matches", MATCHES, handle, never, correlation_of=correlation)


@pytest.mark.parametrize(
    ("correlation", "takes"),
    [("of-game-b-and-m-1", False), ("anything", False), ("of-game-a-and-m-1", True), (None, True)],
    ids=["of-another", "free", "its-own", "none"],
)
async def test_a_source_names_only_the_trace_of_its_own_correlation_id(
    db, processor, outbox, matches, correlation, takes
):
    """Else it could draw the payments of another source's match into its trace: correlation ids can be predicted."""
    name = correlation or "of-game-a-and-m-1"
    await processor.process(
        matches, records(result("game-a", "m-1", correlation, trace(6)), topic=MATCHES.name)
    )
    assert (await stored(db)) == ({name: trace(6)} if takes else {})
    assert (await outgoing(db))[name] == (trace(6) if takes else derived(name))
    async with db.transaction() as tx:
        assert (await traces_of(tx, [name]))[name] == (trace(6) if takes else derived(name))


@pytest.mark.parametrize(("correlation", "takes"), [("of-game-b-and-m-1", False), (None, True)])
async def test_an_offered_event_names_only_the_trace_of_its_own_correlation_id(
    db, processor, matches, correlation, takes
):
    """The same holds for the header of a request that offers an event."""
    raw = orjson.loads(result("game-a", "m-1", correlation, trace(6)))
    del raw["traceparent"]
    incoming = processor.read(matches, orjson.dumps(raw))
    with working(Unit(trace(7), given=True)):
        async with db.transaction() as tx:
            assert await processor.offer(tx, matches, incoming) is None
    name = correlation or "of-game-a-and-m-1"
    assert (await outgoing(db))[name] == (trace(7) if takes else derived(name))


async def test_old_traces_are_deleted(db, outbox, processor, answering, clock):
    """A trace is kept for sixty days."""
    await processor.process(answering, records(traced(outbox, "c-1", trace(1)), topic=TOPIC))
    await purge_traces(db, clock=clock)
    assert "c-1" in await stored(db)
    clock.advance(TRACES_KEPT + timedelta(seconds=1))
    await purge_traces(db, clock=clock)
    assert await stored(db) == {}


async def test_log_lines_of_events_have_their_ids(processor, outbox, answering, caplog):
    """Each line about an event has its own correlation id and trace id, also in a batch of several."""
    caplog.set_level(logging.INFO)
    batch = [traced(outbox, f"c-{number}", trace(number)) for number in (1, 2)]
    with capture_logs(processors=[merge_contextvars]) as lines:
        await processor.process(answering, records(*batch, topic=TOPIC))
    for event in ("event applied", "event recorded"):
        ids = {line["correlation_id"]: line["trace_id"] for line in lines if line["event"] == event}
        assert {name: ids[name] for name in ("c-1", "c-2")} == {
            "c-1": trace_id_of(trace(1)),
            "c-2": trace_id_of(trace(2)),
        }


async def test_every_line_of_a_batch_of_one_match_has_its_ids(processor, outbox, make_spec, handler):
    """Also lines that know nothing of events, such as those about retries."""
    handler.raising = {}
    event = orjson.loads(traced(outbox, "c-1", trace(4)))
    handler.raising[event["id"]] = RuntimeError("broken")
    with capture_logs(processors=[merge_contextvars]) as lines:
        await processor.process(make_spec(VersionRule.NONE), records(orjson.dumps(event), topic=TOPIC))
    assert {"batch failed", "event quarantined after repeated errors", "event stuck"} <= {
        line["event"] for line in lines
    }
    assert {(line["correlation_id"], line["trace_id"]) for line in lines} == {("c-1", trace_id_of(trace(4)))}


async def test_a_batch_has_a_span_with_links_and_each_event_one_in_its_trace(processor, outbox, answering):
    """Spans are recorded after the commit; each answer is a child of the span of its cause."""
    taken = []

    class Recorder:
        def record(self, span) -> None:
            taken.append(span)

    set_recorder(Recorder())
    try:
        batch = [traced(outbox, f"c-{number}", trace(number)) for number in (1, 2)]
        await processor.process(answering, records(*batch, topic=TOPIC))
    finally:
        set_recorder(None)
    own = {
        span.attributes["prizewire.correlation_id"]: span for span in taken if span.name.startswith("apply ")
    }
    assert [own["c-1"].parent, own["c-2"].parent] == [trace(1), trace(2)]
    [whole] = [span for span in taken if span.name == "process test.answers"]
    assert sorted(trace_id_of(link) for link in whole.links) == [trace_id_of(trace(1)), trace_id_of(trace(2))]
