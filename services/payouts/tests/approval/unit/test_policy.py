"""Limits, waits, and what keeps details secret."""

import contextlib
import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_money import Amount
from prizewire_payouts.approval.domain import ApprovalPolicy, DayAllowance
from prizewire_payouts.methods.adapters.addresses import stellar_address_kind
from prizewire_payouts.methods.adapters.vault import DetailsVault
from prizewire_payouts.methods.domain import Method, MethodError, MethodState, mask, read_details
from prizewire_payouts.methods.ports import OpenedDetails
from prizewire_payouts.payouts.domain.commands import AllowedDestination, allows
from services.payouts.tests.rig import ADDRESS, ASSETS, EURC, POLICY, SCHEDULE

NOW = datetime(2026, 11, 20, tzinfo=UTC)
METHOD = UUID("33333333-3333-4333-8333-333333333333")


def vault(label: str = "a") -> DetailsVault:
    return DetailsVault(key_hex=hashlib.sha256(label.encode()).hexdigest())


def method(
    *,
    method_id: UUID = METHOD,
    sealed: bytes = b"",
    address: str | None = None,
    memo: str | None = None,
    commitment: str | None = None,
) -> Method:
    return Method(
        method_id=method_id,
        player="ana",
        type="stellar" if address else "fake",
        rail_type="stellar" if address else "fake",
        version=1,
        state=MethodState.ACTIVE,
        verified=False,
        is_default=True,
        address=address,
        memo=memo,
        commitment=commitment,
        sealed=sealed,
        sealed_by="k",
        destination_mac=b"",
        registered_by="ana",
        registered_at=NOW,
        changed_at=NOW,
    )


@pytest.mark.parametrize(
    ("minor", "wanted"),
    [
        (1, None),
        (100_000, None),
        (100_001, ("above_automatic_limit", 1)),
        (1_000_000, ("above_automatic_limit", 1)),
        (1_000_001, ("above_automatic_limit", 2)),
    ],
)
def test_limits_decide_who_must_agree(minor: int, wanted: tuple[str, int] | None) -> None:
    """Up to a limit nobody, above it one, above the second limit two; the limits themselves still pass."""
    found = POLICY.decide(amount=Amount(EURC, minor))
    assert (None if found is None else (found.reason, found.approvers)) == wanted


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"registered_by_staff": True}, "method_registered_by_staff"),
        ({"by_one_person": True}, "one_person_chain"),
        ({"registered_by_staff": True, "by_one_person": True}, "method_registered_by_staff"),
        ({"by_operator": True, "by_one_person": True}, "filed_by_operator"),
    ],
)
def test_some_money_waits_whatever_the_amount(facts: dict[str, bool], reason: str) -> None:
    """A cent waits for one approver, an amount above the second limit for two."""
    small, large = (POLICY.decide(amount=Amount(EURC, minor), **facts) for minor in (1, 1_000_001))
    assert small is not None
    assert large is not None
    assert (small.reason, small.approvers, large.reason, large.approvers) == (reason, 1, reason, 2)


def test_without_a_limit_nothing_goes_by_itself() -> None:
    """An asset that the settings do not name is held, whatever the amount."""
    found = POLICY.decide(amount=Amount(ASSETS["XLM"], 1))
    assert found is not None
    assert (found.reason, found.approvers) == ("no_automatic_limit", 1)
    nothing = ApprovalPolicy(version=1, automatic_up_to={}, automatic_in_day={}, two_above={})
    assert nothing.decide(amount=Amount(EURC, 1)) is not None


@given(st.integers(0, 200), st.lists(st.integers(1, 120)))
def test_a_day_lets_out_no_more_than_its_limit(used: int, amounts: list[int]) -> None:
    """What fits is taken, in order, and what does not fit leaves room for what is smaller."""
    allowance = DayAllowance(most={"EURC": Amount(EURC, 100)}, used={"EURC": Amount(EURC, used)})
    left = 100 - used
    for minor in amounts:
        fits = minor <= left
        assert allowance.take(amount=Amount(EURC, minor)) is fits
        left -= minor if fits else 0
    taken = 100 - used - left
    assert allowance.taken == ({"EURC": Amount(EURC, taken)} if taken else {})


def test_an_asset_without_a_limit_of_the_day_has_no_allowance() -> None:
    """Nor has one whose use was not asked for."""
    one = Amount(EURC, 1)
    assert not DayAllowance(most={}, used={"EURC": Amount.zero(EURC)}).take(amount=one)
    assert not DayAllowance(most={"EURC": Amount(EURC, 100)}, used={}).take(amount=one)


@given(st.integers(1, 10_000), st.uuids())
def test_retries_wait_longer_and_not_together(number: int, key: UUID) -> None:
    """The wait grows to its bound, differs by key within a half, and is never shorter than the rail asks."""
    wait = SCHEDULE.retry_in(attempt_no=number, provider_key=key)
    full = min(SCHEDULE.retry_first * 2 ** min(number - 1, 30), SCHEDULE.retry_max)
    assert full / 2 <= wait <= full
    assert SCHEDULE.retry_in(attempt_no=number, provider_key=key, at_least_s=900) == timedelta(seconds=900)


@given(st.integers(1, 100_000))
def test_looks_never_come_closer(polls: int) -> None:
    """The gap between looks never shrinks, and has a bound."""
    here, next_ = SCHEDULE.look_again_in(polls=polls), SCHEDULE.look_again_in(polls=polls + 1)
    assert SCHEDULE.poll <= here <= next_ <= SCHEDULE.poll_max


def test_details_come_back_only_with_key_and_method() -> None:
    """Sealed details open with the key that sealed them, for the method they belong to, unchanged."""
    opened = OpenedDetails(details={"account": "ana's account"}, salt=vault().salt())
    sealed = vault().seal(method_id=METHOD, opened=opened)
    assert b"ana" not in sealed
    assert vault().open(method=method(sealed=sealed)) == opened
    other = UUID(int=METHOD.int + 1)
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for keeper, changed in (
        (vault("b"), method(sealed=sealed)),
        (vault(), method(method_id=other, sealed=sealed)),
        (vault(), method(sealed=flipped)),
    ):
        with pytest.raises(ValueError, match="not sealed by this key"):
            keeper.open(method=changed)


def test_the_same_details_never_look_the_same() -> None:
    """Sealing twice gives different bytes, and two salts give different commitments."""
    first = OpenedDetails(details={"account": "ana"}, salt=vault().salt())
    second = OpenedDetails(details={"account": "ana"}, salt=vault().salt())
    assert vault().seal(method_id=METHOD, opened=first) != vault().seal(method_id=METHOD, opened=first)
    assert vault().commitment(opened=first) != vault().commitment(opened=second)


def test_destinations_are_compared_only_with_the_key() -> None:
    """One destination has one mark under one key, and another under another."""
    one = vault().destination_mac(method_type="fake", details={"account": "ana"})
    assert one == vault().destination_mac(method_type="fake", details={"account": "ana"})
    assert one != vault("b").destination_mac(method_type="fake", details={"account": "ana"})
    assert one != vault().destination_mac(method_type="stellar", details={"account": "ana"})


def test_keys_and_details_do_not_show_themselves() -> None:
    """No repr shows a key, a salt or a detail; a malformed key is refused without repeating it."""
    opened = OpenedDetails(details={"account": "ana's account"}, salt=b"s" * 32)
    shown = repr(opened) + repr(vault()) + repr(method(sealed=b"sealed"))
    assert "ana's" not in shown
    assert "sealed'" not in shown
    with pytest.raises(ValueError, match="64 lower-case hex") as caught:
        DetailsVault(key_hex="whisper")
    assert "whisper" not in str(caught.value)


@pytest.mark.parametrize(
    ("way", "fits"),
    [
        (AllowedDestination(rail="stellar", destination=ADDRESS, commitment=None, memo="7"), True),
        (AllowedDestination(rail="stellar", destination=ADDRESS, commitment=None, memo=None), False),
        (AllowedDestination(rail="stellar", destination=ADDRESS, commitment=None, memo="8"), False),
        (AllowedDestination(rail="fake", destination=ADDRESS, commitment=None, memo="7"), False),
        (AllowedDestination(rail="stellar", destination=None, commitment=None, memo="7"), False),
    ],
)
def test_an_intent_allows_a_method_only_whole(way: AllowedDestination, fits: bool) -> None:
    """Rail, destination and memo must all be the method's."""
    assert allows(allowed=[way], method=method(address=ADDRESS, memo="7")) is fits
    assert not allows(allowed=[], method=method(address=ADDRESS, memo="7"))


def test_a_commitment_stands_for_details() -> None:
    """Off-chain methods are named by their commitment, and by nothing else."""
    found = method(commitment="c" * 64)
    assert allows(
        allowed=[AllowedDestination(rail="fake", destination=None, commitment="c" * 64, memo=None)],
        method=found,
    )
    for way in (
        AllowedDestination(rail="fake", destination=None, commitment="d" * 64, memo=None),
        AllowedDestination(rail="fake", destination="c" * 64, commitment="c" * 64, memo=None),
        AllowedDestination(rail="fake", destination=None, commitment=None, memo=None),
    ):
        assert not allows(allowed=[way], method=found)


@given(st.text(max_size=80))
def test_a_mask_hides_most(text: str) -> None:
    """No mask shows more than eight characters, nor the whole of anything."""
    shown = mask(text).replace("…", "")
    assert len(shown) <= 8
    assert not text or len(shown) < len(text)


@given(st.text(max_size=80))
def test_no_text_is_an_address_by_chance(text: str) -> None:
    """Whatever is given as an address gets an answer, never an error; only real ones are taken."""
    assert stellar_address_kind(text) in (None, "account", "muxed", "contract")
    assert stellar_address_kind(ADDRESS + text) in ((None,) if text else ("account",))


@given(st.dictionaries(st.text(max_size=8), st.none() | st.text(max_size=8), max_size=4))
def test_details_of_any_shape_get_a_code(details: dict[str, str | None]) -> None:
    """Details of whatever shape are either read whole or refused with a code of the domain."""
    for kind in ("stellar", "fake"):
        with contextlib.suppress(MethodError):
            terms = read_details(method_type=kind, details=details, address_kind=stellar_address_kind)
            given_ = {name: value for name, value in details.items() if value is not None}
            assert dict(terms.details) == given_
