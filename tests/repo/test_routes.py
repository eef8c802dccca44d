"""The gateway's route table agrees with the controllers of the services."""

import ast
import re

from prizewire_devstack.routes import ROUTES, SERVICES_WITH_API, service_for
from tests.repo.house import Repository

PATH = re.compile(r"/[a-z][a-z0-9/-]*")
OTHERS_AUDIT = re.compile(r"/api/services/signer/audit")
"""Payouts serves the records of the signer, which has no HTTP interface."""


def served(repository: Repository) -> set[tuple[str, str]]:
    """(service, path) of every literal path that a service's HTTP code begins a controller with."""
    found = set()
    for service in repository.services:
        for file in sorted(service.source.rglob("*.py")):
            if not {"entrypoints", "http"} & {*file.relative_to(service.source).parts[:-1], file.stem}:
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                names = (
                    {target.id for target in node.targets if isinstance(target, ast.Name)}
                    if isinstance(node, ast.Assign)
                    else set()
                )
                if (
                    isinstance(node, ast.Assign)
                    and names & {"path", "_PATH"}
                    and isinstance(node.value, ast.Constant)
                    and PATH.fullmatch(str(node.value.value))
                ):
                    found.add((service.name, str(node.value.value)))
    return found


def test_every_controller_has_its_route(repository: Repository) -> None:
    """What a service serves is reached through the gateway."""
    paths = served(repository)
    assert {name for name, _ in paths} == set(SERVICES_WITH_API)
    assert [(name, path) for name, path in sorted(paths) if service_for(path=path) != name] == []


def test_every_route_has_its_controller(repository: Repository) -> None:
    """Every route has a controller in its service; the chassis serves the routes under /api/services, also the audit records of
    another service.
    """
    paths = served(repository)
    assert [
        route.prefix
        for route in ROUTES
        if not f"{route.prefix}/".startswith(f"/api/services/{route.service}/")
        and not OTHERS_AUDIT.fullmatch(route.prefix)
        and (route.service, route.prefix) not in paths
    ] == []


def test_one_route_alone_goes_without_tokens(repository: Repository) -> None:
    """Only providers' webhooks need no token, since they are signed; any other route without tokens would be public."""
    sources = [path for service in repository.services for path in sorted(service.source.rglob("*.py"))]
    found = [
        repository.short(path)
        for path in sources
        for _ in re.finditer("opt=OWN_PROOF|exclude_from_auth", path.read_text())
    ]
    assert found == ["services/webhooks/src/prizewire_webhooks/inbound/http.py"]
