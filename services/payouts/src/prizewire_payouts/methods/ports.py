"""What the use cases of payout methods need."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from prizewire_payouts.methods.domain import Method, MethodChange, MethodTerms


class Methods(Protocol):
    """Payout methods, within one transaction."""

    async def find(self, ids: Iterable[UUID]) -> dict[UUID, Method]:
        """These methods, not locked. A player's inline method is as old, usable and verified as the player's active registered
        method of the same destination, if there is one.
        """
        ...

    async def of_player(self, player: str) -> list[Method]:
        """All registered methods of a player, oldest first, not locked."""
        ...

    async def lock_player(self, player: str) -> list[Method]:
        """All registered methods of a player, oldest first. No other transaction changes them until this one ends."""
        ...

    async def misrouted(self, served: Mapping[str, tuple[str, ...]], *, limit: int) -> list[str]:
        """Players with an active method whose stored rail types are not those that ``served`` names for its type."""
        ...

    async def save(self, changes: Sequence[MethodChange], *, correlation_id: str) -> None:
        """Store methods and publish their events, in this order."""
        ...

    async def add_inline(self, methods: Sequence[Method]) -> None:
        """Store new inline methods. Nothing is published about them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDetails:
    """Payout details in clear: never stored, never logged."""

    details: Mapping[str, Any]
    salt: bytes

    def __repr__(self) -> str:
        return "OpenedDetails(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDetails:
    """Details in a form that their owner recognizes, and that nobody can pay to."""

    destination: str
    memo: str | None


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
            MethodUnreadable: no known key encrypted them for this method, or they were changed since.
        """
        ...

    def destination_mac(self, *, method_type: str, details: Mapping[str, Any]) -> bytes:
        """A keyed hash of a destination: equal for equal destinations, and useless without the key."""
        ...

    def destination_macs(self, *, method_type: str, details: Mapping[str, Any]) -> Collection[bytes]:
        """The keyed hashes of a destination by the present key and by former ones, in this order."""
        ...

    def code_mac(self, *, verification_id: UUID, code: str) -> bytes:
        """A keyed hash of a code, bound to its verification: eight digits behind a plain hash are found at once."""
        ...

    def is_code(self, *, verification_id: UUID, code: str, mac: bytes) -> bool:
        """Whether a code is the one behind this keyed hash, by the present key or by a former one."""
        ...

    def commitment(self, *, opened: OpenedDetails) -> str:
        """Hex SHA-256 that binds an intent to these details without showing them."""
        ...


class MethodTypes(Protocol):
    """The installed method types."""

    def read(self, *, method_type: str, details: Mapping[str, Any]) -> MethodTerms:
        """Check details by their type.

        Raises:
            DetailsError: ``method_type_unknown``, ``address_not_allowed`` for an account of Prizewire itself, or a code of
                the type. No message repeats a detail.
        """
        ...

    def shown(self, *, method_type: str, details: Mapping[str, Any]) -> ShownDetails:
        """Stored details, masked. Where their type is not installed any more, nothing of them is shown."""
        ...

    def on_chain(self, *, among: Collection[str], address: str, memo: str | None) -> str | None:
        """The first on-chain type, by name, of those ``among`` that accepts this address and memo; None if there is none."""
        ...

    def names(self) -> Collection[str]:
        """The names of all types."""
        ...
