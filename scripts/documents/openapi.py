"""The OpenAPI document of a service, made from its composition root without a server.

``python -m scripts.documents.openapi SERVICE`` prints one. The service is built over new keys in a directory that is removed
afterwards. It opens no connection.
"""

import asyncio
import importlib
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from prizewire_chassis.http.app import build_app
from prizewire_chassis.http.document import openapi_document
from prizewire_chassis.http.service_routes import service_controller
from prizewire_chassis.lifecycle.runtime import open_runtime
from prizewire_chassis.settings import ServiceSettings
from prizewire_chassis.stuck_events import StuckEvents
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.components.processes import base_environment
from prizewire_devstack.home import Home
from prizewire_devstack.routes import SERVICES, SERVICES_WITH_API
from prizewire_devstack.stack.environment import local_environment, rails

ROOT: Final = Path(__file__).parents[2]
_PORT: Final = 1
"""No server listens there, and none is asked."""


def environment(service: str, *, state: Path) -> dict[str, str]:
    """The variables of a service on a local stack whose state directory has keys and no server."""
    home = Home(root=state)
    home.create()
    Keyring(home=home).ensure(now=datetime.now(UTC))
    home.rails_file.write_text(rails(state))
    ports = dict.fromkeys((*SERVICES, "postgres", "kafka", "stellar"), _PORT)
    return local_environment(service, home=home, root=ROOT, ports=ports)


async def _document(service: str) -> dict[str, Any]:
    package = f"prizewire_{service}"
    (kind,) = [
        one
        for one in vars(importlib.import_module(f"{package}.settings")).values()
        if isinstance(one, type) and issubclass(one, ServiceSettings) and one.__module__.startswith(package)
    ]
    build = importlib.import_module(f"{package}.app").build
    async with open_runtime(kind(), service=service) as runtime:
        built = await build(runtime)
        about = service_controller(
            service=service,
            db=runtime.db,
            stuck=StuckEvents(
                db=runtime.db, processor=runtime.processor, specs=built.specs, clock=runtime.clock
            ),
            lineage=built.lineage,
            checks=built.checks,
            audit=runtime.audit,
        )
        app = build_app(
            service=service,
            controllers=[*built.controllers, about],
            health=runtime.health,
            tokens=None,
            api_tokens=built.api_tokens,
        )
        document = openapi_document(app)
        await built.close()
    return document


@cache
def documents() -> dict[str, dict[str, Any]]:
    """The documents of all services with an HTTP interface, by service. They are made once in a process.

    Raises:
        subprocess.CalledProcessError: a service could not be built.
    """
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(SERVICES_WITH_API, pool.map(_made_apart, SERVICES_WITH_API), strict=True))


def _made_apart(service: str) -> dict[str, Any]:
    """The document, made in a process of its own: settings are environment variables."""
    done = subprocess.run(
        (sys.executable, "-m", __spec__.name, service),
        cwd=ROOT,
        env=base_environment(),
        stdout=subprocess.PIPE,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def main(service: str) -> None:
    """Print the document of a service."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ.update(environment(service, state=Path(directory) / "state"))
        document = asyncio.run(_document(service))
    sys.stdout.write(json.dumps(document, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
