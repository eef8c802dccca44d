"""What people read; nothing is decided from it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from prizewire_rewards.domain.claims import Claim
from prizewire_rewards.domain.entries import ChangedEntry
from prizewire_rewards.domain.players import PlayerFacts
from prizewire_rewards.domain.statement import Statement
from prizewire_rewards.domain.views import (
    AskedPayout,
    BalanceSheet,
    BookedRound,
    CampaignView,
    Entry,
    EntryFilter,
    EntryPage,
    PayoutView,
    PrizePosition,
    ReceivableView,
    RewardView,
    RoundSums,
    WalletBalance,
)
from prizewire_rewards.ports.disownments import DisownmentQueries
from prizewire_rewards.ports.fees import FeeQueries
from prizewire_rewards.ports.money import MoneyQueries


class Queries(MoneyQueries, FeeQueries, DisownmentQueries, Protocol):
    """What people read. Nothing is decided from it."""

    async def campaigns(self, *, limit: int, before: tuple[datetime, UUID] | None) -> list[CampaignView]:
        """Campaigns, newest first, those before a (creation time, id)."""
        ...

    async def campaign(self, campaign_id: UUID) -> CampaignView | None:
        """One campaign."""
        ...

    async def balance_sheet(self, campaign_id: UUID) -> BalanceSheet | None:
        """Where a campaign's money is."""
        ...

    async def balances(self, player: str) -> list[WalletBalance]:
        """A player's money by asset, in order of codes; assets that they never had are left out."""
        ...

    async def entries(self, wanted: EntryFilter) -> EntryPage:
        """Transfers, newest first."""
        ...

    async def entry(self, transfer_id: UUID) -> Entry | None:
        """One transfer."""
        ...

    async def statement(
        self, *, player: str, asset: str, since: datetime, until: datetime, limit: int
    ) -> Statement | None:
        """A player's entries of a period, or None when there are more than ``limit``. Asked first in a transaction."""
        ...

    async def payouts(
        self, *, player: str | None, limit: int, before: tuple[datetime, UUID] | None, state: str | None
    ) -> list[PayoutView]:
        """Payout requests, newest first."""
        ...

    async def rewards(
        self,
        *,
        player: str | None,
        round_id: UUID | None,
        correlation_id: str | None,
        limit: int,
        after: PrizePosition | None,
    ) -> list[RewardView]:
        """Prizes of the round that was settled last first, by round and line, those after a position."""
        ...

    async def changed_rounds(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[BookedRound]:
        """Booked rounds that changed at ``since`` or later, the last change first, those before a (time, id)."""
        ...

    async def changed_payouts(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[AskedPayout]:
        """Payouts that changed at ``since`` or later, the last change first, those before a (time, id)."""
        ...

    async def changed_entries(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[ChangedEntry]:
        """Entries that changed at ``since`` or later, the last change first, those before a (time, id)."""
        ...

    async def asked_payouts(self, ids: Sequence[UUID]) -> list[AskedPayout]:
        """These payouts, those that were asked for."""
        ...

    async def round_sums(self, ids: Sequence[UUID]) -> list[RoundSums]:
        """What is booked of these rounds, those that are."""
        ...

    async def claims(
        self,
        *,
        player: str | None,
        campaign: UUID | None,
        state: str | None,
        limit: int,
        before: tuple[datetime, UUID] | None,
    ) -> list[Claim]:
        """Claims, last opened first, those before a (time, prize id)."""
        ...

    async def claim(self, reward_id: UUID) -> Claim | None:
        """One claim."""
        ...

    async def player(self, player: str) -> PlayerFacts | None:
        """What is known of a player."""
        ...

    async def receivables(
        self, *, player: str | None, still_open: bool, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[ReceivableView]:
        """What players owe or owed, newest first, those before an (opening time, id)."""
        ...
