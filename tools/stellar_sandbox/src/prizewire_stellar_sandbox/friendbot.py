"""Friendbot: new accounts out of the root's XLM, by real transactions.

Requests that come together share one transaction (up to 100 operations), so that a hundred players have their
accounts within a ledger or two.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from stellar_sdk import (
    Account as SourceAccount,
)
from stellar_sdk import (
    Asset,
    StrKey,
    TransactionBuilder,
)

from prizewire_stellar_sandbox.core.model import Account, AccountId, AccountKey
from prizewire_stellar_sandbox.core.queue import Status
from prizewire_stellar_sandbox.node import Node
from prizewire_stellar_sandbox.storage import StoredTransaction

STARTING_STROOPS: Final = 10_000 * 10_000_000
"""What a funded account holds, as the test network's friendbot gives: 10,000 XLM."""

_OPERATIONS_MAX: Final = 100
_ATTEMPTS_MAX: Final = 10
_GATHER_S: Final = 0.02


class NotFunded(RuntimeError):
    """Friendbot gave nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Funding:
    """The transaction that funded an account."""

    hash: bytes
    transaction: StoredTransaction


class Friendbot:
    """Funds accounts, many at a time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._waiting: dict[AccountId, list[asyncio.Future[Funding]]] = {}
        self._work = asyncio.Event()

    async def fund(self, account_id: AccountId) -> Funding:
        """Create the account, or fill it up to the starting balance.

        Raises:
            NotFunded: it has that much already, or the root cannot pay.
        """
        future: asyncio.Future[Funding] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, []).append(future)
        self._work.set()
        return await future

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            await self._work.wait()
            await asyncio.sleep(_GATHER_S)
            batch = list(self._waiting)[:_OPERATIONS_MAX]
            futures = {account_id: self._waiting.pop(account_id) for account_id in batch}
            if not self._waiting:
                self._work.clear()
            try:
                await self._serve(futures)
            except NotFunded as error:
                for waiting in futures.values():
                    _fail(waiting, error)

    async def _serve(self, futures: dict[AccountId, list[asyncio.Future[Funding]]]) -> None:
        for _attempt in range(_ATTEMPTS_MAX):
            for account_id in [one for one in futures if self._missing(one) <= 0]:
                error = NotFunded("account already funded to starting balance")
                _fail(futures.pop(account_id), error)
            if not futures:
                return
            funding = await self._pay(list(futures))
            if funding is not None:
                for waiting in futures.values():
                    for future in waiting:
                        if not future.done():
                            future.set_result(funding)
                return
        raise NotFunded(
            "the root account's transactions are not applied: check whether another client uses its key"
        )

    def _missing(self, account_id: AccountId) -> int:
        return STARTING_STROOPS - self._balance(account_id)

    def _balance(self, account_id: AccountId) -> int:
        entry = self._node.storage.entries.get(AccountKey(account_id))
        return entry.balance if isinstance(entry, Account) else 0

    async def _pay(self, account_ids: list[AccountId]) -> Funding | None:
        """One try. None if it was not to be: then the accounts are looked at again."""
        root = self._node.root
        entry = self._node.storage.entries.get(AccountKey(root.raw_public_key()))
        if not isinstance(entry, Account):
            raise NotFunded("the root account no longer exists")
        builder = TransactionBuilder(
            SourceAccount(root.public_key, entry.sequence), self._node.passphrase
        ).add_time_bounds(0, 0)
        for account_id in account_ids:
            address = StrKey.encode_ed25519_public_key(account_id)
            missing = self._missing(account_id)
            amount = f"{missing // 10_000_000}.{missing % 10_000_000:07d}"
            if self._balance(account_id):
                builder.append_payment_op(address, Asset.native(), amount)
            else:
                builder.append_create_account_op(address, amount)
        envelope = builder.build()
        envelope.sign(root)
        since = self._node.latest().sequence
        frame, admission = self._node.submit(envelope.to_xdr_object().to_xdr_bytes())
        if admission.status not in (Status.PENDING, Status.DUPLICATE, Status.TRY_AGAIN_LATER):
            raise NotFunded(f"the root account's transaction was refused: {admission.error!r}")
        await self._node.wait_for_close(since=since)
        found = self._node.transaction(frame.hash)
        return Funding(frame.hash, found) if found is not None and found.succeeded else None


def _fail(waiting: list[asyncio.Future[Funding]], error: NotFunded) -> None:
    for future in waiting:
        if not future.done():
            future.set_exception(NotFunded(*error.args))
