"""Every attack of the threat model as a function that makes the request, and the code that must refuse it.

Unless a case says otherwise the attacker holds payouts' message key: every request is approved by payouts as it
stands, so that only the signer's own comparison protects the treasury.
"""

from collections.abc import Callable
from dataclasses import replace

from stellar_sdk import (
    AccountMerge,
    Asset,
    BeginSponsoringFutureReserves,
    BumpSequence,
    ChangeTrust,
    Claimant,
    CreateClaimableBalance,
    FeeBumpTransactionEnvelope,
    HashMemo,
    Keypair,
    LedgerBounds,
    ManageData,
    MuxedAccount,
    Operation,
    PathPaymentStrictSend,
    Preconditions,
    SetOptions,
    SorobanDataBuilder,
    TimeBounds,
    TransactionBuilder,
    TransactionEnvelope,
)

from prizewire_chassis.testing import make_key
from prizewire_contracts.events.signing import SigningRequested
from prizewire_contracts.intents import AllowedWay
from services.signer.tests.fakes import (
    ATTACKER,
    CHANNELS,
    ISSUER,
    NETWORK,
    NOW_S,
    SEQUENCE,
    TREASURY,
    approve,
    intent,
    payment_of,
    payout_id,
    recipient,
    request,
    signed_item,
    slot_ref,
    transaction,
    void,
)

ONE = intent(1)
Attack = Callable[[], SigningRequested]


def paying(*operations: Operation, **parts: object) -> SigningRequested:
    """The intent of one payout, over a transaction that holds these operations instead."""
    envelope = transaction(operations, **parts)  # type: ignore[arg-type]  # handed on as they are named there
    return request([ONE], envelope=envelope)


def with_extra(operation: Operation) -> Attack:
    """The payment, and one operation more."""
    return lambda: paying(payment_of(ONE), operation)


def instead(operation: Operation) -> Attack:
    """One operation in the payment's place."""
    return lambda: paying(operation)


def replaced(envelope: TransactionEnvelope) -> SigningRequested:
    """The request around an envelope whose transaction was changed after it was built."""
    return request([ONE], envelope=envelope)


def hash_memo() -> SigningRequested:
    envelope = transaction([payment_of(ONE)])
    envelope.transaction.memo = HashMemo(b"x" * 32)
    return replaced(envelope)


def other_preconditions() -> SigningRequested:
    envelope = transaction([payment_of(ONE)])
    envelope.transaction.preconditions = Preconditions(
        time_bounds=TimeBounds(0, NOW_S + 300), ledger_bounds=LedgerBounds(0, 10)
    )
    return replaced(envelope)


def soroban_data() -> SigningRequested:
    envelope = transaction([payment_of(ONE)])
    builder = SorobanDataBuilder()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped
    envelope.transaction.soroban_data = builder.build()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped
    return replaced(envelope)


def already_signed() -> SigningRequested:
    envelope = transaction([payment_of(ONE)])
    envelope.sign(CHANNELS[0])
    return replaced(envelope)


def fee_bump() -> SigningRequested:
    inner = transaction([payment_of(ONE)])
    inner.sign(CHANNELS[0])
    bump: FeeBumpTransactionEnvelope = TransactionBuilder.build_fee_bump_transaction(
        Keypair.from_public_key(TREASURY.public_key), 400, inner, NETWORK
    )
    plain = request([ONE], envelope=inner)
    return approve(plain.model_copy(update={"xdr": bump.to_xdr(), "tx_hash": bump.hash_hex()}))


def other_network() -> SigningRequested:
    """The hash is that of another network: signed as supplied, it would be valid there."""
    return request([ONE], envelope=transaction([payment_of(ONE)], network="Public Global Stellar Network"))


def replayed_approval() -> SigningRequested:
    """The approval of one transaction under another one."""
    approved = request([ONE])
    other = request([ONE], envelope=transaction([payment_of(ONE)], fee_each=300))
    return other.model_copy(
        update={"approval": approved.approval, "approval_signature": approved.approval_signature}
    )


def forged_approval() -> SigningRequested:
    return approve(request([ONE]), key=make_key("rewards"), key_id="payouts-1")


def approval_by_another_service() -> SigningRequested:
    return approve(request([ONE]), key=make_key("rewards"), key_id="rewards-1")


def forged_intent() -> SigningRequested:
    """Payouts invents a recipient and signs the intent itself, under rewards' key id."""
    invented = intent(1, destination=ATTACKER.public_key)
    return request([invented], items=[signed_item(0, invented, key=make_key("payouts"))])


def intent_by_another_service() -> SigningRequested:
    invented = intent(1, destination=ATTACKER.public_key, key_id="payouts-1")
    return request([invented], items=[signed_item(0, invented, key=make_key("payouts"))])


def intent_of_another_payout() -> SigningRequested:
    item = signed_item(0, ONE, payout_id=payout_id(2))
    return request([ONE], items=[item])


def payout_twice() -> SigningRequested:
    items = [signed_item(0, ONE), signed_item(1, ONE)]
    return request([ONE, ONE], items=items)


def items_swapped() -> SigningRequested:
    """Each payout is put to the other's operation: the amounts differ, so one of them would gain."""
    small, large = intent(1), intent(2, pay_amount="99.00", debit_amount="99.00")
    envelope = transaction([payment_of(large), payment_of(small)])
    return request([small, large], envelope=envelope)


def item_without_operation() -> SigningRequested:
    return request([ONE, intent(2)], envelope=transaction([payment_of(ONE)]))


def with_memo(on_payment: str | None, in_intent: str | None) -> Attack:
    def attack() -> SigningRequested:
        wanted = intent(1, memo=in_intent)
        return request([wanted], envelope=transaction([payment_of(wanted)], memo=on_payment))

    return attack


def changed_intent(**changes: object) -> Attack:
    """A changed intent under the signature of the original."""

    def attack() -> SigningRequested:
        item = signed_item(0, ONE)
        lying = item.model_copy(update={"intent": replace(ONE, **changes)})  # type: ignore[arg-type]  # by name
        return request([ONE], items=[lying])

    return attack


def asking(**changes: object) -> Attack:
    """An intent that rewards signed, and that the signer must refuse."""

    def attack() -> SigningRequested:
        wanted = intent(1, **changes)
        paid = intent(1, **{name: value for name, value in changes.items() if name == "pay_asset"})
        return request([wanted], envelope=transaction([payment_of(paid)]))

    return attack


def other_slot(**parts: object) -> Attack:
    return lambda: request([ONE], slot=slot_ref(**parts))  # type: ignore[arg-type]  # handed on by name


def padded() -> SigningRequested:
    plain = request([ONE])
    return approve(plain.model_copy(update={"xdr": plain.xdr.rstrip("=") + "AAAA"}))


def asked(**changes: object) -> Attack:
    """A request whose own fields lie, approved as they stand."""
    return lambda: approve(request([ONE]).model_copy(update=changes))


def changed_payment(**changes: object) -> Attack:
    return lambda: paying(payment_of(ONE, **changes))


def to(destination: str | None) -> Attack:
    """What rewards wants and payouts approved, to an account of Prizewire itself."""
    return lambda: request([intent(1, destination=destination or "")])


EVIL = Asset("USDC", ATTACKER.public_key)
ATTACKS: dict[str, tuple[Attack, str]] = {
    # the payment
    "amount": (changed_payment(amount="12.51"), "amount_mismatch"),
    "amount by the smallest unit": (changed_payment(amount="12.5000001"), "amount_mismatch"),
    "destination": (
        changed_payment(destination=MuxedAccount.from_account(ATTACKER.public_key)),
        "destination_mismatch",
    ),
    "muxed destination": (
        changed_payment(destination=MuxedAccount(recipient(1), 7)),
        "destination_mismatch",
    ),
    "to the treasury": (to(TREASURY.public_key), "destination_not_allowed"),
    "to the treasury, muxed": (
        to(MuxedAccount(TREASURY.public_key, 5).account_muxed),
        "destination_not_allowed",
    ),
    "to a channel": (to(CHANNELS[2].public_key), "destination_not_allowed"),
    "asset": (changed_payment(asset=Asset.native()), "asset_mismatch"),
    "issuer": (changed_payment(asset=EVIL), "asset_mismatch"),
    "operation source": (changed_payment(source=CHANNELS[1].public_key), "operation_source_mismatch"),
    "operation source left out": (changed_payment(source=None), "operation_source_mismatch"),
    "operation source muxed": (
        changed_payment(source=MuxedAccount(TREASURY.public_key, 1)),
        "operation_source_mismatch",
    ),
    "memo left out": (with_memo(None, "exchange 7"), "memo_mismatch"),
    "memo changed": (with_memo("exchange 8", "exchange 7"), "memo_mismatch"),
    "memo added": (with_memo("exchange 8", None), "memo_mismatch"),
    "memo as hash": (hash_memo, "memo_not_allowed"),
    # the transaction
    "source is no channel": (
        lambda: paying(payment_of(ONE), source=ATTACKER.public_key),
        "source_not_allowed",
    ),
    "source is the treasury": (
        lambda: paying(payment_of(ONE), source=TREASURY.public_key),
        "source_not_allowed",
    ),
    "another channel's slot": (other_slot(account=CHANNELS[1].public_key), "source_mismatch"),
    "another sequence's slot": (other_slot(sequence=SEQUENCE + 1), "sequence_mismatch"),
    "slot under another id": (
        asked(slot=slot_ref().model_copy(update={"slot_id": payout_id("slot")})),
        "slot_mismatch",
    ),
    "network": (other_network, "hash_mismatch"),
    "supplied hash": (asked(tx_hash="ab" * 32), "hash_mismatch"),
    "no time bounds": (lambda: paying(payment_of(ONE), max_time=None), "time_bounds_missing"),
    "endless time bounds": (lambda: paying(payment_of(ONE), max_time=0), "time_bounds_missing"),
    "time bounds not as approved": (asked(max_time=NOW_S + 200), "time_bounds_mismatch"),
    "time bounds too long": (
        lambda: paying(payment_of(ONE), max_time=NOW_S + 86_400),
        "time_bounds_too_long",
    ),
    "time bounds passed": (lambda: paying(payment_of(ONE), max_time=NOW_S), "time_bounds_passed"),
    "post-dated": (
        lambda: paying(payment_of(ONE), min_time=NOW_S + 200),
        "time_bounds_mismatch",
    ),
    "other preconditions": (other_preconditions, "preconditions_not_allowed"),
    "fee over what was approved": (asked(fee_cap=199), "fee_over_cap"),
    "fee cap over the policy": (asked(fee_cap=2_000_001), "fee_cap_over_policy"),
    "soroban data": (soroban_data, "soroban_not_allowed"),
    "signed already": (already_signed, "envelope_signed"),
    "fee bump": (fee_bump, "envelope_not_plain"),
    # operations
    "extra payment": (with_extra(payment_of(intent(2))), "operation_count_mismatch"),
    "extra set-options": (
        with_extra(SetOptions(master_weight=0, source=TREASURY.public_key)),
        "operation_not_allowed",
    ),
    "set-options": (
        instead(SetOptions(home_domain="evil", source=TREASURY.public_key)),
        "operation_not_allowed",
    ),
    "account merge": (
        instead(AccountMerge(ATTACKER.public_key, source=TREASURY.public_key)),
        "operation_not_allowed",
    ),
    "change trust": (instead(ChangeTrust(EVIL, source=TREASURY.public_key)), "operation_not_allowed"),
    "bump sequence": (with_extra(BumpSequence(2**62)), "operation_not_allowed"),
    "manage data": (with_extra(ManageData("x", b"y")), "operation_not_allowed"),
    "sponsoring": (
        with_extra(BeginSponsoringFutureReserves(ATTACKER.public_key, source=TREASURY.public_key)),
        "operation_not_allowed",
    ),
    "path payment": (
        instead(
            PathPaymentStrictSend(
                destination=recipient(1),
                send_asset=Asset.native(),
                send_amount="1000000",
                dest_asset=Asset("USDC", ISSUER.public_key),
                dest_min="12.50",
                path=[],
                source=TREASURY.public_key,
            )
        ),
        "operation_not_allowed",
    ),
    "claimable balance": (
        instead(
            CreateClaimableBalance(
                asset=Asset("USDC", ISSUER.public_key),
                amount="12.50",
                claimants=[Claimant(ATTACKER.public_key)],
                source=TREASURY.public_key,
            )
        ),
        "operation_not_allowed",
    ),
    "item without an operation": (item_without_operation, "operation_count_mismatch"),
    # the approval
    "replayed approval": (replayed_approval, "approval_mismatch"),
    "forged approval": (forged_approval, "approval_signature_invalid"),
    "approval by another service": (approval_by_another_service, "approval_key_not_trusted"),
    "approval without a known key": (
        lambda: approve(request([ONE]), key_id="payouts-9"),
        "approval_key_not_trusted",
    ),
    "approval for another network": (
        lambda: approve(request([ONE]), network="Public Global Stellar Network ; September 2015"),
        "network_mismatch",
    ),
    **{
        f"approval with another {name}": (
            lambda name=name, value=value: approve(request([ONE]), **{name: value}),  # type: ignore[misc]  # bound now
            "approval_mismatch",
        )
        for name, value in (
            ("v", 2),
            ("kind", "reclaim"),
            ("chain", "ton"),
            ("account", CHANNELS[1].public_key),
            ("sequence", str(SEQUENCE + 1)),
            ("revision", 2),
            ("max_time", NOW_S + 299),
            ("fee_cap", 99_999),
            ("items", (str(payout_id(2)),)),
        )
    },
    # the intent
    "forged intent": (forged_intent, "intent_signature_invalid"),
    "intent by another service": (intent_by_another_service, "intent_key_not_trusted"),
    "intent of another payout": (intent_of_another_payout, "intent_mismatch"),
    "intent of another correlation": (
        lambda: request([ONE], items=[signed_item(0, ONE, correlation_id="match-2")]),
        "intent_mismatch",
    ),
    "expired intent": (asking(expires_at=NOW_S), "intent_expired"),
    "intent of another network": (asking(network="Test SDF Network"), "network_mismatch"),
    "intent of another version": (asking(v=1), "intent_version_not_supported"),
    "intent with its amount changed": (changed_intent(pay_amount="99.00"), "intent_signature_invalid"),
    "intent with its expiry changed": (
        changed_intent(expires_at=NOW_S + 999_999),
        "intent_signature_invalid",
    ),
    "rail that the intent does not allow": (
        asking(allowed=(AllowedWay(rail="gift_card", destination=recipient(1), amount_max="12.50"),)),
        "rail_not_allowed",
    ),
    "destination only committed to": (
        asking(allowed=(AllowedWay(rail="stellar", commitment="ab" * 32, amount_max="12.50"),)),
        "rail_not_allowed",
    ),
    "amount over the most of its way": (
        lambda: request([intent(1, amount_max="12.49")]),
        "amount_over_way",
    ),
    "most of its way written oddly": (
        lambda: request([intent(1, amount_max="12.495")]),
        "amount_malformed",
    ),
    **{
        f"way with another {name}": (
            changed_intent(allowed=(replace(ONE.allowed[0], **change),)),
            "intent_signature_invalid",
        )
        for name, change in {
            "rail": {"rail": "ton_wallet"},
            "destination": {"destination": ATTACKER.public_key},
            "memo": {"memo": "exchange 8"},
            "amount_max": {"amount_max": "99.00"},
        }.items()
    },
    "another way beside the signed one": (
        changed_intent(allowed=(*ONE.allowed, replace(ONE.allowed[0], destination=ATTACKER.public_key))),
        "intent_signature_invalid",
    ),
    "asset that must not leave": (
        asking(pay_asset="SEASON", pay_amount="12", debit_asset="SEASON"),
        "asset_not_allowed",
    ),
    "asset that is not configured": (
        lambda: request([intent(1, pay_asset="EURC")], envelope=transaction([payment_of(ONE)])),
        "asset_not_allowed",
    ),
    "amount written oddly": (asking(pay_amount="12.5"), "amount_malformed"),
    "amount with too many decimals": (asking(pay_amount="12.500"), "amount_malformed"),
    "amount of nothing": (asking(pay_amount="0.00"), "amount_malformed"),
    "amount over the policy": (
        lambda: request([intent(1, pay_amount="10000000.01", debit_amount="10000000.01")]),
        "payout_over_limit",
    ),
    # the request
    "payout twice": (payout_twice, "payout_repeated"),
    "items swapped": (items_swapped, "destination_mismatch"),
    "item at another position": (
        lambda: request([ONE], items=[signed_item(1, ONE)]),
        "item_order_mismatch",
    ),
    "no items": (lambda: request([ONE], items=[]), "no_items"),
    "kind that is not served": (asked(kind="reclaim"), "kind_not_supported"),
    # a void
    "void that bumps the channel forward": (
        lambda: void(BumpSequence(SEQUENCE + 1, source=CHANNELS[0].public_key)),
        "operation_has_effect",
    ),
    "void that bumps to its own number": (
        lambda: void(BumpSequence(SEQUENCE, source=CHANNELS[0].public_key)),
        "operation_has_effect",
    ),
    "void by the treasury": (
        lambda: void(BumpSequence(0, source=TREASURY.public_key)),
        "operation_source_mismatch",
    ),
    "void by another channel": (
        lambda: void(BumpSequence(0, source=CHANNELS[1].public_key)),
        "operation_source_mismatch",
    ),
    "void whose operation names no source": (lambda: void(BumpSequence(0)), "operation_source_mismatch"),
    "void that pays": (
        lambda: void(payment_of(ONE, source=CHANNELS[0].public_key)),
        "operation_not_allowed",
    ),
    "void that pays beside it": (
        lambda: void(BumpSequence(0, source=CHANNELS[0].public_key), payment_of(ONE)),
        "operation_not_allowed",
    ),
    "void that gives the channel away": (
        lambda: void(AccountMerge(ATTACKER.public_key, source=CHANNELS[0].public_key)),
        "operation_not_allowed",
    ),
    "void of two operations": (
        lambda: void(*[BumpSequence(0, source=CHANNELS[0].public_key)] * 2),
        "operation_count_mismatch",
    ),
    "void with a payout": (lambda: void(items=[signed_item(0, ONE)]), "items_not_allowed"),
    "void with a memo": (lambda: void(memo="exchange 7"), "memo_not_allowed"),
    "void on a slot of the treasury": (
        lambda: void(account=TREASURY.public_key),
        "source_not_allowed",
    ),
    "void whose time bounds are too long": (
        lambda: void(max_time=NOW_S + 86_400),
        "time_bounds_too_long",
    ),
    "void under the approval of a payment": (
        lambda: approve(void(), kind="payment"),
        "approval_mismatch",
    ),
    "payment that is called a void": (asked(kind="void_slot", items=[]), "operation_not_allowed"),
    "void that is called a payment": (
        lambda: approve(void().model_copy(update={"kind": "payment"})),
        "no_items",
    ),
    "chain that is not served": (
        asked(slot=slot_ref().model_copy(update={"chain": "ton"}), chain="ton"),
        "chain_not_supported",
    ),
    "not a transaction": (asked(xdr="AAAA"), "xdr_malformed"),
    "trailing bytes": (padded, "xdr_malformed"),
}
