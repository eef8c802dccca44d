"""``fake``: an account of the rail that moves no money."""

from typing import Annotated

from pydantic import AfterValidator, Field

from prizewire_railkit.method_types.base import MethodDetails, MethodType, mask, refusal

_LENGTH_MAX = 128


def _account(value: str) -> str:
    if not value or len(value) > _LENGTH_MAX or not value.isprintable():
        raise refusal("account_invalid", f"account has 1 to {_LENGTH_MAX} printable characters")
    return value


class FakeDetails(MethodDetails):
    """Details of type ``fake``."""

    account: Annotated[str, AfterValidator(_account), Field(examples=["ana"])]

    def masked(self) -> str:
        """See `MethodDetails`."""
        return mask(self.account)


FAKE = MethodType(
    name="fake",
    details=FakeDetails,
    summary="an account of the rail that moves no money",
    codes=("account_invalid",),
)
