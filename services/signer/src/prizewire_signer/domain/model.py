"""The signer's domain types: a decoded transaction, an intent's terms, a slot, limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from prizewire_money import AssetRegistry

STELLAR_DECIMALS = 7
"""Every amount on Stellar is an int64 of ten-millionths (Stellar documentation, "Assets": one stroop)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One sequence number of one source account: the network applies at most one transaction to it."""

    slot_id: UUID
    chain: str
    account: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainAsset:
    """An asset as the chain names it: code and issuer account, or the native one with neither."""

    code: str | None
    issuer: str | None


NATIVE = ChainAsset(code=None, issuer=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBounds:
    """Unix seconds; 0 as ``max_time`` means no end."""

    min_time: int
    max_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """``kind`` is ``none``, ``text``, ``id``, ``hash`` or ``return``; ``text`` holds the bytes of a text memo."""

    kind: str
    text: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What a payment operation pays. ``destination`` is a G… or M… address, ``account`` the G… that it credits,
    ``amount`` ten-millionths.
    """

    destination: str
    account: str
    asset: ChainAsset
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. ``kind`` is the protocol's name in lower case; ``payment`` is there for payments only, ``bump_to``
    for a bump of the source's sequence number. ``source`` is None where the operation takes the transaction's.
    """

    kind: str
    source: str | None
    payment: Payment | None = None
    bump_to: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """An unsigned plain transaction, as decoded from its bytes. ``tx_hash`` was computed from these bytes and
    the pinned network passphrase; ``other_preconditions`` says that it has preconditions other than time.
    """

    tx_hash: bytes
    source: str
    fee: int
    sequence: int
    time_bounds: TimeBounds | None
    other_preconditions: bool
    memo: Memo
    operations: tuple[Operation, ...]
    soroban: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of paying that an intent allows. ``address`` is None where the intent has only a commitment to it, ``amount_max``
    is the most that may be paid in it, as the intent writes it.
    """

    rail: str
    address: str | None
    memo: str | None
    amount_max: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A payment that rewards asks for. ``terms`` is a SHA-256 over everything but issue and expiry times and key id: a
    renewed intent has the same terms, every other intent has other ones.
    """

    version: int
    network: str
    payout_id: str
    correlation_id: str
    pay_asset: str
    pay_amount: str
    ways: tuple[Way, ...]
    expires_at: int
    terms: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """An Ed25519 signature (64 bytes) and the public key (32 bytes) that made it."""

    public_key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetLimits:
    """The most of one asset, in minor units: for one payout, for all that is signed on one UTC day, and for the part of
    it that was signed before on another slot.
    """

    payout_minor_max: int
    day_minor_max: int
    again_minor_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The reviewed policy: what is signed, and how much of it. Fees are stroops for a whole transaction;
    voiding transactions of a slot are counted apart from its payments. ``free_margin_s`` is how many seconds by the
    signer's own clock must have passed after the maxTime of a payout's last digest on a closed slot before it may be
    signed on another one, or closed.
    """

    kinds: frozenset[str]
    operations_max: int
    fee_stroops_max: int
    validity_s_max: int
    clock_skew_s_max: int
    digests_per_slot_max: int
    voids_per_slot_max: int
    slots_per_payout_max: int
    free_margin_s: int
    limits: Mapping[str, AssetLimits]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything pinned by configuration: network, accounts, assets with their issuers, and the policy."""

    network: str
    treasury: str
    channels: frozenset[str]
    chain_assets: Mapping[str, ChainAsset]
    assets: AssetRegistry
    policy: Policy


PAYMENT = "payment"
VOID_SLOT = "void_slot"
"""Consumes a slot's sequence number by one operation of the channel on itself that has no effect."""
PAYING = frozenset({PAYMENT})
"""Kinds with one operation for each payout, which the treasury signs beside the channel. All others hold exactly one
operation, no payout and no memo, and the channel alone signs them.
"""
ALLOWED_OPERATIONS: Mapping[str, frozenset[str]] = {
    PAYMENT: frozenset({"payment"}),
    VOID_SLOT: frozenset({"bump_sequence"}),
    # An empty set: the kind is known, and nothing of it is signed yet.
    "fee_bump": frozenset(),
    "restore": frozenset(),
    "reclaim": frozenset(),
}
