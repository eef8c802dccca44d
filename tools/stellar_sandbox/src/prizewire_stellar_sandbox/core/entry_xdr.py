"""Entries and their keys as the XDR that getLedgerEntries and transaction meta show."""

from __future__ import annotations

from typing import Final

from stellar_sdk import xdr
from stellar_sdk.xdr import LedgerEntryType

from prizewire_stellar_sandbox.core.frames import account_id_of, asset_of
from prizewire_stellar_sandbox.core.model import (
    Account,
    AccountId,
    AccountKey,
    AnyAsset,
    Asset,
    DataEntry,
    DataKey,
    Entry,
    Key,
    Trustline,
    TrustlineKey,
)

_SHORT_CODE_BYTES: Final = 4


def account_id_to_xdr(account_id: AccountId) -> xdr.AccountID:
    """An AccountID from its raw bytes."""
    return xdr.AccountID(xdr.PublicKey(xdr.PublicKeyType.PUBLIC_KEY_TYPE_ED25519, xdr.Uint256(account_id)))


def line_asset_to_xdr(asset: Asset) -> xdr.TrustLineAsset:
    """An issued asset as a trustline names it."""
    issuer = account_id_to_xdr(asset.issuer)
    if len(asset.code) == _SHORT_CODE_BYTES:
        return xdr.TrustLineAsset(
            xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4,
            alpha_num4=xdr.AlphaNum4(xdr.AssetCode4(asset.code), issuer),
        )
    return xdr.TrustLineAsset(
        xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM12,
        alpha_num12=xdr.AlphaNum12(xdr.AssetCode12(asset.code), issuer),
    )


def key_from_xdr(key: xdr.LedgerKey) -> Key | None:
    """The key that the ledger knows; None for a kind of entry that the sandbox does not keep."""
    if key.account is not None:
        return AccountKey(account_id_of(key.account.account_id))
    if key.trust_line is not None:
        asset: AnyAsset = None
        if key.trust_line.asset.liquidity_pool_id is None:
            asset = asset_of(key.trust_line.asset)
        return None if asset is None else TrustlineKey(account_id_of(key.trust_line.account_id), asset)
    if key.data is not None:
        return DataKey(account_id_of(key.data.account_id), key.data.data_name.string64)
    return None


def key_to_xdr(key: Key) -> xdr.LedgerKey:
    """The key as XDR."""
    account_id = account_id_to_xdr(key.account_id)
    if isinstance(key, AccountKey):
        return xdr.LedgerKey(LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(account_id))
    if isinstance(key, TrustlineKey):
        return xdr.LedgerKey(
            LedgerEntryType.TRUSTLINE,
            trust_line=xdr.LedgerKeyTrustLine(account_id, line_asset_to_xdr(key.asset)),
        )
    return xdr.LedgerKey(LedgerEntryType.DATA, data=xdr.LedgerKeyData(account_id, xdr.String64(key.name)))


def entry_to_xdr(entry: Entry) -> xdr.LedgerEntryData:
    """The entry as XDR."""
    if isinstance(entry, Account):
        return xdr.LedgerEntryData(LedgerEntryType.ACCOUNT, account=_account(entry))
    if isinstance(entry, Trustline):
        return xdr.LedgerEntryData(LedgerEntryType.TRUSTLINE, trust_line=_trustline(entry))
    return xdr.LedgerEntryData(LedgerEntryType.DATA, data=_data(entry))


def _account(account: Account) -> xdr.AccountEntry:
    return xdr.AccountEntry(
        account_id=account_id_to_xdr(account.account_id),
        balance=xdr.Int64(account.balance),
        seq_num=xdr.SequenceNumber(xdr.Int64(account.sequence)),
        num_sub_entries=xdr.Uint32(account.subentries),
        inflation_dest=None if account.inflation_dest is None else account_id_to_xdr(account.inflation_dest),
        flags=xdr.Uint32(account.flags),
        home_domain=xdr.String32(account.home_domain),
        thresholds=xdr.Thresholds(account.thresholds),
        signers=[
            xdr.Signer(xdr.SignerKey.from_xdr_bytes(signer.key), xdr.Uint32(signer.weight))
            for signer in account.signers
        ],
        ext=_account_ext(account),
    )


def _account_ext(account: Account) -> xdr.AccountEntryExt:
    """An account that never used a sequence number has no extension; after that it has version 3."""
    if account.sequence_ledger == 0:
        return xdr.AccountEntryExt(0)
    v3 = xdr.AccountEntryExtensionV3(
        xdr.ExtensionPoint(0),
        xdr.Uint32(account.sequence_ledger),
        xdr.TimePoint(xdr.Uint64(account.sequence_time)),
    )
    v2 = xdr.AccountEntryExtensionV2(
        num_sponsored=xdr.Uint32(0),
        num_sponsoring=xdr.Uint32(0),
        signer_sponsoring_i_ds=[xdr.SponsorshipDescriptor(None) for _ in account.signers],
        ext=xdr.AccountEntryExtensionV2Ext(3, v3=v3),
    )
    v1 = xdr.AccountEntryExtensionV1(
        xdr.Liabilities(xdr.Int64(0), xdr.Int64(0)),
        xdr.AccountEntryExtensionV1Ext(2, v2=v2),
    )
    return xdr.AccountEntryExt(1, v1=v1)


def _trustline(line: Trustline) -> xdr.TrustLineEntry:
    return xdr.TrustLineEntry(
        account_id=account_id_to_xdr(line.account_id),
        asset=line_asset_to_xdr(line.asset),
        balance=xdr.Int64(line.balance),
        limit=xdr.Int64(line.limit),
        flags=xdr.Uint32(line.flags),
        ext=xdr.TrustLineEntryExt(0),
    )


def _data(entry: DataEntry) -> xdr.DataEntry:
    return xdr.DataEntry(
        account_id=account_id_to_xdr(entry.account_id),
        data_name=xdr.String64(entry.name),
        data_value=xdr.DataValue(entry.value),
        ext=xdr.DataEntryExt(0),
    )
