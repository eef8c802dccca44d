"""The runbooks of ``docs/runbooks`` as data: their sections and commands. Drills follow them, and tests run every command."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prizewire_devstack.errors import DevstackError

FOLDER: Final = Path("docs") / "runbooks"
SECTIONS: Final = ("Meaning", "Impact", "Diagnosis", "Mitigation")
INDEX: Final = "README.md"
_HEADING: Final = re.compile(r"(?m)^## (.+)$")
_BLOCK: Final = re.compile(r"(?ms)^```sh\n(.*?)^```$")
_PLACE: Final = re.compile(r"(?<![\w-])[A-Z]{2,}(?:/[A-Z]{2,})?(?![\w-])")
_TITLE: Final = re.compile(r"# (.+)")


class RunbookError(DevstackError):
    """A page is not as a runbook must be, or a command has a place without a value. The message says which."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of a page: the section that it stands in, and its text with places in capitals, such as ``RAIL``."""

    page: str
    section: str
    text: str

    @property
    def places(self) -> tuple[str, ...]:
        """The words that a person fills in, in their order."""
        return tuple(word for word in _words(self.text) for word in _PLACE.findall(word))

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """The arguments of the command, with a value for each place.

        Raises:
            RunbookError: a place has no value.
        """
        missing = [place for place in self.places if place not in values]
        if missing:
            raise RunbookError(f"{self.page}: no value for {', '.join(missing)} in `{self.text}`.")
        return [
            _PLACE.sub(lambda found: values[found[0]], word) if " " not in word else word
            for word in shlex.split(self.text)
        ]


def _words(text: str) -> Iterator[str]:
    """The words of a command that may hold places: a text of several words is a sentence and holds none."""
    return (word for word in shlex.split(text) if " " not in word)


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """One page: its name without the ending, its title, the text of each section, and its commands in order."""

    name: str
    title: str
    sections: Mapping[str, str]
    commands: tuple[Command, ...]


def read(path: Path) -> Runbook:
    """Read a page.

    Raises:
        RunbookError: it has no title, or other sections than Meaning, Impact, Diagnosis, Mitigation in this order.
    """
    text = path.read_text()
    title = _TITLE.match(text)
    names = tuple(_HEADING.findall(text))
    if title is None or names != SECTIONS:
        raise RunbookError(
            f"{path.name} must have a title and the sections {', '.join(SECTIONS)}; it has {', '.join(names) or 'none'}."
        )
    parts = _HEADING.split(text)[1:]
    sections = dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))
    commands = tuple(
        Command(page=path.stem, section=section, text=line.strip())
        for section, body in sections.items()
        for block in _BLOCK.findall(body + "\n")
        for line in block.splitlines()
        if line.strip()
    )
    return Runbook(name=path.stem, title=title[1].strip(), sections=sections, commands=commands)


def load(root: Path) -> tuple[Runbook, ...]:
    """Every page of a repository by name, without the index.

    Raises:
        RunbookError: a page is not as it must be.
    """
    return tuple(read(path) for path in sorted((root / FOLDER).glob("*.md")) if path.name != INDEX)
