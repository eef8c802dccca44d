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


def read(
    records: list[dict[str, Any]], *, newest: int = 0, published: dict[int, str] | None = None
) -> list[Break]:
    """The breaks of records in this order."""
    reader = ChainReader("payouts", published or {})
    for record in records:
        reader.read(record)
    reader.end(newest=newest)
    return reader.breaks


def kinds(
    records: list[dict[str, Any]], *, newest: int = 0, published: dict[int, str] | None = None
) -> list[tuple[int, str]]:
    """The record and the kind of each break."""
    return [(one.sequence, one.kind) for one in read(records, newest=newest, published=published)]


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


def with_a_changed_row(records, **changes):
    """The second record with other members, as a row of the table may be."""
    return [records[0], {**records[1], **changes}, *records[2:]]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda r: [r[0], linked(2, prev=r[0]["hash"], target="x"), *r[2:]], [(2, "rewritten")]),
        (lambda r: [*r[:2], linked(3, prev="ab" * 32, target="x"), *r[3:]], [(3, "unlinked")]),
        (lambda r: with_a_changed_row(r, hash="ab" * 32), [(2, "changed")]),
        (lambda r: with_a_changed_row(r, prev_hash="ab" * 32), [(2, "changed")]),
        (lambda r: [r[0], r[1], linked(2, prev=r[0]["hash"], target="x"), *r[2:]], [(2, "forked")]),
        (lambda r: [r[0], linked(2, prev=r[0]["hash"], target="x"), r[1], *r[2:]], [(2, "forked")]),
        (lambda r: [r[0], r[2], r[1], *r[3:]], [(2, "missing"), (2, "reordered")]),
        (lambda r: [r[0], r[0], *r[1:]], [(1, "forked")]),
    ],
    ids=["rewritten", "another-past", "hash", "prev", "twice", "twice-before", "reordered", "first-twice"],
)
def test_a_break_names_only_the_wrong_record(spoil, named):
    """The genuine records before and behind it are not named."""
    assert kinds(spoil(chain(6))) == named


def test_a_chain_that_was_rewritten_is_found_by_what_was_published():
    """Its links and hashes fit each other. Each record with another hash than the published one is named, and no other."""
    genuine = chain(5)
    rewritten = genuine[:2]
    for number in range(3, 6):
        rewritten.append(linked(number, prev=rewritten[-1]["hash"], target=f"x-{number}"))
    assert kinds(rewritten, newest=5) == []
    published = {one["sequence"]: one["hash"] for one in genuine[2:4]}
    assert kinds(rewritten, newest=5, published=published) == [(3, "rewritten"), (4, "rewritten")]
    assert kinds(genuine, newest=5, published=published) == []


@pytest.mark.parametrize(
    ("known", "named"), [([1], [(2, "unlinked")]), ([2], [(1, "rewritten")]), ([], [(2, "unlinked")])]
)
def test_a_published_hash_shows_which_of_the_last_two_is_wrong(known, named):
    """No later record does so. Without a published hash the sentence names both."""
    two = [linked(1, prev=GENESIS, target="x"), linked(2, prev="ab" * 32, target="y")]
    published = {number: two[number - 1]["hash"] for number in known}
    assert kinds(two, published=published) == named
    (found,) = read(two, published=published)
    assert ("one of the two" in found.detail) == (not known)


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
