"""Compare two services: one lists its items, the other is asked for the same ones, and each difference is a breach.

Items without a difference are not compared again: the comparison returns the time up to which every item agreed, and a
``Memory`` stores it. The time never passes an item with a difference, so a breach is reported by each run until it is
solved. One item that both services had is stored with the time: an installation without this item is another one.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from prizewire_devstack.errors import DevstackError
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

AT_ONCE: Final = 100
"""Items that the other service is asked for with one request."""
AGREED_DEADLINE_S: Final = 5.0
"""Seconds that two services may need to agree: an event of one may not have reached the other yet."""
SETTLE_DOWN: Final = timedelta(minutes=15)
"""Items younger than this are compared again by the next run: transactions that began before may still commit, and booking
a round with very many lines may take as long.
"""

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The time up to which every item agreed, and the id of one item that the other service had, by which the
    installation is recognized.
    """

    sound_until: datetime
    known: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The result of a comparison: the number of items, the breaches as sentences, and the mark for the next run. The mark is
    None where the next run has to compare everything again.
    """

    checked: int
    breaches: tuple[str, ...]
    mark: Mark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One direction of a comparison. ``items`` are what one service lists, the newest first, each with its id in ``key``
    and its time in ``at``. ``ask`` returns the other service's items by id; ``differs`` describes the
    difference between two items, None where they agree.
    """

    name: str
    key: str
    at: str
    items: Iterator[dict[str, Any]]
    ask: Callable[[Sequence[str]], Mapping[str, Item]]
    differs: Callable[[Item, Item | None], str | None]


@dataclass(frozen=True, slots=True)
class Memory:
    """A file with the mark of each comparison by its name. A missing file has no marks. Marks that are ``ignored`` are not
    returned, and stay in the file until a comparison has new ones. A file that is ``named`` by an operator may be that of
    another installation, whose marks must not be overwritten.
    """

    file: Path
    ignored: bool = False
    named: bool = False
    _kept: dict[str, Mark] = field(default_factory=dict)

    def read(self, name: str) -> Mark | None:
        """The stored mark of a comparison, or None.

        Raises:
            DevstackError: the file holds something else.
        """
        found = self.stored()
        self._kept.update(found)
        return None if self.ignored else found.get(name)

    def stored(self) -> dict[str, Mark]:
        """The marks of the file by the names of their comparisons, also those that are ignored.

        Raises:
            DevstackError: the file holds something else.
        """
        if not self.file.exists():
            return {}
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))["marks"]
            return {
                one: Mark(sound_until=datetime.fromisoformat(mark["sound_until"]), known=str(mark["known"]))
                for one, mark in kept.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DevstackError(
                f"{self.file} is no file that `prizewire verify` wrote ({error}): delete it; the next run then compares everything."
            ) from error

    def keep(self, name: str, mark: Mark | None) -> None:
        """Store the mark of a comparison beside those of the others; None removes it."""
        if mark is None and name not in self._kept:
            return
        if mark is None:
            del self._kept[name]
        else:
            self._kept[name] = mark
        kept = {
            one: {"sound_until": mark.sound_until.isoformat(), "known": mark.known}
            for one, mark in sorted(self._kept.items())
        }
        self.file.write_text(json.dumps({"marks": kept}) + "\n", encoding="utf-8")


def compare(listed: Listed, *, mark: Mark | None, now: datetime) -> Agreement:
    """Compare every listed item with the other service; items that are missing or differ are requested again for a while.
    ``mark`` is the mark from which on items are listed, None where all are.

    Raises:
        ApiError: a service refused to answer.
    """
    odd: list[dict[str, Any]] = []
    checked = 0
    newest: datetime | None = None
    oldest: datetime | None = None
    known: str | None = None
    while chunk := list(islice(listed.items, AT_ONCE)):
        answers = listed.ask([str(one[listed.key]) for one in chunk])
        odd += [one for one, _ in _differences(listed, chunk, answers)]
        checked += len(chunk)
        newest = newest or _time_of(listed, chunk[0])
        oldest = _time_of(listed, chunk[-1])
        known = known or next(iter(answers), None)
    if newest is None or oldest is None:
        return Agreement(checked=0, breaches=(), mark=mark)
    left = _those_that_stay(listed, odd)
    broken = [_time_of(listed, one) for one, _ in left]
    return Agreement(
        checked=checked,
        breaches=tuple(said for _, said in left),
        mark=_mark(min([newest, now - SETTLE_DOWN, *broken]), oldest=oldest, known=known, before=mark),
    )


def _mark(sound_until: datetime, *, oldest: datetime, known: str | None, before: Mark | None) -> Mark | None:
    """The mark for the next run, or None where it would skip nothing."""
    if before is not None:
        return Mark(sound_until=sound_until, known=known or before.known)
    if known is None or sound_until <= oldest:
        return None
    return Mark(sound_until=sound_until, known=known)


def _time_of(listed: Listed, one: Item) -> datetime:
    return datetime.fromisoformat(one[listed.at])


def _differences(
    listed: Listed, chunk: Sequence[dict[str, Any]], known: Mapping[str, Item]
) -> list[tuple[dict[str, Any], str]]:
    found = [(one, listed.differs(one, known.get(str(one[listed.key])))) for one in chunk]
    return [(one, said) for one, said in found if said is not None]


def _those_that_stay(listed: Listed, odd: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """The differences that remain after the other service was asked again for a while."""
    left: list[tuple[dict[str, Any], str]] = []

    def none_is_left() -> bool:
        left.clear()
        for start in range(0, len(odd), AT_ONCE):
            chunk = odd[start : start + AT_ONCE]
            left.extend(_differences(listed, chunk, listed.ask([str(one[listed.key]) for one in chunk])))
        return not left

    if odd:
        with suppress(NotInTimeError):
            eventually_sync(none_is_left, deadline_s=AGREED_DEADLINE_S)
    return left
