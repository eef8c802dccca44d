"""``bank``: a bank account, by its IBAN (ISO 13616), or by country, account number and routing number where a country has no IBAN.

The library schwifty checks an IBAN: its country's structure, its check digits, and the national check digits of the account number.
"""

import re
from typing import Annotated, Final, Self

from pycountry import countries
from pydantic import AfterValidator, Field, model_validator
from schwifty import BIC, IBAN, registry
from schwifty.exceptions import SchwiftyException

from prizewire_railkit.method_types.base import MALFORMED, MethodDetails, MethodType, mask, refusal
from prizewire_railkit.method_types.texts import name_of

_HEAD_OFFICE: Final = "XXX"
_ACCOUNT_NUMBER: Final = re.compile(r"[A-Z0-9]{4,34}")
_ROUTING_NUMBERS: Final = {"IN": re.compile(r"[A-Z]{4}0[A-Z0-9]{6}"), "US": re.compile(r"[0-9]{9}")}
"""Routing numbers by country: India's IFSC (Reserve Bank of India), the routing number of the United States (American Bankers
Association). Others have 3 to 12 letters and digits."""
_OTHER_ROUTING_NUMBER: Final = re.compile(r"[A-Z0-9]{3,12}")
_TERRITORIES: Final = {
    "FR": ("BL", "GF", "GP", "MC", "MF", "MQ", "NC", "PF", "PM", "RE", "TF", "WF", "YT"),
    "GB": ("GG", "IM", "JE"),
}
"""Territories whose banks have BICs of their own and IBANs of another country (SWIFT IBAN registry, EPC409-09)."""
_ABA_WEIGHTS: Final = (3, 7, 1) * 3


def _compact(value: str) -> str:
    """A number as a machine writes it. People separate its groups by spaces and hyphens."""
    return re.sub(r"[ -]", "", value).upper()


def _iban(value: str) -> str:
    try:
        return str(IBAN(_compact(value), validate_bban=True).compact)
    except SchwiftyException:
        raise refusal("iban_invalid", "iban is no IBAN: check its country, length and check digits") from None


def _bic(value: str) -> str:
    try:
        # eight characters and the same with XXX name the same office (ISO 9362)
        return str(BIC(_compact(value)).compact).removesuffix(_HEAD_OFFICE)
    except SchwiftyException:
        raise refusal("bic_invalid", "bic is no BIC: it has 8 or 11 letters and digits") from None


def _country(value: str) -> str:
    code = value.strip().upper()
    if len(code) != 2 or countries.get(alpha_2=code) is None:
        raise refusal("country_invalid", "country is no country code of two letters (ISO 3166-1)")
    return code


def _account_number(value: str) -> str:
    number = _compact(value)
    if not _ACCOUNT_NUMBER.fullmatch(number):
        raise refusal("account_number_invalid", "account_number has 4 to 34 letters and digits")
    return number


def _has_iban(country: str) -> bool:
    """Whether accounts in this country are named by an IBAN."""
    try:
        registry.get_iban_spec(country)
    except SchwiftyException:
        return False
    return True


def _of_one_country(*, iban: str, bic: str) -> bool:
    country = IBAN(iban).country_code
    return BIC(bic).country_code in (country, *_TERRITORIES.get(country, ()))


class BankDetails(MethodDetails):
    """Details of type ``bank``."""

    holder: Annotated[str, AfterValidator(name_of("holder")), Field(examples=["Ana Example"])]
    iban: Annotated[str, AfterValidator(_iban)] | None = Field(None, examples=["DE89370400440532013000"])
    bic: Annotated[str, AfterValidator(_bic)] | None = Field(None, examples=["COBADEFF"])
    country: Annotated[str, AfterValidator(_country)] | None = Field(None, examples=[None])
    account_number: Annotated[str, AfterValidator(_account_number)] | None = Field(None, examples=[None])
    routing_number: Annotated[str, AfterValidator(_compact)] | None = Field(None, examples=[None])

    @model_validator(mode="after")
    def _one_account(self) -> Self:
        national = (self.country, self.account_number, self.routing_number)
        if self.iban is not None:
            if any(part is not None for part in national):
                raise refusal(
                    MALFORMED, "details hold an iban, or country, account_number and routing_number"
                )
            if self.bic is not None and not _of_one_country(iban=self.iban, bic=self.bic):
                raise refusal("bic_invalid", "bic is of another country than iban")
            return self
        if self.country is None or self.account_number is None:
            raise refusal(
                MALFORMED, "details lack iban, or country and account_number where there is no IBAN"
            )
        if _has_iban(self.country):
            raise refusal("account_not_supported", "an account in this country is named by its iban")
        self._check_routing_number(self.country)
        return self

    def _check_routing_number(self, country: str) -> None:
        number = self.routing_number
        if number is None:
            if country in _ROUTING_NUMBERS:
                raise refusal(
                    MALFORMED, "details lack routing_number, which an account in this country needs"
                )
            return
        fits = _ROUTING_NUMBERS.get(country, _OTHER_ROUTING_NUMBER).fullmatch(number) is not None
        if fits and country == "US":
            fits = sum(w * int(d) for w, d in zip(_ABA_WEIGHTS, number, strict=True)) % 10 == 0
        if not fits:
            raise refusal(
                "routing_number_invalid",
                "routing_number is wrong for an account in this country: look for a typing error",
            )

    def masked(self) -> str:
        """See `MethodDetails`."""
        if self.iban is not None:
            return mask(self.iban) if len(self.iban) >= 20 else f"{self.iban[:2]}…{self.iban[-2:]}"
        assert self.account_number is not None
        return f"{self.country} …{self.account_number[-2:]}"

    def destination(self) -> dict[str, str]:
        """See `MethodDetails`: the account without the names of its holder and its bank."""
        members = self.clear()
        return {name: members[name] for name in members if name not in {"holder", "bic"}}


BANK = MethodType(
    name="bank",
    details=BankDetails,
    summary="a bank account: holder, with iban and optionally bic, or with country, account_number and routing_number",
    codes=(
        "account_not_supported",
        "account_number_invalid",
        "bic_invalid",
        "country_invalid",
        "iban_invalid",
        "name_invalid",
        "routing_number_invalid",
    ),
)
