"""``telegram``: a Telegram user, by the numeric id that Crypto Pay's ``transfer`` takes (``user_id``)."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from prizewire_railkit.method_types.base import MethodDetails, MethodType, mask, refusal

_USER_ID_MAX: Final = 2**52 - 1
"""A user's id has at most 52 significant bits (Telegram Bot API, type ``User``)."""
_USERNAME: Final = re.compile(r"[a-z][a-z0-9_]{3,31}")
"""The form of a user name: 5 to 32 characters, 4 for those that were sold; upper and lower case are the same."""


def _user_id(value: str) -> str:
    text = value.strip()
    if not text.isascii() or not text.isdigit() or len(text) > 20 or not 0 < int(text) <= _USER_ID_MAX:
        raise refusal(
            "user_id_invalid", "user_id is no id of a Telegram user: it is a number, and not the @name"
        )
    return str(int(text))


def _username(value: str) -> str:
    name = value.strip().removeprefix("@").lower()
    if not _USERNAME.fullmatch(name):
        raise refusal("username_invalid", "username is no user name of Telegram, such as @ana_plays")
    return name


class TelegramDetails(MethodDetails):
    """Details of type ``telegram``. A user name can be given up and taken by another person, so the id alone is paid."""

    user_id: Annotated[str, AfterValidator(_user_id), Field(examples=["279058397"])]
    username: Annotated[str, AfterValidator(_username)] | None = Field(None, examples=["ana_plays"])

    def masked(self) -> str:
        """See `MethodDetails`."""
        return mask(self.user_id)

    def destination(self) -> dict[str, str]:
        """See `MethodDetails`: the user's id without the name."""
        return {"user_id": self.user_id}


TELEGRAM = MethodType(
    name="telegram",
    details=TelegramDetails,
    summary="a Telegram user who has used Crypto Pay: the numeric user_id, and the user name",
    codes=("user_id_invalid", "username_invalid"),
)
