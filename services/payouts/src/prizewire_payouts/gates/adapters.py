"""The deny list: a file that is read again when it changes.

Its destinations are kept in memory as keyed hashes only, and are never logged. The file looks so:

    destinations:
      - {type: stellar, details: {address: G…}}
      - {type: bank, details: {…}}
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from prizewire_chassis.logging import get_logger
from prizewire_payouts.methods.adapters import ON_CHAIN_ACCOUNT, account_key
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.metrics import DENY_LIST_REFUSED, DENY_LIST_WRITTEN
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_railkit.method_types import DetailsRefused, MethodDetails, MethodType, read_details

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
_log = get_logger(__name__)

Mac = Callable[..., bytes]
"""``destination_mac`` of the vault: a keyed hash of a method type and details."""
Macs = Callable[..., Collection[bytes]]
"""``destination_macs`` of the vault: the hashes by the present key and by former ones, since a rotation of the key takes its time."""


class DenyListError(ValueError):
    """The file cannot be read as a deny list. Its text names no destination."""


class NoDenyList:
    """`prizewire_payouts.gates.ports.DenyList` where no file is configured."""

    active = False

    def denies(self, *, payout: Payout, method: Method | None) -> bool:  # noqa: ARG002 - the port's
        """Nothing is listed."""
        return False


class MarkedDestinations:
    """`prizewire_payouts.gates.ports.Destinations` by the installed method types and the key of details."""

    def __init__(self, types: Mapping[str, MethodType], *, mac: Mac) -> None:
        self._types = types
        self._mac = mac

    def mark(self, *, payout: Payout, method: Method | None) -> bytes | None:
        """See the port."""
        if payout.method_id is not None:
            return None if method is None else method.account_mac
        details = {"address": payout.address, **({} if payout.memo is None else {"memo": payout.memo})}
        try:
            found = read_details(self._types, method_type=payout.method_type, details=details)
        except DetailsRefused:
            return None
        kind, account = account_key(payout.method_type, found)
        return self._mac(method_type=kind, details=account)


class DenyListFile:
    """`prizewire_payouts.gates.ports.DenyList` over a file.

    An entry denies the account to which its details lead: on a chain with any memo and in any form of its address, elsewhere under any
    name of its holder.
    """

    active = True

    def __init__(self, path: Path, *, types: Mapping[str, MethodType], macs: Macs) -> None:
        """Read the file.

        Raises:
            DenyListError: it cannot be read.
        """
        self._path = path
        self._types = types
        self._macs = macs
        self._seen = self._state()
        self._denied = self._read()

    def __repr__(self) -> str:
        return f"DenyListFile({self._path.name}, {len(self._denied)} destinations)"

    def denies(self, *, payout: Payout, method: Method | None) -> bool:
        """See the port. A file that became unreadable leaves the last list in force, with an error in the log."""
        self._refresh()
        if not self._denied:
            return False
        if payout.address is None:
            return method is not None and not self._denied.isdisjoint(
                {method.destination_mac, method.account_mac}
            )
        details = {"address": payout.address, **({} if payout.memo is None else {"memo": payout.memo})}
        try:
            found = read_details(self._types, method_type=payout.method_type, details=details)
        except DetailsRefused:
            # what its method type does not accept is judged by the letter
            found_macs = self._macs(method_type=ON_CHAIN_ACCOUNT, details={"account": payout.address})
            return not self._denied.isdisjoint(found_macs)
        return not self._denied.isdisjoint(self._marks(payout.method_type, found))

    def _refresh(self) -> None:
        try:
            state = self._state()
            if state == self._seen:
                return
            denied = self._read()
        except DenyListError as error:
            DENY_LIST_REFUSED.set(1)
            _log.error("the deny list cannot be read; the last one stays in force", reason=str(error))
            return
        self._seen, self._denied = state, denied
        DENY_LIST_REFUSED.set(0)
        _log.info("the deny list was read again", destinations=len(denied))

    def _state(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise DenyListError(f"{self._path.name} cannot be read: {error.strerror}") from None
        DENY_LIST_WRITTEN.set(found.st_mtime)
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> frozenset[bytes]:
        try:
            if self._path.stat().st_size > FILE_BYTES_MAX:
                raise DenyListError(f"{self._path.name} has more than {FILE_BYTES_MAX} bytes")
            document = yaml.load(self._path.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader
        except OSError as error:
            raise DenyListError(f"{self._path.name} cannot be read: {error.strerror}") from None
        except yaml.YAMLError:
            raise DenyListError(f"{self._path.name} is no YAML") from None
        items = document.get("destinations") if isinstance(document, dict) and len(document) == 1 else None
        if not isinstance(items, list):
            raise DenyListError(f"{self._path.name} must hold `destinations:` with a list, and nothing else")
        return frozenset(self._entries(items))

    def _entries(self, items: list[Any]) -> Iterator[bytes]:
        for number, item in enumerate(items, 1):
            if (
                not isinstance(item, dict)
                or item.keys() != {"type", "details"}
                or not isinstance(item["details"], dict)
            ):
                raise DenyListError(f"entry {number} of {self._path.name} is not `type:` and `details:`")
            kind = item["type"]
            try:
                found = read_details(self._types, method_type=kind, details=item["details"])
            except DetailsRefused as error:
                raise DenyListError(f"entry {number} of {self._path.name}: {error.code}") from None
            yield from self._marks(kind, found)

    def _marks(self, method_type: str, details: MethodDetails) -> set[bytes]:
        """The hashes by which methods with these details are known: of the account, and of the details, since the accounts of old
        methods may not be marked yet.
        """
        kind, account = account_key(method_type, details)
        return {
            *self._macs(method_type=kind, details=account),
            *self._macs(method_type=method_type, details=details.clear()),
        }


_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
