"""The payments that the fake rail has made, from the file that it stores them in.

Used as `python fake_payments.py DIRECTORY`, it prints them as JSON. In a container only its own packages are installed, so this module
imports no other.
"""

import json
import sqlite3
import sys
from pathlib import Path
from typing import Final

BOOK: Final = "fake-rail.sqlite"
QUERY: Final = "SELECT payout_id, amount, id FROM effects ORDER BY id"


def read(directory: Path) -> list[tuple[str, str, str]]:
    """Payout, amount in major units and number of each payment; none before the first payment."""
    book = directory / BOOK
    if not book.exists():
        return []
    with sqlite3.connect(f"file:{book}?mode=ro", uri=True) as connection:
        return [
            (str(payout), str(amount), str(number)) for payout, amount, number in connection.execute(QUERY)
        ]


if __name__ == "__main__":
    print(json.dumps(read(Path(sys.argv[1]))))
