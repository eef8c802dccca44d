"""docs/decisions/README.md: the list of all decision records."""

from pathlib import Path
from typing import Final

from scripts.documents.markdown import NOTICE, cell, page, table

FOLDER: Final = Path(__file__).parents[2] / "docs" / "decisions"


def decisions() -> str:
    """The page, from the first heading and the status of each record."""
    rows = [(f"[{cell(title)}]({name})", cell(status)) for name, title, status in map(_record, _files())]
    return page(
        [
            "# Decisions",
            "",
            NOTICE.format(source="the records in this folder"),
            "",
            (
                "Each record says what was decided against an alternative, and why. The decision in a record does not change: a later "
                "record replaces it and says so."
            ),
            "",
            *table(("Decision", "Status"), rows),
        ]
    )


def _files() -> list[Path]:
    return sorted(FOLDER.glob("[0-9]*.md"))


def _record(path: Path) -> tuple[str, str, str]:
    lines = path.read_text().splitlines()
    title = lines[0].removeprefix("# ")
    after = lines[lines.index("## Status") + 1 :]
    return path.name, title, next(line for line in after if line)
