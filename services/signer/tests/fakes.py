"""Test data for the signer: keys from hashed labels, transactions, intents and approvals that fit, and changed ones as
an attacker would send them.
"""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from stellar_sdk import (
    Account,
    Asset,
    BumpSequence,
    Keypair,
    MuxedAccount,
    Operation,
    Payment,
    TextMemo,
    TransactionBuilder,
    TransactionEnvelope,
)

from prizewire_chassis.testing import make_key, make_trust
from prizewire_contracts.canonical import canonical_bytes
from prizewire_contracts.events.signing import (
    CloseRequested,
    SigningItem,
    SigningRequested,
    SlotClosed,
    SlotRef,
)
from prizewire_contracts.ids import NAMESPACE, slot_id
from prizewire_contracts.intents import AllowedWay, Approval, Intent
from prizewire_contracts.trust import MessageKey
from prizewire_money import AssetRegistry
from prizewire_signer.adapters.backends import verify
from prizewire_signer.adapters.backends.hot_key import HotKeys, open_hot_keys
from prizewire_signer.adapters.policy_file import default_policy
from prizewire_signer.adapters.stellar import StellarTransactions
from prizewire_signer.domain.model import ChainAsset, Policy, Rules
from prizewire_signer.domain.states import WorkState
from prizewire_signer.handlers.signing import SigningContext
from prizewire_signer.messages.requests import TrustedRequests
from prizewire_signer.ports import Backend, Work

NETWORK = "Prizewire Test Network ; January 2030"
NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
MARGIN_S = 60
"""``free_margin_s`` of the default policy."""
SEQUENCE = 4_611_686_018_427_387_905
"""Above 2^53 on purpose: sequence numbers of real accounts are."""


def keypair(label: str) -> Keypair:
    """The chain key of a label, the same at every run."""
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(f"test {label}".encode()).digest())


TREASURY = keypair("treasury")
CHANNELS = tuple(keypair(f"channel {number}") for number in range(4))
ISSUER = keypair("issuer")
ATTACKER = keypair("attacker")
USDC = Asset("USDC", ISSUER.public_key)
ASSETS = AssetRegistry.from_mapping(
    {
        "USDC": {"decimals": 2, "redeemable": True},
        "XLM": {"decimals": 7, "redeemable": True},
        "SEASON": {"decimals": 0, "redeemable": False},
    }
)
CHAIN_ASSETS = {
    "USDC": ChainAsset(code="USDC", issuer=ISSUER.public_key),
    "XLM": ChainAsset(code=None, issuer=None),
    "SEASON": ChainAsset(code="SEASON", issuer=ISSUER.public_key),
}
CHAIN_CODES = {"USDC": USDC, "XLM": Asset.native(), "SEASON": Asset("SEASON", ISSUER.public_key)}


def payout_id(label: str | int) -> UUID:
    """The payout id of a label."""
    return uuid5(NAMESPACE, f"test payout {label}")


def recipient(label: str | int) -> str:
    """The address of a label's player."""
    return keypair(f"player {label}").public_key


def intent(label: str | int, **changes: Any) -> Intent:
    """The intent of a label's payout: 12.50 USDC to the label's player."""
    destination = changes.pop("destination", None) or recipient(label)
    memo = changes.pop("memo", None)
    most = changes.pop("amount_max", None) or changes.get("pay_amount", "12.50")
    fields: dict[str, Any] = {
        "v": 2,
        "network": NETWORK,
        "payout_id": str(payout_id(label)),
        "correlation_id": f"match-{label}",
        "player": f"player-{label}",
        "campaign": str(payout_id("campaign")),
        "competition": "spring-cup",
        "source": "/games/arena",
        "quote": None,
        "funding_account": None,
        "debit_asset": "USDC",
        "debit_amount": "12.50",
        "pay_asset": "USDC",
        "pay_amount": "12.50",
        "allowed": (AllowedWay(rail="stellar", destination=destination, memo=memo, amount_max=most),),
        "issued_at": NOW_S - 60,
        "expires_at": NOW_S + 86_400,
        "key_id": "rewards-1",
        **changes,
    }
    return Intent(**fields)


def payment_of(of: Intent, **changes: Any) -> Payment:
    """The operation that an intent asks for."""
    fields: dict[str, Any] = {
        "destination": MuxedAccount.from_account(of.allowed[0].destination or ""),
        "asset": CHAIN_CODES[of.pay_asset],
        "amount": of.pay_amount,
        "source": TREASURY.public_key,
        **changes,
    }
    return Payment(**fields)


def transaction(
    operations: Sequence[Operation],
    *,
    source: str = CHANNELS[0].public_key,
    sequence: int = SEQUENCE,
    memo: str | None = None,
    network: str = NETWORK,
    min_time: int = 0,
    max_time: int | None = NOW_S + 300,
    fee_each: int = 200,
) -> TransactionEnvelope:
    """An unsigned transaction; without ``max_time`` it has no time bounds."""
    builder = TransactionBuilder(Account(source, sequence - 1), network, base_fee=fee_each)
    for operation in operations:
        builder.append_operation(operation)
    if memo is not None:
        builder.add_memo(TextMemo(memo))
    if max_time is not None:
        builder.add_time_bounds(min_time, max_time)
    with warnings.catch_warnings():
        # the SDK warns where time bounds are missing; that is what some tests are about
        warnings.simplefilter("ignore", UserWarning)
        return builder.build()


def slot_ref(*, account: str = CHANNELS[0].public_key, sequence: int = SEQUENCE) -> SlotRef:
    """A slot by name."""
    identifier = slot_id(chain="stellar", network=NETWORK, account=account, sequence=sequence)
    return SlotRef(slot_id=identifier, chain="stellar", account=account, sequence=str(sequence))


def approve(request: SigningRequested, *, key: MessageKey | None = None, **changes: Any) -> SigningRequested:
    """The request with an approval of its present fields by payouts; ``changes`` make the approval lie."""
    fields: dict[str, Any] = {
        "v": 1,
        "kind": request.kind,
        "network": NETWORK,
        "chain": request.chain,
        "account": request.slot.account,
        "sequence": request.slot.sequence,
        "revision": request.revision,
        "tx_hash": request.tx_hash,
        "max_time": request.max_time,
        "fee_cap": request.fee_cap,
        "items": tuple(str(item.payout_id) for item in request.items),
        "key_id": "payouts-1",
        **changes,
    }
    approval = Approval(**fields)
    signature = (key or make_key("payouts")).sign(approval.signing_bytes())
    return request.model_copy(update={"approval": approval, "approval_signature": signature})


def signed_item(op: int, of: Intent, *, key: MessageKey | None = None, **changes: Any) -> SigningItem:
    """One item with its intent signed by rewards."""
    fields: dict[str, Any] = {
        "op": op,
        "payout_id": of.payout_id,
        "correlation_id": of.correlation_id,
        "intent": of,
        "intent_signature": (key or make_key("rewards")).sign(of.signing_bytes()),
        **changes,
    }
    return SigningItem(**fields)


def request(
    intents: Sequence[Intent],
    *,
    envelope: TransactionEnvelope | None = None,
    items: Sequence[SigningItem] | None = None,
    slot: SlotRef | None = None,
    **changes: Any,
) -> SigningRequested:
    """A signing request that payouts approves whole, whatever ``envelope`` holds: by default what ``intents`` ask."""
    made = envelope or transaction(
        [payment_of(of) for of in intents], memo=intents[0].allowed[0].memo if intents else None
    )
    bounds = made.transaction.preconditions.time_bounds if made.transaction.preconditions else None
    fields: dict[str, Any] = {
        "request_id": uuid5(NAMESPACE, f"test request {made.hash_hex()}"),
        "kind": "payment",
        "chain": "stellar",
        "slot": slot
        or slot_ref(account=made.transaction.source.account_id, sequence=made.transaction.sequence),
        "revision": 1,
        "xdr": made.to_xdr(),
        "tx_hash": made.hash_hex(),
        "max_time": bounds.max_time if bounds and bounds.max_time else NOW_S + 300,
        "fee_cap": 100_000,
        "items": items if items is not None else [signed_item(op, of) for op, of in enumerate(intents)],
        "approval": _BLANK,
        "approval_signature": "0" * 128,
        **changes,
    }
    return approve(SigningRequested(**fields))


def void(
    *operations: Operation,
    items: Sequence[SigningItem] = (),
    account: str = CHANNELS[0].public_key,
    revision: int = 2,
    **parts: Any,
) -> SigningRequested:
    """A request to void the slot of ``account``: one bump to 0 by the channel itself, unless others are given."""
    made = transaction(operations or [BumpSequence(0, source=account)], source=account, **parts)
    return request([], envelope=made, items=items, kind="void_slot", revision=revision)


_BLANK = Approval(
    v=0,
    kind="",
    network="",
    chain="",
    account="",
    sequence="",
    revision=0,
    tx_hash="",
    max_time=0,
    fee_cap=0,
    items=(),
    key_id="",
)


def slot_closed(of: SigningRequested, *, result: str, consumed_by: str | None = None) -> SlotClosed:
    """The closing of a request's slot."""
    consumed = consumed_by or (None if result == "expired" else of.tx_hash)
    return SlotClosed.model_validate(
        {"slot": of.slot, "consumed_by_hash": consumed, "result": result, "ledger": 77}
    )


def close_requested(label: str | int) -> CloseRequested:
    """The request for a tombstone."""
    return CloseRequested(payout_id=payout_id(label))


def work_of(data: SigningRequested, *, subject: str | None = None) -> Work:
    """A request as a stored work row."""
    return Work(
        work_id=1,
        event_id="event",
        subject=subject or str(data.slot.slot_id),
        payload=canonical_bytes(data.model_dump(mode="json")),
        event_time=NOW,
        received_at=NOW,
        state=WorkState.QUEUED,
        tx_hash=None,
    )


def policy(**changes: Any) -> Policy:
    """The default policy, changed."""
    return replace(default_policy(assets=ASSETS, chain_assets=CHAIN_ASSETS), **changes)


def rules(**changes: Any) -> Rules:
    """The pinned rules of this world."""
    fields: dict[str, Any] = {
        "network": NETWORK,
        "treasury": TREASURY.public_key,
        "channels": frozenset(channel.public_key for channel in CHANNELS),
        "chain_assets": CHAIN_ASSETS,
        "assets": ASSETS,
        "policy": policy(),
        **changes,
    }
    return Rules(**fields)


def hot_keys() -> HotKeys:
    """The treasury's and the channels' keys."""
    secrets = [TREASURY.secret, *(channel.secret for channel in CHANNELS)]
    return open_hot_keys(secrets, network=NETWORK, allowed=True, allowed_on_public=False)


def signing_context(*, of_rules: Rules | None = None, lease_s: int = 10) -> SigningContext:
    """The rules and the real readers, with the keys of this module."""
    pinned = of_rules or rules()
    accounts = (TREASURY, *CHANNELS)
    return SigningContext(
        rules=pinned,
        requests=TrustedRequests(trust=make_trust(), network=NETWORK),
        transactions=StellarTransactions(network_passphrase=NETWORK),
        key_of={one.public_key: one.raw_public_key() for one in accounts},
        verify=verify,
        lease_s=lease_s,
    )


class Crash(BaseException):
    """The process died here."""


@dataclass
class FakeBackend:
    """Hot keys that count their calls. ``fail`` holds what the next calls raise."""

    keys: Backend = field(default_factory=hot_keys)
    fail: list[Exception] = field(default_factory=list)
    signed: list[tuple[bytes, bytes]] = field(default_factory=list)
    wrong: bool = False

    def public_keys(self) -> frozenset[bytes]:
        return self.keys.public_keys()

    async def sign(self, public_key: bytes, tx_hash: bytes) -> bytes:
        if self.fail:
            raise self.fail.pop(0)
        self.signed.append((public_key, tx_hash))
        signature = await self.keys.sign(public_key, tx_hash)
        return bytes(64) if self.wrong else signature
