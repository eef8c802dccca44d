"""Options, lines, claims and the end of a line."""

import asyncio
from dataclasses import replace
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import CancelOutcome, Outcome, ProviderResult
from prizewire_money import Amount
from prizewire_rail_manual.records import EDGES, LINES, moved
from prizewire_railkit import RailMisconfigured
from prizewire_railkit.by_hand import LineState, PaidByHand
from prizewire_railkit.store import RailRow
from rails.manual.tests.hands import EURC, IBAN, NOW, OPTIONS, Hands, instruction, rail, reference_of


async def settle(
    hands: Hands, payout_id: Any, *, paid: bool = True, evidence: str = "statement 17"
) -> ProviderResult:
    async with hands.store.begin() as rows:
        return await hands.rail.settle(
            rows, payout_id=payout_id, paid=paid, evidence=evidence, persons=("olga", "piet"), now=hands.now
        )


def test_the_rail_says_what_it_can_do() -> None:
    """The rail reports its type, that people make its payments, and the smallest amounts that its currencies can express."""
    found = rail().capabilities()
    assert (found.type, found.pays_by_hand, found.can_cancel) == ("manual", True, True)
    assert found.method_types == {"bank", "upi"}
    assert found.assets == {"EURC", "JPYC", "USDC"}
    assert found.minimum["EURC"] == Amount.parse(EURC, "0.01")
    assert found.minimum["JPYC"].to_wire() == "1.00"
    assert isinstance(rail(), PaidByHand)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"method_types": None}, "method_types is missing"),
        ({"method_types": []}, "method_types is empty"),
        ({"method_types": ["carrier_pigeon"]}, "carrier_pigeon"),
        ({"assets": ["GOLD"]}, "GOLD"),
        ({"assets": ["USDC"]}, "currencies names EURC"),
        ({"currencies": {"EURC": "euro"}}, "three capital letters"),
        ({"currencies": {"EURC": "EUR"}}, "debtor names JPY"),
        ({"debtor": {"EUR": {"name": "P", "iban": "DE00370400440532013000"}}}, "is no IBAN"),
        ({"debtor": {"EUR": {"name": "P"}}}, "an iban or an account"),
        ({"debtor": {"EUR": {"name": "P", "iban": IBAN, "account": "1"}}}, "an iban or an account"),
        ({"debtor": {"EUR": {"name": " ", "iban": IBAN}}}, "name"),
        ({"debtor": {"EUR": {"name": "P", "iban": IBAN, "bic": "X"}}}, "is no BIC"),
        ({"debtor": {"EUR": {"name": "P", "iban": IBAN, "city": "X"}}}, "nothing else"),
        ({"debtor": {"EUR": {"name": 1, "iban": IBAN}}}, "must hold texts"),
        ({"debtor": []}, "must be a mapping"),
        ({"batch_lines_max": 0}, "batch_lines_max"),
        ({"colour": "red"}, "unknown option 'colour'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], problem: str) -> None:
    """A wrong or unknown option stops the service with a sentence that names it."""
    with pytest.raises(RailMisconfigured, match=problem):
        rail(**options)


def test_a_line_moves_only_along_its_edges() -> None:
    """Every pair of states without an edge is refused, and no state after the end has an edge."""
    row = RailRow(collection=LINES, name="PW-1", state="open", document={}, changed_at=NOW)
    for old, new in product(LineState, LineState):
        if (old, new) in EDGES:
            assert moved(replace(row, state=old), new, now=NOW).state == new
        else:
            with pytest.raises(AssertionError):
                moved(replace(row, state=old), new, now=NOW)
    assert {old for old, _ in EDGES} == {LineState.OPEN, LineState.CLAIMED}
    assert all(EDGES.values())


async def test_a_line_shows_a_masked_destination() -> None:
    """A line names the payout, the amount and the masked destination; the account itself is in no repr."""
    hands = Hands()
    wanted = instruction(memo="Cup 2026")
    await hands.create(wanted)
    async with hands.store.begin() as rows:
        (line,) = await hands.rail.lines(rows)
        stored = await rows.page(LINES)
    assert (line.payout_id, line.amount, line.state) == (wanted.payout_id, wanted.amount, LineState.OPEN)
    assert line.masked == "DE89…3000"
    assert len(line.reference) <= 35
    assert IBAN not in repr((line, stored))
    assert all(IBAN not in str(row.document) for row in stored)


async def test_lines_are_listed_oldest_first() -> None:
    """Pages of lines follow each other by age, and may be limited to states."""
    hands = Hands()
    payouts = await hands.create(*(instruction() for _ in range(5)))
    async with hands.store.begin() as rows:
        first = await hands.rail.lines(rows, limit=2)
        second = await hands.rail.lines(rows, after=first[-1].reference, limit=10)
        none = await hands.rail.lines(rows, states=[LineState.CLAIMED])
    assert [line.payout_id for line in (*first, *second)] == payouts
    assert none == []


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Amount(EURC, 1_0000000)},
        {"details": {"holder": "Eve Example", "iban": IBAN}},
        {"details": {"holder": "Ana Example", "iban": "DE02120300000000202051"}},
        {"memo": "other"},
        {"payout_id": uuid4()},
    ],
)
async def test_a_key_with_another_body_is_a_conflict(change: dict[str, Any]) -> None:
    """The same key with another amount, destination, memo or payout makes no second line, and its outcome is unknown."""
    hands = Hands()
    wanted = instruction()
    await hands.create(wanted)
    result = await hands.rail.create_payout(replace(wanted, **change), now=hands.now)
    assert (result.outcome, result.code) == (Outcome.UNKNOWN, PayoutCode.IDEMPOTENCY_CONFLICT)
    assert len(await hands.references()) == 1


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (instruction(method_type="fake", details={"account": "ana"}), PayoutCode.RAIL_UNSUPPORTED),
        (instruction(details={"holder": "Ana", "iban": "DE00"}), PayoutCode.DESTINATION_INVALID),
        (instruction(1), PayoutCode.LIMIT_EXCEEDED),
    ],
)
async def test_what_can_never_be_paid_is_refused_for_good(wanted: Any, code: PayoutCode) -> None:
    """A method type, details or an amount that the rail cannot pay has no effect, also when it is looked up."""
    hands = Hands()
    result = await hands.rail.create_payout(wanted, now=hands.now)
    again = await hands.rail.sync_status(reference_of(wanted), now=hands.now)
    assert (result.outcome, result.code) == (again.outcome, again.code) == (Outcome.NO_EFFECT, code)
    assert await hands.references() == {}


async def test_concurrent_requests_make_one_line() -> None:
    """A request, its repetition and a look-up at the same time leave one line, or a closed key and none."""
    for _ in range(5):
        hands = Hands()
        wanted = instruction()
        results = await asyncio.gather(
            hands.rail.create_payout(wanted, now=NOW),
            hands.rail.sync_status(reference_of(wanted), now=NOW),
            hands.rail.create_payout(wanted, now=NOW),
        )
        assert len({result.outcome for result in results}) == 1
        lines = await hands.references()
        assert len(lines) == (1 if results[0].outcome is Outcome.PENDING else 0)


async def test_a_claimed_line_is_not_cancelled() -> None:
    """An open line can be cancelled and then not claimed; a claimed one cannot be cancelled."""
    hands = Hands()
    one, two = instruction(), instruction()
    await hands.create(one, two)
    assert await hands.rail.cancel(reference_of(one), now=NOW) is CancelOutcome.CANCELLED
    assert await hands.rail.cancel(reference_of(one), now=NOW) is CancelOutcome.CANCELLED
    assert await hands.claim(one.payout_id, two.payout_id) == ["line_not_open", None]
    assert await hands.rail.cancel(reference_of(two), now=NOW) is CancelOutcome.TOO_LATE
    result = await hands.rail.sync_status(reference_of(one), now=NOW)
    assert (result.outcome, result.code) == (Outcome.NO_EFFECT, PayoutCode.CANCELLED)
    assert (await hands.rail.sync_status(reference_of(two), now=NOW)).outcome is Outcome.PENDING


async def test_a_cancel_before_the_request_closes_the_key() -> None:
    """A cancel of a key that was never used is a proof: the late request makes no line."""
    hands = Hands()
    wanted = instruction()
    assert await hands.rail.cancel(reference_of(wanted), now=NOW) is CancelOutcome.CANCELLED
    late = await hands.rail.create_payout(wanted, now=NOW)
    assert (late.outcome, late.code) == (Outcome.NO_EFFECT, PayoutCode.CANCELLED)
    assert await hands.references() == {}


async def test_each_line_is_claimed_once() -> None:
    """Of two persons who claim a line at the same time one gets it, and the same claim may be repeated."""
    hands = Hands()
    payouts = await hands.create(*(instruction() for _ in range(3)))
    olga, piet = await asyncio.gather(
        hands.claim(*payouts, batch_id="olga-1", by="olga"),
        hands.claim(*payouts, batch_id="piet-1", by="piet"),
    )
    assert sorted([olga, piet], key=str) == [["line_not_open"] * 3, [None] * 3]
    winner = "olga" if olga == [None] * 3 else "piet"
    assert await hands.claim(*payouts, batch_id=f"{winner}-1", by=winner) == [None] * 3


async def test_claims_are_refused_line_by_line() -> None:
    """Unknown lines, full batches, batches of others, exported batches and wrong batch ids have a code each."""
    hands = Hands(batch_lines_max=2)
    payouts = await hands.create(*(instruction() for _ in range(4)))
    stray = uuid4()
    assert await hands.claim(stray, *payouts[:3]) == ["line_unknown", None, None, "batch_full"]
    assert await hands.claim(payouts[2], by="piet") == ["batch_not_yours"]
    assert await hands.claim(payouts[2], batch_id="b" * 33) == ["batch_id_invalid"]
    assert await hands.claim(payouts[2], batch_id="batch-2") == [None]
    await hands.export("csv", "batch-2")
    assert await hands.claim(payouts[2], payouts[3], batch_id="batch-2") == [None, "batch_exported"]


async def test_evidence_ends_a_claimed_line_once() -> None:
    """Evidence proves a claimed line paid; other evidence afterwards changes nothing and returns the same outcome."""
    hands = Hands()
    wanted = instruction()
    await hands.create(wanted)
    assert (await settle(hands, wanted.payout_id)).outcome is Outcome.PENDING
    await hands.claim(wanted.payout_id)
    first = await settle(hands, wanted.payout_id)
    assert (first.outcome, first.amount) == (Outcome.PAID, wanted.amount)
    assert first.proof["evidence"] == "statement 17"
    assert await settle(hands, wanted.payout_id, paid=False, evidence="other") == first
    assert await hands.rail.sync_status(reference_of(wanted), now=NOW) == first
    assert (await settle(hands, uuid4())).outcome is Outcome.UNKNOWN


async def test_a_failed_line_lets_the_next_attempt_have_its_own() -> None:
    """After evidence that a line was not paid, a second attempt has a line of its own, which alone is claimed and settled."""
    hands = Hands()
    first = instruction()
    second = instruction(payout_id=first.payout_id, attempt_no=2)
    await hands.create(first)
    await hands.claim(first.payout_id)
    failed = await settle(hands, first.payout_id, paid=False)
    assert (failed.outcome, failed.code) == (Outcome.NO_EFFECT, PayoutCode.PROVIDER_REJECTED)
    await hands.create(second)
    assert await hands.claim(first.payout_id, batch_id="batch-2") == [None]
    assert (await settle(hands, first.payout_id)).outcome is Outcome.PAID
    assert (await hands.rail.sync_status(reference_of(first), now=NOW)).outcome is Outcome.NO_EFFECT


async def test_one_person_is_not_enough() -> None:
    """A line is never settled by one person who filed and confirmed."""
    hands = Hands()
    wanted = instruction()
    await hands.create(wanted)
    await hands.claim(wanted.payout_id)
    with pytest.raises(AssertionError):
        async with hands.store.begin() as rows:
            await hands.rail.settle(
                rows, payout_id=wanted.payout_id, paid=True, evidence="x", persons=("olga", "olga"), now=NOW
            )


def test_a_configuration_is_checked_without_a_store() -> None:
    """The rail is built without a store where only its configuration is checked."""
    assert "manual" in repr(rail(None, **OPTIONS))
