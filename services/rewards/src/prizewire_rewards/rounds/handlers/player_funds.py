"""The funds of the players whom a correction concerns, loaded and locked beforehand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from prizewire_rewards.ledger.domain.accounts import Account, Kind
from prizewire_rewards.ledger.domain.receivables import Receivable
from prizewire_rewards.payouts.domain.model import Payout, PayoutState
from prizewire_rewards.prizes.domain.model import Line, Reward, Settlement
from prizewire_rewards.prizes.domain.states import RewardState
from prizewire_rewards.rounds.ports import RoundPorts


@dataclass(slots=True)
class PlayerFunds:
    """The ``winnings`` of players, their open ``payouts``, and their unpaid debts of this round (``owed``)."""

    winnings: dict[str, int] = field(default_factory=dict)
    payouts: Sequence[Payout] = ()
    owed: dict[str, list[Receivable]] = field(default_factory=dict)

    def to_cancel(self, player: str, *, amount: int, round_id: UUID) -> list[Payout]:
        """Choose payouts to cancel: those of this round's prize, then others of the asset, the latest first, until their
        sum covers ``amount``.
        """
        mine = [payout for payout in self.payouts if payout.player == player]
        own = [payout for payout in mine if payout.round_id == round_id]
        others = [payout for payout in mine if payout.round_id != round_id]
        chosen: list[Payout] = []
        covered = 0
        for payout in [*own, *others]:
            if payout.round_id != round_id and covered >= amount:
                break
            covered += payout.amount
            if payout.state is PayoutState.REQUESTED:
                chosen.append(payout)
        return chosen


async def load_player_funds(
    settlement: Settlement,
    rewards: Sequence[Reward],
    lines: Mapping[str, Line],
    *,
    ports: RoundPorts,
    others: Collection[str] = (),
) -> PlayerFunds:
    """Lock the wallets of players who lose and the receivables of players who gain. ``others`` are players who lose another
    credit, such as an organizer's fee.

    Raises:
        Conflict: a player who loses money requested a payout meanwhile.
    """
    losing = set(others)
    gaining: set[str] = set()
    for reward in rewards:
        player = reward.line.player
        now = lines[player].amount if player in lines else 0
        if reward.state is RewardState.CREDITED and now < reward.booked:
            losing.add(player)
        elif now > reward.booked:
            gaining.add(player)
    funds = PlayerFunds()
    asset = settlement.asset
    if losing:
        funds.payouts = await ports.payouts.lock_open(losing, asset=asset)
    wallets = {Account(Kind.WINNINGS, player, asset): player for player in losing | gaining}
    if wallets and settlement.final:
        balances = await ports.ledger.lock_balances(wallets)
        if losing:
            await ports.payouts.check_none_new(losing, asset=asset, known=funds.payouts)
        funds.winnings = {player: balances.get(wallet, 0) for wallet, player in wallets.items()}
        if gaining:
            for debt in await ports.receivables.lock_of(str(settlement.round_id), players=gaining):
                funds.owed.setdefault(debt.player, []).append(debt)
    return funds
