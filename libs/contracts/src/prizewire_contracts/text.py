"""Text that people write and text that machines name things by: one rule for HTTP bodies, events and audit records.

Every text is printable: no control character (Unicode category Cc), no line or paragraph separator, no character that
overrides the direction of writing, no lone surrogate. NUL cannot be stored by PostgreSQL; the others make a log line, a
CSV file or a screen show something else than what was sent.

*Free text* (``Reason``, ``Line``, ``Label``) is shown and never compared. In an HTTP body it is brought to Unicode
normalization form C and stripped of outer white space. In an event it is taken as it was sent, since a changed text
would no longer be what was signed.

*Identifiers* (``Name``, ``Ascii``, ``Word``) are compared. They are never changed: what is not in form C is refused.
"""

import re
import unicodedata
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, StringConstraints

NAME_LENGTH_MAX: Final = 128
LABEL_LENGTH_MAX: Final = 128
LINE_LENGTH_MAX: Final = 256
REASON_LENGTH_MAX: Final = 500
_MEMO_LENGTH_MAX: Final = 28
_LONGEST: Final = 4 * REASON_LENGTH_MAX
"""Longer texts are not normalized, since that takes time that grows with the square of the length; they are refused."""
_REFUSED: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
PRINTABLE: Final = f"^[^{_REFUSED}]+$"
"""Pattern of a text without refused characters, for pydantic, JSON Schema and Python alike."""
PRINTABLE_OR_EMPTY: Final = f"^[^{_REFUSED}]*$"
_NAME: Final = rf"^[^\s{_REFUSED}]+$"
_WORD: Final = r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}"
_REFUSED_ONE: Final = re.compile(f"[{_REFUSED}\ud800-\udfff]")
_NAME_WHOLE: Final = re.compile(rf"[^\s{_REFUSED}\ud800-\udfff]{{1,{NAME_LENGTH_MAX}}}")
T = TypeVar("T")


def normalized(value: str) -> str:
    """The text in Unicode normalization form C without outer white space. A text that is too long for every field is returned unchanged."""
    if len(value) > _LONGEST:
        return value
    return value.strip() if value.isascii() else unicodedata.normalize("NFC", value).strip()


def is_printable(value: str) -> bool:
    """Whether a text has no refused character. The empty text has none."""
    return _REFUSED_ONE.search(value) is None


def is_name(value: str) -> bool:
    """Whether a text is an identifier as ``Name`` has it."""
    return _NAME_WHOLE.fullmatch(value) is not None and is_normal(value)


def is_word(value: str) -> bool:
    """Whether a text is one of ``Word``: letters, digits and ``_.:/-``, 128 at most."""
    return re.fullmatch(_WORD, value, re.ASCII) is not None


def printable(value: str, *, length_max: int = REASON_LENGTH_MAX) -> str:
    """What is left of a text that a machine made, for records that must not fail: each refused character becomes
    U+FFFD, and what is longer than ``length_max`` ends in an ellipsis.
    """
    clean = _REFUSED_ONE.sub("\ufffd", value[: length_max + 1])
    return clean if len(clean) <= length_max else clean[: length_max - 1] + "…"


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an `s` in the plural: `1 payment`, `2,000 payments`."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"


def printable_members(value: T) -> T:
    """A dataclass of a signed structure, once every text in it is printable.

    Raises:
        ValueError: a member that is not.
    """
    for path, text in _texts(value, ""):
        if not is_printable(text):
            msg = f"{path} holds a control character"
            raise ValueError(msg)
    return value


def _texts(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(path, value)]
    if isinstance(value, tuple):
        return [found for one in value for found in _texts(one, path)]
    if is_dataclass(value):
        return [
            found
            for field in fields(value)
            for found in _texts(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
        ]
    return []


def is_normal(value: str) -> bool:
    """Whether a text is in Unicode normalization form C."""
    return value.isascii() or unicodedata.is_normalized("NFC", value)


def _check_normal(value: str) -> str:
    if not is_normal(value):
        msg = "an identifier is in Unicode normalization form C (NFC)"
        raise ValueError(msg)
    return value


def _prepared(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    refused = _REFUSED_ONE.search(value)
    if refused is not None:
        msg = f"U+{ord(refused.group()):04X} is not taken: send one line of printable text"
        raise ValueError(msg)
    return normalized(value)


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=NAME_LENGTH_MAX, pattern=_NAME),
    AfterValidator(_check_normal),
]
"""An identifier given by others: player, match, competition. Opaque, printable, no white space, in form C."""
Ascii = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-~]+$")]
"""An identifier of visible ASCII characters: a source, a key id, an address, a correlation id."""
Word = Annotated[str, StringConstraints(pattern=f"^{_WORD}$")]
"""A word of a closed list: a code, a rail, a type, an action."""
EventLine = Annotated[str, StringConstraints(min_length=1, max_length=LINE_LENGTH_MAX, pattern=PRINTABLE)]
"""One line of an event: a reference, a person. CloudEvents 1.0 ("Type System") forbids control characters too."""
EventReason = Annotated[str, StringConstraints(min_length=1, max_length=REASON_LENGTH_MAX, pattern=PRINTABLE)]
"""A reason in an event."""
Reason = Annotated[
    str,
    StringConstraints(min_length=1, max_length=REASON_LENGTH_MAX, pattern=PRINTABLE),
    BeforeValidator(_prepared),
]
"""A reason or a note in an HTTP body."""
Line = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE),
    BeforeValidator(_prepared),
]
"""One line in an HTTP body: a title, a reference, an address."""
Label = Annotated[
    str,
    StringConstraints(max_length=LABEL_LENGTH_MAX, pattern=PRINTABLE_OR_EMPTY),
    BeforeValidator(_prepared),
]
"""A line for people in an HTTP body that may be empty."""
Memo = Annotated[str, StringConstraints(min_length=1, max_length=_MEMO_LENGTH_MAX, pattern=PRINTABLE)]
"""Memo text of a payment. It is compared byte for byte, so it is never changed."""
