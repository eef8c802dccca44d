"""Canonical JSON bytes (RFC 8785) for everything that is hashed or signed.

Only the subset that Prizewire allows is accepted: no floats, integers below 2^53, ASCII object keys. Within it,
orjson's sorted output equals RFC 8785 byte for byte (a test holds it to the library ``rfc8785``).
"""

import hashlib
from typing import Any

import orjson

__all__ = ["NotCanonical", "canonical_bytes", "canonical_hash", "check_canonical"]

_INTEGER_MAX = 2**53 - 1
_DEPTH_MAX = 32


class NotCanonical(ValueError):
    """The value holds something that has no canonical form here.

    ``code`` is ``float_refused``, ``integer_too_large``, ``key_not_ascii``, ``too_deep`` or ``type_refused``.
    """

    def __init__(self, code: str, path: str) -> None:
        super().__init__(f"{code} at {path or '/'}")
        self.code = code
        self.path = path


def check_canonical(value: Any, *, path: str = "", depth: int = 0) -> None:
    """Refuse what has no canonical form.

    Raises:
        NotCanonical: with the JSON pointer of the first offender.
    """
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return
    if kind is int:
        if not -_INTEGER_MAX <= value <= _INTEGER_MAX:
            raise NotCanonical("integer_too_large", path)
        return
    if kind is float:
        raise NotCanonical("float_refused", path)
    if depth >= _DEPTH_MAX:
        raise NotCanonical("too_deep", path)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise NotCanonical("key_not_ascii", path)
            check_canonical(item, path=f"{path}/{key}", depth=depth + 1)
        return
    if kind is list or kind is tuple:
        for index, item in enumerate(value):
            check_canonical(item, path=f"{path}/{index}", depth=depth + 1)
        return
    raise NotCanonical("type_refused", path)


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value.

    Raises:
        NotCanonical: the value holds a float, a large integer, a key that is not ASCII, or no JSON at all.
    """
    check_canonical(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical_hash(value: Any) -> bytes:
    """SHA-256 of the canonical bytes: 32 bytes."""
    return hashlib.sha256(canonical_bytes(value)).digest()
