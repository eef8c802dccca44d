"""Which rails take webhooks: those of RAILS_FILE whose type has an installed verifier and that name secrets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml

from prizewire_chassis.keys import read_secret
from prizewire_chassis.logging import get_logger
from prizewire_contracts.rails import VERIFIER_ENTRY_POINTS, ProviderEvent, RailType, WebhookVerifier

__all__ = ["RailVerifier", "RailsFileMalformed", "load_rails"]

_log = get_logger(__name__)


class RailsFileMalformed(Exception):
    """RAILS_FILE is not a list of rails with name and type. The message says where."""


@dataclass(frozen=True, slots=True)
class RailVerifier:
    """``ports.Inbound``: a verifier with this rail's secrets (several during a rotation)."""

    verifier: WebhookVerifier
    secrets: Sequence[str] = field(repr=False)

    def verify(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent:
        """See the port."""
        return self.verifier.verify(body=body, headers=headers, secrets=self.secrets, now=now)


def load_rails(path: Path | None) -> dict[str, RailVerifier]:
    """Verifiers by the rail's configured name; none without a file.

    A rail is listed as ``{name, type, webhook_secret_files: [path, …]}``; other members belong to payouts.

    Raises:
        RailsFileMalformed: the file is not what it should be.
        UnsafeKeyFile: a secret file is missing or readable by others.
    """
    if path is None:
        return {}
    factories = {point.name: point for point in entry_points(group=VERIFIER_ENTRY_POINTS)}
    found: dict[str, RailVerifier] = {}
    for number, entry in enumerate(_entries(path), 1):
        name, kind = entry.get("name"), entry.get("type")
        if not isinstance(name, str) or kind not in set(RailType) or name in found:
            raise RailsFileMalformed(f"{path.name}: rail {number} needs a name of its own and a known type")
        files = entry.get("webhook_secret_files", [])
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise RailsFileMalformed(f"{path.name}: webhook_secret_files of {name} is a list of paths")
        if not files:
            continue
        if kind not in factories:
            raise RailsFileMalformed(f"{path.name}: no installed package verifies webhooks of type {kind}")
        secrets = [read_secret(path.parent / file) for file in files]
        found[name] = RailVerifier(factories[kind].load()(), secrets)
        _log.info("rail takes webhooks", rail=name, type=kind)
    return found


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RailsFileMalformed(f"{path.name} cannot be read: {type(error).__name__}") from None
    rails = document.get("rails") if isinstance(document, dict) else None
    if not isinstance(rails, list) or not all(isinstance(entry, dict) for entry in rails):
        raise RailsFileMalformed(f"{path.name} has no list `rails`")
    return rails
