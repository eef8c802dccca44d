"""HTTP as every service serves it: routes of its own beside health, metrics, lineage, stuck events and checks."""

from prizewire_chassis.http.app import build_app
from prizewire_chassis.http.context import Action, HttpContext, OptionalKey, RequiredKey
from prizewire_chassis.http.cursors import BY_TIME_AND_ID, CursorKey, cursor_key
from prizewire_chassis.http.error_statuses import ErrorStatuses
from prizewire_chassis.http.lineage import Lineage, LineageEntry
from prizewire_chassis.http.paging import page_limit
from prizewire_chassis.problems import Problem

__all__ = [
    "BY_TIME_AND_ID",
    "Action",
    "CursorKey",
    "ErrorStatuses",
    "HttpContext",
    "Lineage",
    "LineageEntry",
    "OptionalKey",
    "Problem",
    "RequiredKey",
    "build_app",
    "cursor_key",
    "page_limit",
]
