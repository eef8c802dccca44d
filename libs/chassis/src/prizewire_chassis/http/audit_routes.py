"""The routes of an audit chain: its records with filters, and its end."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import Row

from prizewire_chassis.audit import SEQUENCE_MAX, AuditFilter, AuditTable, published_record, read_place
from prizewire_chassis.auth import Role, require
from prizewire_chassis.db import Database
from prizewire_chassis.http.answers import PageOf
from prizewire_chassis.http.cursors import Column, cursor_key, number
from prizewire_chassis.http.lineage import LineageEntry
from prizewire_chassis.http.moments import END_SCHEMA, MOMENT_SCHEMA, period_of
from prizewire_chassis.http.paging import page_limit
from prizewire_chassis.http.service_answers import (
    AuditHeadAnswer,
    AuditRecordAnswer,
    PublishedRecordAnswer,
)

_FROM = "Records of this moment or later: a date (UTC), or a moment with its time zone."
_TO = "Records before this moment: a date (UTC), or a moment with its time zone."
_BY_SEQUENCE = cursor_key(number(0, SEQUENCE_MAX))
_BY_PLACE = cursor_key(number(-(2**63), 2**63 - 1), Column(str, read_place))


def audit_controller(*, db: Database, table: AuditTable) -> type[Controller]:
    """The controller under ``/api/services/<service>/audit``, for admins."""

    class AuditController(Controller):
        path = f"/api/services/{table.service}/audit"
        tags = ["service"]  # noqa: RUF012 - Litestar reads a plain list
        guards = [require(Role.ADMIN)]  # noqa: RUF012 - as above

        @get(
            "/",
            summary="Records of the audit chain",
            description="In the order of the chain, the oldest first; `order=newest` turns it round. All filters compare whole values. "
            "`from` is included, `to` is not. Each record is as it was published, with `sequence`, `prev_hash` and `hash`: read without "
            "filters, the records show by themselves whether one was changed or is missing.",
            refusals={400: ("period_invalid",)},
        )
        async def records(
            self,
            *,
            actor: FromQuery[str | None] = None,
            action: FromQuery[str | None] = None,
            target: FromQuery[str | None] = None,
            correlation_id: FromQuery[str | None] = None,
            since: Annotated[
                str | None, QueryParameter(name="from", description=_FROM, schema_extra=MOMENT_SCHEMA)
            ] = None,
            until: Annotated[
                str | None, QueryParameter(name="to", description=_TO, schema_extra=END_SCHEMA)
            ] = None,
            order: FromQuery[Literal["oldest", "newest"]] = "oldest",
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[AuditRecordAnswer]:
            begin, end = period_of(since, until)
            after, size = _BY_PLACE.read(cursor), page_limit(limit)
            wanted = AuditFilter(
                actor=actor,
                action=action,
                target=target,
                correlation_id=correlation_id,
                since=begin,
                until=end,
            )
            async with db.transaction() as tx:
                rows = await table.page(tx, wanted, after=after, limit=size, newest_first=order == "newest")
            return _BY_PLACE.page(
                rows,
                limit=size,
                key=lambda row: (row.sequence, row.place),
                show=lambda row: AuditRecordAnswer(**published_record(row, service=table.service)),
            )

        @get("/published", summary="Hashes of records as they were published")
        async def published(
            self, *, cursor: FromQuery[str | None] = None, limit: FromQuery[int | None] = None
        ) -> PageOf[PublishedRecordAnswer]:
            """The newest first, as far as the service still has their events (14 days). A record with another hash was rewritten
            in the table. Of the signer: other records that came under the number of a kept one.
            """
            before, size = _BY_SEQUENCE.read(cursor), page_limit(limit)
            async with db.transaction() as tx:
                found = await table.published(tx, before=None if before is None else before[0], limit=size)
            return _BY_SEQUENCE.page(
                found,
                limit=size,
                key=lambda one: (one.sequence,),
                show=lambda one: PublishedRecordAnswer(sequence=one.sequence, hash=one.hash),
            )

        @get("/head", summary="The end of the audit chain")
        async def head(self) -> AuditHeadAnswer:
            """The newest record, and the newest one that is known to have been published."""
            async with db.transaction() as tx:
                found = await table.head(tx)
            return AuditHeadAnswer(
                service=table.service, sequence=found.sequence, hash=found.hash, published=found.published
            )

    return AuditController


def audit_steps(rows: Sequence[Row[Any]], *, service: str) -> list[LineageEntry]:
    """Audit records as steps of a lineage: who did what, and why. Their details are not shown."""
    return [
        LineageEntry(
            at=row.at,
            service=service,
            kind=f"audit.{row.action}",
            id=row.target,
            summary=f"{_words(row.action)} by {row.actor}{'' if row.reason is None else f': {row.reason}'}",
            detail={
                "audit_record": row.sequence,
                "actor": row.actor,
                "action": row.action,
                "target": row.target,
                "reason": row.reason,
                "hash": row.hash,
            },
        )
        for row in rows
        if row.at is not None
    ]


def _words(action: str) -> str:
    return action.replace(".", " ").replace("_", " ")
