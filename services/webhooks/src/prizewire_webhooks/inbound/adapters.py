"""Which rails take webhooks: those of RAILS_FILE with a ``webhook`` section, each with the verifier of its package."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml

from prizewire_chassis.keys import read_secret
from prizewire_contracts.rails import VERIFIER_ENTRY_POINTS, ProviderEvent, WebhookVerifier
from prizewire_contracts.text import is_word
from prizewire_railkit import Options, RailMisconfigured, VerifierContext


class RailsFileMalformed(Exception):
    """RAILS_FILE is not a list of rails with name and provider. The message says where."""


@dataclass(frozen=True, slots=True)
class RailVerifier:
    """``ports.Inbound``: a verifier with this rail's secrets (several during a rotation)."""

    verifier: WebhookVerifier
    secrets: Sequence[str] = field(repr=False)

    def verify(self, *, body: bytes, headers: Mapping[str, str], now: datetime) -> ProviderEvent:
        """See the port."""
        return self.verifier.verify(body=body, headers=headers, secrets=self.secrets, now=now)


def load_rails(path: Path | None, *, environment: str) -> dict[str, RailVerifier]:
    """Verifiers by the rail's configured name; none without a file.

    A rail that takes webhooks is listed as ``{name, provider, webhook: {secret_files: [path, …], …}}``. What else the section
    holds is for the verifier; the other members of an entry belong to payouts.

    Raises:
        RailsFileMalformed: the file is not what it should be, or a verifier refuses its options.
        UnsafeKeyFile: a secret file is missing or readable by others.
    """
    if path is None:
        return {}
    factories = {point.name: point for point in entry_points(group=VERIFIER_ENTRY_POINTS)}
    found: dict[str, RailVerifier] = {}
    seen: set[str] = set()
    for number, entry in enumerate(_entries(path), 1):
        name, provider = entry.get("name"), entry.get("provider")
        if not isinstance(name, str) or not is_word(name) or not isinstance(provider, str):
            raise RailsFileMalformed(f"RAILS_FILE {path.name}: rail {number} needs a name and a provider")
        if name in seen:
            raise RailsFileMalformed(f"RAILS_FILE {path.name} gives the name {name} to two rails")
        seen.add(name)
        if "webhook" not in entry:
            continue
        if provider not in factories:
            raise RailsFileMalformed(
                f"RAILS_FILE {path.name}: no installed package verifies webhooks of the provider {provider}"
            )
        secrets, options = _section(path, name, entry["webhook"])
        context = VerifierContext(
            name=name, options=Options(rail=name, values=options), environment=environment
        )
        try:
            verifier = factories[provider].load()(context)
        except RailMisconfigured as error:
            raise RailsFileMalformed(f"RAILS_FILE {path.name}: {error}") from None
        found[name] = RailVerifier(verifier, secrets)
    return found


def _section(path: Path, rail: str, section: Any) -> tuple[list[str], dict[str, Any]]:
    """The secrets that a rail's ``webhook`` section names, and what else it holds."""
    options = dict(section) if isinstance(section, dict) else {}
    files = options.pop("secret_files", None)
    if not isinstance(files, list) or not files or not all(isinstance(file, str) for file in files):
        raise RailsFileMalformed(
            f"RAILS_FILE {path.name}: webhook of {rail} has secret_files, a list of paths"
        )
    return [read_secret(path.parent / file) for file in files], options


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RailsFileMalformed(f"RAILS_FILE {path.name} cannot be read: {type(error).__name__}") from None
    rails = document.get("rails") if isinstance(document, dict) else None
    if not isinstance(rails, list) or not all(isinstance(entry, dict) for entry in rails):
        raise RailsFileMalformed(f"RAILS_FILE {path.name} has no list `rails`")
    return rails
