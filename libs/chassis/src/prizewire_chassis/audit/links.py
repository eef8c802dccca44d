"""Links of an audit chain, verified by a reader who trusts only the records: no database, no service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prizewire_contracts.canonical import canonical_hash

GENESIS: Final = "0" * 64
"""``prev_hash`` of the first record."""


def link_hash(record: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a record's canonical JSON without its own ``hash``; ``record`` as it is published."""
    return canonical_hash({name: value for name, value in record.items() if name != "hash"}).hex()


@dataclass(frozen=True, slots=True)
class Break:
    """A record at which a chain is broken, and how: ``changed``, ``rewritten``, ``missing``, ``reordered``, ``forked``, ``unlinked``
    or ``cut``; for who compares it with more than its links also ``unpublished`` or ``contradicted``. ``sequence`` is the number
    of the record; of missing records it is the first one's. ``detail`` is a sentence.
    """

    sequence: int
    kind: str
    detail: str


@dataclass(slots=True)
class ChainReader:
    """Reads the records of one service's chain, in the order in which they are served, and collects its breaks.

    ``published`` are hashes of records by number as they are known from elsewhere, such as from their events.
    """

    service: str
    published: Mapping[int, str] = field(default_factory=dict)
    breaks: list[Break] = field(default_factory=list)
    sequence: int = 0
    """The greatest number of a record that was read; 0 before the first."""
    _hashes: set[str] = field(default_factory=lambda: {GENESIS})
    """Those of the records with the number ``sequence``: more than one where two records have it."""
    _numbers: dict[str, int] = field(default_factory=lambda: {GENESIS: 0})
    _wrong: bool = False
    """Whether a break names the record ``sequence``."""
    _doubted: int | None = None
    """A record that names another hash than the one before it has: the next record shows which of the two is wrong."""

    def read(self, record: Mapping[str, Any]) -> None:
        """Compare one record with those before it."""
        number, prev, named = int(record["sequence"]), str(record["prev_hash"]), str(record["hash"])
        wrong = True
        if record.get("service") != self.service or _recomputed(record) != named:
            self._found(number, "changed", "is not the record that was written: its hash is of other content")
        elif self.published.get(number, named) != named:
            self._found(number, "rewritten", "is not the record that was published")
        else:
            wrong = False
        if number <= self.sequence:
            how = "forked" if number == self.sequence else "reordered"
            detail = "is there twice" if how == "forked" else f"comes after record {self.sequence}"
            self._found(number, how, detail)
            if number == self.sequence:
                self._hashes.add(named)
            self._numbers.setdefault(named, number)
            return
        if number > self.sequence + 1:
            self._settle(follows=None)
            first, last = self.sequence + 1, number - 1
            what = "is" if first == last else f"to {last} are"
            self._found(first, "missing", f"{what} missing before record {number}")
        else:
            follows = prev in self._hashes
            known = self._doubted is not None or self._wrong
            self._settle(follows=follows)
            if not follows and not known and not wrong:
                wrong = self._unlinked(number, prev=prev, named=named)
        self.sequence, self._hashes, self._wrong = number, {named}, wrong
        self._numbers.setdefault(named, number)

    def end(self, *, newest: int) -> None:
        """Compare the end of the chain with the number of the newest record that is known from elsewhere."""
        self._settle(follows=None)
        if newest > self.sequence:
            first = self.sequence + 1
            what = "is" if first == newest else f"to {newest} are"
            self._found(first, "cut", f"{what} missing at the end, although published")

    def _unlinked(self, number: int, *, prev: str, named: str) -> bool:
        """The record does not follow the one before it. Returns whether it is known to be the wrong one of the two."""
        earlier = self._numbers.get(prev)
        if earlier is not None:
            follows = f"record {earlier}" if earlier else "no record"
            self._found(number, "forked", f"follows {follows}, as record {earlier + 1} does")
            return True
        self._doubted = number
        if self.published.get(number - 1) in self._hashes:
            self._settle(follows=False)
            return True
        if self.published.get(number) == named:
            self._settle(follows=True)
        return False

    def _settle(self, *, follows: bool | None) -> None:
        """Name the wrong one of a record in doubt and the record before it. If a further record ``follows`` the one in doubt, that
        one is genuine and the record before it is not. Without a further record (None) it is unknown.
        """
        number, self._doubted = self._doubted, None
        if number is None:
            return
        before = number - 1
        if follows:
            self._found(
                before, "rewritten", f"is not the record that was written: record {number} names another hash"
            )
        elif follows is None:
            what = f"does not name the hash of record {before}: one of the two is not the record that was written"
            self._found(number, "unlinked", what)
        else:
            self._found(number, "unlinked", f"does not name the hash of record {before}")

    def _found(self, sequence: int, kind: str, detail: str) -> None:
        self.breaks.append(Break(sequence, kind, f"audit record {sequence} of {self.service} {detail}"))


def _recomputed(record: Mapping[str, Any]) -> str | None:
    """The hash that a record should have; None for one that has no canonical form."""
    try:
        return link_hash(record)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
