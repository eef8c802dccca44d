"""TransactionMeta XDR (version 4, since protocol 23): what a transaction changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from stellar_sdk import xdr
from stellar_sdk.xdr import LedgerEntryChangeType as ChangeType

from prizewire_stellar_sandbox.core.entry_xdr import entry_to_xdr, key_to_xdr
from prizewire_stellar_sandbox.core.model import Entry, Key

Difference: TypeAlias = tuple[Key, Entry | None, Entry | None]

_META_VERSION: Final = 4


def transaction_meta(
    *,
    ledger: int,
    before: Sequence[Difference],
    operations: Sequence[Sequence[Difference]],
) -> bytes:
    """The meta of a transaction applied in the ledger.

    ``before`` is what happened ahead of the operations (the sequence number, used-up signers); ``operations`` is
    empty when the transaction failed.
    """
    v4 = xdr.TransactionMetaV4(
        ext=xdr.ExtensionPoint(0),
        tx_changes_before=_changes(before, ledger),
        operations=[
            xdr.OperationMetaV2(xdr.ExtensionPoint(0), _changes(differences, ledger), [])
            for differences in operations
        ],
        tx_changes_after=xdr.LedgerEntryChanges([]),
        soroban_meta=None,
        events=[],
        diagnostic_events=[],
    )
    return xdr.TransactionMeta(_META_VERSION, v4=v4).to_xdr_bytes()


def _changes(differences: Sequence[Difference], ledger: int) -> xdr.LedgerEntryChanges:
    changes: list[xdr.LedgerEntryChange] = []
    for key, before, after in differences:
        if before is not None:
            changes.append(
                xdr.LedgerEntryChange(
                    ChangeType.LEDGER_ENTRY_STATE, state=_entry(before, before.modified_ledger)
                )
            )
        if after is None:
            changes.append(xdr.LedgerEntryChange(ChangeType.LEDGER_ENTRY_REMOVED, removed=key_to_xdr(key)))
        elif before is None:
            changes.append(
                xdr.LedgerEntryChange(ChangeType.LEDGER_ENTRY_CREATED, created=_entry(after, ledger))
            )
        else:
            changes.append(
                xdr.LedgerEntryChange(ChangeType.LEDGER_ENTRY_UPDATED, updated=_entry(after, ledger))
            )
    return xdr.LedgerEntryChanges(changes)


def _entry(entry: Entry, ledger: int) -> xdr.LedgerEntry:
    return xdr.LedgerEntry(xdr.Uint32(ledger), entry_to_xdr(entry), xdr.LedgerEntryExt(0))
