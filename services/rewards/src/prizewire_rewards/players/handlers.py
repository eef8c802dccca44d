"""What is told of players: kept fact by fact, the newest of each."""

from datetime import datetime

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.parties import player_source
from prizewire_rewards.players.domain.facts import PlayerFacts, TellPlayers, newest
from prizewire_rewards.players.ports import PlayerPorts


async def tell_players(command: TellPlayers, *, ports: PlayerPorts, now: datetime) -> dict[str, PlayerFacts]:
    """Keep what was told; answers what is known of each of the players afterwards. The number of statements does not
    grow with what was told.
    """
    known = await ports.players.lock({told.player for told in command.told})
    changed: set[str] = set()
    for told in command.told:
        was = known.get(told.player, PlayerFacts(player=told.player))
        became = newest(known=was, told=told)
        known[told.player] = became
        if became != was:
            changed.add(told.player)
    if changed:
        await ports.players.save([known[player] for player in sorted(changed)], now=now)
    return known


async def tell_by_hand(told: PlayerFacts, *, actor: str, ports: PlayerPorts, now: datetime) -> PlayerFacts:
    """Keep what a person told of a player; answers what is known afterwards. Whoever tells facts is a party of what the
    player's claims credit from then on, as one who releases a claim is.

    Raises:
        InvalidRequest: ``own_facts``: nobody tells facts of their own player id.
    """
    await _answer_for(told.player, actor=actor, ports=ports)
    known = await tell_players(TellPlayers(told=(told,)), ports=ports, now=now)
    return known[told.player]


async def forget_player(player: str, *, actor: str, ports: PlayerPorts) -> None:
    """Erase what is known of a player for risk rules. Money and prizes stay: they are the ledger's. Whoever erases facts
    is a party as one who tells them is.

    Raises:
        InvalidRequest: ``own_facts``: nobody erases facts of their own player id.
        NotFound: ``player_unknown``.
    """
    await _answer_for(player, actor=actor, ports=ports)
    if not await ports.players.forget(player):
        raise NotFound("player_unknown", f"nothing is known of a player {player}")


async def _answer_for(player: str, *, actor: str, ports: PlayerPorts) -> None:
    if player == actor:
        raise InvalidRequest("own_facts", f"somebody else must tell or erase what is known of {player}")
    await ports.parties.add_source(player_source(player), (PartyRole.RELEASER, actor))
