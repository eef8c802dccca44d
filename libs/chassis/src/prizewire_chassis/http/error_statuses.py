"""The HTTP status of each error that the rules of a service raise."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prizewire_chassis.http.refusals import Refusals
from prizewire_chassis.problems import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStatuses:
    """A service's table from domain errors to HTTP statuses.

    ``errors`` are the roots of the service's error trees. Each error has a stable ``code``. Its ``detail``, or its text
    where it has none, is the sentence for people. Its ``members``, where it has some, become members of the problem.

    The status is that of the code in ``by_code``, else that of the error's nearest class in ``by_type``, else ``default``.
    """

    errors: tuple[type[Exception], ...]
    by_code: Mapping[str, int]
    by_type: Mapping[type[Exception], int] = field(default_factory=dict)
    default: int

    def problem(self, error: Exception) -> Problem:
        """The problem that answers a request whose handler raised ``error``.

        Raises:
            TypeError: ``error`` has no ``code``.
        """
        code = getattr(error, "code", None)
        if not isinstance(code, str):
            msg = f"{type(error).__name__} has no code, so it cannot be answered: give it a stable code"
            raise TypeError(msg) from error
        status = self.by_code.get(code)
        if status is None:
            nearest = (self.by_type[kind] for kind in type(error).__mro__ if kind in self.by_type)
            status = next(nearest, self.default)
        detail = getattr(error, "detail", None) or str(error)
        return Problem(status=status, code=code, detail=detail, **getattr(error, "members", {}))

    def refuse(self, code: str, detail: str, **members: Any) -> Problem:
        """The problem of ``code``, for a controller that refuses a request itself."""
        return Problem(status=self.by_code.get(code, self.default), code=code, detail=detail, **members)

    def refusals(self, *codes: str) -> Refusals:
        """``codes`` by their status, as a route declares its ``refusals``.

        Raises:
            ValueError: a code is not in ``by_code``.
        """
        found: defaultdict[int, list[str]] = defaultdict(list)
        for code in codes:
            if code not in self.by_code:
                msg = f"the code {code} has no status: add it to by_code"
                raise ValueError(msg)
            found[self.by_code[code]].append(code)
        return {status: tuple(same) for status, same in sorted(found.items())}
