"""The header and the meta of the latest ledger, as getLatestLedger shows them.

The header is real XDR with the real numbers; the hashes in it are stand-ins, since nobody hashes the chain of
empty ledgers: each ledger's own hash is that of its header, the previous one's is derived from its number.
"""

from __future__ import annotations

import hashlib
from typing import Final

from stellar_sdk import xdr

from prizewire_stellar_sandbox.core.model import PROTOCOL_VERSION, LedgerHeader

_NO_HASH: Final = b"\0" * 32
_OPERATIONS_MAX: Final = 1000
_META_VERSION: Final = 2


def header_xdr(header: LedgerHeader, *, network_id: bytes) -> xdr.LedgerHeader:
    """The LedgerHeader."""
    previous = hashlib.sha256(network_id + (header.sequence - 1).to_bytes(4, "big")).digest()
    return xdr.LedgerHeader(
        ledger_version=xdr.Uint32(PROTOCOL_VERSION),
        previous_ledger_hash=xdr.Hash(previous),
        scp_value=xdr.StellarValue(
            tx_set_hash=xdr.Hash(_NO_HASH),
            close_time=xdr.TimePoint(xdr.Uint64(header.close_time)),
            upgrades=[],
            ext=xdr.StellarValueExt(xdr.StellarValueType.STELLAR_VALUE_BASIC),
        ),
        tx_set_result_hash=xdr.Hash(_NO_HASH),
        bucket_list_hash=xdr.Hash(_NO_HASH),
        ledger_seq=xdr.Uint32(header.sequence),
        total_coins=xdr.Int64(header.total_coins),
        fee_pool=xdr.Int64(header.fee_pool),
        inflation_seq=xdr.Uint32(0),
        id_pool=xdr.Uint64(0),
        base_fee=xdr.Uint32(header.base_fee),
        base_reserve=xdr.Uint32(header.base_reserve),
        max_tx_set_size=xdr.Uint32(_OPERATIONS_MAX),
        skip_list=[xdr.Hash(_NO_HASH)] * 4,
        ext=xdr.LedgerHeaderExt(0),
    )


def close_meta(header: xdr.LedgerHeader) -> xdr.LedgerCloseMeta:
    """A LedgerCloseMeta around the header, without transactions: those are asked for one by one."""
    hash_ = hashlib.sha256(header.to_xdr_bytes()).digest()
    return xdr.LedgerCloseMeta(
        _META_VERSION,
        v2=xdr.LedgerCloseMetaV2(
            ext=xdr.LedgerCloseMetaExt(0),
            ledger_header=xdr.LedgerHeaderHistoryEntry(
                xdr.Hash(hash_), header, xdr.LedgerHeaderHistoryEntryExt(0)
            ),
            tx_set=xdr.GeneralizedTransactionSet(
                1, v1_tx_set=xdr.TransactionSetV1(header.previous_ledger_hash, [])
            ),
            tx_processing=[],
            upgrades_processing=[],
            scp_info=[],
            total_byte_size_of_live_soroban_state=xdr.Uint64(0),
            evicted_keys=[],
        ),
    )
