"""``upi``: a virtual payment address of India's Unified Payments Interface, such as ``name@bank``."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from prizewire_railkit.method_types.base import MethodDetails, MethodType, refusal

_VPA: Final = re.compile(r"[a-z0-9._-]{2,255}@[a-z][a-z0-9]{1,63}")
"""The form of a virtual payment address in NPCI's specification: a user name, and the handle of a provider. Upper and lower case
name the same address."""


def _vpa(value: str) -> str:
    address = value.strip().lower()
    if not _VPA.fullmatch(address):
        raise refusal("vpa_invalid", "vpa is no virtual payment address: it reads name@handle")
    return address


class UpiDetails(MethodDetails):
    """Details of type ``upi``."""

    vpa: Annotated[str, AfterValidator(_vpa), Field(examples=["ana@okbank"])]

    def masked(self) -> str:
        """See `MethodDetails`."""
        user, _, handle = self.vpa.partition("@")
        return f"{user[:1] if len(user) > 2 else ''}…@{handle}"


UPI = MethodType(
    name="upi",
    details=UpiDetails,
    summary="a virtual payment address (VPA) of India's UPI, such as ana@okbank",
    codes=("vpa_invalid",),
)
