"""HTTP: campaigns, wallets, transfers, prizes, claims, debts, players, entries, money in and out, exports, imports."""

from collections.abc import Sequence

from litestar import Controller, Router
from litestar.di import Provide

from prizewire_rewards.entrypoints.http.campaigns import CampaignController
from prizewire_rewards.entrypoints.http.claims import ClaimController
from prizewire_rewards.entrypoints.http.disownments import DisownmentController
from prizewire_rewards.entrypoints.http.entries import EntryController
from prizewire_rewards.entrypoints.http.exports import TransactionExportController, WalletExportController
from prizewire_rewards.entrypoints.http.fees import FeeController, FeeWithdrawalController
from prizewire_rewards.entrypoints.http.front import Front
from prizewire_rewards.entrypoints.http.funding import FundingController, OperatorPayoutController
from prizewire_rewards.entrypoints.http.held import HeldController
from prizewire_rewards.entrypoints.http.imports import ImportController
from prizewire_rewards.entrypoints.http.listing import provide_history, provide_paging
from prizewire_rewards.entrypoints.http.players import PlayerController
from prizewire_rewards.entrypoints.http.receivables import ReceivableController
from prizewire_rewards.entrypoints.http.rounds import AskedPayoutController, RoundController
from prizewire_rewards.entrypoints.http.transactions import RewardController, TransactionController
from prizewire_rewards.entrypoints.http.wallets import WalletController
from prizewire_rewards.entrypoints.http.withdrawals import WithdrawalController

__all__ = ["Front", "build_routes"]


def build_routes(front: Front) -> Router:
    """Every route of this service."""
    controllers: Sequence[type[Controller]] = (
        CampaignController,
        WalletController,
        TransactionController,
        RewardController,
        RoundController,
        AskedPayoutController,
        DisownmentController,
        HeldController,
        EntryController,
        WithdrawalController,
        FundingController,
        OperatorPayoutController,
        FeeController,
        FeeWithdrawalController,
        ReceivableController,
        ClaimController,
        PlayerController,
        WalletExportController,
        TransactionExportController,
        ImportController,
    )
    return Router(
        path="/",
        route_handlers=controllers,
        dependencies={
            "front": Provide(lambda: front, sync_to_thread=False),
            "history": Provide(provide_history, sync_to_thread=False),
            "paging": Provide(provide_paging, sync_to_thread=False),
        },
    )
