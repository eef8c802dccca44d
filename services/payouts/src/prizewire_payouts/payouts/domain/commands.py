"""What others ask of payouts, free of how it was asked. ``cause`` is the id of the event that asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.payouts.domain.parties import Party


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """One way in which an intent lets its money go."""

    rail: str
    destination: str | None
    commitment: str | None
    memo: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentTerms:
    """An intent as read: ``json`` is the whole of it, the rest what payouts must compare. Its signature was
    checked before one of these was built. ``amount`` is what is to be paid, ``debit`` what rewards has taken for it.
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
    allowed: tuple[Allowed, ...]
    expires_at: datetime
    needs_closure: bool

    def same_terms(self, other: Mapping[str, Any]) -> bool:
        """Whether ``other`` differs from this intent in nothing but time and key."""
        renewable = {"issued_at", "expires_at", "key_id"}
        return {k: v for k, v in self.json.items() if k not in renewable} == {
            k: v for k, v in other.items() if k not in renewable
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPayout:
    """Rewards wants this paid. ``parties`` are the persons behind the money, ``one_person`` those who decided alone."""

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
class AskCancel:
    """Somebody wants a payout stopped. ``code`` says who: the payout's code once it is cancelled."""

    payout_id: UUID
    cause: str
    by: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewIntent:
    """The same payout on the same terms, with a later expiry."""

    payout_id: UUID
    cause: str
    terms: IntentTerms


Command = RequestPayout | AskCancel | RenewIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A command that was not applied: a stable code, and whether what follows it must wait (``park``)."""

    code: str
    detail: str
    park: bool = False
