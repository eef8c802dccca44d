"""`python -m prizewire_chassis.probe [ready]`: asks this container's service whether it is live, or ready, and ends with 0 or 1.

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
    return _answers("/health/live", environment)


def ready(environment: Mapping[str, str]) -> bool:
    """The same of `/health/ready`, which also says whether the service takes requests."""
    return _answers("/health/ready", environment)


def _answers(path: str, environment: Mapping[str, str]) -> bool:
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(environment.get("HTTP_PORT") or PORT), timeout=TIMEOUT_S
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    asked = ready if sys.argv[1:] == ["ready"] else live
    sys.exit(0 if asked(os.environ) else 1)
