"""HTTP as every service serves it: routes of its own beside health, metrics, lineage, stuck events and checks."""

from prizewire_chassis.http.app import build_app
from prizewire_chassis.http.paging import decode_cursor, encode_cursor, page_limit
from prizewire_chassis.http.parts import Check, Lineage, LineageEntry, rows_of
from prizewire_chassis.problems import Problem

__all__ = [
    "Check",
    "Lineage",
    "LineageEntry",
    "Problem",
    "build_app",
    "decode_cursor",
    "encode_cursor",
    "page_limit",
    "rows_of",
]
