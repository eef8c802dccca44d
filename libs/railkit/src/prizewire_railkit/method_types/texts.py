"""Checks of texts that several method types share."""

import unicodedata
from collections.abc import Callable
from typing import Final

from prizewire_railkit.method_types.base import refusal

NAME_LENGTH_MAX: Final = 140
"""The longest name of a party in ISO 20022 (``Max140Text``)."""


def name_of(member: str) -> Callable[[str], str]:
    """The check of a person's or a company's name: one space between words, composed characters (Unicode NFC)."""

    def check(value: str) -> str:
        name = " ".join(unicodedata.normalize("NFC", value).split())
        if not 1 <= len(name) <= NAME_LENGTH_MAX or not name.isprintable():
            raise refusal("name_invalid", f"{member} has 1 to {NAME_LENGTH_MAX} printable characters")
        return name

    return check


def memo_of(*, bytes_max: int) -> Callable[[str], str]:
    """The check of a text that must stand on a payment."""

    def check(value: str) -> str:
        if not value or len(value.encode()) > bytes_max:
            raise refusal("memo_too_long", f"a memo has 1 to {bytes_max} bytes of text")
        return value

    return check
