"""A traceparent is checked before it is used, and what is not valid counts as none."""

from datetime import UTC, datetime

import orjson
import pytest

from libs.contracts.tests.unit.test_events import held, trust
from prizewire_contracts.decode import decode
from prizewire_contracts.encode import encode
from prizewire_contracts.events.audit import AuditRecorded, AuditRecordedEvent
from prizewire_contracts.topics import PAYOUTS
from prizewire_contracts.traces import (
    carried_trace,
    carrying_trace,
    derived_trace,
    is_derived,
    is_sampled,
    read_traceparent,
    trace_id_of,
)
from prizewire_contracts.trust import MessageKey

NOW = datetime(2026, 11, 21, tzinfo=UTC)

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BAD = {
    "empty": "",
    "number": 5,
    "none": None,
    "no_trace": f"00-{'0' * 32}-b7ad6b7169203331-01",
    "no_span": f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    "capitals": GOOD.upper(),
    "version_ff": f"ff{GOOD[2:]}",
    "more_in_version_00": f"{GOOD}-more",
    "line": f"{GOOD}\n",
    "long": f"01{GOOD[2:]}-{'x' * 200}",
    "words": "not a traceparent",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_malformed_traceparent_counts_as_none(text):
    """Neither its form nor its length may stop the work that it came with."""
    assert read_traceparent(text) is None


@pytest.mark.parametrize("flags", ["00", "01", "03"])
def test_flags_are_kept(flags):
    """The caller's decision whether the trace is recorded goes on."""
    text = f"{GOOD[:53]}{flags}"
    assert read_traceparent(text) == text
    assert is_sampled(text) == (flags != "00")


def test_a_later_version_is_read_as_the_present_one():
    """W3C Trace Context, section 3.2.4: what version 00 knows is used, what follows is left out."""
    assert read_traceparent(f"01{GOOD[2:]}-more") == GOOD


def test_a_trace_follows_from_the_correlation_id():
    """Each service derives the same one; the part that is sampled depends on the id alone."""
    assert derived_trace("c-1") == derived_trace("c-1") == read_traceparent(derived_trace("c-1"))
    assert is_derived(derived_trace("c-1"), "c-1")
    assert not is_derived(derived_trace("c-1"), "c-2")
    sampled = sum(is_sampled(derived_trace(f"c-{number}", ratio=0.25)) for number in range(1_000))
    assert 150 < sampled < 350


def test_the_carried_trace_ends_with_its_block():
    """Requests outside the block carry none."""
    assert carried_trace() is None
    with carrying_trace(GOOD):
        assert carried_trace() == GOOD
    assert carried_trace() is None


@pytest.mark.parametrize("text", [GOOD, *BAD.values()], ids=["good", *BAD])
def test_a_traceparent_changes_nothing_about_an_event(text):
    """No signature covers it. So with any of them the event is authentic, valid, and the same one to the inbox."""
    raw = orjson.loads(held().value)
    plain = decode(topic=PAYOUTS, value=held().value, trust=trust())
    traced = decode(topic=PAYOUTS, value=orjson.dumps({**raw, "traceparent": text}), trust=trust())
    assert traced.hash == plain.hash
    assert traced.raw == plain.raw
    assert traced.traceparent == read_traceparent(text)


def test_an_event_is_made_with_its_trace():
    """The trace is set when the event is made, or later; the signature stays."""
    event = held()
    event.continue_trace(GOOD)
    found = decode(topic=PAYOUTS, value=event.value, trust=trust())
    assert (found.traceparent, trace_id_of(GOOD)) == (GOOD, GOOD[3:35])


def test_the_correlation_id_of_an_event_is_not_its_key():
    """Audit events are keyed by their service; what continues a trace is their own correlation id."""
    record = AuditRecorded(
        service="settlement", sequence=1, at=NOW, actor="a", action="b", target="c", reason=None, detail={},
        correlation_id="match-1", prev_hash="0" * 64, hash="1" * 64,
    )  # fmt: skip
    event = encode(
        AuditRecordedEvent,
        record,
        service="settlement",
        subject="settlement",
        version=1,
        correlation_id="match-1",
        causation_id=None,
        now=NOW,
        key=MessageKey.from_seed(keyid="settlement-1", seed=bytes(32)),
    )
    assert (event.key, event.correlation_id) == (b"settlement", "match-1")
