"""What the use cases need from the outside, as Protocols that adapters satisfy structurally."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

from prizewire_contracts.rails import Capabilities, RewardPayoutProvider
from prizewire_money import Amount, Asset
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.domain.events import MethodChanged
from prizewire_payouts.payouts.domain.model import Attempt, Method, Pause, Payout

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """A configured rail: its name, what it can do, and the provider behind it."""

    name: str
    capabilities: Capabilities
    provider: RewardPayoutProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRecord:
    """A method as it will be saved, with what happened to it."""

    method: Method
    is_new: bool
    event: MethodChanged
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutFilter:
    """Which payouts a list is asked for; None asks for all. They were requested at or after ``since`` and earlier than
    ``until``. ``before`` is the last one of the page before; no ``ids`` ask for all.
    """

    states: tuple[str, ...] = ()
    ids: tuple[UUID, ...] = ()
    player: str | None = None
    correlation_id: str | None = None
    rail: str | None = None
    asset: str | None = None
    method_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, UUID] | None = None
    offset: int = 0
    limit: int = 50


class StoredPayout(NamedTuple):
    """A payout, and when the database stored it last."""

    payout: Payout
    stored_at: datetime


class Store(Protocol):
    """Everything of payouts, within one transaction. Rows come locked where the name says so, in id order."""

    async def lock_payouts(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """These payouts, locked; those that do not exist are left out."""
        ...

    async def payout(self, payout_id: UUID) -> Payout | None:
        """One payout, not locked."""
        ...

    async def list_payouts(self, wanted: PayoutFilter) -> list[Payout]:
        """A page of payouts, newest request first."""
        ...

    async def list_stored(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredPayout]:
        """A page of the payouts that were stored at ``since`` or later, the last change first; those before a
        (time, id). Who writes a row cannot choose its time.
        """
        ...

    async def has_rail(self, rail: str) -> bool:
        """Whether any payout was routed to a rail of this name."""
        ...

    async def lock_approved(self, *, rail: str, now: datetime, limit: int) -> list[Payout]:
        """Approved payouts of this rail that are due and not paused; rows that others hold are passed over."""
        ...

    async def lock_watched(self, *, rail: str, now: datetime, limit: int) -> list[Payout]:
        """Payouts whose outcome on this rail is open (or may still turn) and due to be looked at."""
        ...

    async def look_now(
        self, *, keys: Sequence[UUID], references: Sequence[tuple[str, str]], now: datetime
    ) -> int:
        """Make payouts due whose last attempt has one of these provider keys, or (rail, provider's reference),
        and whose outcome is open or may still turn; answers how many.
        """
        ...

    async def lock_expired(self, *, now: datetime, limit: int) -> list[Payout]:
        """Approved and held payouts whose intent has run out and of which rewards was not told."""
        ...

    async def lock_unrouted(self, *, rails: Sequence[str], limit: int) -> list[Payout]:
        """Approved payouts whose rail is none of these any more."""
        ...

    async def latest_attempts(self, ids: Iterable[UUID]) -> dict[UUID, Attempt]:
        """The last attempt of each of these payouts."""
        ...

    async def attempts(self, payout_id: UUID) -> list[Attempt]:
        """All attempts of a payout, first to last."""
        ...

    async def approvers(self, payout: Payout) -> list[str]:
        """Who has approved under the present hold, in order."""
        ...

    async def add_approval(self, *, payout: Payout, approver: str, note: str | None, now: datetime) -> None:
        """Note one approval of the present hold."""
        ...

    async def lock_automatic_use(self, *, day: date, assets: Iterable[Asset]) -> dict[str, Amount]:
        """By asset code, what was approved without a person on this day (UTC). Nobody else approves in these assets
        without a person before this transaction has ended.
        """
        ...

    async def add_automatic_use(self, *, day: date, taken: Mapping[str, Amount]) -> None:
        """Count what this transaction approves without a person; the assets are locked."""
        ...

    async def save(self, changes: Sequence[Change]) -> None:
        """Store payouts, attempts, their steps and their events: a fixed number of statements for any number."""
        ...

    async def methods(self, ids: Iterable[UUID]) -> dict[UUID, Method]:
        """These methods, not locked."""
        ...

    async def lock_player_methods(self, player: str) -> list[Method]:
        """All methods of a player, oldest first; nobody else changes this player's methods meanwhile."""
        ...

    async def shared_destinations(self, macs: Iterable[bytes]) -> dict[bytes, int]:
        """How many players have an active method with each of these destinations."""
        ...

    async def save_methods(self, records: Sequence[MethodRecord], *, correlation_id: str) -> None:
        """Store methods and their events, in this order."""
        ...

    async def pauses(self) -> list[Pause]:
        """Pauses in force, newest first."""
        ...

    async def save_pause(self, pause: Pause) -> None:
        """Store a new pause, or that one was lifted."""
        ...


class Transactions(Protocol):
    """Runs work in one transaction, the whole again when the database chose it as a victim."""

    async def run(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """What ``work`` answers, once committed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDetails:
    """Payout details in clear: never stored, never logged."""

    details: Mapping[str, Any]
    salt: bytes

    def __repr__(self) -> str:
        return "OpenedDetails(…)"


class Vault(Protocol):
    """Keeps payout details secret at rest."""

    @property
    def key_id(self) -> str:
        """Which key seals new details."""
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
            ValueError: they were not sealed by this key for this method, or were changed since.
        """
        ...

    def destination_mac(self, *, method_type: str, details: Mapping[str, Any]) -> bytes:
        """The same for the same destination, and useless without the key."""
        ...

    def commitment(self, *, opened: OpenedDetails) -> str:
        """Hex SHA-256 that binds an intent to these details without telling them."""
        ...


class IntentCheck(Protocol):
    """Whether rewards signed for a payout as it is stored."""

    def __call__(self, payout: Payout, method: Method | None) -> bool:
        """Whether the intent is signed, and names this payout, payee, amount and destination."""
        ...


class AddressCheck(Protocol):
    """Knows the address formats of a chain."""

    def __call__(self, address: str) -> str | None:
        """The kind of address (``account``, ``muxed``, ``contract``, ``own`` for ours), None if it is none."""
        ...
