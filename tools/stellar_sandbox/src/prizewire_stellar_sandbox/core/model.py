"""The ledger's entries, its header, and the constants of the protocol.

Account ids are the 32 raw bytes of the public key; addresses (G…, M…) exist only at the edges. Amounts are
whole stroops (1 XLM = 10,000,000). Every entry is immutable: a change makes a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

PROTOCOL_VERSION: Final = 28
"""The protocol that the public network runs since September 2026."""

BASE_FEE_STROOPS: Final = 100
BASE_RESERVE_STROOPS: Final = 5_000_000
GENESIS_STROOPS: Final = 100_000_000_000 * 10_000_000
INT64_MAX: Final = 2**63 - 1

ACCOUNT_SUBENTRIES_MAX: Final = 1000
SIGNERS_MAX: Final = 20

# AccountFlags and TrustLineFlags of Stellar-ledger-entries.x.
AUTH_REQUIRED: Final = 0x1
AUTH_REVOCABLE: Final = 0x2
AUTH_IMMUTABLE: Final = 0x4
AUTH_CLAWBACK_ENABLED: Final = 0x8
ACCOUNT_FLAGS_MASK: Final = 0xF

LINE_AUTHORIZED: Final = 0x1
LINE_MAINTAIN_LIABILITIES: Final = 0x2
LINE_CLAWBACK_ENABLED: Final = 0x4
LINE_AUTH_FLAGS: Final = LINE_AUTHORIZED | LINE_MAINTAIN_LIABILITIES
LINE_FLAGS_MASK: Final = 0x7

AccountId: TypeAlias = bytes


class Asset(NamedTuple):
    """An issued asset: its code padded with zero bytes to 4 or 12, and its issuer."""

    code: bytes
    issuer: AccountId


AnyAsset: TypeAlias = Asset | None
"""``None`` is the native asset, XLM."""


class AccountKey(NamedTuple):
    """Finds an account."""

    account_id: AccountId


class TrustlineKey(NamedTuple):
    """Finds a trustline."""

    account_id: AccountId
    asset: Asset


class DataKey(NamedTuple):
    """Finds a data entry."""

    account_id: AccountId
    name: bytes


Key: TypeAlias = AccountKey | TrustlineKey | DataKey


class Signer(NamedTuple):
    """An extra signer: the XDR of its SignerKey, and its weight."""

    key: bytes
    weight: int


@dataclass(frozen=True, slots=True)
class Account:
    """An account. ``thresholds`` are four bytes: master weight, low, medium, high."""

    account_id: AccountId
    balance: int
    sequence: int
    subentries: int = 0
    flags: int = 0
    home_domain: bytes = b""
    thresholds: bytes = b"\x01\x00\x00\x00"
    signers: tuple[Signer, ...] = ()
    inflation_dest: AccountId | None = None
    sequence_ledger: int = 0
    sequence_time: int = 0
    modified_ledger: int = 0

    @property
    def key(self) -> AccountKey:
        """Where the ledger keeps it."""
        return AccountKey(self.account_id)


@dataclass(frozen=True, slots=True)
class Trustline:
    """What an account holds of an issued asset, and how much it is willing to hold."""

    account_id: AccountId
    asset: Asset
    balance: int
    limit: int
    flags: int
    modified_ledger: int = 0

    @property
    def key(self) -> TrustlineKey:
        """Where the ledger keeps it."""
        return TrustlineKey(self.account_id, self.asset)

    @property
    def authorized(self) -> bool:
        """Whether the issuer lets it hold and move the asset."""
        return bool(self.flags & LINE_AUTHORIZED)


@dataclass(frozen=True, slots=True)
class DataEntry:
    """A name and value that an account keeps on the ledger."""

    account_id: AccountId
    name: bytes
    value: bytes
    modified_ledger: int = 0

    @property
    def key(self) -> DataKey:
        """Where the ledger keeps it."""
        return DataKey(self.account_id, self.name)


Entry: TypeAlias = Account | Trustline | DataEntry


@dataclass(frozen=True, slots=True)
class LedgerHeader:
    """A closed ledger, or the one being closed. ``close_time`` is in whole Unix seconds."""

    sequence: int
    close_time: int
    fee_pool: int = 0
    total_coins: int = GENESIS_STROOPS
    base_fee: int = BASE_FEE_STROOPS
    base_reserve: int = BASE_RESERVE_STROOPS


@dataclass(frozen=True, slots=True)
class Transfer:
    """Value that an applied operation moved: what the sandbox shows as really paid.

    ``kind`` is ``payment``, ``create_account`` or ``account_merge``; ``recipient_mux`` is the 64-bit id of an
    M… destination.
    """

    kind: str
    operation_index: int
    sender: AccountId
    recipient: AccountId
    recipient_mux: int | None
    asset: AnyAsset
    amount: int


def starting_sequence(ledger_sequence: int) -> int:
    """The sequence number of an account created in that ledger: the ledger's number in the high half."""
    return ledger_sequence << 32
