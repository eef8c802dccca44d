"""The method types of railkit: what they accept, how they write it, and that nothing shows a detail."""

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schwifty import IBAN
from stellar_sdk import Keypair, MuxedAccount

from prizewire_railkit.method_types import (
    MALFORMED,
    DetailsRefused,
    MethodDetails,
    MethodType,
    Verification,
    read_details,
)
from prizewire_railkit.method_types.installed import BUILT_IN, installed_method_types

TYPES = {one.name: one for one in BUILT_IN}
ACCOUNT = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
RAW_TON = "0:ca6e321c7cce9ecedf0a8ca2492ec8592494aa5fb5ce0387dff96ef6af982a3e"
TON = "UQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPuwA"
BOUNCEABLE_TON = "EQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPrHF"
TEST_ONLY_TON = "kf_8uRo6OBbQ97jCx2EIuKm8Wmt6Vb15-KsQHFLbKSMiYIny"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
IBAN_DE = "DE89370400440532013000"
US_ACCOUNT = {
    "holder": "Ana",
    "country": "US",
    "account_number": "000123456789",
    "routing_number": "021000021",
}

VALID: tuple[tuple[str, dict[str, str]], ...] = (
    ("bank", {"holder": "Ana Example", "iban": IBAN_DE, "bic": "COBADEFF"}),
    ("bank", {"holder": "Ana Example", "iban": "NO9386011117947"}),
    ("bank", US_ACCOUNT),
    (
        "bank",
        {
            "holder": "Ana",
            "country": "IN",
            "account_number": "50100012345678",
            "routing_number": "HDFC0000001",
        },
    ),
    ("bank", {"holder": "Ana", "country": "JP", "account_number": "1234567"}),
    ("email", {"address": "ana.lee@example.com", "name": "Ana Example"}),
    ("exchange", {"venue": "binance", "uid": "38212211"}),
    ("exchange", {"venue": "okx", "address": EVM, "network": "ETH"}),
    ("exchange", {"venue": "okx", "address": TON, "network": "TON", "tag": "4711"}),
    ("fake", {"account": "ana-of-fake"}),
    ("stellar", {"address": ACCOUNT, "memo": "4711"}),
    ("telegram", {"user_id": "279058397", "username": "ana_plays"}),
    ("ton", {"address": TON, "memo": "4711"}),
    ("upi", {"vpa": "ana.lee@okbank"}),
)


def read(method_type: str, details: Mapping[str, object]) -> MethodDetails:
    return read_details(TYPES, method_type=method_type, details=details)


@pytest.mark.parametrize(("method_type", "details"), VALID)
def test_canonical_details_stay_as_they_are(method_type: str, details: dict[str, str]) -> None:
    """Details in their canonical form are accepted, and are sealed unchanged."""
    assert read(method_type, details).clear() == details


@pytest.mark.parametrize(
    ("method_type", "written", "canonical"),
    [
        ("bank", {"holder": " Ana   Example ", "iban": "de89 3704 0044 0532 0130 00"}, {"holder": "Ana Example", "iban": IBAN_DE}),
        ("bank", {"holder": "Ana", "iban": IBAN_DE, "bic": "cobadeffxxx"}, {"holder": "Ana", "iban": IBAN_DE, "bic": "COBADEFF"}),
        ("bank", {"holder": "Ana", "country": "us", "account_number": "0001-2345 6789", "routing_number": "0210-0002-1"}, US_ACCOUNT),
        ("bank", {"holder": "Jose\u0301", "iban": IBAN_DE}, {"holder": "Jos\u00e9", "iban": IBAN_DE}),
        ("email", {"address": "Ana@EXAMPLE.Com"}, {"address": "Ana@example.com"}),
        ("email", {"address": "ana@bücher.example"}, {"address": "ana@xn--bcher-kva.example"}),
        ("exchange", {"venue": "Binance", "uid": " 38212211 "}, {"venue": "binance", "uid": "38212211"}),
        ("telegram", {"user_id": "000279058397", "username": "@Ana_Plays"}, {"user_id": "279058397", "username": "ana_plays"}),
        ("ton", {"address": RAW_TON}, {"address": TON}),
        ("ton", {"address": RAW_TON.upper()}, {"address": TON}),
        ("ton", {"address": BOUNCEABLE_TON}, {"address": TON}),
        ("ton", {"address": TON.replace("-", "+").replace("_", "/")}, {"address": TON}),
        ("upi", {"vpa": "Ana.Lee@OkBank"}, {"vpa": "ana.lee@okbank"}),
    ],
)  # fmt: skip
def test_one_destination_has_one_form(
    method_type: str, written: dict[str, str], canonical: dict[str, str]
) -> None:
    """However a destination is written, the details that are sealed are the same."""
    assert read(method_type, written).clear() == canonical


@pytest.mark.parametrize(
    ("method_type", "details", "code"),
    [
        ("bank", {"holder": "Ana", "iban": "DE89370400440532013001"}, "iban_invalid"),
        ("bank", {"holder": "Ana", "iban": "DE8937040044053201300"}, "iban_invalid"),
        ("bank", {"holder": "Ana", "iban": IBAN_DE, "bic": "COBADEF"}, "bic_invalid"),
        ("bank", {"holder": "Ana", "iban": IBAN_DE, "bic": "BNPAFRPP"}, "bic_invalid"),
        ("bank", {"holder": "Ana", "iban": IBAN_DE, "country": "DE"}, "details_malformed"),
        ("bank", {"holder": "Ana"}, "details_malformed"),
        ("bank", {"iban": IBAN_DE}, "details_malformed"),
        ("bank", {"holder": "", "iban": IBAN_DE}, "name_invalid"),
        ("bank", {"holder": "A\u202enA", "iban": IBAN_DE}, "name_invalid"),
        ("bank", {"holder": "Ana", "country": "DE", "account_number": "532013000"}, "account_not_supported"),
        ("bank", {"holder": "Ana", "country": "XX", "account_number": "532013000"}, "country_invalid"),
        ("bank", {"holder": "Ana", "country": "US", "account_number": "532013000"}, "details_malformed"),
        ("bank", US_ACCOUNT | {"routing_number": "021000022"}, "routing_number_invalid"),
        ("bank", US_ACCOUNT | {"country": "IN"}, "routing_number_invalid"),
        ("bank", US_ACCOUNT | {"account_number": "1?2345"}, "account_number_invalid"),
        ("email", {"address": "ana"}, "email_invalid"),
        ("email", {"address": "ana@example.com\nBcc: eve@example.com"}, "email_invalid"),
        ("email", {"address": "änä@example.com"}, "email_invalid"),
        ("email", {"address": "ana@example.com", "name": "x" * 141}, "name_invalid"),
        ("exchange", {"venue": "binance"}, "details_malformed"),
        ("exchange", {"venue": "binance", "address": EVM}, "details_malformed"),
        ("exchange", {"venue": "binance", "uid": "38212211", "tag": "1"}, "details_malformed"),
        ("exchange", {"venue": "?", "uid": "38212211"}, "venue_invalid"),
        ("exchange", {"venue": "binance", "uid": "1"}, "uid_invalid"),
        ("exchange", {"venue": "binance", "address": EVM, "network": "?"}, "network_invalid"),
        ("exchange", {"venue": "binance", "address": "0x 5", "network": "ETH"}, "address_invalid"),
        ("exchange", {"venue": "binance", "address": EVM, "network": "ETH", "tag": "a b"}, "tag_invalid"),
        ("fake", {"account": ""}, "account_invalid"),
        ("fake", {"account": "ana", "memo": "1"}, "details_malformed"),
        ("fake", {"account": 7}, "details_malformed"),
        ("stellar", {"address": ACCOUNT[:-1] + "A"}, "address_invalid"),
        ("telegram", {"user_id": "@ana_plays"}, "user_id_invalid"),
        ("telegram", {"user_id": "0"}, "user_id_invalid"),
        ("telegram", {"user_id": str(2**52)}, "user_id_invalid"),
        ("telegram", {"user_id": "279058397", "username": "a"}, "username_invalid"),
        ("ton", {"address": TON[:-1] + "B"}, "address_invalid"),
        ("ton", {"address": "1" + RAW_TON[1:]}, "address_invalid"),
        ("ton", {"address": TEST_ONLY_TON}, "address_not_supported"),
        ("ton", {"address": TON, "memo": "ü" * 61}, "memo_too_long"),
        ("upi", {"vpa": "ana"}, "vpa_invalid"),
        ("upi", {"vpa": "a@okbank"}, "vpa_invalid"),
        ("carrier_pigeon", {"loft": "7"}, "method_type_unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_paid_is_refused(method_type: str, details: dict[str, object], code: str) -> None:
    """Details that cannot be paid are refused with a stable code, and the error shows none of them."""
    with pytest.raises(DetailsRefused) as refused:
        read(method_type, details)
    assert refused.value.code == code
    if method_type in TYPES:
        assert code in {MALFORMED, *TYPES[method_type].codes}
    assert _shown(refused.value.detail + repr(refused.value), details) == []


def _shown(text: str, details: Mapping[str, object]) -> list[str]:
    """The details of at least four characters that a text shows."""
    return [str(value) for value in details.values() if len(str(value)) >= 4 and str(value) in text]


@pytest.mark.parametrize(("method_type", "details"), VALID)
def test_a_mask_shows_no_detail_and_cannot_be_paid(method_type: str, details: dict[str, str]) -> None:
    """A masked destination holds no member in full, and no member of the details accepts it."""
    read_ones = read(method_type, details)
    masked = read_ones.masked()
    hidden = {name: value for name, value in details.items() if name != "venue"}
    assert _shown(masked + repr(read_ones) + str(read_ones) + f"{read_ones}", hidden) == []
    assert "…" in masked
    named = {"iban", "account_number", "address", "uid", "user_id", "vpa", "account"} & set(details)
    for member in named:
        try:
            again = read(method_type, details | {member: masked})
        except DetailsRefused:
            continue
        assert again.destination() != read_ones.destination()


@given(st.sampled_from(sorted(TYPES)), st.dictionaries(st.sampled_from(
    ["holder", "iban", "bic", "country", "account_number", "routing_number", "vpa", "address", "name", "user_id", "username",
     "memo", "venue", "uid", "network", "tag", "account"]), st.text(max_size=80)))  # fmt: skip
def test_any_text_is_refused_or_reads_the_same_again(method_type: str, details: dict[str, str]) -> None:
    """No text makes a check fail otherwise than with a code, and what is accepted is accepted again unchanged."""
    try:
        found = read(method_type, details)
    except DetailsRefused as error:
        refused = error
    else:
        assert read(method_type, found.clear()) == found
        return
    assert refused.code in {MALFORMED, *TYPES[method_type].codes}
    assert _shown(refused.detail, {name: value for name, value in details.items() if len(value) >= 20}) == []


@given(st.randoms(use_true_random=False), st.sampled_from(["DE", "FR", "GB", "NL", "PL", "ES", "BR", "CH"]))
def test_every_iban_has_one_form_and_a_mask_that_is_none(random: object, country: str) -> None:
    """A valid IBAN is sealed without spaces, however it is grouped; its mask is no IBAN; a changed digit is refused."""
    iban = IBAN.random(country_code=country, random=random, use_registry=False)
    found = read("bank", {"holder": "Ana", "iban": iban.formatted.lower()})
    assert found.clear()["iban"] == iban.compact
    with pytest.raises(DetailsRefused, match="IBAN"):
        read("bank", {"holder": "Ana", "iban": found.masked()})
    checks = f"{(int(iban.compact[2:4]) + 1) % 100:02}"
    with pytest.raises(DetailsRefused, match="IBAN"):
        read("bank", {"holder": "Ana", "iban": iban.compact[:2] + checks + iban.compact[4:]})


@given(
    st.binary(min_size=32, max_size=32), st.sampled_from([0, -1]), st.integers(0, 47), st.sampled_from("Ab0_")
)
def test_every_ton_address_has_one_form_with_a_checksum(
    account: bytes, workchain: int, position: int, other: str
) -> None:
    """The raw form and the friendly form of an account are one destination, and one wrong character is refused."""
    found = read("ton", {"address": f"{workchain}:{account.hex()}"}).clear()["address"]
    assert read("ton", {"address": found}).clear()["address"] == found
    assert base64.urlsafe_b64decode(found)[2:34] == account
    wrong = found[:position] + other + found[position + 1 :]
    if wrong != found:
        with pytest.raises(DetailsRefused):
            read("ton", {"address": wrong})


def test_a_destination_has_no_names() -> None:
    """Two methods to one account are one destination, whatever the names beside it."""
    bank = read("bank", {"holder": "Ana", "iban": IBAN_DE, "bic": "COBADEFF"})
    assert (
        bank.destination()
        == read("bank", {"holder": "Bo", "iban": IBAN_DE}).destination()
        == {"iban": IBAN_DE}
    )
    email = read("email", {"address": "ana@example.com", "name": "Ana"})
    assert email.destination() == {"address": "ana@example.com"}
    assert read("telegram", {"user_id": "7", "username": "ana_plays"}).destination() == {"user_id": "7"}
    written = [{"venue": "okx", "address": one, "network": "ETH"} for one in (EVM, EVM.lower())]
    assert read("exchange", written[0]).destination() == read("exchange", written[1]).destination()
    assert read("stellar", {"address": ACCOUNT, "memo": "1"}).destination() == {
        "address": ACCOUNT,
        "memo": "1",
    }


def test_only_chains_name_an_address_in_clear() -> None:
    """Intents name Stellar's and TON's addresses; every other destination stays behind a commitment."""
    for method_type, details in VALID:
        on_chain = read(method_type, details).on_chain()
        assert (on_chain is not None) == (method_type in {"stellar", "ton"})
        if on_chain is not None:
            assert (on_chain.address, on_chain.memo) == (details["address"], details["memo"])


def test_each_type_says_how_its_owner_is_verified() -> None:
    """A code goes to e-mail addresses alone, and a signature is asked of Stellar accounts alone."""
    assert {one.name: one.verification for one in BUILT_IN if one.verification is not Verification.NONE} == {
        "email": Verification.CODE,
        "stellar": Verification.SIGNATURE,
    }
    assert read("email", {"address": "Ana@EXAMPLE.com"}).code_recipient() == "Ana@example.com"
    assert read("upi", {"vpa": "ana@okbank"}).code_recipient() is None


def test_sep_53_signatures_are_checked() -> None:
    """The owner's signed message is accepted; another challenge, another key, and anything else is not."""
    owner, other = Keypair.random(), Keypair.random()
    plain = read("stellar", {"address": owner.public_key})
    muxed = read("stellar", {"address": MuxedAccount(owner.public_key, 7).account_muxed})
    signature = base64.b64encode(owner.sign_message("challenge 1")).decode()
    assert plain.has_signed(challenge="challenge 1", signature=signature)
    assert muxed.has_signed(challenge="challenge 1", signature=signature)
    assert not plain.has_signed(challenge="challenge 2", signature=signature)
    assert not plain.has_signed(
        challenge="challenge 1", signature=base64.b64encode(other.sign_message("challenge 1")).decode()
    )
    bare = base64.b64encode(owner.sign(b"challenge 1")).decode()
    assert not plain.has_signed(challenge="challenge 1", signature=bare)
    for nonsense in ("", "?", "AAAA", "ä", signature[:-4], signature * 2):
        assert not plain.has_signed(challenge="challenge 1", signature=nonsense)


def test_the_example_of_sep_53_is_accepted() -> None:
    """The first test case of SEP-53's own text verifies: its account, its message, its signature."""
    details = read("stellar", {"address": "GBXFXNDLV4LSWA4VB7YIL5GBD7BVNR22SGBTDKMO2SBZZHDXSKZYCP7L"})
    signature = "fO5dbYhXUhBMhe6kId/cuVq/AfEnHRHEvsP8vXh03M1uLpi5e46yO2Q8rEBzu3feXQewcQE5GArp88u6ePK6BA=="
    assert details.has_signed(challenge="Hello, World!", signature=signature)


def test_a_mask_of_a_short_name_hides_it() -> None:
    """The first letter of a name of one or two letters would be half of it, so it is not shown."""
    assert read("email", {"address": "an@example.com"}).masked() == "…@example.com"
    assert read("email", {"address": "ana@example.com"}).masked() == "a…@example.com"
    assert read("upi", {"vpa": "an@okbank"}).masked() == "…@okbank"


def test_all_types_of_railkit_are_found() -> None:
    """An installation without other packages has the types that railkit brings."""
    found: Mapping[str, MethodType] = installed_method_types()
    assert set(found) >= {"bank", "email", "exchange", "fake", "stellar", "telegram", "ton", "upi"}
