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
    """A record at which a chain is broken, and how: ``changed``, ``missing``, ``reordered``, ``forked``, ``unlinked`` or ``cut``.
    ``sequence`` is the number of the record; of missing records it is the first one's. ``detail`` is a sentence.
    """

    sequence: int
    kind: str
    detail: str


@dataclass(slots=True)
class ChainReader:
    """Reads the records of one service's chain, in the order in which they are served, and collects its breaks."""

    service: str
    breaks: list[Break] = field(default_factory=list)
    sequence: int = 0
    """The number of the newest record that was read; 0 before the first."""
    _hash: str = GENESIS
    _numbers: dict[str, int] = field(default_factory=lambda: {GENESIS: 0})

    def read(self, record: Mapping[str, Any]) -> None:
        """Compare one record with those before it."""
        number, prev, named = int(record["sequence"]), str(record["prev_hash"]), str(record["hash"])
        if record.get("service") != self.service or _recomputed(record) != named:
            self._found(number, "changed", "is not the record that was written: its hash is of other content")
        if number == self.sequence:
            self._found(number, "forked", "is there twice")
        elif number < self.sequence:
            self._found(number, "reordered", f"comes after record {self.sequence}")
        elif number > self.sequence + 1:
            first, last = self.sequence + 1, number - 1
            what = "is" if first == last else f"to {last} are"
            self._found(first, "missing", f"{what} missing before record {number}")
        elif prev != self._hash:
            self._unlinked(number, prev)
        self.sequence = max(self.sequence, number)
        self._hash = named
        self._numbers.setdefault(named, number)

    def end(self, *, newest: int) -> None:
        """Compare the end of the chain with the number of the newest record that is known from elsewhere."""
        if newest > self.sequence:
            first = self.sequence + 1
            what = "is" if first == newest else f"to {newest} are"
            self._found(first, "cut", f"{what} missing at the end, although published")

    def _unlinked(self, number: int, prev: str) -> None:
        earlier = self._numbers.get(prev)
        if earlier is None:
            self._found(number, "unlinked", f"does not name the hash of record {number - 1}")
        else:
            follows = f"record {earlier}" if earlier else "no record"
            self._found(number, "forked", f"follows {follows}, as record {earlier + 1} does")

    def _found(self, sequence: int, kind: str, detail: str) -> None:
        self.breaks.append(Break(sequence, kind, f"audit record {sequence} of {self.service} {detail}"))


def _recomputed(record: Mapping[str, Any]) -> str | None:
    """The hash that a record should have; None for one that has no canonical form."""
    try:
        return link_hash(record)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
