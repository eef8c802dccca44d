"""A scene of many matches whose prizes stay in wallets, and the expected balances in settlement and rewards."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from prizewire_devstack.stack import RunningStack
from tests.scene import PRIZES, Scene

CORE = ("settlement", "rewards")


@dataclass
class Crowd(Scene):
    """A scene whose prizes stay in wallets: no player has a payout method."""

    delivery: str = "wallet"

    def set_up(self, **rule: object) -> None:
        """Make campaign and competition; the players need no accounts."""
        self.addresses = {}
        super().set_up(**rule)

    def earned(self, numbers: Iterable[int]) -> Counter[str]:
        """The prizes of these matches for each player, in cents."""
        due: Counter[str] = Counter()
        for number in numbers:
            for player, prize in zip(self.match(number)[1], PRIZES, strict=True):
                due[player] += int(prize.replace(".", ""))
        return due

    def credited(self) -> int:
        """The number of credits to players of this scene in the ledger."""
        return int(
            self.stack.postgres.run_sql(
                "SELECT count(*) FROM ledger_transfers t JOIN ledger_accounts a ON a.id = t.credit_account "
                f"WHERE t.type = 'prize_credited' AND a.owner LIKE '{self.name}-%'",
                database="rewards",
            )
        )

    def wallets(self) -> Counter[str]:
        """Winnings of each player in cents."""
        printed = self.stack.postgres.run_sql(
            "SELECT owner || ' ' || balance FROM ledger_accounts "
            f"WHERE kind = 'wallet:winnings' AND owner LIKE '{self.name}-%' AND balance > 0",
            database="rewards",
        )
        return Counter(
            {owner: int(cents) for owner, cents in (line.split() for line in printed.splitlines())}
        )


def books(stack: RunningStack) -> dict[str, int]:
    """The number of rows of the core's tables: a change is an effect."""
    tables = {
        "settlement": ("rounds", "settlements", "settlement_lines", "round_transitions", "outbox"),
        "rewards": ("rounds", "rewards", "ledger_transfers", "transitions", "outbox"),
    }
    return {
        f"{service}.{table}": int(stack.postgres.run_sql(f"SELECT count(*) FROM {table}", database=service))
        for service, names in tables.items()
        for table in names
    }


def stuck(stack: RunningStack) -> dict[str, int]:
    """The number of stuck events of each service of the core."""
    return {
        service: int(
            stack.postgres.run_sql(
                "SELECT count(*) FROM stuck_events WHERE state IN ('dead', 'parked')", database=service
            )
        )
        for service in CORE
    }
