"""Write docs/rails.md: which case of the conformance suite each rail runs, and why it skips the others.

``python -m scripts.rails_table`` writes it; ``make schemas`` does too.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prizewire_railkit.conformance import Case, RailConformance, VerifierConformance, cases_of

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "rails.md"
PATTERNS: Final = (
    "rails/*/tests/test_conformance.py",
    "services/payouts/tests/*/integration/test_rail_conformance.py",
)
RUNS: Final = "runs"
_HEAD: Final = """# Rails and the cases that they pass

Written by `python -m scripts.rails_table` (part of `make schemas`) from the tests. Do not edit it.

A rail is paid over only as far as it passes the conformance suite of `prizewire_railkit.conformance`. The table says which cases
each rail runs in `make test`, and why it skips a case: because the rail lacks a feature, or because the stand-in of its provider
cannot play a behaviour. [Add a rail](adding-a-rail.md) says how a rail gets its column.
"""


def suites(kind: type) -> dict[str, list[type]]:
    """The test classes of a suite, by rail."""
    found: dict[str, list[type]] = {}
    for pattern in PATTERNS:
        for path in sorted(ROOT.glob(pattern)):
            relative = path.relative_to(ROOT)
            module = importlib.import_module(".".join(relative.with_suffix("").parts))
            rail = relative.parts[1] if relative.parts[0] == "rails" else relative.parts[3]
            classes = [
                one
                for one in vars(module).values()
                if isinstance(one, type) and issubclass(one, kind) and one.__module__ == module.__name__
            ]
            if classes:
                found[rail] = classes
    return found


def column(classes: Sequence[type]) -> dict[str, Case]:
    """The cases of a rail by name. A case runs where one of its classes runs it."""
    found: dict[str, Case] = {}
    for suite in classes:
        for one in cases_of(suite):
            if one.name not in found or one.skipped is None:
                found[one.name] = one
    return found


def table(kind: type, notes: list[str]) -> list[str]:
    """The rows of one suite; the reasons of skipped cases are added to ``notes``."""
    columns = {rail: column(classes) for rail, classes in sorted(suites(kind).items())}
    lines = [f"| Case | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for one in cases_of(kind):
        cells = [_cell(cases[one.name], notes) for cases in columns.values()]
        lines.append(f"| {one.sentence} | {' | '.join(cells)} |")
    return lines


def _cell(case: Case, notes: list[str]) -> str:
    if case.skipped is None:
        return RUNS
    if case.skipped not in notes:
        notes.append(case.skipped)
    return f"({notes.index(case.skipped) + 1})"


def page() -> str:
    """The text of docs/rails.md."""
    notes: list[str] = []
    rails, verifiers = table(RailConformance, notes), table(VerifierConformance, notes)
    return "\n".join(
        [
            _HEAD,
            *("## Payments", "", *rails, ""),
            *("## Webhooks", "", "Rails whose provider sends webhooks have a verifier.", "", *verifiers, ""),
            *("## Why a case is skipped", ""),
            *(f"{number}. {note[:1].upper()}{note[1:]}." for number, note in enumerate(notes, 1)),
            "",
        ]
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page())
