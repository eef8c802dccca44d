"""Which payments may be built as the ledger stands."""

from typing import Any
from uuid import uuid4

import pytest

from prizewire_contracts.codes import PayoutCode
from prizewire_payouts.stellar.domain.model import (
    NATIVE,
    AccountFacts,
    ChainAsset,
    LineFacts,
    Payment,
)
from prizewire_payouts.stellar.handlers.preflight import check, queries

USDC = ChainAsset("USDC", "ISSUER")
TREASURY = "TREASURY"


def pay(account: str = "PLAYER", stroops: int = 10, **values: Any) -> Payment:
    known: dict[str, Any] = {
        "provider_key": uuid4(),
        "payout_id": uuid4(),
        "correlation_id": "c",
        "asset": USDC,
        "stroops": stroops,
        "destination": account,
        "account": account,
        "memo": "",
        "intent": {},
        "intent_signature": "",
    }
    return Payment(**(known | values))


def account(
    *, room: int | None = 100, spendable: int = 100, authorized: bool = True, memo: bool = False
) -> Any:
    lines = {} if room is None else {USDC: LineFacts(spendable=spendable, room=room, authorized=authorized)}
    return AccountFacts(sequence=1, spendable=spendable, memo_required=memo, lines=lines)


RICH = account(spendable=10_000)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (None, PayoutCode.DESTINATION_MISSING),
        (account(room=None), PayoutCode.NO_TRUSTLINE),
        (account(authorized=False), PayoutCode.NOT_AUTHORIZED),
        (account(room=9), PayoutCode.LINE_FULL),
        (account(memo=True), PayoutCode.MEMO_REQUIRED),
    ],
)
def test_bad_destinations_have_codes_of_their_own(facts: AccountFacts | None, code: PayoutCode) -> None:
    """Each reason has its code, and a good neighbour stays."""
    bad, good = pay("PLAYER"), pay("OTHER")
    accounts = {TREASURY: RICH, "OTHER": account()}
    if facts is not None:
        accounts["PLAYER"] = facts
    found = check([bad, good], treasury=TREASURY, accounts=accounts)
    assert found.bad == {bad.provider_key: code}
    assert found.good == (good,)


def test_memo_satisfies_sep_29_and_so_does_a_muxed_address() -> None:
    """A memo, or an M address, names the owner of an exchange's account."""
    accounts = {TREASURY: RICH, "PLAYER": account(memo=True)}
    with_memo, muxed = pay(memo="12345"), pay(destination="M…")
    assert check([with_memo, muxed], treasury=TREASURY, accounts=accounts).good == (with_memo, muxed)


def test_room_is_used_up_by_those_before() -> None:
    """Two payments that fit a trustline alone do not fit together."""
    first, second = pay(stroops=60), pay(stroops=60)
    found = check([first, second], treasury=TREASURY, accounts={TREASURY: RICH, "PLAYER": account(room=100)})
    assert found.good == (first,)
    assert found.bad == {second.provider_key: PayoutCode.LINE_FULL}


def test_payments_beyond_the_treasury_wait_and_smaller_ones_are_sent() -> None:
    """Being short of money ends nobody's payment; what fits is paid."""
    poor = account(spendable=50)
    large, small = pay(stroops=60), pay(stroops=50)
    found = check([large, small], treasury=TREASURY, accounts={TREASURY: poor, "PLAYER": account()})
    assert found.uncovered == (large,)
    assert found.good == (small,)
    assert check([small], treasury=TREASURY, accounts={"PLAYER": account()}).uncovered == (small,)


def test_native_needs_no_line_and_an_issuer_none_of_its_own() -> None:
    """Lumens go to any account, an issuer takes its own asset, and an issuing treasury is never short of it."""
    lumens, home = pay(asset=NATIVE), pay("ISSUER")
    accounts = {TREASURY: RICH, "PLAYER": account(room=None), "ISSUER": account(room=None)}
    assert check([lumens, home], treasury=TREASURY, accounts=accounts).good == (lumens, home)
    own = pay(asset=ChainAsset("USDC", TREASURY), stroops=10**15)
    facts = AccountFacts(
        sequence=1,
        spendable=1,
        memo_required=False,
        lines={own.asset: LineFacts(spendable=0, room=10**16, authorized=True)},
    )
    assert check([own], treasury=TREASURY, accounts={TREASURY: RICH, "PLAYER": facts}).good == (own,)


def test_each_account_is_asked_for_once() -> None:
    """A hundred payments to one player ask for that player once, with the lines that matter."""
    asked = queries([pay() for _ in range(100)], treasury=TREASURY, channel="CHANNEL")
    by_name = {query.account: query.assets for query in asked}
    assert by_name == {"CHANNEL": frozenset(), "PLAYER": {USDC}, TREASURY: {USDC}}
    assert len(asked) == 3
