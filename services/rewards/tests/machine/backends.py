"""Backends of the state machine: the ports in memory, or PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from prizewire_rewards.ledger.domain.accounts import KINDS, Account, Bound
from prizewire_rewards.ledger.storage.accounts import account_id
from prizewire_rewards.storage import Ports
from services.rewards.tests.fakes import MemoryStore
from services.rewards.tests.rig import Rig


class Backend:
    """Runs handlers in a transaction and reads the results back. ``walks`` counts the walks over this backend."""

    walks: int = 0

    def run(self, work: Callable[[Ports], Awaitable[Any]]) -> Any:
        """Run ``work`` and commit."""
        raise AssertionError("to be filled by a subclass")

    def balances(self, accounts: Sequence[Account]) -> list[int]:
        """Balances of accounts."""
        raise AssertionError("to be filled by a subclass")

    def unsound(self, asset: str) -> list[str]:
        """Errors of the whole ledger: accounts of an asset whose sum is not zero, or that exceed a bound."""
        raise AssertionError("to be filled by a subclass")

    def transfer_kinds(self) -> set[tuple[str, str]]:
        """The (debit kind, credit kind) of all transfers so far."""
        raise AssertionError("to be filled by a subclass")

    def breaches(self) -> list[str]:
        """Breaches that the service's own checks find."""
        return []


class MemoryBackend(Backend):
    """The ports in memory."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def run(self, work: Callable[[Ports], Awaitable[Any]]) -> Any:
        """Run without an event loop: the ports in memory never wait."""
        return _run_without_waiting(work, self.store.ports())

    def balances(self, accounts: Sequence[Account]) -> list[int]:
        return [self.store.ledger.balance(account) for account in accounts]

    def unsound(self, asset: str) -> list[str]:
        held = {key: balance for key, balance in self.store.ledger.balances.items() if key.asset == asset}
        total = sum(held.values())
        found = [f"all accounts sum to {total}"] if total else []
        for account, balance in held.items():
            bound = KINDS[account.kind]
            if (bound is Bound.FLOOR and balance < 0) or (bound is Bound.CEILING and balance > 0):
                found.append(f"{account} holds {balance}")
        return found

    def transfer_kinds(self) -> set[tuple[str, str]]:
        return {(one.debit.kind, one.credit.kind) for one in self.store.ledger.transfers.values()}


def _run_without_waiting(work: Callable[[Ports], Awaitable[Any]], ports: Ports) -> Any:
    async def go() -> Any:
        return await work(ports)

    running: Coroutine[None, None, Any] = go()
    try:
        running.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("something waited")


_BALANCES = "SELECT id, balance FROM ledger_balances WHERE id = ANY (CAST(:ids AS uuid[]))"
_UNSOUND = """
    SELECT format('all accounts sum to %s', sum(balance)) AS said FROM ledger_balances
    WHERE asset = :asset HAVING sum(balance) <> 0
    UNION ALL SELECT format('%s of %s holds %s', kind, owner, balance) FROM ledger_accounts
    WHERE asset = :asset AND ((bound = 'floor' AND balance < 0) OR (bound = 'ceiling' AND balance > 0))
"""
_TRANSFER_KINDS = "SELECT DISTINCT debit_kind, credit_kind FROM ledger_transfers"


class SqlBackend(Backend):
    """PostgreSQL, with an event loop of its own."""

    def __init__(self, runner: asyncio.Runner, rig: Rig) -> None:
        self.runner = runner
        self.rig = rig

    def run(self, work: Callable[[Ports], Awaitable[Any]]) -> Any:
        async def go() -> Any:
            return await self.rig.db.run(lambda tx: work(self.rig.ports_of(tx)))

        return self.runner.run(go())

    def balances(self, accounts: Sequence[Account]) -> list[int]:
        ids = [account_id(account) for account in accounts]
        found = {row["id"]: row["balance"] for row in self._rows(_BALANCES, ids=ids)}
        return [int(found.get(key, 0)) for key in ids]

    def unsound(self, asset: str) -> list[str]:
        return [row["said"] for row in self._rows(_UNSOUND, asset=asset)]

    def transfer_kinds(self) -> set[tuple[str, str]]:
        return {(row["debit_kind"], row["credit_kind"]) for row in self._rows(_TRANSFER_KINDS)}

    def breaches(self) -> list[str]:
        found: list[str] = self.runner.run(self.rig.breaches())
        return found

    def _rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.runner.run(self.rig.rows(sql, **values))
        return found
