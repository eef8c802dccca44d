"""docs/configuration.md: every setting of every service."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prizewire_devstack.routes import SERVICES
from prizewire_devstack.service_settings import settings_of
from scripts.documents.markdown import NOTICE, cell, page, quoted, table

EVERY: Final = "Every service"
SEVERAL: Final = "Several services"
_HEADS: Final = ("Variable", "Default", "Required", "Secret", "Service", "Meaning")


def configuration(rows_of: Mapping[str, Sequence[Mapping[str, Any]]] | None = None) -> str:
    """The page. ``rows_of`` are the settings of each service, as its command `settings` describes them."""
    said = rows_of or {service: settings_of(service) for service in SERVICES}
    readers: dict[str, dict[str, Mapping[str, Any]]] = {}
    for service, rows in said.items():
        for row in rows:
            readers.setdefault(row["name"], {})[service] = row
    blocks: dict[str, list[list[str]]] = {EVERY: [], SEVERAL: [], **{service: [] for service in said}}
    for name, of in readers.items():
        title = EVERY if len(of) == len(said) else SEVERAL if len(of) > 1 else next(iter(of))
        blocks[title] += _rows(name, of, every=title == EVERY)
    lines = [
        "# Configuration",
        "",
        NOTICE.format(source="the settings of the services"),
        "",
        (
            "Every service is configured by environment variables. The tables list each variable with its default, and say whether a "
            "service starts without it. `python -m prizewire_SERVICE settings` prints the same for one service."
        ),
        "",
        "- A variable without a default that is not required may be left out.",
        "- `NAME_FILE` may name a file with the value of `NAME`. A file with a secret has the mode 0600.",
        (
            "- `python -m prizewire_SERVICE settings --check` says what is wrong with the variables that are set and with the files that "
            "they name."
        ),
        (
            "- [.env.example](../.env.example) has every variable as a file to copy. [Deploy](deploy.md) says which process "
            "gets which file."
        ),
        "",
    ]
    for title, listed in blocks.items():
        if listed:
            lines += [f"## {title}", "", *table(_HEADS, listed)]
    return page(lines)


def _rows(name: str, of: Mapping[str, Mapping[str, Any]], *, every: bool) -> list[list[str]]:
    """One row where all services describe the variable alike, else one for each of them."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for service, row in of.items():
        key = (row["default"], row["required"], row["secret"], row["description"])
        groups.setdefault(key, []).append(service)
    return [
        [
            quoted(name),
            quoted(default or ""),
            "yes" if required else "no",
            "yes" if secret else "no",
            "every service" if every and len(groups) == 1 else ", ".join(services),
            cell(description),
        ]
        for (default, required, secret, description), services in groups.items()
    ]
