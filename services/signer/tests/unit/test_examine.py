"""The comparison of a request with its transaction, without any database."""

from collections.abc import Iterable

import pytest
from stellar_sdk import MuxedAccount

from prizewire_contracts.events.signing import SigningRequested
from prizewire_signer.domain.examine import Findings, examine
from prizewire_signer.domain.model import Rules
from prizewire_signer.errors import Code, UnreadableTransaction
from services.signer.tests.attacks import ATTACKS
from services.signer.tests.fakes import (
    CHANNELS,
    NOW,
    NOW_S,
    SEQUENCE,
    TREASURY,
    intent,
    keypair,
    payment_of,
    policy,
    request,
    rules,
    signed_item,
    signing_context,
    transaction,
    work_of,
)


def look_at(data: SigningRequested, *, of_rules: Rules | None = None) -> Findings:
    """The findings on a request, as a worker would come to them."""
    readers = signing_context(of_rules=of_rules)
    read = readers.requests.read(work_of(data))
    try:
        decoded = readers.transactions.read(read.xdr)
    except UnreadableTransaction as error:
        return Findings(general=[error.code])
    return examine(request=read, transaction=decoded, rules=readers.rules, now=NOW)


def codes(findings: Findings) -> set[str]:
    return {*findings.general, *(code for _, code in findings.items)}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_found(name: str) -> None:
    """Every attack of the threat model is found with its code."""
    attack, code = ATTACKS[name]
    assert code in codes(look_at(attack()))


def only(findings: Findings, expected: Iterable[str]) -> bool:
    return codes(findings) == set(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("amount", {"amount_mismatch"}),
        ("destination", {"destination_mismatch"}),
        ("to the treasury", {"destination_not_allowed"}),
        ("to the treasury, muxed", {"destination_not_allowed"}),
        ("to a channel", {"destination_not_allowed"}),
        ("issuer", {"asset_mismatch"}),
        ("memo changed", {"memo_mismatch"}),
        ("operation source", {"operation_source_mismatch"}),
        ("source is no channel", {"source_not_allowed"}),
        ("no time bounds", {"time_bounds_missing"}),
        ("time bounds too long", {"time_bounds_too_long"}),
        ("time bounds passed", {"time_bounds_passed"}),
        ("post-dated", {"time_bounds_mismatch"}),
        ("fee cap over the policy", {"fee_cap_over_policy"}),
        ("fee over what was approved", {"fee_over_cap"}),
        ("other preconditions", {"preconditions_not_allowed"}),
        ("extra payment", {"operation_count_mismatch"}),
        ("network", {"hash_mismatch"}),
        ("replayed approval", {"approval_mismatch"}),
        ("forged approval", {"approval_signature_invalid"}),
        ("forged intent", {"intent_signature_invalid"}),
        ("intent of another payout", {"intent_mismatch"}),
        ("expired intent", {"intent_expired"}),
        ("slot under another id", {"slot_mismatch"}),
        ("another sequence's slot", {"sequence_mismatch"}),
    ],
)
def test_attack_is_found_by_one_check_alone(name: str, expected: set[str]) -> None:
    """Each of these is refused by one check alone: without that check it would be signed."""
    attack, _ = ATTACKS[name]
    assert codes(look_at(attack())) == expected


@pytest.mark.parametrize(
    "data",
    [
        request([intent(1)]),
        request([intent(n) for n in range(100)]),
        request([intent(1, memo="exchange 7"), intent(2, memo="exchange 7")]),
        request([intent(1, pay_asset="XLM", pay_amount="0.0000001")]),
        request(
            [intent(1, destination=MuxedAccount(keypair("player 1").public_key, 2**64 - 1).account_muxed)]
        ),
        request([intent(1, expires_at=NOW_S + 1)]),
        request(
            [intent(1)],
            envelope=transaction([payment_of(intent(1))], min_time=NOW_S - 60, max_time=NOW_S + 3_600),
        ),
        request(
            [intent(1)], envelope=transaction([payment_of(intent(1))], fee_each=2_000_000), fee_cap=2_000_000
        ),
        request(
            [intent(1)],
            envelope=transaction([payment_of(intent(1))], source=CHANNELS[3].public_key, sequence=1),
        ),
    ],
    ids=["one", "hundred", "memo", "smallest", "muxed", "last second", "bounds", "fee", "channel"],
)
def test_request_that_fits_is_clean(data: SigningRequested) -> None:
    """What rewards wants and payouts approved, within the policy, finds no fault."""
    assert only(look_at(data), ())


def test_limits_of_the_policy_hold() -> None:
    """A tighter policy refuses what a looser one signs."""
    data = request([intent(1), intent(2)])
    assert only(look_at(data, of_rules=rules(policy=policy(operations_max=1))), {Code.OPERATIONS_OVER_LIMIT})
    assert only(look_at(data, of_rules=rules(policy=policy(validity_s_max=299))), {Code.TIME_BOUNDS_TOO_LONG})
    assert only(look_at(data, of_rules=rules(policy=policy(limits={}))), {Code.ASSET_NOT_ALLOWED})
    assert only(look_at(data, of_rules=rules(policy=policy(kinds=frozenset()))), {Code.KIND_NOT_SUPPORTED})


def test_treasury_as_source_would_need_to_be_a_channel() -> None:
    """The treasury's own sequence numbers are not used, unless it were configured among the channels."""
    data = request(
        [intent(1)],
        envelope=transaction([payment_of(intent(1))], source=TREASURY.public_key, sequence=SEQUENCE),
    )
    assert only(look_at(data), {Code.SOURCE_NOT_ALLOWED})


def test_one_of_several_destinations_with_its_own_memo() -> None:
    """Where an intent allows several ways, destination and memo must belong to the same one."""
    one, other = intent(1, memo="a"), intent(2, memo="b")
    both = intent(1, allowed=(*one.allowed, *other.allowed))
    fits = transaction([payment_of(other)], memo="b")
    crossed = transaction([payment_of(other)], memo="a")
    assert only(look_at(request([both], envelope=fits)), ())
    assert only(look_at(request([both], envelope=crossed)), {Code.MEMO_MISMATCH})


def test_each_item_is_named_with_its_first_fault() -> None:
    """Findings name the payouts with faults, so that the others can be paid without them."""
    intents = [intent(1), intent(2, expires_at=NOW_S), intent(3)]
    items = [signed_item(op, of) for op, of in enumerate(intents)]
    found = look_at(request(intents, items=items))
    assert [(str(payout), code) for payout, code in found.items] == [
        (intents[1].payout_id, Code.INTENT_EXPIRED)
    ]
    assert found.first == Code.INTENT_EXPIRED
    assert set(found.amounts) == {items[0].payout_id, items[2].payout_id}
