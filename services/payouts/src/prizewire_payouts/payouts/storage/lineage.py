"""The lineage of a correlation id in payouts: every approval, and every transition of its payouts and of their attempts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.http import LineageEntry
from prizewire_money import Amount, AssetRegistry
from prizewire_payouts.payouts.domain.states import CLOSING, FINAL, NO_ATTEMPT_OPEN, AttemptState
from prizewire_payouts.payouts.storage.statements import PAUSED

SERVICE = "payouts"
_DECIDED: Final = frozenset(
    {("requested", "approved"), ("held", "approved"), ("closing_rejected", "rejected")}
)
"""The transitions of a payout that the policy or a person decides on: the step names who did."""
_SENT: Final = frozenset({"submitting", "pending", "unknown"})
"""The states of a payout with an open attempt."""
_REFERRED: Final = frozenset({AttemptState.ACCEPTED, AttemptState.EFFECTED})
"""The states of an attempt with which a reference of its rail is stored."""
_PAYOUTS = text(
    "SELECT p.payout_id, p.player, p.payee, p.campaign, p.competition, p.source, p.asset, p.amount_minor, p.method_type, p.rail, "  # noqa: S608 - constants
    "p.filed_by, p.causation_id, p.retry_of, p.requested_at, p.state, p.code, p.reason, p.proof, p.attempts, p.cancel_asked_by, p.cancel_reason, x.scope AS pause_scope, x.value AS pause_value, "
    "x.reason AS pause_reason, x.paused_by FROM payouts p LEFT JOIN LATERAL (SELECT * FROM pauses x "
    f"WHERE p.state = 'approved' AND {PAUSED} "
    "ORDER BY x.paused_at, x.pause_id LIMIT 1) x ON true "
    "WHERE p.correlation_id = :correlation ORDER BY p.requested_at, p.payout_id"
)
_TRANSITIONS = text(
    "SELECT payout_id, from_state, to_state, cause, actor, code, at FROM payout_transitions "
    "WHERE correlation_id = :correlation ORDER BY id"
)
_APPROVALS = text(
    "SELECT a.payout_id, a.approver, a.note, a.at FROM approvals a JOIN payouts p USING (payout_id) "
    "WHERE p.correlation_id = :correlation ORDER BY a.at, a.payout_id, a.approver"
)
_ATTEMPTS = text(
    "SELECT t.payout_id, t.attempt_no, t.from_state, t.to_state, t.cause, t.code, t.at, a.rail, a.provider_key, "
    "a.provider_ref, a.latency_ms FROM attempt_transitions t JOIN attempts a USING (payout_id, attempt_no) "
    "JOIN payouts p USING (payout_id) WHERE p.correlation_id = :correlation ORDER BY t.id"
)


_RETRIES = text(
    "SELECT r.*, p.player FROM payout_retries r JOIN payouts p USING (payout_id) WHERE p.correlation_id = :correlation "
    "ORDER BY r.asked_at, r.payout_id, r.retry_no"
)


_EVIDENCE = text(
    "SELECT e.*, p.player FROM payout_evidence e JOIN payouts p USING (payout_id) WHERE p.correlation_id = :correlation "
    "ORDER BY e.filed_at, e.evidence_id"
)


class PayoutLineage:
    """A `prizewire_chassis.http.Lineage` over payouts and attempts."""

    def __init__(self, *, assets: AssetRegistry) -> None:
        self._assets = assets

    async def __call__(self, tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        """Requests, approvals, evidence of persons, transitions of payouts and of attempts, by time. Of one time, causes come before effects: a
        payout is submitted before its attempt is sent, and an attempt ends before its payout does.
        """
        wanted = {"correlation": correlation_id}
        payouts = {row.payout_id: row for row in await tx.execute(_PAYOUTS, wanted)}
        entries = [self._requested(row) for row in payouts.values()]
        entries += [_approval(row, payouts[row.payout_id]) for row in await tx.execute(_APPROVALS, wanted)]
        for row in await tx.execute(_EVIDENCE, wanted):
            entries += _evidence(row)
        of_payouts, of_attempts = defaultdict(list), defaultdict(list)
        for step in _transitions((await tx.execute(_TRANSITIONS, wanted)).all(), payouts):
            of_payouts[step.id].append(step)
        for step in _attempts((await tx.execute(_ATTEMPTS, wanted)).all(), payouts):
            of_attempts[step.detail["payout_id"]].append(step)
        for payout_id in map(str, payouts):
            entries += _from_cause_to_effect(of_payouts[payout_id], of_attempts[payout_id])
        for row in await tx.execute(_RETRIES, wanted):
            entries += _retry(row)
        return sorted(entries, key=lambda entry: entry.at)

    def _requested(self, row: Row[Any]) -> LineageEntry:
        amount = Amount(self._assets[row.asset], row.amount_minor)
        return LineageEntry(
            at=row.requested_at,
            service=SERVICE,
            kind="payout.requested",
            id=str(row.payout_id),
            summary=f"{_named(row)}: {amount} {row.asset} requested, to a payout method of the type {row.method_type}",
            detail={
                "player": row.player,
                "payee": row.payee,
                "campaign": row.campaign,
                "competition": row.competition,
                "source": row.source,
                "asset": row.asset,
                "amount": amount.to_wire(),
                "filed_by": row.filed_by,
                "retry_of": None if row.retry_of is None else str(row.retry_of),
                "cause": row.causation_id,
                "now": {"state": row.state, "waits_for": _awaited(row)},
            },
        )


def _awaited(row: Row[Any]) -> str | None:
    """The pause for whose end an approved payout waits, or the outcome of a payment whose cancel was requested; else None."""
    if row.cancel_asked_by is not None and row.state in _SENT:
        reason = "" if row.cancel_reason is None else f": {row.cancel_reason}"
        return (
            f"the outcome of the payment: {row.cancel_asked_by} requested a cancel, which takes effect once it is proved that nothing was "
            f"paid{reason}"
        )
    if row.pause_scope is None:
        return None
    return (
        f"the end of the pause of {row.pause_scope} {row.pause_value}, by {row.paused_by}: {row.pause_reason}"
    )


def _named(payout: Row[Any]) -> str:
    """A payout in the steps of a trace: its id, and its player if it has one. Details of its destination are never shown."""
    return f"payout {payout.payout_id} {f'of {payout.player}' if payout.player else 'to an outside address'}"


def _approval(row: Row[Any], payout: Row[Any]) -> LineageEntry:
    return LineageEntry(
        at=row.at,
        service=SERVICE,
        kind="payout.approval",
        id=str(row.payout_id),
        summary=f"{_named(payout)}: approval by {row.approver}",
        detail={"approver": row.approver, "note": row.note},
    )


def _retry(row: Row[Any]) -> Iterator[LineageEntry]:
    """A request to retry an ended payout, and rewards' answer."""
    detail = {
        "retry_no": row.retry_no,
        "asked_by": row.asked_by,
        "reason": row.reason,
        "method_id": None if row.method_id is None else str(row.method_id),
    }
    summary = f"{_named(row)}: retry requested by {row.asked_by}: {row.reason}"
    yield LineageEntry(
        at=row.asked_at,
        service=SERVICE,
        kind="payout.retry_requested",
        id=str(row.payout_id),
        summary=summary,
        detail=detail,
    )
    if row.answered_at is None:
        return
    if row.retried_by is not None:
        kind, answer = "payout.retried", f"retried by payout {row.retried_by}"
    else:
        kind, answer = "payout.retry_refused", f"retry refused, {row.code}: {row.detail}"
    yield LineageEntry(
        at=row.answered_at,
        service=SERVICE,
        kind=kind,
        id=str(row.payout_id),
        summary=f"{_named(row)}: {answer}",
        detail={
            "retry_no": row.retry_no,
            "retried_by": None if row.retried_by is None else str(row.retried_by),
            "code": row.code,
            "detail": row.detail,
        },
    )


def _evidence(row: Row[Any]) -> Iterator[LineageEntry]:
    """What a person filed about a payment, and what another person decided."""
    detail = {
        "evidence_id": str(row.evidence_id),
        "attempt_no": row.attempt_no,
        "finding": row.finding,
        "reference": row.reference,
    }
    named = f"{_named(row)}: evidence {row.finding}, {row.reference},"
    yield LineageEntry(
        at=row.filed_at,
        service=SERVICE,
        kind="payout.evidence_filed",
        id=str(row.payout_id),
        summary=f"{named} filed by {row.filed_by}: {row.note}",
        detail={**detail, "filed_by": row.filed_by, "note": row.note},
    )
    if row.decided_at is None:
        return
    note = "" if row.decision_note is None else f": {row.decision_note}"
    yield LineageEntry(
        at=row.decided_at,
        service=SERVICE,
        kind=f"payout.evidence_{row.state}",
        id=str(row.payout_id),
        summary=f"{named} {row.state} by {row.decided_by}{note}",
        detail={**detail, "decided_by": row.decided_by, "note": row.decision_note},
    )


def _from_cause_to_effect(
    of_payout: Sequence[LineageEntry], of_attempts: Sequence[LineageEntry]
) -> Iterator[LineageEntry]:
    """The steps of one payout and of its attempts by time. Of one time, a step from a state without an open attempt comes
    before the attempt that it leads to; any other step of the payout follows from its attempt, and comes after it.
    """
    waiting = list(of_attempts)
    for step in of_payout:
        leads = step.detail["from"] in NO_ATTEMPT_OPEN
        while waiting and (waiting[0].at < step.at or (waiting[0].at == step.at and not leads)):
            yield waiting.pop(0)
        yield step
    yield from waiting


def _transitions(rows: Sequence[Row[Any]], payouts: Mapping[UUID, Row[Any]]) -> Iterator[LineageEntry]:
    """The transitions of payouts, in their order. A payout stores the reason of its last closing only: it is shown at
    that closing and at the end that follows it.
    """
    closed = {row.payout_id: place for place, row in enumerate(rows) if row.to_state in CLOSING}
    for place, row in enumerate(rows):
        payout = payouts[row.payout_id]
        ends = row.to_state in CLOSING or (row.from_state in CLOSING and row.to_state in FINAL)
        given = ends and place >= closed.get(row.payout_id, len(rows))
        yield _transition(row, payout, reason=payout.reason if given else None)


def _transition(row: Row[Any], payout: Row[Any], *, reason: str | None) -> LineageEntry:
    detail: dict[str, Any] = {"from": row.from_state, "cause": row.cause, "actor": row.actor}
    summary = f"{_named(payout)}: {row.from_state} → {row.to_state}"
    if (row.from_state, row.to_state) in _DECIDED:
        summary += f" by {row.actor}"
    elif row.to_state == "approved":
        summary += " for another attempt"
    if row.code is not None:
        detail["code"] = row.code
        summary += f", {row.code}"
    if reason is not None:
        detail["reason"] = reason
        summary += f": {reason}"
    if row.to_state == "paid" and payout.proof is not None:
        detail |= {"rail": payout.rail, "proof": payout.proof}
        where = payout.proof.get("tx_hash") or payout.proof.get("reference")
        summary = f"{_named(payout)}: paid over {payout.rail}: {where}"
    return LineageEntry(
        at=row.at,
        service=SERVICE,
        kind=f"payout.{row.to_state}",
        id=str(row.payout_id),
        summary=summary,
        detail=detail,
    )


def _attempts(rows: Sequence[Row[Any]], payouts: Mapping[UUID, Row[Any]]) -> Iterator[LineageEntry]:
    """The transitions of attempts, in their order. A rail's reference is shown from the transition on that stored it."""
    referred: set[tuple[UUID, int]] = set()
    for row in rows:
        key = (row.payout_id, row.attempt_no)
        if row.to_state in _REFERRED:
            referred.add(key)
        yield _attempt(
            row, payouts[row.payout_id], provider_ref=row.provider_ref if key in referred else None
        )


def _attempt(row: Row[Any], payout: Row[Any], *, provider_ref: str | None) -> LineageEntry:
    detail = {
        "payout_id": str(row.payout_id),
        "attempt_no": row.attempt_no,
        "rail": row.rail,
        "provider_ref": provider_ref,
        "cause": row.cause,
        "code": row.code,
        "latency_ms": row.latency_ms if row.from_state == AttemptState.SENT else None,
    }
    return LineageEntry(
        at=row.at,
        service=SERVICE,
        kind=f"attempt.{row.to_state}",
        id=str(row.provider_key),
        summary=f"{_named(payout)}: attempt {row.attempt_no} on {row.rail}: {row.from_state} → {row.to_state}",
        detail=detail,
    )
