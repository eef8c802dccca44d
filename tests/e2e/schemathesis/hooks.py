"""What Schemathesis cannot know from a document: a cursor is one that the route gave before."""

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, **_: Any) -> None:
    """Leave out made-up cursors where a request is meant to be valid."""
    del context
    if case.meta is not None and case.meta.generation.mode.is_positive and case.query:
        case.query.pop("cursor", None)
