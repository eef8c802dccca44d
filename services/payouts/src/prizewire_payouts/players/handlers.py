"""Facts of players: the newest report of each fact is stored."""

from collections.abc import Sequence
from datetime import datetime

from prizewire_payouts.players.domain import PlayerFacts, newest
from prizewire_payouts.players.ports import Players


async def update_players(players: Players, reports: Sequence[PlayerFacts], *, now: datetime) -> None:
    """Store the newest of each reported fact. The number of statements does not grow with the number of reports."""
    known = await players.lock({reported.player for reported in reports})
    changed: set[str] = set()
    for reported in reports:
        before = known[reported.player]
        after = known[reported.player] = newest(known=before, reported=reported)
        if after != before:
            changed.add(reported.player)
    if changed:
        await players.save([known[player] for player in sorted(changed)], now=now)
