"""The report of the fault tests: seed, commit, and how many runs had a kill at how many points."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prizewire_devstack.home import repository_root


@dataclass(slots=True)
class Report:
    """What was run for each plan: the ``points`` of its undisturbed run, and the runs with one and with two kills."""

    seed: int
    plans: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, plan: str, *, points: int, kills: int) -> None:
        """Count a run with ``kills`` that ended well."""
        found = self.plans.setdefault(plan, {"points": points, "singles": 0, "pairs": 0})
        found["singles" if kills == 1 else "pairs"] += 1

    def write(self, file: Path) -> None:
        """Write it as JSON. A commit that ends with ``+`` has changes that are not committed."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self._content(), indent=2) + "\n")

    def _content(self) -> dict[str, Any]:
        runs = sum(found["singles"] + found["pairs"] for found in self.plans.values())
        return {"seed": self.seed, "commit": _commit(), "runs": runs, "plans": self.plans}


def _commit() -> str:
    said = [_git("rev-parse", "HEAD"), _git("status", "--porcelain", "--untracked-files=no")]
    return (said[0] or "unknown") + ("+" if said[1] else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ("git", *arguments), cwd=repository_root(), capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
