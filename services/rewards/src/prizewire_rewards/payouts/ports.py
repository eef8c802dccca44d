"""Ports of payouts: requests, methods, funding accounts, automatic withdrawals and signing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from prizewire_contracts.intents import Intent
from prizewire_rewards.assignments.ports import Assignments
from prizewire_rewards.ledger.ports import LedgerPorts, Tools
from prizewire_rewards.payouts.domain.batches import PayoutBatch
from prizewire_rewards.payouts.domain.funding import FundingAccount
from prizewire_rewards.payouts.domain.inline import InlineDestination, SealedDestination
from prizewire_rewards.payouts.domain.model import Method, Payout
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.domain.rules import PayoutRules
from prizewire_rewards.payouts.domain.withdrawals import AutoWithdrawal


class Payouts(Protocol):
    """Payout requests in one transaction."""

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Payout]:
        """Lock those that exist, in the order of their ids."""
        ...

    async def lock_open(self, players: Iterable[str], *, asset: str) -> list[Payout]:
        """Lock the open payouts of these players, in the order of their ids. Returns them, the latest first."""
        ...

    async def check_none_new(self, players: Iterable[str], *, asset: str, known: Sequence[Payout]) -> None:
        """Check that these players have no open payouts other than the ``known`` ones. The caller holds the locks of their
        winnings, so that no payout is added afterwards.

        Raises:
            Conflict: a payout was added while the caller waited for these locks. The transaction has to be retried.
        """
        ...

    async def add(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store new payouts."""
        ...

    async def save(self, payouts: Sequence[Payout], *, now: datetime) -> None:
        """Store state, outcome and intent of locked payouts."""
        ...

    async def with_quote(self, quote_id: str) -> UUID | None:
        """The payout that was requested with a quote; None where none was. A quote is of one player: the caller holds the lock
        of the player's winnings, so that no payout is requested with it meanwhile.
        """
        ...

    async def with_reference(self, reference: str, *, funding_account: str) -> UUID | None:
        """An operator's payout of the account under this reference that has not ended without effect. The caller holds the
        lock of the account's money, so that no payout is added meanwhile.
        """
        ...

    async def with_references(self, references: Sequence[str], *, funding_account: str) -> dict[str, Payout]:
        """As ``with_reference``, the payouts under several references."""
        ...

    async def requested_since(self, *, player: str, asset: str, since: datetime) -> int:
        """The sum that a player requested since a moment, also by automatic withdrawal, without payouts that ended without
        effect. The caller holds the lock of the player's winnings, so that no request is added meanwhile.
        """
        ...


class Methods(Protocol):
    """The projection of payout methods."""

    async def record(self, methods: Sequence[Method], *, now: datetime) -> None:
        """Store each method unless a newer version of it is stored. Each method is listed once."""
        ...

    async def defaults(self, players: Iterable[str]) -> dict[str, Method]:
        """The active default method of each player that has one to which a rail pays."""
        ...

    async def get(self, method_id: UUID) -> Method | None:
        """Find a method by its id."""
        ...


class Fundings(Protocol):
    """Funding accounts. Their balances are in the ledger."""

    async def get(self, name: str) -> FundingAccount | None:
        """Find a funding account by its name."""
        ...

    async def add(self, account: FundingAccount, *, actor: str, now: datetime) -> bool:
        """Store a new account; False where the name is taken."""
        ...


class Batches(Protocol):
    """Batches of operators' payouts."""

    async def add(self, batch: PayoutBatch, *, now: datetime) -> None:
        """Store a new batch, before its payouts."""
        ...


class Withdrawals(Protocol):
    """Automatic withdrawals of players."""

    async def lock(self, *, player: str, asset: str) -> AutoWithdrawal | None:
        """Lock a withdrawal of a player in an asset; None where there is none."""
        ...

    async def lock_due(self, *, now: datetime) -> AutoWithdrawal | None:
        """Lock a withdrawal that is due and that no other transaction has locked; None where there is none."""
        ...

    async def save(self, withdrawal: AutoWithdrawal, *, now: datetime) -> None:
        """Store a new or a locked withdrawal."""
        ...

    async def remove(self, *, player: str, asset: str) -> bool:
        """Delete a withdrawal; False where there was none."""
        ...


class IntentSigner(Protocol):
    """Rewards' message key, used for intents."""

    @property
    def key_id(self) -> str:
        """The key's name in ``trust.json``."""
        ...

    def sign(self, intent: Intent) -> str:
        """The signature as 128 hex digits."""
        ...


class IntentVerifier(Protocol):
    """Checks stored intents."""

    def problem_of(self, payout: Payout) -> str | None:
        """Why the stored intent is not one that rewards signed for this payout, on the terms of its row; None if it is."""
        ...


class QuoteVerifier(Protocol):
    """Checks quotes of payouts."""

    def problem_of(self, quote: SignedQuote) -> str | None:
        """Why the quote is not one that payouts signed; None if it is."""
        ...


class InlineReader(Protocol):
    """Reads the destinations that requests name, and seals them for payouts."""

    def read(self, *, method_type: str, details: Mapping[str, str]) -> InlineDestination:
        """Check the details of a destination.

        Raises:
            InvalidRequest: the code of the method type, or ``method_type_unserved``: it is not configured for requests.
        """
        ...

    def seal(self, destination: InlineDestination, *, payout_id: UUID, now: datetime) -> SealedDestination:
        """Seal the details for payouts and for this payout.

        Raises:
            InvalidRequest: ``sealing_key_missing``: ``trust.json`` has no valid key for it.
        """
        ...


class ClosureVerifier(Protocol):
    """Checks closures of the signer."""

    def verifies(self, closure: str, *, payout_id: UUID) -> bool:
        """Whether ``closure`` is an authentic ``signing.closed`` of this payout."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutTools(Tools):
    """The dependencies of payouts' handlers that need no transaction. ``network`` is the network passphrase of intents,
    ``funding_by_asset`` the funding account of operators' payouts that name an asset only.
    """

    signer: IntentSigner
    intents: IntentVerifier
    closures: ClosureVerifier
    quotes: QuoteVerifier
    inline: InlineReader
    network: str
    intent_lifetime: timedelta
    payout_rules: PayoutRules = field(default_factory=PayoutRules)
    funding_by_asset: Mapping[str, str] = field(default_factory=dict)


class PayoutPorts(LedgerPorts, Protocol):
    """The ports that handlers of payouts use in one transaction."""

    payouts: Payouts
    methods: Methods
    assignments: Assignments
    fundings: Fundings
    batches: Batches
    withdrawals: Withdrawals
