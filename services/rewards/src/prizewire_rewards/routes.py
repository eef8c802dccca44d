"""The HTTP routes of all features."""

from collections.abc import Sequence
from typing import Protocol

from litestar import Controller, Router
from litestar.di import Provide

from prizewire_rewards.assignments.http import AssignmentController
from prizewire_rewards.campaigns.http.campaigns import CampaignController
from prizewire_rewards.claims.http import ClaimController
from prizewire_rewards.entries.http import EntryController
from prizewire_rewards.fees.http import FeeController, FeeWithdrawalController
from prizewire_rewards.http.context import Context
from prizewire_rewards.ledger.http import ReceivableController
from prizewire_rewards.payouts.http.batches import BatchController
from prizewire_rewards.payouts.http.funding import FundingController, OperatorPayoutController
from prizewire_rewards.payouts.http.withdrawals import WithdrawalController
from prizewire_rewards.players.http import PlayerController
from prizewire_rewards.prizes.http import RewardController
from prizewire_rewards.rounds.http.disownments import DisownmentController
from prizewire_rewards.rounds.http.held import HeldController
from prizewire_rewards.rounds.http.rounds import AskedPayoutController, RoundController
from prizewire_rewards.rounds.ports import RoundPorts, RoundTools
from prizewire_rewards.wallets.http.exports import TransactionExportController, WalletExportController
from prizewire_rewards.wallets.http.imports import ImportController
from prizewire_rewards.wallets.http.listing import provide_history, provide_paging
from prizewire_rewards.wallets.http.transactions import TransactionController
from prizewire_rewards.wallets.http.wallets import WalletController
from prizewire_rewards.wallets.ports import WalletPorts


class RoutePorts(RoundPorts, WalletPorts, Protocol):
    """The ports that the handlers of all routes use in one transaction."""


def build_routes(context: Context[RoutePorts, RoundTools]) -> Router:
    """The router with every route of this service."""
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
        BatchController,
        AssignmentController,
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
            "context": Provide(lambda: context, sync_to_thread=False),
            "history": Provide(provide_history, sync_to_thread=False),
            "paging": Provide(provide_paging, sync_to_thread=False),
        },
    )
