"""Facts that an OpenAPI document does not have for Schemathesis: a cursor comes from an earlier answer, the assets of the
installation, and a period begins before it ends.
"""

from datetime import UTC, datetime
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, **_: Any) -> None:
    """Where a request is meant to be valid, leave out invented cursors, filter by an asset that exists, and let a period that
    has no length begin with the first day or end with the last.
    """
    del context
    if case.meta is not None and case.meta.generation.mode.is_positive and case.query:
        case.query.pop("cursor", None)
        if "asset" in case.query:
            case.query["asset"] = "USDC"
        if "from" in case.query and "to" in case.query and not _is_period(case.query):
            case.query["from"] = "1970-01-01"
            if not _is_period(case.query):
                case.query["to"] = "9998-12-31"


def _is_period(query: Any) -> bool:
    try:
        begin, end = (datetime.fromisoformat(str(query[name]).upper()) for name in ("from", "to"))
    except ValueError:
        return False
    begin, end = (moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in (begin, end))
    return begin < end
