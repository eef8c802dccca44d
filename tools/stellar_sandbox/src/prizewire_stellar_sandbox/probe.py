"""`python -m prizewire_stellar_sandbox.probe`: asks this container's RPC whether it is healthy, and ends with 0 or 1."""

import http.client
import json
import os
import sys
from collections.abc import Mapping
from typing import Final

TIMEOUT_S: Final = 2.0
PORT: Final = "8080"


def healthy(environment: Mapping[str, str]) -> bool:
    """Say whether `getHealth` answers `healthy` at HTTP_PORT of this container, within two seconds."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(environment.get("HTTP_PORT") or PORT), timeout=TIMEOUT_S
    )
    try:
        connection.request("POST", "/", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "getHealth"}))
        answer = json.loads(connection.getresponse().read())
        return bool(answer["result"]["status"] == "healthy")
    except (OSError, ValueError, LookupError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy(os.environ) else 1)
