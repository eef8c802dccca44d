"""Canonical JSON bytes (RFC 8785) for everything that is hashed or signed.

Only the subset that Prizewire allows is accepted: no floats, integers below 2^53, ASCII object keys. Within it,
orjson's sorted output equals RFC 8785 byte for byte (a test holds it to the library ``rfc8785``).
"""

import hashlib
from typing import Any

import orjson

_INTEGER_MAX = 2**53 - 1
_DEPTH_MAX = 32


class NotCanonical(ValueError):
    """The value has no canonical form.

    ``code`` is ``float_refused``, ``number_out_of_range``, ``key_not_ascii``, ``too_deep`` or ``type_refused``.
    """

    def __init__(self, code: str, path: str) -> None:
        super().__init__(f"{code} at {path or '/'}")
        self.code = code
        self.path = path


def check_canonical(value: Any) -> None:
    """Refuse what has no canonical form.

    Raises:
        NotCanonical: with the JSON pointer of the first value that has none.
    """
    if not _is_canonical(value, _DEPTH_MAX):
        _explain(value, path="", depth=0)


def is_out_of_range(value: Any) -> bool:
    """Whether a JSON value is a number beyond 2^53 - 1 on either side, however it was written.

    Parsers make a float of an integer that is too large for them: that is no fraction, and is not called one.
    """
    kind = type(value)
    return bool((kind is int or kind is float) and abs(value) > _INTEGER_MAX)


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value.

    Raises:
        NotCanonical: the value holds a float, a number beyond 2^53, a key that is not ASCII, or no JSON at all.
    """
    check_canonical(value)
    return render_checked(value)


def canonical_hash(value: Any) -> bytes:
    """SHA-256 of the canonical bytes: 32 bytes."""
    return hashlib.sha256(canonical_bytes(value)).digest()


def render_checked(value: Any) -> bytes:
    """The canonical bytes of a value that ``check_canonical`` has passed; what it has not seen must not come here."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _is_canonical(value: Any, depth_left: int) -> bool:
    """Whether a value has a canonical form. The path of an invalid part is computed only where there is one."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-_INTEGER_MAX <= value <= _INTEGER_MAX)
    if depth_left == 0:
        return False
    if kind is dict:
        # all keys are checked together first: most objects have only valid ones
        try:
            if not "".join(value).isascii():
                return False
        except TypeError:
            return False
        items = value.values()
    elif kind is list or kind is tuple:
        items = value
    else:
        return False
    for item in items:
        of = type(item)
        if of is str or (of is int and -_INTEGER_MAX <= item <= _INTEGER_MAX):
            continue
        if not _is_canonical(item, depth_left - 1):
            return False
    return True


def _explain(value: Any, *, path: str, depth: int) -> None:
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if is_out_of_range(value):
        raise NotCanonical("number_out_of_range", path)
    if kind is int:
        return
    if kind is float:
        raise NotCanonical("float_refused", path)
    if kind is not dict and kind is not list and kind is not tuple:
        raise NotCanonical("type_refused", path)
    if depth >= _DEPTH_MAX:
        raise NotCanonical("too_deep", path)
    if kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                raise NotCanonical("key_not_ascii", path)
    for name, item in value.items() if kind is dict else enumerate(value):
        _explain(item, path=f"{path}/{name}", depth=depth + 1)
