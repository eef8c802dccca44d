"""What is told of players: kept fact by fact, the newest of each."""

from datetime import datetime

from prizewire_rewards.domain.commands import TellPlayers
from prizewire_rewards.domain.errors import NotFound
from prizewire_rewards.domain.players import PlayerFacts, newest
from prizewire_rewards.ports import Work

__all__ = ["forget_player", "tell_players"]


async def tell_players(command: TellPlayers, *, work: Work, now: datetime) -> dict[str, PlayerFacts]:
    """Keep what was told; answers what is known of each of the players afterwards. The number of statements does not
    grow with what was told.
    """
    known = await work.players.lock({told.player for told in command.told})
    changed: set[str] = set()
    for told in command.told:
        was = known.get(told.player, PlayerFacts(player=told.player))
        became = newest(known=was, told=told)
        known[told.player] = became
        if became != was:
            changed.add(told.player)
    if changed:
        await work.players.save([known[player] for player in sorted(changed)], now=now)
    return known


async def forget_player(player: str, *, work: Work) -> None:
    """Erase what is known of a player for risk rules. Money and prizes stay: they are the ledger's.

    Raises:
        NotFound: ``player_unknown``.
    """
    if not await work.players.forget(player):
        raise NotFound("player_unknown", f"nothing is known of a player {player}")
