"""Payout methods, and how a player's set of them changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_payouts.errors import CodedError

METHOD_UNVERIFIED: Final = "method_unverified"
METHOD_NOT_USABLE_YET: Final = "method_not_usable_yet"
ERASED: Final = "erased"
"""Stands in place of the key where the details were erased. Commitment, destination mark and address stay."""
LOOK_AGAIN: Final = timedelta(minutes=1)
"""How long a payout waits before its method is looked at again, where no time is known at which it may be paid."""


class MethodError(CodedError):
    """A payout method cannot be accepted or changed. ``code`` says why; the text never holds the details."""


class MethodUnreadable(MethodError, ValueError):
    """The stored details of a method cannot be opened: no known key encrypted them, they were changed since, or erased."""

    def __init__(self, method_id: UUID) -> None:
        super().__init__(
            "method_unreadable",
            f"the details of the payout method {method_id} cannot be read: remove it and register the destination again",
        )


class MethodState(StrEnum):
    """Whether a payout method may be used."""

    ACTIVE = "active"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A payout method of one player, or of one payout whose request named the destination itself (``payout_id``). A method of a
    payout is inline: nobody lists or changes it, no other payout names it but a retry, and ``player`` is None where an operator
    requested the payout.

    ``rail_types`` are the types of the configured rails that pay to it, in order of preference.
    ``address`` and ``memo`` are stored in clear for on-chain types, ``commitment`` for all others; ``sealed`` are the
    encrypted details. Details never change: another destination is another method. ``version`` counts the
    changes of its standing (registered, verified, default, routed, removed). ``registered_by`` is the person who named the
    destination. Nothing is paid to it before ``usable_from``. ``destination_mac`` is the keyed mark of its details, ``account_mac`` that
    of the account to which they lead, None where it is not marked yet.
    """

    method_id: UUID
    player: str | None
    type: str
    rail_types: tuple[str, ...]
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
    usable_from: datetime
    changed_at: datetime
    payout_id: UUID | None = None
    account_mac: bytes | None = field(default=None, repr=False)

    @property
    def by_staff(self) -> bool:
        """Whether another person than its player registered it."""
        return self.registered_by != self.player

    @property
    def erased(self) -> bool:
        """Whether its details were erased."""
        return self.sealed_by == ERASED

    @property
    def inline(self) -> bool:
        """Whether it is of one payout alone."""
        return self.payout_id is not None

    @property
    def owner(self) -> str:
        """The player of a registered method."""
        assert self.player is not None
        return self.player


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodChange:
    """A method as it will be saved. ``change`` is ``registered``, ``verified``, ``defaulted``, ``routed`` or ``removed``;
    ``actor`` caused it.
    """

    method: Method
    change: str
    actor: str
    is_new: bool = False


AccountKey = tuple[str, Mapping[str, str]]
"""A kind, and the members that say where the money goes: equal for methods that lead to one account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodTerms:
    """Details that were found valid. ``details`` are exactly what is sealed; ``address`` and ``memo`` are set for
    on-chain types, whose intents name them in clear. ``account`` is what marks the account to which they lead.
    """

    type: str
    details: Mapping[str, str]
    address: str | None
    memo: str | None
    account: AccountKey


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


def routed(
    *, methods: Sequence[Method], served: Mapping[str, tuple[str, ...]], now: datetime
) -> list[Method]:
    """The active methods whose rail types change when ``served`` are those that pay to each method type."""
    return [
        replace(method, rail_types=wanted, version=method.version + 1, changed_at=now)
        for method in methods
        if method.state is MethodState.ACTIVE and (wanted := served.get(method.type, ())) != method.rail_types
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodWait:
    """A method is not paid to yet: ``code`` says why, and at ``until`` it is looked at again."""

    code: str
    until: datetime


def waits_for(*, method: Method, verified_types: Collection[str], now: datetime) -> MethodWait | None:
    """What must happen before a payment to this method; None where it may be paid now. ``verified_types`` are the method types that
    the rail pays only to a verified method. Where an operator named the destination of a payout, approvers verify it.
    """
    if now < method.usable_from:
        return MethodWait(code=METHOD_NOT_USABLE_YET, until=method.usable_from)
    if method.type in verified_types and not method.verified and method.player is not None:
        return MethodWait(code=METHOD_UNVERIFIED, until=now + LOOK_AGAIN)
    return None


def as_verified(*, method: Method, now: datetime) -> Method:
    """The method, once its owner was proved.

    Raises:
        MethodError: ``method_removed`` or ``method_already_verified``.
    """
    if method.state is MethodState.REMOVED:
        raise MethodError("method_removed", "a removed method is not verified: register it again")
    if method.verified:
        raise MethodError("method_already_verified", "the method is verified already")
    return replace(method, verified=True, version=method.version + 1, changed_at=now)
