"""``exchange``: an account at a crypto exchange, by its user id there, or by a deposit address on a network."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from prizewire_railkit.method_types.base import MALFORMED, MethodDetails, MethodType, mask, refusal

_VENUE: Final = re.compile(r"[a-z][a-z0-9_]{1,31}")
_NETWORK: Final = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,31}")
_UID: Final = re.compile(r"[A-Za-z0-9]{4,64}")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9:_-]{16,128}")
_TAG: Final = re.compile(r"[!-~]{1,120}")
_HEX_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


def _venue(value: str) -> str:
    venue = value.strip().lower()
    if not _VENUE.fullmatch(venue):
        raise refusal("venue_invalid", "venue is the short name of an exchange, such as binance")
    return venue


def _network(value: str) -> str:
    network = value.strip().upper()
    if not _NETWORK.fullmatch(network):
        raise refusal("network_invalid", "network is the exchange's short name of a network, such as TRX")
    return network


def _uid(value: str) -> str:
    uid = value.strip()
    if not _UID.fullmatch(uid):
        raise refusal("uid_invalid", "uid has 4 to 64 letters and digits")
    return uid


def _address(value: str) -> str:
    address = value.strip()
    if not _ADDRESS.fullmatch(address):
        raise refusal("address_invalid", "address is no deposit address: it has 16 to 128 letters and digits")
    return address


def _tag(value: str) -> str:
    tag = value.strip()
    if not _TAG.fullmatch(tag):
        raise refusal("tag_invalid", "tag has 1 to 120 printable ASCII characters without a space")
    return tag


class ExchangeDetails(MethodDetails):
    """Details of type ``exchange``. The exchange that pays checks the address's own check digits: their form is the network's."""

    venue: Annotated[str, AfterValidator(_venue), Field(examples=["binance"])]
    uid: Annotated[str, AfterValidator(_uid)] | None = Field(None, examples=["38212211"])
    address: Annotated[str, AfterValidator(_address)] | None = Field(None, examples=[None])
    network: Annotated[str, AfterValidator(_network)] | None = Field(None, examples=[None])
    tag: Annotated[str, AfterValidator(_tag)] | None = Field(None, examples=[None])

    @model_validator(mode="after")
    def _one_destination(self) -> Self:
        if self.uid is not None and (self.address, self.network, self.tag) == (None, None, None):
            return self
        if self.uid is None and self.address is not None and self.network is not None:
            return self
        raise refusal(
            MALFORMED, "details hold venue with uid, or venue with address, network and optionally tag"
        )

    def masked(self) -> str:
        """See `MethodDetails`."""
        return f"{self.venue} {mask(self.uid or self.address or '')}"

    def destination(self) -> dict[str, str]:
        """See `MethodDetails`: the upper-case letters of a hexadecimal address are check digits (EIP-55), and no part of it."""
        members = self.clear()
        if self.address is not None and _HEX_ADDRESS.fullmatch(self.address):
            members["address"] = self.address.lower()
        return members


EXCHANGE = MethodType(
    name="exchange",
    details=ExchangeDetails,
    summary="an account at a crypto exchange: venue with uid, or with address, network and tag",
    codes=("address_invalid", "network_invalid", "tag_invalid", "uid_invalid", "venue_invalid"),
)
