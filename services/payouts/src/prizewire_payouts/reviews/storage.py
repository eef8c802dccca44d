"""Evidence over PostgreSQL, with its checks."""

import hmac
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_chassis.db import after_commit
from prizewire_contracts.canonical import canonical_bytes
from prizewire_payouts.metrics import EVIDENCE, EVIDENCE_WAITING
from prizewire_payouts.reviews.domain import Evidence, EvidenceState, Finding
from prizewire_payouts.unit_of_work import UnitOfWork

Mac = Callable[[bytes], bytes]
PAGE_MAX = 200
_BREACHES_MAX = 100
_OF = text(
    "SELECT * FROM payout_evidence WHERE payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY filed_at, evidence_id"
)
_FILE = text(
    "INSERT INTO payout_evidence (evidence_id, payout_id, attempt_no, rail, state, finding, reference, note, filed_by, filed_at, "
    "mac, mac_key) VALUES (:evidence, :payout, :attempt, :rail, :state, :finding, :reference, :note, :by, :at, :mac, :mac_key)"
)
_ONE = text("SELECT * FROM payout_evidence WHERE evidence_id = :evidence FOR UPDATE")
_ALL = text("SELECT * FROM payout_evidence")
_DECIDE = text(
    "UPDATE payout_evidence SET state = :state, decided_by = :by, decided_at = :now, decision_note = :note, "
    "mac = :mac, mac_key = :mac_key WHERE evidence_id = :evidence"
)
_FILED = text("SELECT payout_id FROM payout_evidence WHERE state = 'filed' ORDER BY filed_at LIMIT :limit")
_WAITING = text("SELECT count(*) FROM payout_evidence WHERE state = 'filed'")
_UNKNOWN = text(
    "SELECT payout_id FROM payouts WHERE state = 'unknown' AND rail = ANY(CAST(:rails AS text[])) "
    "ORDER BY changed_at LIMIT :limit"
)
_BY_PARTIES = text(
    "SELECT e.evidence_id, e.payout_id FROM payout_evidence e JOIN payouts p USING (payout_id) WHERE e.state = 'confirmed' "
    "AND (e.filed_by = e.decided_by OR p.filed_by IN (e.filed_by, e.decided_by) OR p.player IN (e.filed_by, e.decided_by) "
    "OR EXISTS (SELECT 1 FROM jsonb_array_elements(p.sources) s WHERE s->>1 IN (e.filed_by, e.decided_by))) LIMIT 100"
)
_NOT_APPLIED = text(
    "SELECT e.evidence_id, e.payout_id, e.finding, a.state FROM payout_evidence e "
    "LEFT JOIN attempts a USING (payout_id, attempt_no) WHERE e.state = 'confirmed' AND "
    "coalesce(a.state, '') <> ALL (CASE e.finding WHEN 'paid' THEN ARRAY['effected', 'reversed'] "
    "ELSE ARRAY['no_effect'] END) LIMIT 100"
)


class EvidenceStorage:
    """`prizewire_payouts.reviews.ports.EvidenceStore` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._tx = unit_of_work.tx
        self._mac = unit_of_work.mac
        self._macs = (unit_of_work.mac, *unit_of_work.former_macs)
        self._key_id = unit_of_work.seals.key_id

    async def of(self, payout_ids: Collection[UUID]) -> dict[UUID, tuple[Evidence, ...]]:
        """See the port."""
        found: dict[UUID, tuple[Evidence, ...]] = {}
        for row in await self._tx.execute(_OF, {"ids": list(payout_ids)}):
            found[row.payout_id] = (*found.get(row.payout_id, ()), evidence_from(row, self._macs))
        return found

    async def file(self, evidence: Evidence) -> None:
        """See the port."""
        await self._tx.execute(
            _FILE,
            {
                "evidence": evidence.evidence_id,
                "payout": evidence.payout_id,
                "attempt": evidence.attempt_no,
                "rail": evidence.rail,
                "state": evidence.state,
                "finding": evidence.finding,
                "reference": evidence.reference,
                "note": evidence.note,
                "by": evidence.filed_by,
                "at": evidence.filed_at,
                "mac": self._mac(evidence_message(evidence, key_id=self._key_id)),
                "mac_key": self._key_id,
            },
        )
        self._count(evidence.state)

    async def decide(
        self, evidence_id: UUID, *, state: EvidenceState, by: str, note: str | None, now: datetime
    ) -> None:
        """See the port. A row that payouts did not write gets no MAC by a decision."""
        row = (await self._tx.execute(_ONE, {"evidence": evidence_id})).one()
        found = evidence_from(row, self._macs)
        mac, mac_key = row.mac, row.mac_key
        if found.authentic:
            decided = replace(found, state=state, decided_by=by, decided_at=now, decision_note=note)
            mac, mac_key = self._mac(evidence_message(decided, key_id=self._key_id)), self._key_id
        values = {"evidence": evidence_id, "state": state, "by": by, "note": note, "now": now}
        await self._tx.execute(_DECIDE, values | {"mac": mac, "mac_key": mac_key})
        self._count(state)

    async def waiting(self, rails: Sequence[str]) -> list[UUID]:
        """Payouts with evidence that waits for a second person, then those of these rails whose outcome is unknown; the oldest
        first, at most ``PAGE_MAX``.
        """
        filed = await self._tx.execute(_FILED, {"limit": PAGE_MAX})
        unknown = await self._tx.execute(_UNKNOWN, {"rails": list(rails), "limit": PAGE_MAX})
        return list(dict.fromkeys(row.payout_id for row in (*filed, *unknown)))[:PAGE_MAX]

    def _count(self, state: EvidenceState) -> None:
        after_commit(self._tx, EVIDENCE.labels(str(state)).inc)


def evidence_message(evidence: Evidence, *, key_id: str | None) -> bytes:
    """What the MAC of evidence covers: all of it, with the key of the MAC."""
    decided_at = None if evidence.decided_at is None else evidence.decided_at.astimezone(UTC).isoformat()
    return canonical_bytes(
        [
            "payout_evidence",
            str(evidence.evidence_id),
            str(evidence.payout_id),
            evidence.attempt_no,
            evidence.rail,
            str(evidence.state),
            str(evidence.finding),
            evidence.reference,
            evidence.note,
            evidence.filed_by,
            evidence.filed_at.astimezone(UTC).isoformat(),
            evidence.decided_by,
            decided_at,
            evidence.decision_note,
            key_id,
        ]
    )


def evidence_from(row: Row[Any], macs: Sequence[Mac]) -> Evidence:
    """Evidence as stored, compared with its MAC."""
    found = _evidence(row)
    message = evidence_message(found, key_id=row.mac_key)
    authentic = row.mac is not None and any(hmac.compare_digest(one(message), bytes(row.mac)) for one in macs)
    return replace(found, authentic=authentic)


def _evidence(row: Row[Any]) -> Evidence:
    return Evidence(
        evidence_id=row.evidence_id,
        payout_id=row.payout_id,
        attempt_no=row.attempt_no,
        rail=row.rail,
        state=EvidenceState(row.state),
        finding=Finding(row.finding),
        reference=row.reference,
        note=row.note,
        filed_by=row.filed_by,
        filed_at=row.filed_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_note=row.decision_note,
    )


async def measure_evidence(tx: AsyncConnection) -> None:
    """Report how much evidence waits for a second person."""
    EVIDENCE_WAITING.set((await tx.execute(_WAITING)).scalar_one())


async def _confirmed_by_parties(tx: AsyncConnection) -> list[str]:
    return [
        f"evidence {row.evidence_id} of payout {row.payout_id} was filed or confirmed by a party, or both by one person"
        for row in await tx.execute(_BY_PARTIES)
    ]


async def _not_applied(tx: AsyncConnection) -> list[str]:
    return [
        f"evidence {row.evidence_id} of payout {row.payout_id} found {row.finding}, and the attempt is {row.state}"
        for row in await tx.execute(_NOT_APPLIED)
    ]


def evidence_check(mac: Mac, former: Sequence[Mac] = ()) -> Check:
    """Payouts wrote all evidence itself: each row agrees with its MAC."""

    async def changed(tx: AsyncConnection) -> list[str]:
        found = [evidence_from(row, (mac, *former)) for row in await tx.execute(_ALL)]
        return [
            f"evidence {one.evidence_id} of payout {one.payout_id} was written in the database"
            for one in found
            if not one.authentic
        ][:_BREACHES_MAX]

    return Check("payout_evidence_is_authentic", changed, count=rows_of("payout_evidence"))


CHECKS = (
    Check("evidence_is_of_two_persons", _confirmed_by_parties, count=rows_of("payout_evidence")),
    Check("confirmed_evidence_was_applied", _not_applied, count=rows_of("payout_evidence")),
)
"""Evidence is filed and confirmed by two persons who are no parties, and its payment ended as it says."""
