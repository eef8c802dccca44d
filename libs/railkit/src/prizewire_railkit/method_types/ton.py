"""``ton``: an account on The Open Network, with a comment where the recipient needs one.

An address is written raw (``0:`` and 64 hex digits) or friendly (48 characters of base64 with flags and a checksum, TEP-2). Every
form of one account becomes the friendly one for wallets (``UQ…``), so that the same account is the same destination.
"""

import base64
import binascii
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from prizewire_railkit.method_types.base import MethodDetails, MethodType, OnChain, mask, refusal
from prizewire_railkit.method_types.texts import memo_of

MEMO_BYTES_MAX: Final = 120
"""The longest comment. A cell has 127 bytes, four of them for the operation code, so a comment of 120 bytes needs no second cell."""
_BOUNCEABLE: Final = 0x11
_NON_BOUNCEABLE: Final = 0x51
_TEST_ONLY: Final = 0x80
_RAW: Final = re.compile(r"(0|-1):([0-9a-fA-F]{64})")
_FRIENDLY: Final = re.compile(r"[A-Za-z0-9_-]{48}")
_WORKCHAINS: Final = (0, -1)


def _address(value: str) -> str:
    workchain, account = _parsed(value.strip())
    body = bytes([_NON_BOUNCEABLE]) + workchain.to_bytes(1, "big", signed=True) + account
    return base64.urlsafe_b64encode(body + _checksum(body)).decode()


def _parsed(address: str) -> tuple[int, bytes]:
    if raw := _RAW.fullmatch(address):
        return int(raw[1]), bytes.fromhex(raw[2])
    wrong = refusal("address_invalid", "address is no TON address, or a character of it is wrong")
    friendly = address.replace("+", "-").replace("/", "_")
    if not _FRIENDLY.fullmatch(friendly):
        raise wrong
    decoded = base64.urlsafe_b64decode(friendly)
    body, checksum = decoded[:34], decoded[34:]
    workchain = int.from_bytes(body[1:2], "big", signed=True)
    flags = body[0]
    if (
        checksum != _checksum(body)
        or flags & ~_TEST_ONLY not in (_BOUNCEABLE, _NON_BOUNCEABLE)
        or workchain not in _WORKCHAINS
    ):
        raise wrong
    if flags & _TEST_ONLY:
        raise refusal(
            "address_not_supported", "address is marked for the test network: give one without the mark"
        )
    return workchain, body[2:]


def _checksum(body: bytes) -> bytes:
    # the checksum of TEP-2 is CRC-16 with the polynomial of XMODEM
    return binascii.crc_hqx(body, 0).to_bytes(2, "big")


class TonDetails(MethodDetails):
    """Details of type ``ton``."""

    address: Annotated[
        str, AfterValidator(_address), Field(examples=["UQDKbjIcfM6ezt8KjKJJLshZJJSqX7XOA4ff-W72r5gqPuwA"])
    ]
    memo: Annotated[str, AfterValidator(memo_of(bytes_max=MEMO_BYTES_MAX))] | None = Field(
        None, examples=["4711"]
    )

    def masked(self) -> str:
        """See `MethodDetails`."""
        return mask(self.address)

    def on_chain(self) -> OnChain:
        """See `MethodDetails`."""
        return OnChain(address=self.address, account=self.address, memo=self.memo)


TON = MethodType(
    name="ton",
    details=TonDetails,
    summary="an account on The Open Network, and the comment that a payment to it must carry",
    codes=("address_invalid", "address_not_supported", "memo_too_long"),
)
