"""Limits, fees and due times of payouts: arithmetic without a database."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.payouts.adapters import load_payout_rules
from prizewire_rewards.payouts.domain.funding import Destination, check_destination
from prizewire_rewards.payouts.domain.rules import FeeBearer, PayoutRule
from prizewire_rewards.payouts.domain.withdrawals import Schedule, next_day, next_due
from services.rewards.tests.rig import ASSETS

RULE = PayoutRule(
    minimum=1_000,
    maximum=50_000,
    daily_limit=80_000,
    fee_flat=25,
    fee_bps=150,
    borne_by=FeeBearer.PLAYER,
)
STELLAR = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
MUXED = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVAAAAAAAAAAAAAJLK"
"""The examples of SEP-23 and of Stellar's documentation."""


def refusal(rule: PayoutRule, amount: int, *, today: int = 0) -> str | None:
    try:
        rule.check(ASSETS["USDC"], amount=amount, requested_today=today)
    except InvalidRequest as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("amount", "today", "code"),
    [
        (0, 0, "amount_not_positive"),
        (999, 0, "amount_below_minimum"),
        (1_000, 0, None),
        (50_000, 0, None),
        (50_001, 0, "amount_above_maximum"),
        (50_000, 30_000, None),
        (50_000, 30_001, "daily_limit_exceeded"),
    ],
)
def test_bounds_hold_to_the_minor_unit(amount: int, today: int, code: str | None) -> None:
    """Each limit itself is allowed; one minor unit beyond it is refused."""
    assert refusal(RULE, amount, today=today) == code


@pytest.mark.parametrize(
    ("amount", "today", "said"),
    [
        (999, 0, "9.99 USDC is too little: at least 10.00 USDC is paid out"),
        (50_001, 0, "500.01 USDC is too much: at most 500.00 USDC is paid out at once"),
        (
            50_000,
            30_001,
            "500.00 USDC is too much: at most 800.00 USDC is paid out in a day (UTC), and 300.01 USDC was",
        ),
    ],
)
def test_a_refusal_says_the_limit_in_units_of_the_asset(amount: int, today: int, said: str) -> None:
    """The error names the limit and the amount in units of the asset."""
    with pytest.raises(InvalidRequest) as caught:
        RULE.check(ASSETS["USDC"], amount=amount, requested_today=today)
    assert caught.value.detail.startswith(said)


def test_a_fee_that_leaves_nothing_is_no_payout() -> None:
    """An amount that the fee takes completely is refused."""
    rule = PayoutRule(fee_flat=100, borne_by=FeeBearer.PLAYER)
    assert refusal(rule, 100) == "amount_below_minimum"
    assert refusal(rule, 101) is None


@given(amount=st.integers(1, 10**12), flat=st.integers(0, 10**6), bps=st.integers(0, 9_999))
def test_a_fee_is_rounded_down(amount: int, flat: int, bps: int) -> None:
    """The fee is at most the flat fee and the share, and less than one minor unit below them; 0 if the platform bears
    it.
    """
    fee = PayoutRule(fee_flat=flat, fee_bps=bps, borne_by=FeeBearer.PLAYER).fee(amount=amount)
    assert 0 <= (flat * 10_000 + amount * bps) - fee * 10_000 < 10_000
    assert PayoutRule(fee_flat=flat, fee_bps=bps).fee(amount=amount) == 0


@given(balance=st.integers(0, 10**6), today=st.integers(0, 10**5))
def test_the_most_of_a_balance_is_never_over_a_bound(balance: int, today: int) -> None:
    """The most that can be withdrawn is either accepted, or refused only because it is too little."""
    assert refusal(RULE, RULE.most(balance=balance, requested_today=today), today=today) in {
        None,
        "amount_not_positive",
        "amount_below_minimum",
    }


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "hour", "after", "due"),
    [
        (Schedule.DAILY, 6, "2026-03-01T05:59:59", "2026-03-01T06:00:00"),
        (Schedule.DAILY, 6, "2026-03-01T06:00:00", "2026-03-02T06:00:00"),
        (Schedule.DAILY, 0, "2026-02-28T23:59:59", "2026-03-01T00:00:00"),
        (Schedule.WEEKLY, 6, "2026-03-01T12:00:00", "2026-03-02T06:00:00"),
        (Schedule.WEEKLY, 6, "2026-03-02T05:00:00", "2026-03-02T06:00:00"),
        (Schedule.WEEKLY, 6, "2026-03-02T06:00:00", "2026-03-09T06:00:00"),
        (Schedule.MONTHLY, 6, "2026-03-01T05:00:00", "2026-03-01T06:00:00"),
        (Schedule.MONTHLY, 6, "2026-03-31T12:00:00", "2026-04-01T06:00:00"),
        (Schedule.MONTHLY, 6, "2026-12-15T12:00:00", "2027-01-01T06:00:00"),
    ],
)
def test_the_next_moment_of_a_schedule(schedule: Schedule, hour: int, after: str, due: str) -> None:
    """It is the first time of the schedule after the given one."""
    assert next_due(schedule, hour_utc=hour, after=at(after)) == at(due)


def test_a_day_ends_at_midnight_utc() -> None:
    """At midnight itself the next day begins 24 hours later."""
    assert next_day(after=at("2026-03-01T00:00:00")) == at("2026-03-02T00:00:00")
    assert next_day(after=datetime.fromisoformat("2026-03-01T23:30:00-05:00")) == at("2026-03-03T00:00:00")


@pytest.mark.parametrize(
    ("address", "memo", "code"),
    [
        (STELLAR, None, None),
        (STELLAR, "77", None),
        (STELLAR, "ü" * 14, None),
        (STELLAR, "ü" * 15, "memo_too_long"),
        (STELLAR, "", "memo_too_long"),
        (MUXED, None, None),
        (MUXED, "77", "memo_not_possible"),
        (STELLAR[:-1] + "M", None, "address_invalid"),
        (STELLAR.lower(), None, "address_invalid"),
        (STELLAR + "A" * 100, None, "address_invalid"),
        ("S" + STELLAR[1:], None, "address_invalid"),
        ("somebody", None, "address_invalid"),
        ("Ä" * 56, None, "address_invalid"),
        ("", None, "address_invalid"),
    ],
)
def test_an_operators_address_is_checked_before_money_moves(
    address: str, memo: str | None, code: str | None
) -> None:
    """The checksum finds a mistyped address."""
    found = None
    try:
        check_destination(Destination(rail_type="stellar", address=address, memo=memo))
    except InvalidRequest as error:
        found = error.code
    assert found == code


GOOD = """
players:
  USDC:
    minimum: "10.00"
    maximum: "500.00"
    daily_limit: "800.00"
    fee: {flat: "0.25", bps: 150, borne_by: player}
operators:
  EURC: {maximum: "5000.00"}
rail_fees:
  EURC: "2.50"
"""


def test_rules_are_read_from_their_file(tmp_path: Path) -> None:
    """Amounts are minor units of their entry's asset; an asset without an entry has no limits."""
    path = tmp_path / "payout-rules.yaml"
    path.write_text(GOOD)
    rules = load_payout_rules(path, assets=ASSETS)
    assert rules.of_player("USDC") == RULE
    assert rules.of_player("EURC") == PayoutRule()
    assert rules.of_operator("EURC") == PayoutRule(maximum=500_000)
    assert rules.rail_fee_max(ASSETS["EURC"], paid_in="USDC", paid=100_000) == 250
    assert rules.rail_fee_max(ASSETS["EURC"], paid_in="EURC", paid=100_000) == 100_000
    assert rules.rail_fee_max(ASSETS["USDC"], paid_in="USDC", paid=1) == 10_000
    path.write_text("")
    assert load_payout_rules(path, assets=ASSETS).players == {}


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ("players: [1]", "players"),
        ("players: {NOPE: {}}", "NOPE"),
        ("players: {SEASON: {}}", "SEASON"),
        ("players: {USDC: {minimum: 10}}", "players.USDC.minimum"),
        ("players: {USDC: {minimum: 10.5}}", "players.USDC.minimum"),
        ("players: {USDC: {minimum: '10.005'}}", "players.USDC.minimum"),
        ("players: {USDC: {minimun: '10.00'}}", "players.USDC.minimun"),
        ("players: {USDC: {minimum: '10.00', maximum: '9.99'}}", "players.USDC"),
        ("players: {USDC: {minimum: '10.00', daily_limit: '9.99'}}", "players.USDC"),
        ("players: {USDC: {maximum: '0.00'}}", "players.USDC"),
        ("players: {USDC: {maximum: '1.00', fee: {flat: '1.00', borne_by: player}}}", "players.USDC"),
        ("players: {USDC: {fee: {bps: 10000, borne_by: player}}}", "players.USDC.fee.bps"),
        ("players: {USDC: {fee: {bps: 1}}}", "players.USDC.fee.borne_by"),
        ("rail_fees: {USDC: '2.505'}", "rail_fees.USDC"),
        ("rail_fees: {SEASON: '2'}", "SEASON"),
        ("operators: {USDC: {daily_limit: '1.00'}}", "operators.USDC.daily_limit"),
        ("players: {", "YAML"),
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, wrong: str, place: str) -> None:
    """Every mistake is named, also a number that is not a text."""
    path = tmp_path / "payout-rules.yaml"
    path.write_text(wrong)
    with pytest.raises(ValueError, match=place):
        load_payout_rules(path, assets=ASSETS)


@pytest.mark.parametrize(
    ("exchanges", "said"),
    [
        ('{USDC: {USDC: "1"}}', "exchanges.USDC.USDC: an exchange is between two assets"),
        (
            '{USDC: {EURC: "0"}}',
            "exchanges.USDC.EURC: an exchange is between two assets, at a rate above zero",
        ),
        ('{USDC: {EURC: "1/3"}}', "exchanges.USDC.EURC"),
        ("{USDC: {EURC: 0.95}}", "exchanges.USDC.EURC"),
        ('{USDC: {SEASON: "1"}}', "SEASON can never be paid out"),
        ('{GOLD: {EURC: "1"}}', "GOLD"),
    ],
)
def test_an_exchange_names_two_assets_and_a_rate(tmp_path: Path, exchanges: str, said: str) -> None:
    """A mistake in an exchange is refused with its place in the file."""
    path = tmp_path / "rules.yaml"
    path.write_text(f"exchanges: {exchanges}")
    with pytest.raises(ValueError, match=re.escape(said)):
        load_payout_rules(path, assets=ASSETS)
