"""Settlement over HTTP: competitions and rounds for people, matches for game servers without Kafka."""

from litestar.types import ControllerRouterHandler

from prizewire_settlement.competitions.http.competitions import CompetitionContext, competition_controller
from prizewire_settlement.prizes.http import PreviewContext, preview_controller
from prizewire_settlement.rounds.http.context import RoundContext
from prizewire_settlement.rounds.http.matches import match_controller
from prizewire_settlement.rounds.http.rounds import round_controller
from prizewire_settlement.rounds.http.verification import (
    ended_controller,
    entry_terms_controller,
    settled_controller,
)
from prizewire_settlement.source_tokens.http import TokenContext, source_token_controller


def build_controllers(
    *,
    competitions: CompetitionContext,
    previews: PreviewContext,
    rounds: RoundContext,
    tokens: TokenContext,
) -> list[ControllerRouterHandler]:
    """Every controller of this service."""
    return [
        competition_controller(competitions),
        round_controller(rounds),
        ended_controller(rounds),
        settled_controller(rounds),
        entry_terms_controller(rounds),
        match_controller(rounds),
        source_token_controller(tokens),
        preview_controller(previews),
    ]
