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

SERVICE = "payouts"
_DECIDED: Final = frozenset({"approved", "rejected"})
"""The states of a payout that the policy or a person decides on: the step names who did."""
_REFERRED: Final = frozenset({AttemptState.ACCEPTED, AttemptState.EFFECTED})
"""The states of an attempt with which a reference of its rail is stored."""
_PAYOUTS = text(
    "SELECT p.payout_id, p.player, p.asset, p.amount_minor, p.method_type, p.rail, p.filed_by, p.causation_id, "
    "p.requested_at, p.state, p.code, p.reason, p.proof, p.attempts, x.scope AS pause_scope, x.value AS pause_value, "
    "x.reason AS pause_reason, x.paused_by FROM payouts p LEFT JOIN LATERAL (SELECT * FROM pauses x "
    "WHERE p.state = 'approved' AND x.resumed_at IS NULL AND ((x.scope = 'rail' AND x.value = p.rail) "
    "OR (x.scope = 'asset' AND x.value = p.asset) OR (x.scope = 'campaign' AND x.value = p.campaign)) "
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
    "a.provider_ref FROM attempt_transitions t JOIN attempts a USING (payout_id, attempt_no) "
    "JOIN payouts p USING (payout_id) WHERE p.correlation_id = :correlation ORDER BY t.id"
)


class PayoutLineage:
    """A `prizewire_chassis.http.Lineage` over payouts and attempts."""

    def __init__(self, *, assets: AssetRegistry) -> None:
        self._assets = assets

    async def __call__(self, tx: AsyncConnection, correlation_id: str) -> list[LineageEntry]:
        """Requests, approvals, transitions of payouts and of attempts, by time. Of one time, causes come before effects: a
        payout is submitted before its attempt is sent, and an attempt ends before its payout does.
        """
        wanted = {"correlation": correlation_id}
        payouts = {row.payout_id: row for row in await tx.execute(_PAYOUTS, wanted)}
        entries = [self._requested(row) for row in payouts.values()]
        entries += [_approval(row, payouts[row.payout_id]) for row in await tx.execute(_APPROVALS, wanted)]
        of_payouts, of_attempts = defaultdict(list), defaultdict(list)
        for step in _transitions((await tx.execute(_TRANSITIONS, wanted)).all(), payouts):
            of_payouts[step.id].append(step)
        for step in _attempts((await tx.execute(_ATTEMPTS, wanted)).all(), payouts):
            of_attempts[step.detail["payout_id"]].append(step)
        for payout_id in map(str, payouts):
            entries += _from_cause_to_effect(of_payouts[payout_id], of_attempts[payout_id])
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
                "asset": row.asset,
                "amount": amount.to_wire(),
                "filed_by": row.filed_by,
                "cause": row.causation_id,
                "now": {"state": row.state, "waits_for": _awaited(row)},
            },
        )


def _awaited(row: Row[Any]) -> str | None:
    """The pause for whose end an approved payout waits, or None."""
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
    if row.to_state in _DECIDED:
        summary += f" by {row.actor}"
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
    }
    return LineageEntry(
        at=row.at,
        service=SERVICE,
        kind=f"attempt.{row.to_state}",
        id=str(row.provider_key),
        summary=f"{_named(payout)}: attempt {row.attempt_no} on {row.rail}: {row.from_state} → {row.to_state}",
        detail=detail,
    )
