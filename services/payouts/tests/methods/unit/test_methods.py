"""Details of payout methods: sealing, masks, addresses."""

import contextlib
import hashlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_payouts.methods.adapters import DetailsVault, stellar_address_kind
from prizewire_payouts.methods.domain import MethodError, mask, read_details
from prizewire_payouts.methods.ports import OpenedDetails
from services.payouts.tests.fakes import METHOD, make_method
from services.payouts.tests.rig import ADDRESS


def vault(label: str = "a") -> DetailsVault:
    return DetailsVault(key_hex=hashlib.sha256(label.encode()).hexdigest())


def test_details_come_back_only_with_key_and_method() -> None:
    """Sealed details open with the key that sealed them, for the method they belong to, unchanged."""
    opened = OpenedDetails(details={"account": "ana's account"}, salt=vault().salt())
    sealed = vault().seal(method_id=METHOD, opened=opened)
    assert b"ana" not in sealed
    assert vault().open(method=make_method(sealed=sealed)) == opened
    other = UUID(int=METHOD.int + 1)
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for keeper, changed in (
        (vault("b"), make_method(sealed=sealed)),
        (vault(), make_method(method_id=other, sealed=sealed)),
        (vault(), make_method(sealed=flipped)),
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
    shown = repr(opened) + repr(vault()) + repr(make_method(sealed=b"sealed"))
    assert "ana's" not in shown
    assert "sealed'" not in shown
    with pytest.raises(ValueError, match="64 lower-case hex") as caught:
        DetailsVault(key_hex="whisper")
    assert "whisper" not in str(caught.value)


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
