"""What the routes for people and tests show: the ledger's state as plain JSON, addresses instead of bytes.

Amounts are stroops as strings; assets are ``native`` or ``CODE:ISSUER``.
"""

from __future__ import annotations

import base64
from typing import Any

from stellar_sdk import MuxedAccount, StrKey, xdr

from prizewire_stellar_sandbox.core.frames import decode
from prizewire_stellar_sandbox.core.model import Account, AccountId, AccountKey, AnyAsset
from prizewire_stellar_sandbox.friendbot import Funding
from prizewire_stellar_sandbox.node import Node
from prizewire_stellar_sandbox.storage import StoredPayment


def address(account_id: AccountId) -> str:
    """The G… address."""
    return StrKey.encode_ed25519_public_key(account_id)


def asset_name(asset: AnyAsset) -> str:
    """``native`` or ``CODE:ISSUER``."""
    if asset is None:
        return "native"
    return f"{asset.code.rstrip(bytes(1)).decode()}:{address(asset.issuer)}"


def ledger_summary(node: Node) -> dict[str, Any]:
    """The state of the network."""
    header = node.header()
    return {
        "sequence": header.sequence,
        "closeTime": header.close_time,
        "oldest": node.range().oldest.sequence,
        "passphrase": node.passphrase,
        "root": node.root.public_key,
        "feePool": str(header.fee_pool),
        "totalCoins": str(header.total_coins),
        "queued": len(node.queue),
        **node.storage.counts(),
    }


def account_view(node: Node, account_id: AccountId) -> dict[str, Any] | None:
    """An account with its trustlines, data and signers."""
    account = node.storage.entries.get(AccountKey(account_id))
    if not isinstance(account, Account):
        return None
    lines = node.storage.entries.trustlines_of(account_id)
    master, low, medium, high = account.thresholds
    return {
        "id": address(account_id),
        "sequence": str(account.sequence),
        "subentries": account.subentries,
        "flags": account.flags,
        "homeDomain": account.home_domain.decode("ascii"),
        "thresholds": {"master": master, "low": low, "medium": medium, "high": high},
        "signers": [{"key": signer_name(signer.key), "weight": signer.weight} for signer in account.signers],
        "balances": {
            "native": str(account.balance),
            **{asset_name(line.asset): str(line.balance) for line in lines},
        },
        "trustlines": [
            {
                "asset": asset_name(line.asset),
                "balance": str(line.balance),
                "limit": str(line.limit),
                "authorized": line.authorized,
            }
            for line in lines
        ],
        "data": {
            entry.name.decode("ascii"): base64.b64encode(entry.value).decode()
            for entry in node.storage.entries.data_of(account_id)
        },
        "lastModifiedLedger": account.modified_ledger,
    }


def signer_name(key: bytes) -> str:
    """A signer's key as its address (G…, T…, X… or P…)."""
    signer = xdr.SignerKey.from_xdr_bytes(key)
    if signer.ed25519 is not None:
        return StrKey.encode_ed25519_public_key(signer.ed25519.uint256)
    if signer.pre_auth_tx is not None:
        return StrKey.encode_pre_auth_tx(signer.pre_auth_tx.uint256)
    if signer.hash_x is not None:
        return StrKey.encode_sha256_hash(signer.hash_x.uint256)
    return StrKey.encode_ed25519_signed_payload(key[4:])


def payment_view(payment: StoredPayment) -> dict[str, Any]:
    """One payment that was applied."""
    transfer = payment.transfer
    muxed = transfer.recipient_mux
    return {
        "id": payment.id,
        "ledger": payment.ledger,
        "tx_hash": payment.hash.hex(),
        "op_index": transfer.operation_index,
        "type": transfer.kind,
        "from": address(transfer.sender),
        "to": address(transfer.recipient),
        "to_muxed": None if muxed is None else MuxedAccount(address(transfer.recipient), muxed).account_muxed,
        "asset": asset_name(transfer.asset),
        "amount": str(transfer.amount),
        "memo_type": payment.memo_type,
        "memo": _memo_text(payment),
    }


def _memo_text(payment: StoredPayment) -> str | None:
    """Text and ids as they are, hashes as hex."""
    if payment.memo is None:
        return None
    if payment.memo_type in ("hash", "return"):
        return payment.memo.hex()
    return payment.memo.decode("utf-8", "replace")


def funding_view(node: Node, funding: Funding) -> dict[str, Any]:
    """Friendbot's answer: the funding transaction as Horizon describes it."""
    found = funding.transaction
    frame = decode(found.envelope, network_id=node.network_id)
    return {
        "id": funding.hash.hex(),
        "hash": funding.hash.hex(),
        "successful": found.succeeded,
        "ledger": found.ledger,
        "source_account": address(frame.source),
        "source_account_sequence": str(frame.sequence),
        "fee_account": address(frame.fee_source),
        "fee_charged": str(found.fee),
        "max_fee": str(frame.fee),
        "operation_count": frame.inner.operation_count,
        "envelope_xdr": base64.b64encode(found.envelope).decode(),
        "result_xdr": base64.b64encode(found.result).decode(),
        "result_meta_xdr": base64.b64encode(found.meta).decode(),
        "memo_type": "none",
        "signatures": [base64.b64encode(one.signature).decode() for one in frame.signatures],
    }
