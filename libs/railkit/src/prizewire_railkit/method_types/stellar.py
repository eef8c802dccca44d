"""``stellar``: an account on the Stellar network (SEP-23 strkeys), with a memo text where the recipient needs one.

Its owner is verified by a signed message (SEP-53): the account's key signs SHA-256 of ``Stellar Signed Message:``, a line break
and the challenge.
"""

import base64
import binascii
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator
from stellar_sdk import Keypair, MuxedAccount, StrKey
from stellar_sdk.exceptions import BadSignatureError

from prizewire_railkit.method_types.base import (
    MethodDetails,
    MethodType,
    OnChain,
    Verification,
    mask,
    refusal,
)

MEMO_BYTES_MAX: Final = 28
"""The longest memo text of a Stellar transaction (`string text<28>` in Stellar's XDR, Stellar-transaction.x)."""


def _address(value: str) -> str:
    if StrKey.is_valid_contract(value):
        raise refusal(
            "address_not_supported", "a contract (C…) cannot be paid yet: name an account (G… or M…)"
        )
    if _account_behind(value) is None:
        raise refusal("address_invalid", "address is no Stellar account (G…) or muxed account (M…)")
    return value


def _account_behind(address: str) -> str | None:
    """The account (G…) that an address pays to; None where it is no address."""
    if StrKey.is_valid_ed25519_public_key(address):
        return address
    if StrKey.is_valid_med25519_public_key(address):
        # checked with the parser of the SDK too: a muxed key holds an account key, which must be valid
        return MuxedAccount.from_account(address).account_id or None
    return None


class StellarDetails(MethodDetails):
    """Details of type ``stellar``."""

    address: Annotated[
        str,
        AfterValidator(_address),
        Field(examples=["GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"]),
    ]
    memo: str | None = Field(None, examples=["4711"])

    @model_validator(mode="after")
    def _memo(self) -> Self:
        if self.memo is not None:
            if not self.memo or len(self.memo.encode()) > MEMO_BYTES_MAX:
                raise refusal("memo_too_long", f"a memo has 1 to {MEMO_BYTES_MAX} bytes of text")
            if self.address.startswith("M"):
                raise refusal("memo_not_possible", "a payment to a muxed address carries no memo")
        return self

    def masked(self) -> str:
        """See `MethodDetails`."""
        return mask(self.address)

    def on_chain(self) -> OnChain:
        """See `MethodDetails`."""
        account = _account_behind(self.address)
        assert account is not None
        return OnChain(address=self.address, account=account, memo=self.memo)

    def has_signed(self, *, challenge: str, signature: str) -> bool:
        """See `MethodDetails`. ``signature`` is in base64, as wallets answer it (SEP-43 ``signMessage``)."""
        try:
            signed = base64.b64decode(signature, validate=True)
            Keypair.from_public_key(self.on_chain().account).verify_message(challenge, signed)
        except (binascii.Error, ValueError, BadSignatureError):
            return False
        return True


STELLAR = MethodType(
    name="stellar",
    details=StellarDetails,
    summary="an account on the Stellar network, and the memo that a payment to it must carry",
    codes=("address_invalid", "address_not_supported", "memo_too_long", "memo_not_possible"),
    verification=Verification.SIGNATURE,
)
