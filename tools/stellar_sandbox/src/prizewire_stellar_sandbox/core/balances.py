"""Reserves and balances: what an account must keep, and whether an amount fits."""

from __future__ import annotations

from dataclasses import replace

from stellar_sdk.xdr import OperationResultCode

from prizewire_stellar_sandbox.core.model import (
    ACCOUNT_SUBENTRIES_MAX,
    INT64_MAX,
    Account,
    LedgerHeader,
    Trustline,
)
from prizewire_stellar_sandbox.core.view import View


def minimum_balance(*, account: Account, header: LedgerHeader) -> int:
    """The stroops that the account may not fall below: two base reserves, and one for each subentry."""
    return (2 + account.subentries) * header.base_reserve


def available_balance(*, account: Account, header: LedgerHeader) -> int:
    """The stroops above the reserve. Negative where fees ate into it."""
    return account.balance - minimum_balance(account=account, header=header)


def take_native(*, view: View, account: Account, header: LedgerHeader, amount: int) -> bool:
    """Subtract from an account, unless it would fall below its reserve."""
    if available_balance(account=account, header=header) < amount:
        return False
    view.put(replace(account, balance=account.balance - amount))
    return True


def give_native(*, view: View, account: Account, amount: int) -> bool:
    """Add to an account, unless its balance would no longer fit into 64 bits."""
    if account.balance > INT64_MAX - amount:
        return False
    view.put(replace(account, balance=account.balance + amount))
    return True


def change_line(*, view: View, line: Trustline, amount: int) -> bool:
    """Add to (or, negative, subtract from) a trustline, unless it would leave 0..limit."""
    balance = line.balance + amount
    if not 0 <= balance <= line.limit:
        return False
    view.put(replace(line, balance=balance))
    return True


def reserve_subentry(
    *, view: View, account: Account, header: LedgerHeader, low_reserve: object
) -> object | None:
    """Count one more subentry on the account.

    Returns:
        None when it is done; ``low_reserve`` (the operation's own code) or opTOO_MANY_SUBENTRIES when not.
    """
    if account.subentries >= ACCOUNT_SUBENTRIES_MAX:
        return OperationResultCode.opTOO_MANY_SUBENTRIES
    if available_balance(account=account, header=header) < header.base_reserve:
        return low_reserve
    view.put(replace(account, subentries=account.subentries + 1))
    return None
