"""A reader finds each kind of break in an audit chain by the records alone."""

from typing import Any

import pytest

from prizewire_chassis.audit import GENESIS, Break, ChainReader, link_hash


def chain(count: int) -> list[dict[str, Any]]:
    """A whole chain of so many records."""
    records: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        records.append(
            linked(number, prev=records[-1]["hash"] if records else GENESIS, target=f"payout-{number}")
        )
    return records


def linked(number: int, *, prev: str, target: str) -> dict[str, Any]:
    """A record with the hash of its content."""
    bare = {
        "service": "payouts",
        "sequence": number,
        "at": "2026-05-01T12:00:00Z",
        "actor": "ana",
        "action": "payout.approved",
        "target": target,
        "reason": None,
        "detail": {"lines": 3},
        "correlation_id": "c-1",
        "prev_hash": prev,
    }
    return {**bare, "hash": link_hash(bare)}


def read(records: list[dict[str, Any]], *, newest: int = 0) -> list[Break]:
    """The breaks of records in this order."""
    reader = ChainReader("payouts")
    for record in records:
        reader.read(record)
    reader.end(newest=newest)
    return reader.breaks


def kinds(records: list[dict[str, Any]], *, newest: int = 0) -> list[tuple[int, str]]:
    """The record and the kind of each break."""
    return [(one.sequence, one.kind) for one in read(records, newest=newest)]


def test_a_whole_chain_has_no_break():
    """Each record names the one before it, and its own hash is right."""
    assert read(chain(4), newest=4) == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("actor", "bob"),
        ("detail", {"lines": 4}),
        ("reason", "a reason"),
        ("at", "2026-05-01T12:00:01Z"),
        ("at", None),
        ("service", "rewards"),
        ("detail", {"rate": float("nan")}),
    ],
    ids=["actor", "detail", "reason", "at", "no-at", "service", "no-canonical-form"],
)
def test_a_changed_member_is_found(member, value):
    """The hash of a record covers every member."""
    records = chain(3)
    records[1] = {**records[1], member: value}
    assert kinds(records) == [(2, "changed")]


def test_a_record_that_was_rehashed_breaks_the_next_link():
    """A changed record with a hash that fits it is found at the record behind it."""
    records = chain(3)
    records[1] = linked(2, prev=records[0]["hash"], target="another")
    assert kinds(records) == [(3, "unlinked")]


def test_missing_records_are_named():
    """The first and the last missing number are in the message."""
    records = chain(5)
    assert read([records[0], *records[3:]]) == [
        Break(2, "missing", "audit record 2 of payouts to 3 are missing before record 4")
    ]
    assert kinds(records[1:]) == [(1, "missing")]


def test_reordered_records_are_found():
    """A record that comes after a later one is named."""
    one, two, three = chain(3)
    assert (2, "reordered") in kinds([one, three, two])


def test_a_fork_is_found():
    """Two records that follow the same one, under one number or under two."""
    one, two, three = chain(3)
    twin = linked(2, prev=one["hash"], target="another")
    assert (2, "forked") in kinds([one, two, twin])
    assert kinds([one, two, linked(3, prev=one["hash"], target="another")]) == [(3, "forked")]
    assert kinds([one, linked(2, prev=GENESIS, target="another")]) == [(2, "forked")]
    assert three["sequence"] == 3


def test_a_chain_that_was_cut_is_found_where_its_end_is_known():
    """The newest published number shows what is missing at the end."""
    assert kinds(chain(3), newest=5) == [(4, "cut")]
    assert kinds([], newest=1) == [(1, "cut")]
