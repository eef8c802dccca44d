"""The tournaments of the demonstration, read from `examples/`, with other names in each run."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_devstack import declarations, game_server

NAMES: Final = ("candidates-2024", "pga-2022-leaderboard", "small-round")
RAIL_DEFAULT: Final = "stellar"


@dataclass(frozen=True, kw_only=True)
class Player:
    """A player of the demonstration; `asset` is what the player's prizes are paid in. `details` are
    those of the payout method, without them an account on the chain or an invented address of e-mail; `method_type` is its type,
    None where it is called as the rail.
    """

    id: str
    name: str
    rail: str
    asset: str
    method_type: str | None = None
    details: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Tournament:
    """One tournament of one run. `match_id`, campaign and competition carry the run's suffix."""

    name: str
    title: str
    match_id: str
    campaign: str
    asset: str
    declaration: Mapping[str, Any]
    events: tuple[dict[str, Any], ...]
    players: Mapping[str, Player]
    correlation_id: str

    @property
    def source(self) -> str:
        """The source of the match's events."""
        return str(self.events[0]["source"])

    @property
    def event_ids(self) -> frozenset[str]:
        """The ids of the match's events."""
        return frozenset(str(event["id"]) for event in self.events)

    @property
    def organizers(self) -> frozenset[str]:
        """The organizers whose wallets get the organizer's fee."""
        found = (one.get("organizer_player") for one in self.declaration["competitions"])
        return frozenset(str(player) for player in found if player)


def load(directory: Path, *, run: str, now: datetime) -> Tournament:
    """Read one example and add the suffix of this run to its names, so that every run is a new match.

    Raises:
        DevstackError: a file is missing or malformed.
    """
    declaration = declarations.load(directory / "prizewire.yaml")
    campaign, competition = declaration["campaigns"][0], declaration["competitions"][0]
    name = campaign["name"]
    renamed = f"{name}-{run}"
    funding = [{**payment, "reference": f"{payment['reference']}-{run}"} for payment in campaign["funding"]]
    events = []
    for document in game_server.load(directory / "match.json"):
        data = {**document["data"], "match_id": renamed, "competition": renamed}
        events.append(game_server.complete({**document, "data": data}, source=game_server.SOURCE, now=now))
    players = yaml.safe_load((directory / "players.yaml").read_text())["players"]
    asset = campaign["asset"]
    return Tournament(
        name=name,
        title=competition["name"],
        match_id=renamed,
        campaign=renamed,
        asset=asset,
        declaration={
            "campaigns": [{**campaign, "name": renamed, "funding": funding}],
            "competitions": [{**competition, "id": renamed, "campaign": renamed}],
        },
        events=tuple(events),
        players={
            player["id"]: Player(
                id=player["id"],
                name=player["name"],
                rail=player.get("rail", RAIL_DEFAULT),
                asset=asset,
                method_type=player.get("method"),
                details=player.get("details"),
            )
            for player in players
        },
        correlation_id=game_server.correlation_of(events[0]),
    )


def load_all(examples: Path, *, run: str, now: datetime) -> tuple[Tournament, ...]:
    """Read the three tournaments."""
    return tuple(load(examples / name, run=run, now=now) for name in NAMES)
