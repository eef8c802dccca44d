"""`/api/admin/payouts/by-hand/{rail}`: lines, claims, exported files and answer files of every rail over which people pay."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.db import after_commit
from prizewire_chassis.http import Action, RequiredKey, page_limit
from prizewire_chassis.http.answers import PageOf
from prizewire_payouts.by_hand.domain import (
    ROW_NOT_AUTHENTIC,
    ByHandRefused,
    Payment,
    Standing,
    allowed_claims,
    check_payments,
)
from prizewire_payouts.by_hand.http.models import (
    CONTENT_BYTES_MAX,
    AnswersReport,
    ClaimsAnswer,
    ExportAnswer,
    LineItem,
    NewAnswers,
    NewClaims,
    claim_item,
    line_item,
    pause_detail,
)
from prizewire_payouts.by_hand.http.reports import Refusal, Report
from prizewire_payouts.by_hand.storage import one_correlation
from prizewire_payouts.http import Context
from prizewire_payouts.metrics import EVIDENCE_CONTRADICTED
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.payouts.storage.queries import PauseNote, PayoutQueries
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.rails.storage import altered, rail_rows
from prizewire_payouts.reviews.adapters import RailSources
from prizewire_payouts.reviews.handlers import file_all
from prizewire_payouts.reviews.storage import EvidenceStorage
from prizewire_payouts.unit_of_work import UnitOfWork
from prizewire_railkit.by_hand import (
    ExportedFile,
    FileRefused,
    Line,
    LineAnswer,
    LineState,
    PaidByHand,
    ReportedLine,
)
from prizewire_railkit.store import RailRowConflict, RailRowNotAuthentic

_PATH: Final = "/api/admin/payouts/by-hand"
_NO_RAIL = ("rail_not_by_hand",)
_RailPath = FromPath[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHandContext(Context):
    """The context of the controller: the configured rails."""

    rails: Sequence[Rail]

    def provider(self, name: str) -> PaidByHand:
        """The provider of a configured rail whose payments people make.

        Raises:
            ByHandRefused: ``rail_not_by_hand``.
        """
        for rail in self.rails:
            if rail.name == name and isinstance(rail.provider, PaidByHand):
                return rail.provider
        there = ", ".join(rail.name for rail in self.rails if isinstance(rail.provider, PaidByHand)) or "none"
        raise ByHandRefused(
            "rail_not_by_hand",
            f"people make no payments of a rail {name[:64]}; the rails of people are: {there}",
        )

    async def export(
        self, action: Action[UnitOfWork, UnitOfWork], *, rail: str, batch_id: str, file_format: str
    ) -> ExportedFile:
        """The file of a batch.

        Raises:
            ByHandRefused: ``rail_not_by_hand``, or a code of `PaidByHand.export`.
        """
        rows = rail_rows(action.unit_of_work, rail)
        try:
            made = await self.provider(rail).export(
                rows, batch_id=batch_id, file_format=file_format, by=action.actor.subject, now=action.now
            )
        except FileRefused as error:
            raise ByHandRefused(error.code, error.detail) from None
        except RailRowNotAuthentic as error:
            raise _not_authentic(error) from None
        payments = [
            Payment(payout_id=one.payout_id, attempt_no=one.attempt_no, amount=one.amount)
            for one in made.lines
            if one.state is LineState.CLAIMED
        ]
        found = await _standings(action.unit_of_work, rail, [one.payout_id for one in payments])
        check_payments(payments=payments, standings=found, rail=rail)
        return made

    async def reported(self, *, rail: str, content: bytes, media_type: str) -> list[ReportedLine]:
        """The lines of an answer file.

        Raises:
            Problem: ``rail_not_by_hand``, or a code of `PaidByHand.read_answers`.
        """

        async def read(unit_of_work: UnitOfWork) -> list[ReportedLine]:
            rows = rail_rows(unit_of_work, rail)
            try:
                return await self.provider(rail).read_answers(rows, content=content, media_type=media_type)
            except FileRefused as error:
                raise ByHandRefused(error.code, error.detail) from None
            except RailRowNotAuthentic as error:
                raise _not_authentic(error) from None

        return await self.read(read)


def by_hand_controller(context: ByHandContext) -> type[Controller]:
    """The controller over this context."""

    class ByHandController(Controller):
        path = _PATH
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/{rail:str}/lines",
            summary="Payments that people make, by reference: the oldest second first",
            refusals={404: _NO_RAIL},
        )
        async def list_lines(
            self,
            rail: _RailPath,
            lines_state: Annotated[
                LineState | None, QueryParameter(name="state", description="Only lines in this state.")
            ] = None,
            cursor: FromQuery[str | None] = None,
            limit: FromQuery[int | None] = None,
        ) -> PageOf[LineItem]:
            size = page_limit(limit)

            async def read(unit_of_work: UnitOfWork) -> tuple[list[Line], dict[UUID, PauseNote]]:
                provider = context.provider(rail)
                states = [] if lines_state is None else [lines_state]
                found = await provider.lines(
                    rail_rows(unit_of_work, rail), states=states, after=cursor, limit=size + 1
                )
                still_open = [one.payout_id for one in found if one.state is LineState.OPEN]
                return found, await PayoutQueries(unit_of_work).pauses_of(still_open)

            found, pauses = await context.read(read)
            shown = found[:size]
            more = shown[-1].reference if len(found) > size else None
            items = [line_item(one, pause=pauses.get(one.payout_id)) for one in shown]
            return PageOf(items=items, next_cursor=more)

        @post(
            "/{rail:str}/claims",
            status_code=200,
            summary="Claim open payments, to pay them: one result for each",
            description="A claimed payment is not cancelled any more: only evidence of two persons ends it. No party of a payout "
            "claims it. A payment that a pause keeps is not claimed (`line_paused`); what was claimed before the pause is paid.",
            refusals={404: _NO_RAIL, 409: ("batch_changed", ROW_NOT_AUTHENTIC)},
        )
        async def claim(
            self,
            rail: _RailPath,
            data: JSONBody[NewClaims],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[ClaimsAnswer]:
            async def claim(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, ClaimsAnswer]:
                provider, by = context.provider(rail), action.actor.subject
                ids = list(dict.fromkeys(data.payout_ids))
                standings = await _standings(action.unit_of_work, rail, ids)
                claims = allowed_claims(payout_ids=ids, standings=standings, rail=rail, by=by)
                batch_id = data.batch_id or action.id.hex
                answers = await _claimed(
                    provider, action, rail=rail, payout_ids=claims.allowed, batch_id=batch_id
                )
                by_id = {one.payout_id: one for one in answers}
                by_id |= {
                    one: LineAnswer(payout_id=one, code=code, detail=detail)
                    for one, (code, detail) in claims.refused.items()
                }
                done = [str(one) for one in ids if by_id[one].code is None]
                if done:
                    await action.record(
                        "payouts.claimed",
                        target=f"{rail}/{batch_id}",
                        detail={"payout_ids": done},
                        correlation_id=await one_correlation(
                            action.unit_of_work.tx, [UUID(one) for one in done]
                        ),
                    )
                return 200, ClaimsAnswer(
                    batch_id=batch_id if done else None, items=[claim_item(by_id[one]) for one in ids]
                )

            return await context.once(
                claim,
                answers=ClaimsAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{rail}/claims",
                key=key,
                body=data.model_dump(mode="json"),
            )

        @get(
            "/{rail:str}/batches/{batch_id:str}/export",
            summary="The file of a batch, with personal details",
            description="The same content whenever it is exported again. A batch takes no more payments once it was exported. Each "
            "export is audited.",
            refusals={
                404: (*_NO_RAIL, "batch_unknown"),
                409: ("export_not_possible", ROW_NOT_AUTHENTIC),
                422: ("format_unknown",),
            },
        )
        async def export(
            self,
            rail: _RailPath,
            batch_id: FromPath[str],
            request: Request[Principal, Any, Any],
            file_format: Annotated[
                str,
                QueryParameter(
                    name="format",
                    description="A format of the rail, such as `csv` or `pain.001.001.09`.",
                    min_length=1,
                    max_length=64,
                ),
            ],
        ) -> ExportAnswer:
            async def export(action: Action[UnitOfWork, UnitOfWork]) -> ExportAnswer:
                made = await context.export(action, rail=rail, batch_id=batch_id, file_format=file_format)
                await action.record(
                    "payouts.exported",
                    target=f"{rail}/{batch_id}",
                    detail={"format": file_format, "sha256": hashlib.sha256(made.content).hexdigest()},
                    correlation_id=await one_correlation(
                        action.unit_of_work.tx, [one.payout_id for one in made.lines]
                    ),
                )
                return ExportAnswer(name=made.name, media_type=made.media_type, content=made.content.decode())

            return await context.change(export, actor=request.user)

        @post(
            "/{rail:str}/answers",
            status_code=200,
            request_max_body_size=CONTENT_BYTES_MAX,
            summary="File what an answer file reports, as the first of two persons: one result for each line",
            description="Lines that report an end become evidence of the caller, which another person confirms "
            "(`/api/admin/payouts/reviews`). Other lines change nothing. A dry run decides as the real one does. A line that reports another "
            "end than was proved is `proof_contradicts`: pay nothing, and ask the bank.",
            refusals={
                404: _NO_RAIL,
                409: (ROW_NOT_AUTHENTIC,),
                422: ("file_malformed", "file_too_large", "format_unknown"),
            },
        )
        async def answers(
            self,
            rail: _RailPath,
            data: JSONBody[NewAnswers],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[AnswersReport]:
            content = data.content
            digest = hashlib.sha256(content).hexdigest()

            # read in a transaction of its own: evidence locks payouts first, and the rail's rows after them
            reported = await context.reported(rail=rail, content=content, media_type=data.media_type)

            async def file(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, AnswersReport]:
                report = Report.of(reported, file_id=action.id, digest=digest)
                errors = await file_all(
                    PayoutStorage(action.unit_of_work),
                    EvidenceStorage(action.unit_of_work),
                    RailSources(context.rails, unit_of_work=action.unit_of_work),
                    filings=list(report.filings.values()),
                    by=action.actor.subject,
                    dry_run=data.dry_run,
                    now=action.now,
                )
                found = {
                    one: None if error is None else Refusal(code=error.code, detail=str(error))
                    for one, error in errors.items()
                }
                filed = [one for one, refusal in found.items() if refusal is None]
                contradicted = report.contradicted(found)
                if not data.dry_run:
                    after_commit(action.unit_of_work.tx, lambda: EVIDENCE_CONTRADICTED.inc(len(contradicted)))
                await action.record(
                    "payouts.answers_read" if data.dry_run else "payouts.answers_filed",
                    target=rail,
                    detail={
                        "sha256": digest,
                        "payout_ids": [str(one) for one in filed],
                        "contradicted": contradicted,
                    },
                    correlation_id=await one_correlation(action.unit_of_work.tx, list(found)),
                )
                items = report.answers(found, dry_run=data.dry_run)
                return 200, AnswersReport(
                    dry_run=data.dry_run,
                    filed=None if data.dry_run else len(filed),
                    would_be_filed=len(filed) if data.dry_run else None,
                    items=items,
                )

            return await context.once(
                file,
                answers=AnswersReport,
                actor=request.user,
                route=f"POST {_PATH}/{rail}/answers",
                key=key,
                body={"media_type": data.media_type, "sha256": digest, "dry_run": data.dry_run},
            )

    return ByHandController


async def _claimed(
    provider: PaidByHand,
    action: Action[UnitOfWork, UnitOfWork],
    *,
    rail: str,
    payout_ids: Sequence[UUID],
    batch_id: str,
) -> list[LineAnswer]:
    """Claim lines for the caller.

    Raises:
        ByHandRefused: ``batch_changed`` or ``row_not_authentic``.
    """
    rows, by = rail_rows(action.unit_of_work, rail), action.actor.subject
    pauses = await PayoutQueries(action.unit_of_work).pauses_of(payout_ids)
    paused = {payout_id: pause_detail(note) for payout_id, note in pauses.items()}
    try:
        return await provider.claim(
            rows, payout_ids=payout_ids, batch_id=batch_id, by=by, paused=paused, now=action.now
        )
    except RailRowConflict:
        detail = f"another request changed the batch {batch_id} at the same time: send this one again"
        raise ByHandRefused("batch_changed", detail) from None
    except RailRowNotAuthentic as error:
        raise _not_authentic(error) from None


async def _standings(unit_of_work: UnitOfWork, rail: str, payout_ids: Sequence[UUID]) -> list[Standing]:
    """These payouts with their latest attempts, locked; unknown ones are left out."""
    changes = await PayoutStorage(unit_of_work).lock(payout_ids)
    changed = await altered(unit_of_work, rail, payout_ids)
    return [
        Standing(payout=one.payout, attempt=one.attempt, altered=payout_id in changed)
        for payout_id, one in changes.items()
    ]


def _not_authentic(error: RailRowNotAuthentic) -> ByHandRefused:
    return ByHandRefused(
        ROW_NOT_AUTHENTIC, f"{error}: nothing was done. Do not pay, and see `prizewire verify`"
    )
