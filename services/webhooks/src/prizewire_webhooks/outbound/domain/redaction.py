"""What of an endpoint's answer may be kept: its start, without what looks like a secret or a person."""

import re

EXCERPT_CHARS_MAX = 500
_HIDDEN = "[redacted]"
_SECRETS = re.compile(
    r"whsec_[A-Za-z0-9+/=_-]+"
    r"|(?i:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"
    r"|[A-Za-z0-9+/=_.-]{24,}"
    r"|\d(?:[ -]?\d){11,}"
)
"""Webhook secrets, credentials, e-mail addresses, long tokens (ids among them), card and account numbers."""


def redact(body: bytes) -> str:
    """The first characters of an answer as printable text, with secrets and personal details replaced."""
    text = body.decode(errors="replace").replace("\x00", "")
    printable = "".join(char if char.isprintable() else " " for char in text)
    # a token that the limit cut short must not become too short to be seen: replace first, then cut
    return _SECRETS.sub(_HIDDEN, printable)[:EXCERPT_CHARS_MAX]
