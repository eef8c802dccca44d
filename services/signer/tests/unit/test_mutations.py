"""Mutation fuzz: a changed request is refused, or what would be signed is what was approved.

Two attackers. The one on Kafka changes bytes and fields and can sign nothing: then only the approved digest may
come out. The one inside payouts changes the transaction and approves the changed one: then a signed transaction
pays exactly what rewards' intents say, from the treasury, on one of the configured channels.
"""

import base64
import copy
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from prizewire_contracts.events.signing import SigningRequested
from prizewire_signer.domain.commands import SigningRequest
from prizewire_signer.domain.examine import examine
from prizewire_signer.domain.model import Transaction
from prizewire_signer.errors import UnreadableTransaction
from services.signer.tests.fakes import (
    ATTACKER,
    CHANNELS,
    NETWORK,
    NOW,
    TREASURY,
    approve,
    intent,
    recipient,
    request,
    signing_context,
    slot_ref,
    work_of,
)

CONTEXT = signing_context()
ORIGINAL = request([intent(1, memo="round 7"), intent(2, memo="round 7", pay_amount="0.01")])
DOCUMENT: dict[str, Any] = ORIGINAL.model_dump(mode="json")
RAW = base64.b64decode(ORIGINAL.xdr)
STRINGS = (
    "",
    "0",
    "1",
    "12.51",
    "stellar",
    "ton",
    "reclaim",
    NETWORK,
    "Public Global Stellar Network ; September 2015",
    recipient(3),
    ATTACKER.public_key,
    CHANNELS[1].public_key,
    "XLM",
    "payouts-1",
    "rewards-1",
)


def signed_by(document: dict[str, Any]) -> tuple[SigningRequest, Transaction] | str:
    """The transaction that would be signed for this request, or the reason why none is."""
    try:
        data = SigningRequested.model_validate(document)
    except ValidationError:
        return "schema"
    read = CONTEXT.requests.read(work_of(data, subject=str(ORIGINAL.slot.slot_id)))
    try:
        decoded = CONTEXT.transactions.read(read.xdr)
    except UnreadableTransaction as error:
        return error.code
    findings = examine(request=read, transaction=decoded, rules=CONTEXT.rules, now=NOW)
    return (read, decoded) if findings.clean else str(findings.first)


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(node, dict):
        return [leaf for name in node for leaf in leaves(node[name], (*path, name))]
    if isinstance(node, list):
        return [leaf for index, item in enumerate(node) for leaf in leaves(item, (*path, index))]
    return [path]


def put(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    node: Any = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value


def get(document: dict[str, Any], path: tuple[Any, ...]) -> Any:
    node: Any = document
    for step in path:
        node = node[step]
    return node


LEAVES = leaves(DOCUMENT)


def is_what_was_approved(outcome: tuple[SigningRequest, Transaction] | str) -> bool:
    if isinstance(outcome, str):
        return True
    read, decoded = outcome
    return decoded.tx_hash.hex() == ORIGINAL.tx_hash and read.payout_ids == tuple(
        item.payout_id for item in ORIGINAL.items
    )


def mutate(value: Any, choice: random.Random) -> Any:
    """Another value, often of the same type and close to it."""
    if isinstance(value, bool) or value is None:
        return choice.choice([None, True, "x", 1])
    if isinstance(value, int):
        return choice.choice([value + 1, value - 1, 0, 1, value * 2, 2**31 - 1, -value, str(value)])
    text = str(value)
    if choice.random() < 0.4 or not text:
        return choice.choice([*STRINGS, None, 7])
    at = choice.randrange(len(text))
    near = chr((ord(text[at]) ^ 1) or 33)
    return choice.choice([text[:at] + near + text[at + 1 :], text[:at] + text[at + 1 :], text + text[at]])


def test_original_would_be_signed() -> None:
    """The request before mutation would be signed: otherwise the mutants would prove nothing."""
    assert not isinstance(signed_by(DOCUMENT), str)


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: "/".join(str(step) for step in path))
def test_every_field_mutated_is_refused_or_the_same(path: tuple[Any, ...]) -> None:
    """Each JSON field in turn, a dozen ways: no other digest and no other payouts come out."""
    choice = random.Random(f"field {path}")
    for _ in range(12):
        document = copy.deepcopy(DOCUMENT)
        put(document, path, mutate(get(document, path), choice))
        assert is_what_was_approved(signed_by(document))


@settings(max_examples=250)
@given(
    st.lists(st.sampled_from(LEAVES), min_size=2, max_size=5, unique=True), st.randoms(use_true_random=False)
)
def test_several_fields_mutated_are_refused_or_the_same(
    paths: list[tuple[Any, ...]], choice: random.Random
) -> None:
    """Several fields at once, values swapped between fields of the same name included."""
    document = copy.deepcopy(DOCUMENT)
    for path in paths:
        twin = choice.choice([leaf for leaf in LEAVES if leaf[-1] == path[-1]])
        value = get(DOCUMENT, twin) if choice.random() < 0.5 else mutate(get(document, path), choice)
        put(document, path, value)
    assert is_what_was_approved(signed_by(document))


@settings(max_examples=400)
@given(st.integers(0, len(RAW) - 1), st.integers(1, 255), st.booleans())
def test_any_byte_of_the_envelope_changed_pays_nothing_else(at: int, flip: int, insider: bool) -> None:
    """One byte of the XDR: refused, even where payouts itself approves the result as it stands.

    With an insider's approval other fees, times and configured slots may be signed, but only the intents' payments.
    """
    changed = bytearray(RAW)
    changed[at] ^= flip
    outcome = signed_by(with_envelope(bytes(changed), insider=insider))
    if isinstance(outcome, str):
        return
    assert insider, "without a new approval no other bytes are signed"
    assert_pays_the_intents(outcome)


def test_most_mutants_of_the_envelope_decode() -> None:
    """The fuzz reaches the comparison: most mutants are transactions, and many different checks refuse them."""
    choice = random.Random(20300101)
    outcomes: Counter[str] = Counter()
    for _ in range(300):
        changed = bytearray(RAW)
        changed[choice.randrange(len(RAW))] ^= 1 << choice.randrange(8)
        outcome = signed_by(with_envelope(bytes(changed), insider=True))
        if isinstance(outcome, str):
            outcomes[outcome] += 1
        else:
            assert_pays_the_intents(outcome)
            outcomes["signed"] += 1
    unread = outcomes["xdr_malformed"] + outcomes["envelope_not_plain"]
    assert unread < 0.3 * outcomes.total(), outcomes
    assert len(outcomes) >= 8, outcomes


def with_envelope(raw: bytes, *, insider: bool) -> dict[str, Any]:
    """The request around other bytes; an insider approves whatever they decode to, slot and hash included."""
    data = ORIGINAL.model_copy(update={"xdr": base64.b64encode(raw).decode()})
    if insider:
        try:
            decoded = CONTEXT.transactions.read(data.xdr)
        except UnreadableTransaction:
            return data.model_dump(mode="json")
        bounds = decoded.time_bounds
        update = {
            "tx_hash": decoded.tx_hash.hex(),
            "max_time": bounds.max_time if bounds and 0 < bounds.max_time < 2**53 else ORIGINAL.max_time,
            "fee_cap": max(decoded.fee, 1),
        }
        if decoded.sequence > 0:
            update["slot"] = slot_ref(account=decoded.source, sequence=decoded.sequence)
        data = approve(data.model_copy(update=update))
    return data.model_dump(mode="json")


def assert_pays_the_intents(outcome: tuple[SigningRequest, Transaction]) -> None:
    read, decoded = outcome
    assert decoded.source in CONTEXT.rules.channels
    assert decoded.fee <= CONTEXT.rules.policy.fee_stroops_max
    assert decoded.memo.text == b"round 7"
    assert [
        (operation.kind, operation.source, operation.payment.destination, operation.payment.amount)
        for operation in decoded.operations
        if operation.payment is not None
    ] == [
        ("payment", TREASURY.public_key, recipient(1), 125_000_000),
        ("payment", TREASURY.public_key, recipient(2), 100_000),
    ]
    assert len(decoded.operations) == len(read.items) == 2
