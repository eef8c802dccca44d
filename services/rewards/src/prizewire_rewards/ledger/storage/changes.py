"""Pages of a table's rows in the order of their last change, newest first."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

Place = tuple[datetime, UUID]
"""Time of the last change, and id, of a row."""


def page_of_changes(
    select: str, *, since: datetime | None, before: Place | None, limit: int
) -> tuple[TextClause, dict[str, Any]]:
    """Build a statement and its values: the rows of ``select`` that changed at ``since`` or later and follow ``before``.

    The statement has only the conditions that the caller names. A plan that fits all conditions would scan the index from
    its end for each page.
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
