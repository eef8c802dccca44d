"""`/api/admin/payouts/tax-list`: what each person was paid in a year, as a table."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.params import QueryParameter

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, Problem
from prizewire_chassis.http.cells import safe_cell
from prizewire_payouts.http import Context
from prizewire_payouts.tax_list.domain import TaxLine
from prizewire_payouts.tax_list.storage import TaxLists
from prizewire_payouts.unit_of_work import UnitOfWork

LINES_MAX: Final = 50_000
"""The most lines of one list, which is made in memory."""
COLUMNS: Final = (
    "year", "person", "campaign", "asset", "payouts", "paid", "tax_state", "identity_state", "identity_until",
)  # fmt: skip
_CSV: Final = "text/csv; charset=utf-8; header=present"
_AMOUNT_PATTERN: Final = r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxListContext(Context):
    """The context of the controller."""


def tax_list_controller(context: TaxListContext) -> type[Controller]:
    """The controller over this context."""

    class TaxListController(Controller):
        path = "/api/admin/payouts/tax-list"
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            media_type=_CSV,
            summary="What each person was paid in a year, by campaign and asset, as CSV",
            description="Counts payouts by the time at which they were paid (UTC), less what was returned. The person is the payee of a "
            "payee assignment, else the player. Payouts out of funding accounts are not in it. Each list is audited.",
            refusals={422: ("list_too_long",)},
        )
        async def listing(
            self,
            request: Request[Principal, Any, Any],
            year: Annotated[int, QueryParameter(description="The year (UTC).", ge=2000, le=2999)],
            campaign: Annotated[
                UUID | None, QueryParameter(description="Only prizes of this campaign, paid directly.")
            ] = None,
            above: Annotated[
                str | None,
                QueryParameter(
                    description="Only sums above this, in units of their asset.",
                    pattern=_AMOUNT_PATTERN,
                    schema_extra={"type": "string", "pattern": _AMOUNT_PATTERN},
                ),
            ] = None,
        ) -> Response[bytes]:
            of = None if campaign is None else str(campaign)

            async def read(action: Action[UnitOfWork, UnitOfWork]) -> list[TaxLine]:
                found = await TaxLists(action.unit_of_work).lines(
                    year=year, campaign=of, above=above, limit=LINES_MAX + 1
                )
                if len(found) > LINES_MAX:
                    raise Problem(
                        status=422,
                        code="list_too_long",
                        detail=f"the list has more than {LINES_MAX} lines: ask by campaign, or for sums above an amount",
                    )
                await action.record(
                    "payouts.tax_list_read",
                    target=str(year),
                    detail={"campaign": of, "above": above, "lines": len(found)},
                )
                return found

            found = await context.change(read, actor=request.user)
            return Response(
                _csv(_row(year, line) for line in found),
                media_type=_CSV,
                headers={"content-disposition": f'attachment; filename="tax-list-{year}.csv"'},
            )

    return TaxListController


def _row(year: int, line: TaxLine) -> tuple[str, ...]:
    return (
        str(year),
        line.person,
        line.campaign or "",
        line.paid.asset.code,
        str(line.payouts),
        line.paid.to_wire(),
        line.tax_state or "missing",
        line.identity_state or "none",
        "" if line.identity_until is None else line.identity_until.isoformat(),
    )


def _csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    """A heading and rows as CSV, by RFC 4180."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return written.getvalue().encode()
