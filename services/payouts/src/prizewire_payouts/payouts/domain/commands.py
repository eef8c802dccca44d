"""Requests of rewards, as read from its events. ``cause`` is the id of the event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.payouts.domain.model import Party


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedDestination:
    """One destination that an intent allows, and the rail type that pays it."""

    rail: str
    destination: str | None
    commitment: str | None
    memo: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentTerms:
    """An intent whose signature was verified. ``json`` is the whole intent, the other fields are those that payouts
    compares. ``amount`` is to be paid, ``debit`` is what rewards has taken for it.
    """

    json: Mapping[str, Any]
    signature: str
    network: str
    payout_id: str
    correlation_id: str
    player: str | None
    campaign: str | None
    amount: Amount
    debit: Amount
    allowed: tuple[AllowedDestination, ...]
    expires_at: datetime
    needs_closure: bool

    def same_terms(self, other: Mapping[str, Any]) -> bool:
        """Whether ``other`` is this intent but for its times and its key."""
        renewable = {"issued_at", "expires_at", "key_id"}
        return {k: v for k, v in self.json.items() if k not in renewable} == {
            k: v for k, v in other.items() if k not in renewable
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPayout:
    """A new payout. ``parties`` are the persons behind the money, ``one_person`` those who decided alone who is paid."""

    payout_id: UUID
    correlation_id: str
    cause: str
    player: str | None
    method_id: UUID | None
    method_version: int | None
    reward_ids: tuple[UUID, ...]
    filed_by: str
    terms: IntentTerms
    parties: tuple[Party, ...] = ()
    one_person: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancel:
    """A request to cancel a payout. ``code`` says who requested it, and becomes the payout's code once it is cancelled."""

    payout_id: UUID
    cause: str
    by: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewIntent:
    """The intent of a payout on the same terms, with a later expiry."""

    payout_id: UUID
    cause: str
    terms: IntentTerms


Command = RequestPayout | RequestCancel | RenewIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A command that was not applied: a stable code, and whether its event is parked."""

    code: str
    detail: str
    park: bool = False


def allows(*, allowed: Sequence[AllowedDestination], method: Method) -> bool:
    """Whether an intent allows exactly this method: rail type, destination or commitment, and memo."""
    for one in allowed:
        if one.rail != method.rail_type or one.memo != method.memo:
            continue
        if method.address is not None:
            if one.destination == method.address:
                return True
        elif one.destination is None and one.commitment == method.commitment:
            return True
    return False
