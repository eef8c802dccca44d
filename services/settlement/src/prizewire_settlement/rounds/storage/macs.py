"""MACs of the parts of results, by a key that only the process holds: a row that somebody else wrote is not proved."""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.trust import MessageKey
from prizewire_settlement.rounds.domain.model import ResultPart
from prizewire_settlement.rounds.storage.writes import PART

Mac = Callable[[bytes], bytes]
_COVERED = tuple((name, read) for name, _, read in PART if name != "document")
"""Every column of a part: the document by its hash, so that a head is verified without its document."""


def mac_of(key: MessageKey) -> Mac:
    """The MAC of parts, HMAC-SHA256. After the message key was replaced, parts that were stored before are not proved."""
    return partial(_mac, key.derived(b"settlement:parts"))


def part_mac(part: ResultPart, mac: Mac) -> bytes:
    """The MAC over a part."""
    return mac(canonical_bytes({name: _plain(read(part)) for name, read in _COVERED}))


def is_proved(head: ResultPart, *, stored: bytes | None, mac: Mac) -> bool:
    """Whether settlement wrote a head as it is; ``stored`` is the row's MAC, None for a row from before there were MACs."""
    return stored is not None and hmac.compare_digest(stored, part_mac(head, mac))


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value if value is None or isinstance(value, int | str) else str(value)
