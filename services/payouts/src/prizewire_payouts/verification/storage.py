"""Verifications over PostgreSQL."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_payouts.unit_of_work import UnitOfWork
from prizewire_payouts.verification.domain import Kind, Verification

_LOCK_DESTINATION = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_BEGUN_SINCE = text(
    "SELECT count(*) FROM method_verifications v JOIN payout_methods m USING (method_id) "
    "WHERE m.destination_mac = :mac AND v.begun_at > :since"
)
_INSERT = text(
    "INSERT INTO method_verifications (verification_id, method_id, kind, challenge, code_mac, begun_at, expires_at, wrong_answers) "
    "VALUES (:verification_id, :method_id, :kind, :challenge, :code_mac, :begun_at, :expires_at, 0)"
)
_LATEST = text(
    "SELECT verification_id, method_id, kind, challenge, code_mac, begun_at, expires_at, wrong_answers, confirmed_at "
    "FROM method_verifications WHERE method_id = :method_id ORDER BY number DESC LIMIT 1 FOR UPDATE"
)
_WRONG = text(
    "UPDATE method_verifications SET wrong_answers = wrong_answers + 1 WHERE verification_id = :verification_id"
)
_CONFIRMED = text(
    "UPDATE method_verifications SET confirmed_at = :now WHERE verification_id = :verification_id"
)
_VERIFIED_WITHOUT_PROOF = text(
    "SELECT method_id FROM payout_methods m WHERE m.verified AND NOT EXISTS (SELECT 1 FROM method_verifications v "
    "WHERE v.method_id = m.method_id AND v.confirmed_at IS NOT NULL) LIMIT 100"
)


class VerificationStorage:
    """`prizewire_payouts.verification.ports.Verifications` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._tx = unit_of_work.tx

    async def begun_since(self, destination_mac: bytes, *, since: datetime) -> int:
        """See the port."""
        await self._tx.execute(_LOCK_DESTINATION, {"name": f"verify {destination_mac.hex()}"})
        found = await self._tx.execute(_BEGUN_SINCE, {"mac": destination_mac, "since": since})
        return int(found.scalar_one())

    async def add(self, verification: Verification) -> None:
        """See the port."""
        await self._tx.execute(
            _INSERT,
            {
                "verification_id": verification.verification_id,
                "method_id": verification.method_id,
                "kind": verification.kind,
                "challenge": verification.challenge,
                "code_mac": verification.code_mac,
                "begun_at": verification.begun_at,
                "expires_at": verification.expires_at,
            },
        )

    async def latest(self, method_id: UUID) -> Verification | None:
        """See the port."""
        row = (await self._tx.execute(_LATEST, {"method_id": method_id})).one_or_none()
        if row is None or row.confirmed_at is not None:
            return None
        return Verification(
            verification_id=row.verification_id,
            method_id=row.method_id,
            kind=Kind(row.kind),
            challenge=row.challenge,
            code_mac=None if row.code_mac is None else bytes(row.code_mac),
            begun_at=row.begun_at,
            expires_at=row.expires_at,
            wrong_answers=row.wrong_answers,
        )

    async def note_wrong_answer(self, verification_id: UUID) -> None:
        """See the port."""
        await self._tx.execute(_WRONG, {"verification_id": verification_id})

    async def note_confirmed(self, verification_id: UUID, *, now: datetime) -> None:
        """See the port."""
        await self._tx.execute(_CONFIRMED, {"verification_id": verification_id, "now": now})


async def _verified_without_proof(tx: AsyncConnection) -> list[str]:
    found = await tx.execute(_VERIFIED_WITHOUT_PROOF)
    return [f"{row[0]} is verified, and no verification of it was confirmed" for row in found]


CHECKS = (
    Check("payout_methods_verified_by_proof", _verified_without_proof, count=rows_of("method_verifications")),
)
"""A verified method has a confirmed verification."""
