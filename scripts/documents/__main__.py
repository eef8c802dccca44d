"""Write the generated pages of docs: ``python -m scripts.documents [--check]``; ``make schemas`` does too."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scripts.documents.collection import collection
from scripts.documents.configuration import configuration
from scripts.documents.decisions import decisions
from scripts.documents.http import reference
from scripts.documents.openapi import documents
from scripts.documents.pictures import pictures
from scripts.documents.states import pages

DOCS: Final = Path(__file__).parents[2] / "docs"


def generated() -> dict[str, str]:
    """File name below docs → its text, of every page, picture and collection that follows from code."""
    found = documents()
    return {
        "configuration.md": configuration(),
        "decisions/README.md": decisions(),
        **{f"http/{name}": text for name, text in reference(found).items()},
        "http/prizewire.postman_collection.json": collection(found),
        **pages(),
        **pictures(),
    }


def stale(wanted: dict[str, str], *, docs: Path = DOCS) -> Iterator[str]:
    """The files that are not as wanted."""
    for name, text in sorted(wanted.items()):
        path = docs / name
        if not path.is_file() or path.read_text() != text:
            yield name


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with ``--check`` name those that differ (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m scripts.documents", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args(arguments)
    wanted = generated()
    if options.check:
        found = list(stale(wanted))
        for name in found:
            sys.stderr.write(f"docs/{name} is not current; run `make schemas`\n")
        return 1 if found else 0
    for name, text in wanted.items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.stdout.write(f"{len(wanted)} files written to docs\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
