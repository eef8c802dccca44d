"""Settled and finalized rounds, a batch at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_rewards.domain.booking import check_settlement
from prizewire_rewards.domain.commands import FinalizeRound, SettleRound
from prizewire_rewards.domain.errors import IllegalTransition, Refused
from prizewire_rewards.domain.model import Line, Settlement
from prizewire_rewards.handlers.caps import CapBook
from prizewire_rewards.handlers.desk import Booked, Desk
from prizewire_rewards.ports import Tools, Work

__all__ = ["Settled", "apply_settlements"]

FIRST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a batch: refusals by index, what was booked, and how many lines each cap held."""

    refusals: dict[int, Refused]
    booked: Booked
    held: Mapping[str, int]


async def apply_settlements(
    commands: Sequence[SettleRound | FinalizeRound], *, work: Work, tools: Tools, now: datetime
) -> Settled:
    """Book settled rounds and make finalized ones payable; each is applied whole or refused.

    The number of statements does not grow with the batch.
    """
    settles = [command for command in commands if isinstance(command, SettleRound)]
    finalizes = [command for command in commands if isinstance(command, FinalizeRound)]
    campaigns = await work.campaigns.lock({command.settlement.campaign for command in settles})
    rounds = await work.rounds.lock(
        {command.settlement.round_id for command in settles} | {command.round_id for command in finalizes}
    )
    finalized = {command.round_id for command in finalizes} & rounds.keys()
    rewards = await work.rounds.rewards(finalized) if finalized else {}
    others = {rounds[key].settlement.campaign for key in finalized} - campaigns.keys()
    deliveries = {**campaigns, **(await work.campaigns.load(others) if others else {})}
    desk = Desk(campaigns=campaigns, deliveries=deliveries, rounds=rounds, rewards=rewards)
    shelf = await _shelf(settles, work=work)
    caps = await CapBook.open(
        ((command.settlement, shelf.lines_with(command)) for command in settles),
        campaigns=campaigns,
        work=work,
        now=now,
    )
    refusals: dict[int, Refused] = {}
    for index, command in enumerate(commands):
        try:
            if isinstance(command, SettleRound):
                _settle(command, desk=desk, shelf=shelf, caps=caps, tools=tools)
            else:
                desk.finalize(command.round_id, version=command.settlement_version, cause=command.cause)
        except Refused as refused:
            refusals[index] = refused
        except IllegalTransition as illegal:
            refusals[index] = Refused(illegal.code, illegal.detail)
    await shelf.save(work=work, now=now)
    await caps.save(work=work)
    booked = await desk.save(work=work, tools=tools, now=now)
    return Settled(refusals, booked, caps.codes)


class _Shelf:
    """The parts of rounds that are not whole yet: those stored, and what this batch does to them."""

    def __init__(self, stored: dict[UUID, dict[int, tuple[Settlement, tuple[Line, ...]]]]) -> None:
        self._stored = stored
        self._new: dict[tuple[UUID, int], tuple[Settlement, int, tuple[Line, ...]]] = {}
        self._whole: list[UUID] = []

    def whole(self, command: SettleRound) -> tuple[Line, ...] | None:
        """All lines in order, if this part is the one that was missing; else None, and the part is kept."""
        head = command.settlement
        parts = self._stored.setdefault(head.round_id, {})
        if any(other != head for other, _ in parts.values()):
            raise Refused(
                "event_mismatch", f"part {command.part} differs from the others in more than its lines"
            )
        missing = set(range(1, head.parts + 1)) - parts.keys() - {command.part}
        if missing:
            parts[command.part] = (head, command.lines)
            self._new[head.round_id, command.part] = (head, command.part, command.lines)
            return None
        lines = {**{part: lines for part, (_, lines) in parts.items()}, command.part: command.lines}
        return tuple(line for part in sorted(lines) for line in lines[part])

    def lines_with(self, command: SettleRound) -> Iterator[Line]:
        """A part's lines, and those that wait for them."""
        yield from command.lines
        for _, lines in self._stored.get(command.settlement.round_id, {}).values():
            yield from lines

    def clear(self, round_id: UUID) -> None:
        """The round is booked: its parts are not needed any more."""
        self._stored.pop(round_id, None)
        self._new = {key: value for key, value in self._new.items() if key[0] != round_id}
        self._whole.append(round_id)

    async def save(self, *, work: Work, now: datetime) -> None:
        """Store new parts, drop those of whole rounds."""
        if self._new:
            await work.rounds.stage(list(self._new.values()), now=now)
        if self._whole:
            await work.rounds.unstage(self._whole)


async def _shelf(settles: Sequence[SettleRound], *, work: Work) -> _Shelf:
    partial = {command.settlement.round_id for command in settles if command.settlement.parts > 1}
    return _Shelf(await work.rounds.staged(partial) if partial else {})


def _settle(command: SettleRound, *, desk: Desk, shelf: _Shelf, caps: CapBook, tools: Tools) -> None:
    settlement = command.settlement
    if settlement.settlement_version != FIRST_VERSION:
        raise Refused("not_supported_yet", "a settlement begins with version 1")
    desk.check_open(settlement)
    if not 1 <= command.part <= settlement.parts:
        raise Refused("event_mismatch", f"part {command.part} of {settlement.parts}")
    lines: tuple[Line, ...] | None = command.lines
    if settlement.parts > 1:
        lines = shelf.whole(command)
        if lines is None:
            return
    check_settlement(settlement, lines or (), digest=tools.digest(lines or (), asset=settlement.asset))
    held = caps.held(settlement, lines or ())
    desk.settle(settlement, lines or (), cause=command.cause, held=held)
    if settlement.parts > 1:
        shelf.clear(settlement.round_id)
