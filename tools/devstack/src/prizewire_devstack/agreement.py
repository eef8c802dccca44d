"""How two services are compared: what one lists, the other is asked for, and each difference is a breach.

What was found sound is not looked at again: the time up to which everything was sound is answered, and may be kept
(``Memory``). It never passes a thing that was not found sound, so a breach is told again and again until it is mended. It
is kept with one thing that both services had: an installation that does not have it is another one.
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
"""Things that the other service is asked about with one request."""
AGREED_DEADLINE_S: Final = 5.0
"""How long two services may need to agree: what one has told is on its way to the other."""
SETTLE_DOWN: Final = timedelta(minutes=15)
"""What is so young is compared again the next time: transactions that began before may still commit, and a round of very
many lines may take as long to be booked.
"""

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Up to when everything was found sound, and the id of one thing that the other service knew, by which the
    installation is recognized.
    """

    sound_until: datetime
    known: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was compared: how many things, the breaches as sentences, and the mark for the next time. The mark is None
    where the next time has to compare everything again.
    """

    looked_at: int
    breaches: tuple[str, ...]
    mark: Mark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One direction of a comparison. ``items`` are what one service lists, the newest first, each with its id in ``key``
    and its time in ``at``. ``ask`` answers what the other service has of some ids, by id; ``differs`` says what is wrong of
    an item and that answer, None where nothing is.
    """

    name: str
    key: str
    at: str
    items: Iterator[dict[str, Any]]
    ask: Callable[[Sequence[str]], Mapping[str, Item]]
    differs: Callable[[Item, Item | None], str | None]


@dataclass(frozen=True, slots=True)
class Memory:
    """A file that keeps the mark of each comparison by its name. A missing file means: nothing is known yet. Marks that are
    ``ignored`` are not answered, and stay until a comparison has found new ones.
    """

    file: Path
    ignored: bool = False
    _kept: dict[str, Mark] = field(default_factory=dict)

    def read(self, name: str) -> Mark | None:
        """What was kept of a comparison.

        Raises:
            DevstackError: the file holds something else.
        """
        if not self.file.exists():
            return None
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))["marks"]
            found = {
                one: Mark(sound_until=datetime.fromisoformat(mark["sound_until"]), known=str(mark["known"]))
                for one, mark in kept.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DevstackError(
                f"{self.file} is not what `prizewire verify` keeps ({error}): delete it, and everything is compared."
            ) from error
        self._kept.update(found)
        return None if self.ignored else found.get(name)

    def keep(self, name: str, mark: Mark | None) -> None:
        """Keep it beside what is kept of other comparisons. None: nothing is known of this one any more."""
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
    """Hold everything that is listed against the other service; what is missing or differs is asked for again for a while.
    ``mark`` is that from which on things are listed, None where all are.

    Raises:
        ApiError: a service refused to answer.
    """
    odd: list[dict[str, Any]] = []
    looked_at = 0
    newest: datetime | None = None
    oldest: datetime | None = None
    known: str | None = None
    while chunk := list(islice(listed.items, AT_ONCE)):
        answers = listed.ask([str(one[listed.key]) for one in chunk])
        odd += [one for one, _ in _differences(listed, chunk, answers)]
        looked_at += len(chunk)
        newest = newest or _time_of(listed, chunk[0])
        oldest = _time_of(listed, chunk[-1])
        known = known or next(iter(answers), None)
    if newest is None or oldest is None:
        return Agreement(looked_at=0, breaches=(), mark=mark)
    left = _those_that_stay(listed, odd)
    broken = [_time_of(listed, one) for one, _ in left]
    return Agreement(
        looked_at=looked_at,
        breaches=tuple(said for _, said in left),
        mark=_mark(min([newest, now - SETTLE_DOWN, *broken]), oldest=oldest, known=known, before=mark),
    )


def _mark(sound_until: datetime, *, oldest: datetime, known: str | None, before: Mark | None) -> Mark | None:
    """The mark for the next time, or None where it would skip nothing."""
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
    """The differences that stay while the other service is asked again for a while."""
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
