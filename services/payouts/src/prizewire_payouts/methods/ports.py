"""What the use cases of payout methods need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from prizewire_payouts.methods.domain import Method, MethodChange


class Methods(Protocol):
    """Payout methods, within one transaction."""

    async def find(self, ids: Iterable[UUID]) -> dict[UUID, Method]:
        """These methods, not locked."""
        ...

    async def of_player(self, player: str) -> list[Method]:
        """All methods of a player, oldest first, not locked."""
        ...

    async def lock_player(self, player: str) -> list[Method]:
        """All methods of a player, oldest first. No other transaction changes them until this one ends."""
        ...

    async def save(self, changes: Sequence[MethodChange], *, correlation_id: str) -> None:
        """Store methods and publish their events, in this order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDetails:
    """Payout details in clear: never stored, never logged."""

    details: Mapping[str, Any]
    salt: bytes

    def __repr__(self) -> str:
        return "OpenedDetails(…)"


class Vault(Protocol):
    """Encrypts payout details."""

    @property
    def key_id(self) -> str:
        """The id of the key that encrypts new details."""
        ...

    def salt(self) -> bytes:
        """32 fresh random bytes."""
        ...

    def seal(self, *, method_id: UUID, opened: OpenedDetails) -> bytes:
        """Details encrypted and bound to their method."""
        ...

    def open(self, *, method: Method) -> OpenedDetails:
        """The details of a method.

        Raises:
            ValueError: they were not encrypted by this key for this method, or were changed since.
        """
        ...

    def destination_mac(self, *, method_type: str, details: Mapping[str, Any]) -> bytes:
        """A keyed hash of a destination: equal for equal destinations, and useless without the key."""
        ...

    def commitment(self, *, opened: OpenedDetails) -> str:
        """Hex SHA-256 that binds an intent to these details without showing them."""
        ...


class AddressCheck(Protocol):
    """Knows the address formats of a chain."""

    def __call__(self, address: str) -> str | None:
        """The kind of address: ``account``, ``muxed``, ``contract``, or ``own`` for an account of Prizewire itself. None
        where it is no address.
        """
        ...
