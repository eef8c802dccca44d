"""What settlement and rewards must agree on: of every round that ended, the prizes that rewards has are those settled.

All rounds are compared, in the order in which they ended. What was found sound is not looked at again: the time up to
which every round was sound is answered, and may be kept (``Memory``). It never passes a round that was not found sound,
so a breach is told again and again until it is mended.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from prizewire_devstack.api import Api
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

ROUNDS_AT_ONCE: Final = 100
"""Rounds that rewards is asked about with one request."""
AGREED_DEADLINE_S: Final = 5.0
"""How long two services may need to agree: what one has told is on its way to the other."""
SETTLE_DOWN: Final = timedelta(minutes=15)
"""Rounds that ended so lately are compared again the next time: transactions that began before may still commit. A round
of very many lines may take as long to be booked.
"""
LINES_PER_PART: Final = 1_000
"""Rounds of more lines are booked in chunks."""
COMPARED: Final = ("settlement_version", "campaign", "asset", "gross", "prizes", "prizes_total")
"""What both services say of a round, and must say alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was compared: how many rounds, the breaches as sentences, and up to when every round is sound; None where
    nothing has ended yet.
    """

    looked_at: int
    breaches: tuple[str, ...]
    sound_until: datetime | None


@dataclass(frozen=True, slots=True)
class Memory:
    """A file that keeps up to when every round was found sound. A missing file means: nothing is known yet."""

    file: Path

    def read(self) -> datetime | None:
        """What was kept.

        Raises:
            DevstackError: the file holds something else.
        """
        if not self.file.exists():
            return None
        try:
            kept = datetime.fromisoformat(json.loads(self.file.read_text(encoding="utf-8"))["sound_until"])
        except (ValueError, KeyError, TypeError) as error:
            raise DevstackError(
                f"{self.file} is not what `prizewire verify` keeps ({error}): delete it, and every round is compared."
            ) from error
        return kept

    def forget(self) -> None:
        """Know nothing any more."""
        self.file.unlink(missing_ok=True)

    def write(self, sound_until: datetime) -> None:
        """Keep it."""
        self.file.write_text(json.dumps({"sound_until": sound_until.isoformat()}) + "\n", encoding="utf-8")


def compare(api: Api, *, since: datetime | None, now: datetime) -> Agreement:
    """Compare every round that ended at ``since`` or later, or all.

    Raises:
        ApiError: a service refused to answer.
    """
    rounds = api.items("/api/rounds/ended", since=None if since is None else since.isoformat())
    odd: list[dict[str, Any]] = []
    looked_at = 0
    newest: datetime | None = None
    while chunk := list(islice(rounds, ROUNDS_AT_ONCE)):
        booked = _booked(api, chunk)
        odd += [one for one in chunk if _difference(one, booked.get(one["round_id"]), now=now)]
        looked_at += len(chunk)
        newest = newest or _ended_at(chunk[0])  # the one that ended last comes first
    breaches = _those_that_stay(api, odd, now=now)
    if newest is None:
        return Agreement(looked_at=0, breaches=(), sound_until=since)
    broken = [_ended_at(one) for one in odd if one["round_id"] in breaches]
    sound_until = min([newest, now - SETTLE_DOWN, *broken])
    return Agreement(looked_at=looked_at, breaches=tuple(breaches.values()), sound_until=sound_until)


def _ended_at(ended: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(ended["ended_at"])


def _booked(api: Api, rounds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    ids = ",".join(str(one["round_id"]) for one in rounds)
    return {str(one["round_id"]): one for one in api.get("/api/rewards/rounds", ids=ids)["items"]}


def _those_that_stay(api: Api, odd: Sequence[dict[str, Any]], *, now: datetime) -> dict[str, str]:
    """The differences that stay while rewards is asked again for a while, by round."""
    left: dict[str, str] = {}

    def none_is_left() -> bool:
        left.clear()
        for start in range(0, len(odd), ROUNDS_AT_ONCE):
            chunk = odd[start : start + ROUNDS_AT_ONCE]
            booked = _booked(api, chunk)
            for one in chunk:
                if said := _difference(one, booked.get(one["round_id"]), now=now):
                    left[one["round_id"]] = said
        return not left

    if odd:
        with suppress(NotInTimeError):
            eventually_sync(none_is_left, deadline_s=AGREED_DEADLINE_S)
    return left


def _difference(ended: Mapping[str, Any], booked: Mapping[str, Any] | None, *, now: datetime) -> str | None:
    """What rewards has otherwise than settlement, as a sentence; None where both agree, or where a round of many lines has
    ended so lately that it may still be at work.
    """
    said = _contradiction(ended, booked)
    if said is None:
        return None
    large = ended["prizes"] > LINES_PER_PART or (booked is not None and booked["state"] == "booking")
    if large and booked is not None and _ended_at(ended) > now - SETTLE_DOWN:
        return None
    return f"round {ended['round_id']}: {said}"


def _contradiction(ended: Mapping[str, Any], booked: Mapping[str, Any] | None) -> str | None:
    if ended["state"] == "VOIDED":
        gone = booked is None or booked["state"] == "voided"
        return None if gone else f"settlement voided it, rewards has it as {booked and booked['state']}"
    if ended["refused"]:
        return f"rewards refused settlement {ended['settlement_version']} for good: resettle it, or void it"
    settled = f"settled {ended['prizes']} prizes of {ended['prizes_total']} {ended['asset']}"
    if booked is None:
        return f"{settled}, rewards has nothing"
    if booked["state"] == "booking":
        return f"{settled}, rewards is still booking them"
    if not booked["final"]:
        return f"{settled}, rewards does not know that they are final"
    for name in COMPARED:
        if ended[name] != booked[name]:
            return f"{settled}, rewards has {booked['prizes']} of {booked['prizes_total']} {booked['asset']} ({name} differs)"
    return None
