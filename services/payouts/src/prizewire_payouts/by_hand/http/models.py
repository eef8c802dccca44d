"""Requests and answers of the routes of payments that people make."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_payouts.http import AssetCode, DecimalAmount, PersonName
from prizewire_payouts.payouts.storage.queries import PauseNote
from prizewire_railkit.by_hand import Line, LineAnswer, LineState

CLAIMS_MAX: Final = 200
CONTENT_BYTES_MAX: Final = 8 * 1024 * 1024
"""The size limit of a body with a file. Base64 writes three bytes of it as four."""
BatchId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9-]{1,32}$",
        description="The batch; it is the message id of its bank file.",
        examples=["6f9619ff8b864011b42d00c04fc964ff"],
    ),
]


class NewClaims(BaseModel):
    """Payouts that the caller will pay."""

    model_config = ConfigDict(extra="forbid")

    payout_ids: list[UUID] = Field(min_length=1, max_length=CLAIMS_MAX)
    batch_id: BatchId | None = Field(
        None, description="A batch of the caller that was not exported yet. Without it a new one begins."
    )


class NewAnswers(BaseModel):
    """An answer file."""

    model_config = ConfigDict(extra="forbid")

    media_type: Literal["application/xml", "text/csv"] = Field(
        description="application/xml: an ISO 20022 pain.002. text/csv: a table with the columns reference, status, evidence.",
        examples=["text/csv"],
    )
    content: Base64Bytes = Field(
        description="The file, in base64 (RFC 4648).",
        examples=["cmVmZXJlbmNlLHN0YXR1cyxldmlkZW5jZQo="],
    )
    dry_run: bool = Field(False, description="Report the lines, and file nothing.")


class LineExportItem(AnswerModel):
    """An export of the batch of a payment."""

    at: Moment
    by: PersonName
    format: Annotated[str, Field(examples=["pain.001.001.09"])]


class LineItem(AnswerModel):
    """A payment that a person makes."""

    payout_id: Id
    attempt_no: Annotated[int, Field(examples=[1])]
    reference: Annotated[
        str,
        Field(description="What the payment must carry.", examples=["PW-20261120-120000-0123456789AB"]),
    ]
    amount: DecimalAmount
    asset: AssetCode
    method_type: Annotated[str, Field(examples=["bank"])]
    masked: Annotated[str, Field(description="The destination, masked.", examples=["DE89…3000"])]
    state: Annotated[LineState, Field(examples=["open"])]
    created_at: Moment
    changed_at: Moment
    batch_id: Annotated[str | None, Field(description="Null before it is claimed.", examples=[None])]
    claimed_by: Annotated[str | None, Field(description="Null before it is claimed.", examples=[None])]
    claimed_at: Annotated[Moment | None, Field(description="Null before it is claimed.", examples=[None])]
    exports: Annotated[
        list[LineExportItem],
        Field(
            description="Who exported its batch, oldest first: of many exports the first and the latest.",
            examples=[[]],
        ),
    ]
    evidence: Annotated[
        str | None, Field(description="The reference of the evidence that ended it.", examples=[None])
    ]
    code: Annotated[str | None, Field(description="Why it was not paid.", examples=[None])]
    paused: Annotated[
        str | None,
        Field(
            description="The pause that keeps an open payment from being claimed. Null where there is none.",
            examples=[None],
        ),
    ]


class ClaimItem(AnswerModel):
    """The result for one payout of a request to claim. ``code`` is null where it is claimed."""

    payout_id: Id
    code: Annotated[str | None, Field(examples=["line_not_open"])]
    detail: Annotated[str | None, Field(examples=["the line is claimed already"])]


class ClaimsAnswer(AnswerModel):
    """The results of a request to claim."""

    batch_id: Annotated[
        BatchId | None, Field(description="The batch of the claimed payments. Null where none is claimed.")
    ]
    items: list[ClaimItem]


class ExportAnswer(AnswerModel):
    """A file. Its content holds personal details."""

    name: Annotated[str, Field(examples=["6f9619ff8b864011b42d00c04fc964ff.xml"])]
    media_type: Annotated[str, Field(examples=["application/xml"])]
    content: Annotated[str, Field(examples=["<?xml version='1.0' encoding='UTF-8'?>…"])]


class AnsweredLine(AnswerModel):
    """What an answer file reports in one line, and what followed."""

    number: Annotated[int, Field(examples=[1])]
    reference: Annotated[str | None, Field(examples=["PW-20261120-120000-0123456789AB"])]
    payout_id: Annotated[Id | None, Field(description="Null where no line has the reference.")]
    finding: Annotated[
        Literal["paid", "no_effect"] | None,
        Field(description="Null where the file reports no end.", examples=["paid"]),
    ]
    evidence: Annotated[str | None, Field(description="The bank's reference.", examples=["2026-11-21/17"])]
    bank_code: Annotated[str | None, Field(description="The bank's reason of a refusal.", examples=[None])]
    problem: Annotated[str | None, Field(description="Why the line cannot be used.", examples=[None])]
    code: Annotated[
        str | None,
        Field(
            description="Why no evidence was filed, or would be: a code of docs/payments-by-hand.md.",
            examples=[None],
        ),
    ]
    detail: Annotated[str | None, Field(description="The same in a sentence.", examples=[None])]
    evidence_id: Annotated[Id | None, Field(description="The evidence that was filed. Null where none was.")]


class AnswersReport(AnswerModel):
    """The report of an answer file. It counts the lines about which evidence was filed, or would be filed without ``dry_run``."""

    dry_run: Annotated[bool, Field(examples=[False])]
    filed: Annotated[int | None, Field(description="Null in a dry run, which files nothing.", examples=[1])]
    would_be_filed: Annotated[int | None, Field(description="In a dry run. Null otherwise.", examples=[None])]
    items: list[AnsweredLine]


def line_item(line: Line, *, pause: PauseNote | None) -> LineItem:
    """A line as staff see it, with the pause that keeps it from being claimed while it is open."""
    return LineItem(
        payout_id=line.payout_id,
        attempt_no=line.attempt_no,
        reference=line.reference,
        amount=line.amount.to_wire(),
        asset=line.amount.asset.code,
        method_type=line.method_type,
        masked=line.masked,
        state=line.state,
        created_at=line.created_at,
        changed_at=line.changed_at,
        batch_id=line.batch_id,
        claimed_by=line.claimed_by,
        claimed_at=line.claimed_at,
        exports=[LineExportItem(at=one.at, by=one.by, format=one.file_format) for one in line.exports],
        evidence=line.evidence,
        code=line.code,
        paused=None if pause is None or line.state is not LineState.OPEN else pause_detail(pause),
    )


def pause_detail(pause: PauseNote) -> str:
    """A sentence that says why an open payment is not claimed now."""
    return (
        f"{pause.paused_by} has paused the {pause.scope} {pause.value} ({pause.reason}): do not pay it before the pause is lifted; "
        "see GET /api/admin/payouts/pauses"
    )


def claim_item(one: LineAnswer) -> ClaimItem:
    """The result for one payout."""
    return ClaimItem(payout_id=one.payout_id, code=one.code, detail=one.detail)
