"""The stuck events of a match, in every service."""

from collections.abc import Mapping
from typing import Any, Final

from prizewire_devstack.api import Api
from prizewire_devstack.demo.tournaments import Tournament
from prizewire_devstack.routes import SERVICES_WITH_API

PATH: Final = "/api/services/{service}/stuck-events"
PAGE: Final = 200
WAITING: Final = frozenset({"version_gap", "subject_parked", "result_missing"})
"""Reasons that end by themselves, once an earlier event has arrived or was applied."""


class Refusals:
    """Finds the stuck events of this run's matches.

    By correlation id in every service; and in settlement by the match's source and id, or by the event's id, since a
    message that admission refused need not have a correlation id.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._cursor: str | None = None
        self._passed: list[dict[str, Any]] = []

    def of(self, tournament: Tournament) -> tuple[str, ...]:
        """A sentence for each refused event, with the reason."""
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for service in SERVICES_WITH_API:
            path = PATH.format(service=service)
            for item in self._api.items(path, correlation_id=tournament.correlation_id):
                found[service, item["id"]] = item
        for item in self._of_settlement():
            if _is_of(item, tournament):
                found["settlement", item["id"]] = item
        return tuple(
            f"{service} refused {item['type'] or 'a message'}: {item['reason']} ({item['detail']})"
            for (service, _), item in found.items()
            if item["reason"] not in WAITING
        )

    def _of_settlement(self) -> list[dict[str, Any]]:
        """Every stuck event of settlement; full pages do not change, and are read once."""
        while True:
            page = self._api.get(PATH.format(service="settlement"), limit=PAGE, cursor=self._cursor)
            if page.get("next_cursor") is None:
                return [*self._passed, *page["items"]]
            self._passed += page["items"]
            self._cursor = page["next_cursor"]


def _is_of(item: Mapping[str, Any], tournament: Tournament) -> bool:
    by_match = (item.get("source"), item.get("subject")) == (tournament.source, tournament.match_id)
    return by_match or item.get("event_id") in tournament.event_ids
