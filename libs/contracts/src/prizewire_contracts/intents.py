"""Intents and approvals: what two services sign before the signer touches a key, and their canonical bytes.

An *intent* is signed by rewards, once for each payout id: this money, for this player, to these destinations.
An *approval* is signed by payouts, once for each transaction: these bytes, on this slot, for these payouts.
The signer wants both and derives everything else from the decoded transaction itself.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from prizewire_contracts.canonical import canonical_bytes, canonical_hash
from prizewire_contracts.quotes import QuoteReference
from prizewire_contracts.rails import SIGNER_RAILS

INTENT_VERSION: Final = 2
"""The version of intents that rewards signs. Payouts and the signer refuse any other."""
EVENT_TAG = b"prizewire:event:v1\n"
INTENT_TAG = b"prizewire:intent:v1\n"
APPROVAL_TAG = b"prizewire:approval:v1\n"
AUDIT_HEAD_TAG = b"prizewire:audit-head:v1\n"
COMMITMENT_TAG = b"prizewire:method:v1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedWay:
    """One way in which an intent allows the payment.

    ``rail`` is a rail type. On-chain rails name the address in clear in ``destination``; the others carry
    ``commitment`` (hex, 64 characters) to details that only payouts knows. ``memo`` is the memo text that must
    stand on the payment, or None for none. ``amount_max`` is the most that may be paid in this way: a decimal string in the
    intent's ``pay_asset``.
    """

    rail: str
    destination: str | None = None
    commitment: str | None = None
    memo: str | None = None
    amount_max: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What rewards asks to be paid. Amounts are decimal strings with the asset's decimals; times are Unix
    seconds. ``player`` and ``funding_account`` say whose wallet or account it leaves: a player's payout has no funding
    account, an operator's has no player. ``payee`` is the person who is paid in the player's place, by a payee assignment;
    None where the player is paid. ``campaign``, ``competition`` and ``source`` (the source of the match) say
    which prize it is; all are None for a withdrawal of a wallet, whose money is mixed. ``quote`` is the quote by which it is
    paid, None where none was taken.
    """

    v: int
    network: str
    payout_id: str
    correlation_id: str
    player: str | None
    payee: str | None = None
    campaign: str | None
    competition: str | None
    source: str | None
    funding_account: str | None
    debit_asset: str
    debit_amount: str
    pay_asset: str
    pay_amount: str
    allowed: tuple[AllowedWay, ...]
    quote: QuoteReference | None
    issued_at: int
    expires_at: int
    key_id: str

    @property
    def needs_closure(self) -> bool:
        """Whether any allowed way is of a rail type that the signer serves: the signer's closure must come before the money
        is given back.
        """
        return any(way.rail in SIGNER_RAILS for way in self.allowed)

    def signing_bytes(self) -> bytes:
        """Domain tag and canonical JSON: what the Ed25519 signature covers."""
        return INTENT_TAG + canonical_bytes(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One sequence number of one source account: the network applies at most one transaction to it."""

    chain: str
    account: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What payouts asks to be signed: one transaction on one slot. ``fee_cap`` is in the chain's smallest unit for the
    whole transaction, ``max_time`` Unix seconds, ``items`` the payout ids in the order of operations.
    """

    v: int
    kind: str
    network: str
    chain: str
    account: str
    sequence: str
    revision: int
    tx_hash: str
    max_time: int
    fee_cap: int
    items: tuple[str, ...]
    key_id: str

    def signing_bytes(self) -> bytes:
        """Domain tag and canonical JSON: what the Ed25519 signature covers."""
        return APPROVAL_TAG + canonical_bytes(asdict(self))


def commitment(*, salt: bytes, details: dict[str, Any]) -> str:
    """Hex SHA-256 that binds an intent to payout details without showing them. ``salt`` has 32 bytes."""
    if len(salt) != 32:
        msg = f"a commitment's salt has 32 bytes, not {len(salt)}"
        raise ValueError(msg)
    return canonical_hash([COMMITMENT_TAG.decode(), salt.hex(), details]).hex()
