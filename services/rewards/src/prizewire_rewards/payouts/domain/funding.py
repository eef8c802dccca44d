"""Funding accounts, which operators pay out of, and checks of the addresses that they pay to."""

import binascii
from base64 import b32decode, b32encode
from dataclasses import dataclass
from typing import Final

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import WORLD

_VERSIONS: Final = {6 << 3: (35, "account"), 12 << 3: (43, "muxed")}
"""Version byte → length with checksum and kind: G… and M… of SEP-23 (stellar-protocol, ecosystem/sep-0023.md)."""


_TEXT_MAX: Final = 69


MEMO_BYTES_MAX: Final = 28
"""The longest memo text of a Stellar transaction (`string text<28>`, Stellar-transaction.x)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingAccount:
    """A funding account: a name and one asset."""

    name: str
    asset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """The destination of an operator's payout, in clear text."""

    rail_type: str
    address: str
    memo: str | None


def added_move(account: FundingAccount, *, amount: int) -> Move:
    """The move of money from outside into a funding account."""
    source = Account(Kind.EXTERNAL_IN, WORLD, account.asset)
    return Move(
        TransferType.FUNDING_ADDED, source, Account(Kind.FUNDING, account.name, account.asset), amount
    )


def withdrawn_move(account: FundingAccount, *, amount: int) -> Move:
    """The move of a funding account's money that leaves without a payout."""
    outside = Account(Kind.EXTERNAL_OUT, WORLD, account.asset)
    return Move(
        TransferType.FUNDING_WITHDRAWN, Account(Kind.FUNDING, account.name, account.asset), outside, amount
    )


def check_destination(destination: Destination) -> None:
    """Check the form of an address and its memo. The rail checks whether the address exists and can receive the asset.

    Raises:
        InvalidRequest: ``address_invalid``, ``memo_too_long`` or ``memo_not_possible``.
    """
    kind = _kind(destination.address)
    if kind is None:
        raise InvalidRequest(
            "address_invalid", "the address is no Stellar account (G…) or muxed account (M…)"
        )
    memo = destination.memo
    if memo is None:
        return
    if not memo or len(memo.encode()) > MEMO_BYTES_MAX:
        raise InvalidRequest("memo_too_long", f"a memo has 1 to {MEMO_BYTES_MAX} bytes of text")
    if kind == "muxed":
        raise InvalidRequest("memo_not_possible", "a payment to a muxed address cannot have a memo")


def _kind(address: str) -> str | None:
    """The kind of a Stellar address (base32 of a version byte, the key and its CRC-16/XMODEM, low byte first), or None."""
    if len(address) > _TEXT_MAX:
        return None
    try:
        raw = b32decode(address + "=" * (-len(address) % 8))
    except ValueError:
        return None
    if not raw or b32encode(raw).decode().rstrip("=") != address:
        return None
    length, kind = _VERSIONS.get(raw[0], (0, ""))
    if len(raw) != length or binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        return None
    return kind
