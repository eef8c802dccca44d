"""Markdown for generated pages: text in a cell of a table, rows, and blocks of code."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

NOTICE: Final = (
    "Written by `python -m scripts.documents` (part of `make schemas`) from {source}. Do not edit it."
)


def cell(text: str) -> str:
    """Text of one line, with no mark that ends a cell and no HTML."""
    flat = " ".join(str(text).split())
    return flat.replace("|", "\\|").replace("<", "&lt;").replace("``", "`")


def quoted(text: object) -> str:
    """Code in a cell, or nothing for an empty text."""
    flat = " ".join(str(text).split())
    return f"`{flat.replace('|', chr(92) + '|')}`" if flat else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table. Cells are ready text: see ``cell`` and ``quoted``."""
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]


def shown(value: Any) -> list[str]:
    """A block with a value as JSON."""
    return ["```json", *json.dumps(value, indent=2, ensure_ascii=False).splitlines(), "```", ""]


def page(lines: Iterable[str]) -> str:
    """The text of a page: one empty line between parts, a line's end at the end."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line.rstrip())
    return "\n".join(kept).strip("\n") + "\n"
