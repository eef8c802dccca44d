"""Tokens of the local stack: HS256 JWTs as the services' development setting takes them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import jwt

ISSUER: Final = "prizewire-dev"
AUDIENCE: Final = "prizewire"
ALGORITHM: Final = "HS256"
ROLES: Final = ("player", "organizer", "operator", "approver", "admin")
VALID_DEFAULT: Final = timedelta(hours=12)


def issue(
    *, secret_file: Path, subject: str, roles: Iterable[str], now: datetime, valid: timedelta = VALID_DEFAULT
) -> str:
    """Issue a token for `subject` with `roles`, valid from `now` for `valid`."""
    claims = {
        "sub": subject,
        "roles": sorted(roles),
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int((now + valid).timestamp()),
    }
    return jwt.encode(claims, secret_file.read_text().strip(), algorithm=ALGORITHM)
