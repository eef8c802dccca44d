"""`python -m prizewire_chassis.probe`: asks this container's service whether it is live, and ends with 0 or 1.

It imports the standard library alone, since a container engine starts it every few seconds.
"""

import http.client
import os
import sys
from collections.abc import Mapping
from typing import Final

TIMEOUT_S: Final = 2.0
PORT: Final = "8080"


def live(environment: Mapping[str, str]) -> bool:
    """Say whether `/health/live` answers 200 at HTTP_PORT of this container, within two seconds."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(environment.get("HTTP_PORT") or PORT), timeout=TIMEOUT_S
    )
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if live(os.environ) else 1)
