"""Rows of a table by their last change, newest first, a page at a time."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

Place = tuple[datetime, UUID]
"""Time of the last change, and id, of a row."""


def page_of_changes(
    select: str, *, since: datetime | None, before: Place | None, limit: int
) -> tuple[TextClause, dict[str, Any]]:
    """A statement and its values: the rows of ``select`` that changed at ``since`` or later and stand after ``before``.

    The statement holds only the conditions that are asked for. A plan for all of them would walk the index from its end
    for each page.
    """
    wheres = ["true"]
    values: dict[str, Any] = {"limit": limit}
    if since is not None:
        wheres.append("changed_at >= CAST(:since AS timestamptz)")
        values["since"] = since
    if before is not None:
        wheres.append("(changed_at, id) < (CAST(:at AS timestamptz), CAST(:id AS uuid))")
        values |= {"at": before[0], "id": before[1]}
    return text(
        f"{select} WHERE {' AND '.join(wheres)} ORDER BY changed_at DESC, id DESC LIMIT :limit"
    ), values
