"""Reports of game servers, as commands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prizewire_settlement.errors import Reason
from prizewire_settlement.prizes.domain import PlayerResult


class Proof(Protocol):
    """The signature of a report. It is checked against a public key; how events are signed is left to the implementation."""

    def refused(self, *, public_key: str) -> tuple[Reason, str] | None:
        """Why the signature does not hold under this Ed25519 key (64 hex digits); None when it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchReport:
    """What every report says. ``correlation_id`` is None where the game server sends none; ``at`` is its time of
    the fact; ``keyid`` names the key of the signature, where there is one. ``waited`` is True for a report that came
    earlier and was parked until it could be applied. ``reporter`` is the person who answers for it, None for a game server's.
    """

    event_id: str
    kind: str
    source: str
    subject: str
    match_id: str
    competition: str
    correlation_id: str | None
    keyid: str | None
    at: datetime
    proof: Proof
    waited: bool = False
    reporter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(MatchReport):
    """``closed`` is False for a match that began to take players, True for one that takes no more."""

    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(MatchReport):
    """A result, or one part of it."""

    result_version: int
    part: int
    parts: int
    results: tuple[PlayerResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected(Completed):
    """A result, or one part of it, that supersedes the one that stands."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Voided(MatchReport):
    """A match that does not count."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered(MatchReport):
    """A player enters a match."""

    player: str
