"""Settlement over HTTP: competitions and rounds for people, matches for game servers without Kafka."""

from litestar.types import ControllerRouterHandler

from prizewire_settlement.entrypoints.http.competitions import competition_controller
from prizewire_settlement.entrypoints.http.ended import ended_controller
from prizewire_settlement.entrypoints.http.entry_terms import entry_terms_controller
from prizewire_settlement.entrypoints.http.matches import match_controller
from prizewire_settlement.entrypoints.http.parts import HttpParts
from prizewire_settlement.entrypoints.http.rounds import round_controller
from prizewire_settlement.entrypoints.http.settled import settled_controller
from prizewire_settlement.entrypoints.http.source_tokens import source_token_controller

__all__ = ["HttpParts", "build_controllers"]


def build_controllers(parts: HttpParts) -> list[ControllerRouterHandler]:
    """Every controller of this service."""
    return [
        competition_controller(parts),
        round_controller(parts),
        ended_controller(parts),
        settled_controller(parts),
        entry_terms_controller(parts),
        match_controller(parts),
        source_token_controller(parts),
    ]
