"""Errors of pydantic in plain words, for senders who know neither Python nor regular expressions.

The value is shown only where it is a code or an amount: another text may be personal.
"""

from collections.abc import Mapping
from typing import Any, Final

from prizewire_contracts.text import printable

_SHOWN_MAX: Final = 32
_DECIMAL: Final = 'a decimal number in quotes, such as "12.50"'
_ASSET: Final = r"^[A-Z][A-Z0-9]{0,11}$"
_SHOWN: Final = {
    _ASSET: "asset code: 1 to 12 upper-case letters and digits, a letter first, such as USDC",
    r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?$": f"amount: {_DECIMAL}",
    r"^(0|[1-9][0-9]*)(\.[0-9]+)?$": f"amount: {_DECIMAL}",
    r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$": 'amount: a decimal number in quotes, such as "-12.50"',
    r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?$": 'score: a number in quotes with at most 6 decimals, such as "8.5"',
}
"""What each of these patterns stands for, and its form."""
_FORMS: Final = {
    r"^[a-z][a-z0-9_]{0,31}$": "it must have 1 to 32 lower-case letters, digits and _, a letter first",
    r"^[a-z0-9][a-z0-9_-]{0,63}$": "it must have 1 to 64 lower-case letters, digits, _ and -, a letter or digit first",
    r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$": "it must have 1 to 128 letters, digits and ._:-, a letter or digit first",
    r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$": "it must have 1 to 128 letters, digits and _.:/-, a letter or digit first",
    r"^[A-Za-z0-9:_-]{1,255}$": "it must have 1 to 255 letters, digits, colons, underscores or hyphens",
    r"^[!-~]+$": "it must have visible ASCII characters only, without a space",
    r"^[!-~]*$": "it must have visible ASCII characters only, without a space",
    r"^[0-9a-f]{64}$": "it must have exactly 64 hexadecimal digits, in lower case",
    r"^[0-9a-f]{128}$": "it must have exactly 128 hexadecimal digits, in lower case",
    r"^[0-9]{1,19}$": "it must have 1 to 19 digits",
    r"^[0-9]{1,15}(\.[0-9]{1,15})?$": "it must be a rate in quotes with at most 15 digits before and after the point",
    r"^[A-Za-z0-9+/=]+$": "it must be Base64",
    r"^[A-Za-z0-9+/=_-]+$": "it must be Base64",
}
"""The forms of texts whose value is not shown."""
_UUID_LIST: Final = "^[0-9a-fA-F]{8}("
_SPACELESS: Final = r"^[^\s"
_ONE_LINE: Final = "^[^"
_UUID: Final = "it must be a UUID such as 22222222-2222-4222-8222-222222222222"
_MOMENT: Final = "it must be a time with its offset, such as 2026-05-01T12:00:00Z"
_EMPTY: Final = "it must not be empty"
_TYPES: Final = {
    "missing": "it is missing",
    "extra_forbidden": "there is no member of this name; the API document (openapi.json of the service) lists those that exist",
    "string_type": 'it must be a JSON string, in quotes, as "4000.00"',
    "list_type": "it must be a JSON list",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "int_type": "it must be a whole number, without quotes",
    "int_parsing": "it must be a whole number, without quotes",
    "int_from_float": "it must be a whole number, without quotes",
    "dict_type": "it must be a JSON object",
    "model_type": "it must be a JSON object",
    "model_attributes_type": "it must be a JSON object",
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it must have at most {max_length} characters",
    "too_short": "it must have at least {min_length} entries, not {actual_length}",
    "too_long": "it must have at most {max_length} entries, not {actual_length}",
    "greater_than_equal": "it must be {ge} or more",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be {le} or less",
    "less_than": "it must be less than {lt}",
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "timezone_aware": _MOMENT,
    "enum": "it must be one of {expected}",
    "literal_error": "it must be one of {expected}",
}
"""Sentences by error type (``pydantic_core.list_all_errors``), with the names of the error's context."""


def plain_error(error: Mapping[str, Any]) -> str:
    """One error of a ``ValidationError`` as a sentence about the member that it names: what the member must be."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return plain_form(context["pattern"], value=error.get("input"))
    if kind.endswith("too_short") and context["min_length"] == 1:
        return _EMPTY
    if kind in _TYPES:
        return _TYPES[kind].format(**context)
    return str(error["msg"]).removeprefix("Value error, ")


def plain_form(pattern: str, *, value: object = None) -> str:
    """What a text must be that does not match ``pattern``. An unknown pattern is shown as it is."""
    if pattern in _SHOWN:
        shown = printable(str(value), length_max=_SHOWN_MAX)
        return f"{shown!r} is no {_SHOWN[pattern]}"
    if pattern in _FORMS:
        return _FORMS[pattern]
    if pattern.startswith(_UUID_LIST):
        return "it must be one UUID, or several with commas between"
    if pattern.startswith(_SPACELESS):
        return "it must have printable characters only, without white space"
    if pattern.startswith(_ONE_LINE):
        return "it must have printable characters only, on one line"
    return f"it must match the regular expression {pattern}"
