"""What the rail stores: keys, lines and batches, as rows of its store."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import PayoutInstruction, PayoutReference, ProviderResult
from prizewire_money import Amount, AssetRegistry
from prizewire_railkit import no_effect, paid, pending
from prizewire_railkit.by_hand import Line, LineExport, LineState
from prizewire_railkit.store import RailRow

KEYS: Final = "keys"
"""One row for each provider key that was ever used: the line that it made, or the code with which it was closed."""
LINES: Final = "lines"
"""One row for each payment that a person makes; its name is the line's reference."""
BATCHES: Final = "batches"
"""One row for each batch: who claimed it, the references of its lines, and the accounts that it is paid from."""

KEY_USED: Final = "used"
KEY_CLOSED: Final = "closed"
BATCH_OPEN: Final = "open"
BATCH_EXPORTED: Final = "exported"
"""A batch takes no more lines once it was exported, so that its file stays the same."""

EXPORTS_MAX: Final = 20
"""So many exports are kept at a line: the first one, and the latest of the others."""

EDGES: Final[dict[tuple[LineState, LineState], str]] = {
    (LineState.OPEN, LineState.CLAIMED): "a person took the line into a batch",
    (LineState.OPEN, LineState.CANCELLED): "payouts cancelled it before a person took it",
    (LineState.CLAIMED, LineState.CONFIRMED): "two persons found that it was paid",
    (LineState.CLAIMED, LineState.FAILED): "two persons found that it was not paid and will not be",
}
"""The state machine of a line. A claimed line is not cancelled, since a person may be paying it."""


def moved(row: RailRow, state: LineState, *, now: datetime, **changes: Any) -> RailRow:
    """A line in its next state. Moves that are not in ``EDGES`` are errors of the caller."""
    edge = (LineState(row.state), state)
    assert edge in EDGES, f"a line does not go from {edge[0]} to {edge[1]}"
    return replace(row, state=state, changed_at=now, document={**row.document, **changes})


def line_reference(*, provider_key: UUID, now: datetime) -> str:
    """The reference of a new line: references order lines by age, and differ by the provider key."""
    return f"PW-{now:%Y%m%d-%H%M%S}-{provider_key.hex[:12].upper()}"


def line_row(instruction: PayoutInstruction, *, reference: str, masked: str, now: datetime) -> RailRow:
    """A new open line."""
    return RailRow(
        collection=LINES,
        name=reference,
        state=LineState.OPEN,
        document={
            "attempt_no": instruction.attempt_no,
            "provider_key": str(instruction.provider_key),
            "correlation_id": instruction.correlation_id,
            "asset": instruction.amount.asset.code,
            "amount": instruction.amount.to_wire(),
            "method_type": instruction.method_type,
            "memo": instruction.memo,
            "masked": masked,
            "created_at": now.isoformat(),
        },
        changed_at=now,
        payout_id=instruction.payout_id,
        details=dict(instruction.details),
    )


def used_key(provider_key: UUID, *, payout_id: UUID, reference: str, now: datetime) -> RailRow:
    """The key of a new line."""
    return _key(provider_key, payout_id, KEY_USED, {"reference": reference}, now)


def closed_key(reference: PayoutReference | PayoutInstruction, *, code: PayoutCode, now: datetime) -> RailRow:
    """A key under which no line will ever be made."""
    return _key(reference.provider_key, reference.payout_id, KEY_CLOSED, {"code": str(code)}, now)


def _key(key: UUID, payout_id: UUID, state: str, document: Mapping[str, Any], now: datetime) -> RailRow:
    return RailRow(
        collection=KEYS, name=str(key), state=state, document=document, changed_at=now, payout_id=payout_id
    )


def is_of(row: RailRow, instruction: PayoutInstruction) -> bool:
    """Whether a line is the payment of this instruction, and not another one under its key."""
    document = row.document
    return (
        row.payout_id == instruction.payout_id
        and document["attempt_no"] == instruction.attempt_no
        and (document["asset"], document["amount"])
        == (instruction.amount.asset.code, instruction.amount.to_wire())
        and document["method_type"] == instruction.method_type
        and document["memo"] == instruction.memo
        and row.details == dict(instruction.details)
    )


def amount_of(row: RailRow, assets: AssetRegistry) -> Amount:
    """The amount of a line."""
    return Amount.parse(assets[row.document["asset"]], row.document["amount"])


def read_line(row: RailRow, assets: AssetRegistry) -> Line:
    """A line without its details."""
    document = row.document
    assert row.payout_id is not None
    claimed_at = document.get("claimed_at")
    return Line(
        payout_id=row.payout_id,
        attempt_no=document["attempt_no"],
        reference=row.name,
        amount=amount_of(row, assets),
        method_type=document["method_type"],
        masked=document["masked"],
        state=LineState(row.state),
        created_at=datetime.fromisoformat(document["created_at"]),
        changed_at=row.changed_at,
        batch_id=document.get("batch_id"),
        claimed_by=document.get("claimed_by"),
        claimed_at=_claimed_at(row) if claimed_at is None else datetime.fromisoformat(claimed_at),
        exports=tuple(
            LineExport(at=datetime.fromisoformat(one["at"]), by=one["by"], file_format=one["format"])
            for one in document.get("exports", ())
        ),
        evidence=document.get("evidence"),
        code=document.get("code"),
    )


def exported(row: RailRow, *, by: str, file_format: str, now: datetime) -> RailRow:
    """A line whose batch a person exported. Its state stays."""
    kept = list(row.document.get("exports", ()))
    if len(kept) >= EXPORTS_MAX:
        del kept[1]
    kept.append({"at": now.isoformat(), "by": by, "format": file_format})
    return replace(row, document={**row.document, "exports": kept})


def _claimed_at(row: RailRow) -> datetime | None:
    """When a line was claimed that does not store it: an earlier release made it. Known while nothing else has changed its state."""
    return row.changed_at if row.state == LineState.CLAIMED else None


def result_of(row: RailRow, assets: AssetRegistry) -> ProviderResult:
    """What a line proves of its payment."""
    match LineState(row.state):
        case LineState.OPEN | LineState.CLAIMED:
            return pending(reference=row.name)
        case LineState.CONFIRMED:
            proof = {"reference": row.name, "evidence": row.document["evidence"]}
            return paid(amount=amount_of(row, assets), reference=row.name, proof=proof)
        case LineState.FAILED:
            return no_effect(code=PayoutCode(row.document["code"]), reference=row.name)
        case LineState.CANCELLED:
            return no_effect(code=PayoutCode.CANCELLED, reference=row.name)
