"""What panels show of the alert rules: thresholds, and where runbooks are."""

from pathlib import Path
from typing import Final

from prizewire_devstack.monitoring import rules
from prizewire_devstack.monitoring.panels import Threshold, Watch

LINK: Final = "runbook_url"
"""The annotation of an alert rule that names its runbook."""


def load(*, root: Path | None = None) -> dict[str, Watch]:
    """The alerts by name, each with the thresholds of all its rules in their order."""
    found: dict[str, Watch] = {}
    for alert, link in zip(rules.load(root=root), _links(root), strict=True):
        known = found.get(alert.name, Watch(runbook=link))
        own = (
            ()
            if alert.threshold is None
            else (Threshold(value=alert.threshold, is_time=alert.threshold_unit == rules.SECONDS),)
        )
        found[alert.name] = Watch(runbook=known.runbook, thresholds=(*known.thresholds, *own))
    return found


def runbooks(*, root: Path | None = None) -> str:
    """What stands before the name of every runbook in the alert rules: an address, or a folder of the repository.

    Raises:
        ValueError: the rules name none, or several.
    """
    found = {link.rpartition("/")[0] for link in _links(root)}
    if len(found) != 1:
        msg = f"the alert rules name {len(found)} places of runbooks: write the same one in each {LINK}"
        raise ValueError(msg)
    return found.pop()


def _links(root: Path | None) -> list[str]:
    return [
        rule["annotations"][LINK]
        for document in rules.documents(root=root).values()
        for group in document["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
