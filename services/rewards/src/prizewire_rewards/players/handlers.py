"""Facts of players: the newest report of each fact is stored."""

from datetime import datetime

from prizewire_contracts.parties import PartyRole
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.ledger.domain.records import player_source
from prizewire_rewards.players.domain import PlayerFacts, UpdatePlayers, newest
from prizewire_rewards.players.ports import PlayerPorts


async def update_players(
    command: UpdatePlayers, *, ports: PlayerPorts, now: datetime
) -> dict[str, PlayerFacts]:
    """Store the newest of each reported fact. Returns the facts of each of the players afterwards.

    The number of statements does not grow with the number of reports.
    """
    known = await ports.players.lock({reported.player for reported in command.reports})
    changed: set[str] = set()
    for reported in command.reports:
        before = known.get(reported.player, PlayerFacts(player=reported.player))
        after = newest(known=before, reported=reported)
        known[reported.player] = after
        if after != before:
            changed.add(reported.player)
    if changed:
        await ports.players.save([known[player] for player in sorted(changed)], now=now)
    return known


async def set_facts(facts: PlayerFacts, *, actor: str, ports: PlayerPorts, now: datetime) -> PlayerFacts:
    """Store facts that a person reports of a player. Returns the player's facts afterwards.

    From then on this person is a party of what the player's claims credit, as a person who releases a claim is.

    Raises:
        InvalidRequest: ``own_facts``: a person may not set facts of their own player id.
    """
    await _add_party(facts.player, actor=actor, ports=ports)
    known = await update_players(UpdatePlayers(reports=(facts,)), ports=ports, now=now)
    return known[facts.player]


async def forget_player(player: str, *, actor: str, ports: PlayerPorts) -> None:
    """Erase the facts of a player. Money and prizes stay: they belong to the ledger.

    A person who erases facts is a party, as a person who sets them is.

    Raises:
        InvalidRequest: ``own_facts``: a person may not erase facts of their own player id.
        NotFound: ``player_unknown``.
    """
    await _add_party(player, actor=actor, ports=ports)
    if not await ports.players.forget(player):
        raise NotFound("player_unknown", f"there are no facts of a player {player}")


async def _add_party(player: str, *, actor: str, ports: PlayerPorts) -> None:
    if player == actor:
        raise InvalidRequest(
            "own_facts", f"{actor} may not set or erase facts of their own player id: ask another admin"
        )
    await ports.parties.add_source(player_source(player), (PartyRole.RELEASER, actor))
