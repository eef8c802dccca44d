"""``email``: an e-mail address, to which a gift card or a payment is sent. Its owner is verified by a code."""

from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field

from prizewire_railkit.method_types.base import MethodDetails, MethodType, Verification, refusal
from prizewire_railkit.method_types.texts import name_of


def _address(value: str) -> str:
    try:
        found = validate_email(value.strip(), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise refusal("email_invalid", "address is no e-mail address: it reads name@domain") from None
    # one form for a domain in its own script and in Punycode
    assert found.ascii_email is not None, "an address without SMTPUTF8 has an ASCII form"
    return found.ascii_email


class EmailDetails(MethodDetails):
    """Details of type ``email``."""

    address: Annotated[str, AfterValidator(_address), Field(examples=["ana@example.com"])]
    name: Annotated[str, AfterValidator(name_of("name"))] | None = Field(None, examples=["Ana Example"])

    def masked(self) -> str:
        """See `MethodDetails`."""
        local, _, domain = self.address.rpartition("@")
        return f"{local[:1] if len(local) > 2 else ''}…@{domain}"

    def code_recipient(self) -> str:
        """See `MethodDetails`."""
        return self.address

    def destination(self) -> dict[str, str]:
        """See `MethodDetails`: the address without the name."""
        return {"address": self.address}


EMAIL = MethodType(
    name="email",
    details=EmailDetails,
    summary="an e-mail address, and the name of its owner",
    codes=("email_invalid", "name_invalid"),
    verification=Verification.CODE,
)
