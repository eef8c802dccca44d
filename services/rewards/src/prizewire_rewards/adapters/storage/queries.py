"""What people read: campaigns, wallets, history, payout requests, prizes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_rewards.adapters.storage.campaigns import settings_of
from prizewire_rewards.adapters.storage.claims import SqlClaims, list_claims
from prizewire_rewards.adapters.storage.compared import (
    asked_payouts,
    changed_entries,
    changed_payouts,
    changed_rounds,
)
from prizewire_rewards.adapters.storage.disownments import disownment, disownments, taken_back
from prizewire_rewards.adapters.storage.entries import list_entries
from prizewire_rewards.adapters.storage.fees import fee_balances, fee_withdrawal, fee_withdrawals
from prizewire_rewards.adapters.storage.funding import wish_of
from prizewire_rewards.adapters.storage.histories import entry_page, one_entry, statement_of
from prizewire_rewards.adapters.storage.ledger import account_id
from prizewire_rewards.adapters.storage.players import SqlPlayers
from prizewire_rewards.adapters.storage.prizes import PARTS, list_prizes
from prizewire_rewards.domain.claims import Claim
from prizewire_rewards.domain.disownments import Disownment, DisownmentState, TakenBack
from prizewire_rewards.domain.entries import ChangedEntry
from prizewire_rewards.domain.entries import Entry as RoundEntry
from prizewire_rewards.domain.fees import FeeBalance, FeeWithdrawal, WithdrawalState
from prizewire_rewards.domain.ledger import Account
from prizewire_rewards.domain.players import PlayerFacts
from prizewire_rewards.domain.statement import BUCKETS, Statement
from prizewire_rewards.domain.states import PayoutState
from prizewire_rewards.domain.views import (
    SHEET_AMOUNTS,
    AskedPayout,
    BalanceSheet,
    BookedRound,
    CampaignView,
    Entry,
    EntryFilter,
    EntryPage,
    FundingView,
    PayoutView,
    PrizePosition,
    ReceivableView,
    RewardView,
    RoundSums,
    WalletBalance,
)
from prizewire_rewards.domain.withdrawals import AutoWithdrawal


class SqlQueries:
    """Reading in one transaction. ``assets`` are the codes that a wallet may hold."""

    def __init__(self, tx: AsyncConnection, *, assets: Sequence[str]) -> None:
        self._tx = tx
        self._assets = assets

    async def campaigns(self, *, limit: int, before: tuple[datetime, UUID] | None) -> list[CampaignView]:
        """Campaigns, newest first."""
        at, campaign_id = before if before is not None else (None, None)
        rows = await self._tx.execute(_CAMPAIGNS, {"limit": limit, "at": at, "id": campaign_id, "one": None})
        return [_campaign_of(row) for row in rows]

    async def campaign(self, campaign_id: UUID) -> CampaignView | None:
        """One campaign."""
        rows = await self._tx.execute(_CAMPAIGNS, {"limit": 1, "at": None, "id": None, "one": campaign_id})
        row = rows.one_or_none()
        return None if row is None else _campaign_of(row)

    async def balance_sheet(self, campaign_id: UUID) -> BalanceSheet | None:
        """Where a campaign's money is, by the ledger."""
        row = (await self._tx.execute(_SHEET, {"id": campaign_id})).one_or_none()
        if row is None:
            return None
        amounts = {name: int(getattr(row, name)) for name in SHEET_AMOUNTS}
        return BalanceSheet(asset=row.asset, **amounts)

    async def balances(self, player: str) -> list[WalletBalance]:
        """A player's money by asset."""
        rows = await self._tx.execute(_BALANCES, {"player": player})
        return [
            WalletBalance(
                asset=row.asset,
                winnings=int(row.winnings),
                topup=int(row.topup),
                pending=int(row.pending),
                held=int(row.held),
                payout_pending=int(row.payout_pending),
                lifetime_earnings=int(row.lifetime_earnings),
                short=int(row.short),
                owed=int(row.owed),
            )
            for row in rows
        ]

    async def entries(self, wanted: EntryFilter) -> EntryPage:
        """Transfers, newest first."""
        wallets = [] if wanted.player is None else self._wallets(wanted.player, asset=wanted.asset)
        return await entry_page(self._tx, wanted, wallets=wallets)

    async def entry(self, transfer_id: UUID) -> Entry | None:
        """One transfer."""
        return await one_entry(self._tx, transfer_id)

    async def statement(
        self, *, player: str, asset: str, since: datetime, until: datetime, limit: int
    ) -> Statement | None:
        """A player's entries of a period, or None when there are more than ``limit``."""
        wallets = {bucket: account_id(Account(bucket, player, asset)) for bucket in BUCKETS}
        return await statement_of(
            self._tx, player=player, asset=asset, wallets=wallets, since=since, until=until, limit=limit
        )

    async def payouts(
        self, *, player: str | None, limit: int, before: tuple[datetime, UUID] | None, state: str | None
    ) -> list[PayoutView]:
        """Payout requests, newest first."""
        at, payout_id = before if before is not None else (None, None)
        rows = await self._tx.execute(
            _PAYOUTS, {"player": player, "limit": limit, "at": at, "id": payout_id, "state": state}
        )
        return [_payout_of(row) for row in rows]

    async def fundings(self, *, name: str | None = None) -> list[FundingView]:
        """Funding accounts with their balances, by name; or one of them."""
        rows = await self._tx.execute(_FUNDINGS, {"name": name})
        return [
            FundingView(
                name=row.name,
                asset=row.asset,
                balance=int(row.balance),
                payout_pending=int(row.payout_pending),
                created_by=row.created_by,
                created_at=row.created_at,
            )
            for row in rows
        ]

    async def fee_withdrawals(
        self, *, state: WithdrawalState | None, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[FeeWithdrawal]:
        """See the port."""
        return await fee_withdrawals(self._tx, state=state, limit=limit, before=before)

    async def fee_withdrawal(self, identifier: UUID) -> FeeWithdrawal | None:
        """See the port."""
        return await fee_withdrawal(self._tx, identifier)

    async def fee_balances(self) -> list[FeeBalance]:
        """See the port."""
        return await fee_balances(self._tx, assets=list(self._assets))

    async def disownments(
        self, *, state: DisownmentState | None, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[Disownment]:
        """See the port."""
        return await disownments(self._tx, state=state, limit=limit, before=before)

    async def disownment(self, identifier: UUID) -> Disownment | None:
        """See the port."""
        return await disownment(self._tx, identifier)

    async def taken_back(self, disownment: Disownment) -> TakenBack | None:
        """See the port."""
        return await taken_back(self._tx, disownment)

    async def round_entries(
        self, *, player: str, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[RoundEntry]:
        """A player's entries, newest first."""
        return await list_entries(self._tx, player=player, limit=limit, before=before)

    async def withdrawals(self, player: str) -> list[AutoWithdrawal]:
        """A player's wishes for automatic withdrawal, newest first."""
        return [wish_of(row) for row in await self._tx.execute(_WITHDRAWALS, {"player": player})]

    async def rewards(
        self,
        *,
        player: str | None,
        round_id: UUID | None,
        correlation_id: str | None,
        limit: int,
        after: PrizePosition | None,
    ) -> list[RewardView]:
        """Prizes, those of the round that was settled last first."""
        return await list_prizes(
            self._tx,
            player=player,
            round_id=round_id,
            correlation_id=correlation_id,
            limit=limit,
            after=after,
        )

    async def changed_rounds(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[BookedRound]:
        """Booked rounds by their last change, newest first."""
        return await changed_rounds(self._tx, since=since, before=before, limit=limit)

    async def changed_payouts(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[AskedPayout]:
        """Payouts by their last change, newest first."""
        return await changed_payouts(self._tx, since=since, before=before, limit=limit)

    async def changed_entries(
        self, *, since: datetime | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[ChangedEntry]:
        """Entries by their last change, newest first."""
        return await changed_entries(self._tx, since=since, before=before, limit=limit)

    async def asked_payouts(self, ids: Sequence[UUID]) -> list[AskedPayout]:
        """These payouts, those that were asked for."""
        return await asked_payouts(self._tx, ids)

    async def round_sums(self, ids: Sequence[UUID]) -> list[RoundSums]:
        """What is booked of these rounds."""
        rows = await self._tx.execute(_ROUND_SUMS, {"ids": list(ids)})
        return [RoundSums(**row) for row in rows.mappings()]

    async def receivables(
        self, *, player: str | None, still_open: bool, limit: int, before: tuple[datetime, UUID] | None
    ) -> list[ReceivableView]:
        """What players owe or owed, newest first."""
        at, receivable_id = before if before is not None else (None, None)
        rows = await self._tx.execute(
            _RECEIVABLES,
            {"player": player, "open": still_open, "limit": limit, "at": at, "id": receivable_id},
        )
        return [
            ReceivableView(
                id=row.id,
                player=row.player,
                asset=row.asset,
                amount=row.amount,
                open=row.open,
                recovered=row.recovered,
                written_off=row.written_off,
                lifted=row.lifted,
                restored=row.restored,
                campaign=row.campaign,
                reference=row.reference,
                correlation_id=row.correlation_id,
                opened_at=row.opened_at,
            )
            for row in rows
        ]

    async def claims(
        self,
        *,
        player: str | None,
        campaign: UUID | None,
        state: str | None,
        limit: int,
        before: tuple[datetime, UUID] | None,
    ) -> list[Claim]:
        """Claims, last opened first."""
        return await list_claims(
            self._tx, player=player, campaign=campaign, state=state, limit=limit, before=before
        )

    async def claim(self, reward_id: UUID) -> Claim | None:
        """One claim."""
        return await SqlClaims(self._tx).find(reward_id)

    async def player(self, player: str) -> PlayerFacts | None:
        """What is known of a player."""
        return await SqlPlayers(self._tx).get(player)

    def _wallets(self, player: str, *, asset: str | None) -> list[UUID]:
        assets = self._assets if asset is None else [asset]
        return [account_id(Account(bucket, player, code)) for bucket in BUCKETS for code in assets]


def _campaign_of(row: Any) -> CampaignView:
    return CampaignView(
        id=row.id,
        name=row.name,
        asset=row.asset,
        delivery=row.delivery,
        state=row.state,
        funded=row.funded,
        available=int(row.available),
        reserved=int(row.reserved),
        granted=row.granted,
        withdrawn=row.withdrawn,
        settings=settings_of(row.settings_json),
        settings_version=row.settings_version,
        unfunded_rounds=row.queued,
        created_at=row.created_at,
    )


def _payout_of(row: Any) -> PayoutView:
    return PayoutView(
        id=row.id,
        player=row.player,
        asset=row.asset,
        amount=row.amount,
        fee=row.fee,
        state=PayoutState(row.state),
        method_id=row.method_id,
        campaign=row.campaign,
        round_id=row.round_id,
        correlation_id=row.correlation_id,
        requested_at=row.requested_at,
        changed_at=row.changed_at,
        outcome=None if row.outcome_json is None else orjson.loads(row.outcome_json),
    )


# A round has a reserve while its window is open or its lines are being booked, and after that for what of it is held:
# nearly all rounds are past both, and are not looked at.
_CAMPAIGNS = text(
    "WITH shown AS (SELECT c.* FROM campaigns c WHERE (CAST(:one AS uuid) IS NULL OR c.id = :one) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (c.created_at, c.id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY c.created_at DESC, c.id DESC LIMIT :limit), "
    "keeping AS (SELECT r.id, r.campaign FROM rounds r WHERE r.campaign IN (SELECT id FROM shown) "
    "AND r.state IN ('reserved', 'booking') UNION ALL "
    "SELECT r.id, r.campaign FROM (SELECT DISTINCT round_id FROM rewards WHERE state = 'held') h "
    "JOIN rounds r ON r.id = h.round_id WHERE r.campaign IN (SELECT id FROM shown) AND r.state = 'final'), "
    "reserves AS (SELECT c.id, sum(b.balance) AS reserved FROM shown c JOIN keeping k ON k.campaign = c.id "
    "JOIN ledger_accounts b ON b.kind = 'reserved' AND b.owner = CAST(k.id AS text) AND b.asset = c.asset GROUP BY c.id) "
    "SELECT c.*, CAST(c.settings AS text) AS settings_json, coalesce(a.balance, 0) AS available, "
    "coalesce(s.reserved, 0) AS reserved FROM shown c LEFT JOIN ledger_accounts a ON a.id = c.pool "
    "LEFT JOIN reserves s ON s.id = c.id ORDER BY c.created_at DESC, c.id DESC"
)
# Which transfers are a campaign's: those whose cause is one of its rounds, or a payout that one of its prizes asked
# for. Both are found by their correlation ids; the cause ("round/ID/…", "payout/ID…") tells them from others of the
# same id; what is recovered of a debt is that of whose prize it was. The pool, the reserves and what payouts hold are the kept balances, not sums of the same transfers, so that
# a sheet whose sum is off shows when one of the two is wrong.
_SHEET = text(
    "WITH own AS (SELECT CAST(r.id AS text) AS id, r.correlation_id FROM rounds r WHERE r.campaign = :id "
    "UNION ALL SELECT CAST(b.id AS text), b.correlation_id FROM payouts b WHERE b.campaign = :id "
    "UNION ALL SELECT CAST(d.id AS text), d.correlation_id FROM receivables d WHERE d.campaign = :id), "
    "moved AS (SELECT t.type, t.debit_account, t.debit_kind, t.credit_account, t.credit_kind, t.asset, t.amount "
    "FROM (SELECT DISTINCT correlation_id FROM own) c JOIN ledger_transfers t ON t.correlation_id = c.correlation_id "
    "JOIN own ON own.id = split_part(t.cause, '/', 2) AND own.correlation_id = t.correlation_id "
    "WHERE t.type <> 'rail_fee'), "
    "leg AS (SELECT debit_account AS account, debit_kind AS kind, type, asset, -amount AS delta FROM moved "
    "UNION ALL SELECT credit_account, credit_kind, type, asset, amount FROM moved), "
    "net AS (SELECT "
    "coalesce(sum(delta) FILTER (WHERE kind = 'fees' AND type LIKE 'platform_fee%'), 0) AS platform_fees, "
    "coalesce(sum(delta) FILTER (WHERE kind = 'fees' AND type LIKE 'organizer_fee%'), 0) AS organizer_fees, "
    "coalesce(sum(delta) FILTER (WHERE kind LIKE 'wallet:%'), 0) AS wallets, "
    "coalesce(sum(delta) FILTER (WHERE kind = 'treasury'), 0) AS paid FROM leg), "
    "held AS (SELECT coalesce(sum(b.balance) FILTER (WHERE b.kind = 'reserved'), 0) AS reserved, "
    "coalesce(sum(b.balance) FILTER (WHERE b.kind = 'payout_pending'), 0) AS payout_pending "
    "FROM own JOIN ledger_accounts b ON b.kind IN ('reserved', 'payout_pending') AND b.owner = own.id) "
    "SELECT c.asset, coalesce(a.balance, 0) AS available, n.*, h.*, coalesce((SELECT k.balance FROM ledger_accounts k "
    "WHERE k.kind = 'claimable' AND k.owner = CAST(c.id AS text) AND k.asset = c.asset), 0) AS claimable, "
    "coalesce((SELECT sum(f.amount) FROM ledger_transfers f WHERE f.correlation_id = CAST(c.id AS text) "
    "AND f.type = 'campaign_funded' AND f.credit_account = c.pool), 0) AS funded, "
    "coalesce((SELECT sum(f.amount) FROM ledger_transfers f WHERE f.correlation_id = CAST(c.id AS text) "
    "AND f.type = 'campaign_withdrawn' AND f.debit_account = c.pool), 0) AS withdrawn, "
    "coalesce((SELECT sum(CASE r.state WHEN 'unfunded' THEN r.gross ELSE r.short END) FROM rounds r "
    "WHERE r.campaign = c.id AND r.queue_position IS NOT NULL), 0) AS unfunded "
    "FROM campaigns c LEFT JOIN ledger_accounts a ON a.id = c.pool CROSS JOIN net n CROSS JOIN held h "
    "WHERE c.id = :id"
)
# One walk over the player's rewards gives both what is final and what is held; who has but a held prize has no wallet yet.
_BALANCES = text(
    "WITH buckets AS (SELECT asset, "  # noqa: S608 - our own words
    "sum(balance) FILTER (WHERE kind = 'wallet:winnings') AS winnings, "
    "sum(balance) FILTER (WHERE kind = 'wallet:topup') AS topup, "
    "sum(balance) FILTER (WHERE kind = 'wallet:pending') AS pending "
    "FROM ledger_accounts WHERE owner = :player AND kind IN ('wallet:winnings', 'wallet:topup', 'wallet:pending') "
    "GROUP BY asset), waiting AS (SELECT asset, sum(amount) AS amount FROM payouts "
    "WHERE player = :player AND state IN ('requested', 'cancel_requested') GROUP BY asset), "
    "debts AS (SELECT asset, sum(open) AS owed FROM receivables WHERE player = :player AND open > 0 GROUP BY asset), "
    "prizes AS (SELECT x.asset, sum(x.booked) FILTER (WHERE x.state = 'credited') AS earned, "
    "sum(x.booked) FILTER (WHERE x.state IN ('held', 'claimable')) AS held, sum(x.missing) AS short "
    f"FROM (SELECT asset, state, {PARTS} FROM rewards x WHERE x.player = :player) x GROUP BY x.asset) "
    "SELECT asset, coalesce(b.winnings, 0) AS winnings, coalesce(b.topup, 0) AS topup, "
    "coalesce(b.pending, 0) AS pending, coalesce(p.held, 0) AS held, coalesce(w.amount, 0) AS payout_pending, "
    "coalesce(p.earned, 0) AS lifetime_earnings, coalesce(p.short, 0) AS short, coalesce(d.owed, 0) AS owed "
    "FROM buckets b FULL JOIN prizes p USING (asset) FULL JOIN waiting w USING (asset) FULL JOIN debts d USING (asset) "
    "WHERE b.asset IS NOT NULL OR p.held > 0 OR p.short > 0 OR d.owed > 0 ORDER BY asset"
)
_PAYOUTS = text(
    "SELECT p.*, CAST(p.outcome AS text) AS outcome_json FROM payouts p "
    "WHERE (CAST(:player AS text) IS NULL OR p.player = :player) "
    "AND (CAST(:state AS text) IS NULL OR p.state = :state) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (p.requested_at, p.id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY p.requested_at DESC, p.id DESC LIMIT :limit"
)
_RECEIVABLES = text(
    "SELECT * FROM receivables r WHERE (CAST(:player AS text) IS NULL OR r.player = :player) "
    "AND (NOT CAST(:open AS boolean) OR r.open > 0) "
    "AND (CAST(:at AS timestamptz) IS NULL OR (r.opened_at, r.id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))) "
    "ORDER BY r.opened_at DESC, r.id DESC LIMIT :limit"
)
_ROUND_SUMS = text(
    "SELECT d.id AS round_id, d.settlement_version, d.state, d.final, d.campaign, d.asset, d.gross, d.settled_at, "
    "s.prizes, s.prizes_total FROM rounds d CROSS JOIN LATERAL (SELECT count(*) AS prizes, "
    "CAST(coalesce(sum(x.amount), 0) AS bigint) AS prizes_total FROM rewards x "
    "WHERE x.round_id = d.id AND x.state <> 'reversed') s WHERE d.id = ANY (CAST(:ids AS uuid[])) ORDER BY d.id"
)
_FUNDINGS = text(
    "SELECT f.*, coalesce(a.balance, 0) AS balance, coalesce((SELECT sum(p.amount) FROM payouts p "
    "WHERE p.funding_account = f.name AND p.state IN ('requested', 'cancel_requested')), 0) AS payout_pending "
    "FROM funding_accounts f LEFT JOIN ledger_accounts a ON a.kind = 'funding' AND a.owner = f.name "
    "AND a.asset = f.asset WHERE CAST(:name AS text) IS NULL OR f.name = :name ORDER BY f.created_at DESC, f.name"
)
_WITHDRAWALS = text("SELECT * FROM auto_withdrawals WHERE player = :player ORDER BY created_at DESC, asset")
