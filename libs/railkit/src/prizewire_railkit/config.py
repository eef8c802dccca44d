"""A rail's entry in the configuration, read strictly: unknown options are refused."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_MISSING = object()


class RailMisconfigured(Exception):
    """The service cannot start with this rail. The message is a sentence for the operator, without secrets."""


class Secret:
    """A text that no ``repr`` shows. ``reveal`` is called only where it is sent or signed with."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


class Options:
    """The options of one rail. Each method reads an option of one type; ``finish`` refuses options that were not read.

    ``subject`` is what messages call the owner of the options, where it is no rail.
    """

    def __init__(self, *, rail: str, values: Mapping[str, Any], subject: str | None = None) -> None:
        self._rail = rail
        self._subject = f"the rail {rail}" if subject is None else subject
        self._values = dict(values)
        self._read: set[str] = set()

    def __repr__(self) -> str:
        return f"Options({self._rail}: {', '.join(sorted(self._values))})"

    def has(self, name: str) -> bool:
        """Whether the configuration has the option."""
        return name in self._values

    def text(self, name: str, default: str | None = None, *, choices: Sequence[str] = ()) -> str:
        """A text, one of ``choices`` where given.

        Raises:
            RailMisconfigured: it is missing without default, no text, or none of the choices.
        """
        value = self._take(name, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, "must be a text")
        if choices and value not in choices:
            raise self._wrong(name, f"must be one of {', '.join(choices)}")
        return value

    def integer(self, name: str, default: int | None = None, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number from ``least`` to ``most``.

        Raises:
            RailMisconfigured: it is missing without default, or no such number.
        """
        value = self._take(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self._wrong(name, f"must be a whole number from {least} to {most}")
        return value

    def texts(self, name: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of texts.

        Raises:
            RailMisconfigured: it is missing without default, or no list of texts.
        """
        value = self._take(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "must be a list of texts")
        return tuple(value)

    def table(self, name: str) -> dict[str, str]:
        """Texts by name, such as ``{EURC: "0.25"}``; empty where the option is absent.

        Raises:
            RailMisconfigured: it is no table of texts, as where a number stands without quotes.
        """
        value = self._take(name, {})
        if not isinstance(value, Mapping) or not all(
            isinstance(key, str) and isinstance(item, str) for key, item in value.items()
        ):
            raise self._wrong(name, "must be a table of texts: numbers stand in quotes")
        return dict(value)

    def mapping(self, name: str, default: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A mapping whose keys are texts; the values are of any type.

        Raises:
            RailMisconfigured: it is missing without default, or no such mapping.
        """
        value = self._take(name, default)
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self._wrong(name, "must be a mapping whose keys are texts")
        return dict(value)

    def path(self, name: str) -> Path | None:
        """A file path, None where the option is absent.

        Raises:
            RailMisconfigured: it is no text.
        """
        self._read.add(name)
        if name not in self._values:
            return None
        return Path(self.text(name))

    def secret(self, name: str) -> Secret:
        """A secret by reference: ``{file: PATH}`` with mode 0600. It is neither in the configuration nor in the
        environment, which child processes and crash reports can read.

        Raises:
            RailMisconfigured: it is missing, is given as text, or its file cannot be read, is empty or is readable by others.
        """
        value = self._take(name, None)
        if not isinstance(value, dict) or set(value) != {"file"}:
            raise self._wrong(name, "is a secret: give {file: PATH}")
        place = Path(str(value["file"]))
        try:
            file, found = place.stat(), place.read_text().strip()
        except OSError as error:
            raise self._wrong(name, f"names the file {place}: {error.strerror}") from None
        # As in prizewire_chassis.keys: the group may read the file of another owner, as Kubernetes gives secrets.
        allowed = stat.S_IRWXU if file.st_uid == os.geteuid() else stat.S_IRWXU | stat.S_IRGRP
        if stat.S_IMODE(file.st_mode) & ~allowed & (stat.S_IRWXG | stat.S_IRWXO):
            raise self._wrong(name, f"names the file {place}, which others can read: run chmod 600 on it")
        if not found:
            raise self._wrong(name, f"names the file {place}, which is empty")
        return Secret(found)

    def finish(self) -> None:
        """Refuse options that were not read.

        Raises:
            RailMisconfigured: there is one; the message names it and those that are known.
        """
        unknown = sorted(set(self._values) - self._read)
        if unknown:
            known = ", ".join(sorted(self._read)) or "none"
            msg = f"{self._subject} has an unknown option {unknown[0]!r}; it knows: {known}"
            raise RailMisconfigured(msg)

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._values.get(name, _MISSING)
        if value is not _MISSING:
            return value
        if default is None:
            raise self._wrong(name, "is missing")
        return default

    def _wrong(self, name: str, what: str) -> RailMisconfigured:
        return RailMisconfigured(f"{self._subject}: {name} {what}")
