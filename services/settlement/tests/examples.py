"""The competitions under `examples/`, as settlement sees them: the rule that is declared, the result that is reported."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from prizewire_contracts.events.matches import MatchCompleted
from prizewire_money import AssetRegistry
from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.competitions.domain.rules import score_from_text
from prizewire_settlement.competitions.http.bodies import CompetitionBody
from prizewire_settlement.prizes.domain import PlayerResult
from services.settlement.tests.fakes import CAMPAIGN

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
ASSETS = AssetRegistry.from_mapping(yaml.safe_load((ROOT / "assets.yaml").read_text())["assets"])


@dataclass(frozen=True)
class Example:
    """One folder. ``competition`` is what is sent over HTTP, with an unsigned source; ``expected`` as published."""

    competition: dict[str, Any]
    results: list[dict[str, Any]]
    expected: dict[str, Any]

    @property
    def rule(self) -> Rule:
        """The declared rule."""
        body = CompetitionBody.model_validate(self.competition)
        return body.rule(self.competition["id"], assets=ASSETS, platform_fee_bps=1_000, organizer_fee_bps=500)

    @property
    def field(self) -> list[PlayerResult]:
        """The reported result."""
        data = {"match_id": "m", "competition": "c", "results": self.results}
        return [
            PlayerResult(
                row.player, row.place, {name: score_from_text(text) for name, text in row.scores.items()}
            )
            for row in MatchCompleted.model_validate(data).results
        ]


def load_example(name: str) -> Example:
    """Read a folder of `examples/`."""
    folder = EXAMPLES / name
    (declared,) = yaml.safe_load((folder / "prizewire.yaml").read_text())["competitions"]
    sources = [{"source": source["source"]} for source in declared["sources"]]
    return Example(
        competition={**declared, "campaign": str(CAMPAIGN), "sources": sources},
        results=json.loads((folder / "match.json").read_text())[-1]["data"]["results"],
        expected=json.loads((folder / "expected.json").read_text()),
    )
