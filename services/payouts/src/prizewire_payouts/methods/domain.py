"""Payout methods: which types there are, what their details must look like, and how a player's set changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from prizewire_payouts.errors import CodedError

MEMO_BYTES_MAX = 28
"""The longest memo text of a Stellar transaction (`string text<28>` in Stellar's XDR, Stellar-transaction.x)."""
_TYPES = ("stellar", "fake")
_ON_CHAIN = frozenset({"stellar"})


class MethodError(CodedError):
    """A payout method, or its details, cannot be accepted. ``code`` says why; the text never holds the details."""


class MethodState(StrEnum):
    """Whether a payout method may be used."""

    ACTIVE = "active"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A payout method of one player.

    ``address`` and ``memo`` are stored in clear for on-chain types, ``commitment`` for all others; ``sealed`` are the
    encrypted details. Details never change: another destination is another method. ``version`` counts the
    changes of its standing (registered, default, removed). ``registered_by`` is the person who named the destination.
    """

    method_id: UUID
    player: str
    type: str
    rail_type: str
    version: int
    state: MethodState
    verified: bool
    is_default: bool
    address: str | None
    memo: str | None
    commitment: str | None
    sealed: bytes = field(repr=False)
    sealed_by: str
    destination_mac: bytes = field(repr=False)
    registered_by: str
    registered_at: datetime
    changed_at: datetime

    @property
    def by_staff(self) -> bool:
        """Whether another person than its player registered it."""
        return self.registered_by != self.player


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChange:
    """A method as it will be saved. ``change`` is ``registered``, ``defaulted`` or ``removed``; ``actor`` caused it."""

    method: Method
    change: str
    actor: str
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodTerms:
    """Details that were found valid. ``details`` are exactly what is sealed; ``address`` and ``memo`` are set for
    on-chain types, whose intents name them in clear.
    """

    type: str
    rail_type: str
    details: Mapping[str, str]
    address: str | None
    memo: str | None


def read_details(
    *, method_type: str, details: Mapping[str, Any], address_kind: Callable[[str], str | None]
) -> MethodTerms:
    """Check details by type. ``address_kind`` names the kind of a Stellar address, or None if it is none.

    Raises:
        MethodError: ``method_type_unknown``, ``details_malformed``, ``address_invalid``, ``address_not_supported``,
            ``address_not_allowed``, ``memo_too_long``, ``memo_not_possible`` or ``account_invalid``. No message
            repeats a detail.
    """
    if method_type not in _TYPES:
        known = " or ".join(_TYPES)
        raise MethodError("method_type_unknown", f"there is no method type {method_type[:32]!r}: use {known}")
    if method_type == "stellar":
        return _stellar(details, address_kind)
    return _fake(details)


def _stellar(details: Mapping[str, Any], address_kind: Callable[[str], str | None]) -> MethodTerms:
    _only(details, required={"address"}, optional={"memo"})
    address, memo = details["address"], details.get("memo")
    kind = address_kind(address)
    if kind is None:
        raise MethodError("address_invalid", "address is no Stellar account (G…) or muxed account (M…)")
    if kind == "contract":
        raise MethodError(
            "address_not_supported", "a contract (C…) cannot be paid yet: name an account (G… or M…)"
        )
    if kind == "own":
        raise MethodError(
            "address_not_allowed", "this account belongs to Prizewire itself: give an account of the player"
        )
    if memo is not None:
        if not memo or len(memo.encode()) > MEMO_BYTES_MAX:
            raise MethodError("memo_too_long", f"a memo has 1 to {MEMO_BYTES_MAX} bytes of text")
        if kind == "muxed":
            raise MethodError("memo_not_possible", "a payment to a muxed address carries no memo")
    clean = {"address": address} if memo is None else {"address": address, "memo": memo}
    return MethodTerms(type="stellar", rail_type="stellar", details=clean, address=address, memo=memo)


def _fake(details: Mapping[str, Any]) -> MethodTerms:
    _only(details, required={"account"}, optional=set())
    account = details["account"]
    if not account or len(account) > 128 or not account.isprintable():
        raise MethodError("account_invalid", "account has 1 to 128 printable characters")
    return MethodTerms(type="fake", rail_type="fake", details={"account": account}, address=None, memo=None)


def _only(details: Mapping[str, Any], *, required: set[str], optional: set[str]) -> None:
    given = {name for name, value in details.items() if value is not None}
    if missing := required - given:
        raise MethodError("details_malformed", f"details lack {', '.join(sorted(missing))}")
    if given - required - optional:
        known = ", ".join(sorted(required | optional))
        raise MethodError("details_malformed", f"details hold more than {known}")
    if any(not isinstance(details[name], str) for name in given):
        raise MethodError("details_malformed", "every detail is a text")


def method_type_for_rail(*, rail_type: str) -> str | None:
    """The method type whose details an intent can name by itself: an on-chain address. None for other rails."""
    return rail_type if rail_type in _ON_CHAIN else None


def mask(text: str) -> str:
    """A masked destination: its owner recognizes it, and nobody can pay to it."""
    if len(text) >= 20:
        return f"{text[:4]}…{text[-4:]}"
    return f"{text[:2]}…" if len(text) > 4 else "…"


def with_default(*, methods: Sequence[Method], chosen: Method, now: datetime) -> list[Method]:
    """The methods that change when ``chosen`` becomes the default: the former default first.

    Raises:
        MethodError: ``method_removed``.
    """
    if chosen.state is not MethodState.ACTIVE:
        raise MethodError("method_removed", "a removed method cannot become the default")
    if chosen.is_default:
        return []
    new = replace(chosen, is_default=True, version=chosen.version + 1, changed_at=now)
    return [*without_default(methods=methods, now=now), new]


def without_default(*, methods: Sequence[Method], now: datetime) -> list[Method]:
    """The methods that change when none is to be the default any more: the former default, if there is one."""
    return [
        replace(method, is_default=False, version=method.version + 1, changed_at=now)
        for method in methods
        if method.is_default
    ]


def without(*, method: Method, now: datetime) -> Method:
    """The method, removed; payouts that name it and were not sent yet will fail.

    Raises:
        MethodError: ``method_removed`` already.
    """
    if method.state is MethodState.REMOVED:
        raise MethodError("method_removed", "the method was removed before")
    return replace(
        method, state=MethodState.REMOVED, is_default=False, version=method.version + 1, changed_at=now
    )
