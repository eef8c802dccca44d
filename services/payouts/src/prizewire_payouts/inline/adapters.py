"""Boxes that are opened with payouts' message keys."""

from collections.abc import Iterable
from pathlib import Path

from prizewire_chassis.keys import load_message_key
from prizewire_chassis.logging import get_logger
from prizewire_contracts.sealing import NotOpened
from prizewire_contracts.trust import MessageKey
from prizewire_payouts.inline.domain import Opened, Sealed

_log = get_logger(__name__)


def read_keys(files: str) -> list[MessageKey]:
    """The keys of `PAYOUTS_FORMER_MESSAGE_KEY_FILES`, a list of files with commas between.

    Raises:
        UnsafeKeyFile: a file is missing or readable by others.
        ValueError: it holds no message key. The text does not repeat what it holds.
    """
    found: list[MessageKey] = []
    for path in (Path(name.strip()) for name in files.split(",") if name.strip()):
        try:
            found.append(load_message_key(path))
        except (ValueError, KeyError, TypeError):
            msg = (
                f"PAYOUTS_FORMER_MESSAGE_KEY_FILES: {path.name} is no message key as MESSAGE_KEY_FILE has it"
            )
            raise ValueError(msg) from None
    return found


class MessageKeyBoxes:
    """`prizewire_payouts.inline.ports.Boxes` with the present message key and former ones: requests that were sealed before a change of
    the key are still opened.
    """

    def __init__(self, present: MessageKey, former: Iterable[MessageKey] = ()) -> None:
        """Take the keys.

        Raises:
            ValueError: two keys have the same id.
        """
        known = [present, *former]
        self._keys = {key.keyid: key for key in known}
        if len(self._keys) < len(known):
            msg = "PAYOUTS_FORMER_MESSAGE_KEY_FILES names a key twice, or the present one: name each former key once"
            raise ValueError(msg)

    def open(self, sealed: Sealed) -> Opened | None:
        """See the port."""
        key = self._keys.get(sealed.key_id)
        if key is None:
            _log.error("payout details are sealed for an unknown key", keyid=sealed.key_id)
            return None
        try:
            found = key.open(sealed.box)
        except NotOpened as error:
            _log.error("payout details cannot be opened", keyid=sealed.key_id, reason=str(error))
            return None
        return Opened(payout_id=found.payout_id, type=found.type, details=found.details, salt=found.salt)
