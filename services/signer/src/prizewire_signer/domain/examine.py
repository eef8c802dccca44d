"""Compare a decoded transaction with what rewards and payouts signed.

Every decision is about the decoded transaction. A field of the request is compared with it, or is not used. The default
is to refuse.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from prizewire_money import Amount, MoneyError
from prizewire_signer.domain.commands import Item, SigningRequest
from prizewire_signer.domain.model import (
    ALLOWED_OPERATIONS,
    PAYING,
    STELLAR_DECIMALS,
    Intent,
    Memo,
    Operation,
    Rules,
    Transaction,
    Way,
)
from prizewire_signer.errors import Code

CHAIN = "stellar"
RAIL = "stellar"
"""The rail type that an intent must allow, for a payment on this chain."""
INTENT_VERSION = 2
"""The supported version of intents."""
APPROVAL_VERSION = 1
"""The supported version of approvals."""


@dataclass(slots=True)
class Findings:
    """The faults of a request; none where both are empty. ``amounts`` are the minor units of each item, ``free_at`` the
    time from which items that must wait may be requested again.
    """

    general: list[Code] = field(default_factory=list)
    items: list[tuple[UUID, Code]] = field(default_factory=list)
    amounts: dict[UUID, Amount] = field(default_factory=dict)
    free_at: dict[UUID, datetime] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether there is no fault."""
        return not self.general and not self.items

    @property
    def first(self) -> Code:
        """The code that a refusal names first."""
        return self.general[0] if self.general else self.items[0][1]


def examine(
    *, request: SigningRequest, transaction: Transaction, rules: Rules, now: datetime | None
) -> Findings:
    """Compare a request with the transaction decoded from its XDR, and both with the pinned rules. Without ``now``, for bytes
    that are recorded already, nothing is compared with the present time.

    What needs the database (slots, bindings, tombstones, limits of a day) is judged later, by ``judge``.
    """
    findings = Findings()
    now_s = None if now is None else int(now.timestamp())
    findings.general.extend(_request_faults(request, rules))
    findings.general.extend(_approval_faults(request, rules))
    findings.general.extend(_transaction_faults(request, transaction, rules, now_s))
    seen: set[UUID] = set()
    for position, (item, operation) in enumerate(zip(request.items, transaction.operations, strict=False)):
        fault = Code.PAYOUT_REPEATED if item.payout_id in seen else None
        seen.add(item.payout_id)
        fault = fault or _item_fault(
            item=item,
            position=position,
            operation=operation,
            memo=transaction.memo,
            rules=rules,
            now_s=now_s,
            amounts=findings.amounts,
        )
        if fault is not None:
            findings.items.append((item.payout_id, fault))
    return findings


def _request_faults(request: SigningRequest, rules: Rules) -> Iterable[Code]:
    if request.kind not in rules.policy.kinds or not ALLOWED_OPERATIONS.get(request.kind):
        yield Code.KIND_NOT_SUPPORTED
    if request.slot.chain != CHAIN:
        yield Code.CHAIN_NOT_SUPPORTED
    if request.slot_fault:
        yield Code.SLOT_MISMATCH
    if request.kind not in PAYING and request.items:
        yield Code.ITEMS_NOT_ALLOWED
    if request.kind in PAYING and not request.items:
        yield Code.NO_ITEMS


def _approval_faults(request: SigningRequest, rules: Rules) -> Iterable[Code]:
    approval = request.approval
    if approval.fault is not None:
        yield approval.fault
    if approval.network != rules.network:
        yield Code.NETWORK_MISMATCH
    approved = (
        approval.version,
        approval.kind,
        approval.chain,
        approval.account,
        approval.sequence,
        approval.revision,
        approval.tx_hash,
        approval.max_time,
        approval.fee_cap,
        approval.items,
    )
    asked = (
        APPROVAL_VERSION,
        request.kind,
        request.slot.chain,
        request.slot.account,
        str(request.slot.sequence),
        request.revision,
        request.tx_hash,
        request.max_time,
        request.fee_cap,
        tuple(str(payout_id) for payout_id in request.payout_ids),
    )
    if approved != asked:
        yield Code.APPROVAL_MISMATCH


def _transaction_faults(
    request: SigningRequest, transaction: Transaction, rules: Rules, now_s: int | None
) -> Iterable[Code]:
    policy = rules.policy
    if transaction.tx_hash.hex() != request.tx_hash:
        yield Code.HASH_MISMATCH
    if transaction.source != request.slot.account:
        yield Code.SOURCE_MISMATCH
    if transaction.source not in rules.channels:
        yield Code.SOURCE_NOT_ALLOWED
    if transaction.sequence != request.slot.sequence:
        yield Code.SEQUENCE_MISMATCH
    yield from _time_faults(request, transaction, rules, now_s)
    if transaction.soroban:
        yield Code.SOROBAN_NOT_ALLOWED
    if transaction.fee > request.fee_cap:
        yield Code.FEE_OVER_CAP
    if request.fee_cap > policy.fee_stroops_max or transaction.fee > policy.fee_stroops_max:
        yield Code.FEE_CAP_OVER_POLICY
    yield from _operations_faults(request, transaction, rules)


def _operations_faults(request: SigningRequest, transaction: Transaction, rules: Rules) -> Iterable[Code]:
    pays = request.kind in PAYING
    if transaction.memo.kind not in (("none", "text") if pays else ("none",)):
        yield Code.MEMO_NOT_ALLOWED
    allowed = ALLOWED_OPERATIONS.get(request.kind, frozenset())
    if any(operation.kind not in allowed for operation in transaction.operations):
        yield Code.OPERATION_NOT_ALLOWED
    if len(transaction.operations) != (len(request.items) if pays else 1):
        yield Code.OPERATION_COUNT_MISMATCH
    if len(transaction.operations) > rules.policy.operations_max:
        yield Code.OPERATIONS_OVER_LIMIT
    if not pays:
        yield from _void_faults(request, transaction)


def _void_faults(request: SigningRequest, transaction: Transaction) -> Iterable[Code]:
    """A bump to a number that is not above the source's own number succeeds without a change (Stellar protocol,
    ``BumpSequenceOp``). Zero is below every sequence number in use, so no other is signed.
    """
    for operation in transaction.operations:
        if operation.source != request.slot.account:
            yield Code.OPERATION_SOURCE_MISMATCH
        if operation.bump_to != 0:
            yield Code.OPERATION_HAS_EFFECT


def _time_faults(
    request: SigningRequest, transaction: Transaction, rules: Rules, now_s: int | None
) -> Iterable[Code]:
    if transaction.other_preconditions:
        yield Code.PRECONDITIONS_NOT_ALLOWED
        return
    bounds = transaction.time_bounds
    if bounds is None or bounds.max_time == 0:
        yield Code.TIME_BOUNDS_MISSING
        return
    if bounds.max_time != request.max_time:
        yield Code.TIME_BOUNDS_MISMATCH
    if bounds.min_time > bounds.max_time:
        yield Code.TIME_BOUNDS_MISMATCH
    if now_s is None:
        return
    # A transaction that becomes valid in the future would be a signature that no service monitors until then.
    if bounds.min_time > now_s + rules.policy.clock_skew_s_max:
        yield Code.TIME_BOUNDS_MISMATCH
    if bounds.max_time <= now_s:
        yield Code.TIME_BOUNDS_PASSED
    if bounds.max_time - now_s > rules.policy.validity_s_max:
        yield Code.TIME_BOUNDS_TOO_LONG


def _item_fault(
    *,
    item: Item,
    position: int,
    operation: Operation,
    memo: Memo,
    rules: Rules,
    now_s: int | None,
    amounts: dict[UUID, Amount],
) -> Code | None:
    """The first fault of one payout and its operation; without a fault its amount is put into ``amounts``."""
    checks: Sequence[Callable[[], Code | None]] = (
        lambda: item.fault,
        lambda: _intent_fault(item, position, rules, now_s),
        lambda: _operation_fault(item, operation, memo, rules),
        lambda: _amount_fault(item, operation, rules, amounts),
    )
    for check in checks:
        fault = check()
        if fault is not None:
            return fault
    return None


def _intent_fault(item: Item, position: int, rules: Rules, now_s: int | None) -> Code | None:
    intent = item.intent
    if item.op != position:
        return Code.ITEM_ORDER_MISMATCH
    if intent.version != INTENT_VERSION:
        return Code.INTENT_VERSION_NOT_SUPPORTED
    if intent.network != rules.network:
        return Code.NETWORK_MISMATCH
    if intent.payout_id != str(item.payout_id) or intent.correlation_id != item.correlation_id:
        return Code.INTENT_MISMATCH
    if now_s is not None and intent.expires_at <= now_s:
        return Code.INTENT_EXPIRED
    return None


def _operation_fault(item: Item, operation: Operation, memo: Memo, rules: Rules) -> Code | None:
    payment = operation.payment
    if payment is None:
        return Code.OPERATION_NOT_ALLOWED
    if operation.source != rules.treasury:
        return Code.OPERATION_SOURCE_MISMATCH
    ways = [way for way in item.intent.ways if way.rail == RAIL and way.address is not None]
    if not ways:
        return Code.RAIL_NOT_ALLOWED
    asset = rules.chain_assets.get(item.intent.pay_asset)
    if asset is None:
        return Code.ASSET_NOT_ALLOWED
    if payment.asset != asset:
        return Code.ASSET_MISMATCH
    ways = [way for way in ways if way.address == payment.destination]
    if not ways:
        return Code.DESTINATION_MISMATCH
    if payment.account == rules.treasury or payment.account in rules.channels:
        return Code.DESTINATION_NOT_ALLOWED
    ways = [way for way in ways if _same_memo(way, memo)]
    if not ways:
        return Code.MEMO_MISMATCH
    return _most_fault(item.intent, ways, rules)


def _most_fault(intent: Intent, ways: Sequence[Way], rules: Rules) -> Code | None:
    """Whether the amount is more than may be paid in any of the ways that the payment takes."""
    asset = rules.assets.get(intent.pay_asset)
    if asset is None:
        return Code.ASSET_NOT_ALLOWED
    try:
        amount = Amount.parse(asset, intent.pay_amount)
        most = max(Amount.parse(asset, way.amount_max) for way in ways)
    except MoneyError:
        return Code.AMOUNT_MALFORMED
    return Code.AMOUNT_OVER_WAY if amount > most else None


def _same_memo(way: Way, memo: Memo) -> bool:
    if way.memo is None:
        return memo.kind == "none"
    return memo.kind == "text" and memo.text == way.memo.encode()


def _amount_fault(item: Item, operation: Operation, rules: Rules, amounts: dict[UUID, Amount]) -> Code | None:
    intent = item.intent
    asset = rules.assets.get(intent.pay_asset)
    limits = rules.policy.limits.get(intent.pay_asset)
    if asset is None or limits is None or not asset.redeemable:
        return Code.ASSET_NOT_ALLOWED
    try:
        amount = Amount.parse(asset, intent.pay_amount)
    except MoneyError:
        return Code.AMOUNT_MALFORMED
    units = chain_units(amount)
    if amount.to_wire() != intent.pay_amount or amount.minor <= 0 or units is None:
        return Code.AMOUNT_MALFORMED
    if operation.payment is None or operation.payment.amount != units:
        return Code.AMOUNT_MISMATCH
    if amount.minor > limits.payout_minor_max:
        return Code.PAYOUT_OVER_LIMIT
    amounts[item.payout_id] = amount
    return None


def chain_units(amount: Amount) -> int | None:
    """Ten-millionths on the chain, or None where the amount has no exact image there."""
    shift = STELLAR_DECIMALS - amount.asset.decimals
    if shift >= 0:
        units = amount.minor * 10**shift
    else:
        units, rest = divmod(amount.minor, 10**-shift)
        if rest:
            return None
    return units if units < 2**63 else None
