"""The facts of players that rewards stores."""

from prizewire_contracts.player_sources import GROUPS
from prizewire_rewards.players.domain import FACTS


def test_every_stored_fact_belongs_to_a_group() -> None:
    """A source may report a fact only if it may report the fact's group."""
    assert set(FACTS) < set(GROUPS)
