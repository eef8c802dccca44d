"""``/api/transactions``."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http.answers import PageOf
from prizewire_rewards.http.codes import STATUSES
from prizewire_rewards.http.context import OVERSEERS
from prizewire_rewards.wallets.domain.history import HistoryEntry
from prizewire_rewards.wallets.http.listing import (
    PAGE_REFUSALS,
    HistoryPage,
    HistoryQuery,
    WalletContext,
    ledger_page,
    ledger_transfer,
    player_page,
    player_transfer,
)
from prizewire_rewards.wallets.http.transfer_answers import LedgerTransferAnswer, PlayerTransferAnswer
from prizewire_rewards.wallets.storage.histories import find_entry


class TransactionController(Controller):
    """Transfers: a player's own, and for admins all."""

    path = "/api/transactions"
    tags = ["transactions"]  # noqa: RUF012 - Litestar reads a plain list

    @get("/my", guards=[require()], summary="My history, newest first", refusals={400: PAGE_REFUSALS})
    async def mine(
        self,
        *,
        context: NamedDependency[WalletContext],
        request: Request[Principal, Any, Any],
        history: HistoryQuery,
        paging: HistoryPage,
    ) -> PageOf[PlayerTransferAnswer]:
        """Entries of the caller's wallets, of all buckets and assets."""
        return await player_page(context, history, paging, player=request.user.player)

    @get(
        ["/all", "/admin/all"],
        guards=[require(Role.ADMIN)],
        summary="Every transfer, newest first; or one player's",
        refusals={400: PAGE_REFUSALS},
    )
    async def everything(
        self,
        *,
        context: NamedDependency[WalletContext],
        history: HistoryQuery,
        paging: HistoryPage,
        player: FromQuery[str | None] = None,
    ) -> PageOf[LedgerTransferAnswer]:
        """Each transfer with both accounts; with `player` also the side of that player."""
        return await ledger_page(context, history, paging, player=player)

    @get(
        "/{transfer_id:uuid}",
        guards=[require()],
        summary="One transfer",
        refusals=STATUSES.refusals("transfer_unknown"),
    )
    async def one(
        self,
        *,
        context: NamedDependency[WalletContext],
        transfer_id: FromPath[UUID],
        request: Request[Principal, Any, Any],
    ) -> PlayerTransferAnswer | LedgerTransferAnswer:
        """A transfer of the caller's wallets, as the player sees it. Operators and admins see every transfer, with both accounts."""
        entry = await context.read(lambda tx: find_entry(tx, transfer_id))
        overseer = request.user.has(*OVERSEERS)
        if entry is None or not (overseer or _concerns(entry, request.user.player)):
            raise STATUSES.refuse("transfer_unknown", f"there is no transfer {transfer_id}")
        if overseer:
            return ledger_transfer(context.amounts, entry, player=None)
        return player_transfer(context.amounts, entry, player=request.user.player)


def _concerns(entry: HistoryEntry, player: str) -> bool:
    """Whether debit or credit account is a wallet of the player."""
    return any(
        owner == player and kind.startswith("wallet:")
        for kind, owner in (
            (entry.debit_kind, entry.debit_owner),
            (entry.credit_kind, entry.credit_owner),
        )
    )
