"""Limits repeated log lines of libraries: the first of a kind is written at once, then one every 30 s with their number."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TextIO

REPEATED: Final = "repeated"
"""The attribute of a record: how many more lines of its kind it stands for."""
WINDOW_S: Final = 30.0
KINDS_MAX: Final = 500
"""Beyond so many kinds at a time, all lines of one logger and level are one kind."""
_KIND_CHARS_MAX: Final = 200
_DIGITS: Final = re.compile(r"\d+")
_OWN: Final = "prizewire_"

Kind = tuple[str, int, str, str]


@dataclass(slots=True)
class _Seen:
    """A kind of line: when one was last written, and how many were held back since."""

    written_at_s: float
    held: int = 0
    last: logging.LogRecord | None = None


class Repeats:
    """Decides which lines are written. Each written line counts for itself and for ``repeated`` more, so that their sum is the
    number of all lines. Not thread-safe.

    ``libraries`` are loggers with names of this repository that libraries write to. Our own lines and DEBUG lines are all
    written.
    """

    def __init__(self, *, libraries: frozenset[str] = frozenset(), window_s: float = WINDOW_S) -> None:
        self._libraries = libraries
        self._window_s = window_s
        self._seen: dict[Kind, _Seen] = {}

    @property
    def holding(self) -> bool:
        """Whether a line is held back."""
        return any(seen.held for seen in self._seen.values())

    def take(self, record: logging.LogRecord, *, now_s: float) -> logging.LogRecord | None:
        """The record, where it is to be written now; None where it is held back."""
        if not self._limited(record):
            return record
        kind = self._kind(record)
        seen = self._seen.get(kind)
        if seen is not None and now_s - seen.written_at_s < self._window_s:
            seen.held += 1
            seen.last = record
            return None
        if seen is not None and seen.held:
            setattr(record, REPEATED, seen.held)
        self._seen[kind] = _Seen(now_s)
        return record

    def due(self, *, now_s: float | None) -> list[logging.LogRecord]:
        """For each kind whose time has passed (for all, where ``now_s`` is None), the last line held back, with the number
        of the others. Kinds of which none was held are forgotten.
        """
        records: list[logging.LogRecord] = []
        for kind, seen in list(self._seen.items()):
            if now_s is not None and now_s - seen.written_at_s < self._window_s:
                continue
            if seen.last is None or now_s is None:
                del self._seen[kind]
            else:
                self._seen[kind] = _Seen(now_s)
            if seen.last is not None:
                if seen.held > 1:
                    setattr(seen.last, REPEATED, seen.held - 1)
                records.append(seen.last)
        return records

    def _limited(self, record: logging.LogRecord) -> bool:
        if record.levelno <= logging.DEBUG:
            return False
        return record.name in self._libraries or not record.name.startswith(_OWN)

    def _kind(self, record: logging.LogRecord) -> Kind:
        """Logger, level, exception and text; texts that differ only in numbers or arguments are of one kind."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        text = _DIGITS.sub("#", str(record.msg)[:_KIND_CHARS_MAX])
        kind = (record.name, record.levelno, error, text)
        if kind in self._seen or len(self._seen) < KINDS_MAX:
            return kind
        return (record.name, record.levelno, "", "")


class SummingHandler(logging.StreamHandler[TextIO]):
    """Writes the lines that ``Repeats`` returns, and, from a timer's thread, the held ones that are due."""

    def __init__(
        self,
        stream: TextIO,
        *,
        repeats: Repeats,
        every_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self._repeats = repeats
        self._every_s = every_s
        self._clock = clock
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or hold it back. The caller holds the handler's lock (``logging.Handler.handle``)."""
        passed = self._repeats.take(record, now_s=self._clock())
        if passed is not None:
            super().emit(passed)
        elif self._timer is None:
            self._look_later()

    def close(self) -> None:
        """Write the lines that are still held back, and end."""
        with self._locked():
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._write_due(now_s=None)
        super().close()

    def write_due(self) -> None:
        """Write the held lines that are due."""
        with self._locked():
            self._timer = None
            self._write_due(now_s=self._clock())
            if self._repeats.holding:
                self._look_later()

    def _write_due(self, *, now_s: float | None) -> None:
        for record in self._repeats.due(now_s=now_s):
            super().emit(record)

    def _look_later(self) -> None:
        self._timer = threading.Timer(self._every_s, self.write_due)
        self._timer.daemon = True
        self._timer.start()

    def _locked(self) -> threading.RLock:
        assert self.lock is not None
        return self.lock
