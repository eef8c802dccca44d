"""Details of payout methods: sealing, and the types that read them."""

import contextlib
import hashlib
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator

from prizewire_payouts.errors import DetailsError
from prizewire_payouts.methods.adapters import DetailsVault, InstalledTypes
from prizewire_payouts.methods.domain import MethodUnreadable
from prizewire_payouts.methods.ports import OpenedDetails, ShownDetails
from prizewire_railkit.method_types import MethodDetails, MethodType, mask, refusal
from prizewire_railkit.method_types.installed import installed_method_types
from services.payouts.tests.fakes import METHOD, make_method
from services.payouts.tests.rig import ADDRESS

TYPES = InstalledTypes(installed_method_types())


def _loft(value: str) -> str:
    if not value:
        raise refusal("loft_invalid", "loft is empty")
    return value


class PigeonDetails(MethodDetails):
    """Details of a type that an outsider brings."""

    loft: Annotated[str, AfterValidator(_loft)]

    def masked(self) -> str:
        return mask(self.loft)


PIGEON = MethodType(name="pigeon", details=PigeonDetails, summary="a loft", codes=("loft_invalid",))


def vault(label: str = "a") -> DetailsVault:
    return DetailsVault(key_hex=hashlib.sha256(label.encode()).hexdigest())


def test_details_come_back_only_with_key_and_method() -> None:
    """Sealed details open with the key that sealed them, for the method they belong to, unchanged."""
    opened = OpenedDetails(details={"account": "ana's account"}, salt=vault().salt())
    sealed = vault().seal(method_id=METHOD, opened=opened)
    assert b"ana" not in sealed
    assert vault().open(method=make_method(sealed=sealed, sealed_by=vault().key_id)) == opened
    other = UUID(int=METHOD.int + 1)
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for keeper, changed in (
        (vault("b"), make_method(sealed=sealed, sealed_by=vault().key_id)),
        (vault(), make_method(method_id=other, sealed=sealed, sealed_by=vault().key_id)),
        (vault(), make_method(sealed=flipped, sealed_by=vault().key_id)),
    ):
        with pytest.raises(MethodUnreadable):
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


@given(st.dictionaries(st.text(max_size=8), st.none() | st.text(max_size=8), max_size=4))
def test_details_of_any_shape_get_a_code(details: dict[str, str | None]) -> None:
    """Details of whatever shape are read whole or refused with a code, for each installed type."""
    for kind in TYPES.names():
        with contextlib.suppress(DetailsError):
            terms = TYPES.read(method_type=kind, details=details)
            given_ = {name: value for name, value in details.items() if value is not None}
            assert dict(terms.details) == given_


def test_a_package_brings_a_method_type() -> None:
    """A type that payouts does not bring itself is read, masked and described; without its package nothing is shown of stored details."""
    types = InstalledTypes({"pigeon": PIGEON})
    terms = types.read(method_type="pigeon", details={"loft": "the loft of ana"})
    assert (terms.type, terms.details, terms.address) == ("pigeon", {"loft": "the loft of ana"}, None)
    assert types.shown(method_type="pigeon", details=terms.details) == ShownDetails(
        destination="th…", memo=None
    )
    with pytest.raises(DetailsError) as caught:
        types.read(method_type="pigeon", details={"loft": ""})
    assert caught.value.code == "loft_invalid"
    assert "loft_invalid" in types.codes()
    schema: dict[str, Any] = {}
    types.describe(schema, text={"maxLength": 9})
    (described,) = schema["oneOf"]
    assert described["properties"]["type"] == {"const": "pigeon"}
    assert described["properties"]["details"]["properties"]["loft"]["maxLength"] == 9
    gone = TYPES.shown(method_type="pigeon", details=terms.details)
    assert gone == ShownDetails(destination="…", memo=None)


def test_an_address_is_found_to_be_of_a_type() -> None:
    """Only types of chains are found by an address, and only among those that are asked for."""
    found = TYPES.on_chain(among=TYPES.names(), address=ADDRESS, memo="7")
    assert found == "stellar"
    assert TYPES.on_chain(among=["fake"], address=ADDRESS, memo=None) is None
    assert TYPES.on_chain(among=["stellar"], address=ADDRESS[:-1], memo=None) is None
