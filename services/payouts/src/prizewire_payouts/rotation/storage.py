"""Rows that a former key encrypted or marked, written again by the present key, slice by slice.

Each statement changes a row only while it is as it was read, so that a service which runs beside it loses nothing.
"""

import hmac
from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check
from prizewire_payouts.methods.adapters import DetailsVault, InstalledTypes
from prizewire_payouts.methods.domain import ERASED, Method
from prizewire_payouts.methods.storage import read_methods, unmarked_methods
from prizewire_payouts.payouts.storage.payouts import attempt_from, attempt_message
from prizewire_payouts.payouts.storage.statements import ATTEMPTS_AFTER
from prizewire_payouts.rails.storage import is_authentic, row_mac_message
from prizewire_payouts.reviews.storage import evidence_from, evidence_message

AT_ONCE = 500
"""Rows of one transaction."""
Place = tuple[UUID, int]
"""Where the walk over attempts stands: payout and number of the last attempt that was looked at."""
START: Place = (UUID(int=0), 0)

_UPDATE_METHOD = text(
    "UPDATE payout_methods SET details = :details, details_key = :key, destination_mac = :mac, account_mac = :account "
    "WHERE method_id = :method_id AND details_key = :former"
)
_RAIL_ROWS = text(
    "SELECT * FROM rail_rows WHERE mac_key = ANY(CAST(:former AS text[])) OR details_key = ANY(CAST(:former AS text[])) "
    "LIMIT :limit FOR UPDATE SKIP LOCKED"
)
_UPDATE_RAIL_ROW = text(
    "UPDATE rail_rows SET details = :details, details_key = :details_key, mac = :mac, mac_key = :mac_key "
    "WHERE rail = :rail AND collection = :collection AND name = :name AND mac = :was"
)
_UPDATE_ATTEMPT = text(
    "UPDATE attempts SET mac = :mac WHERE payout_id = :payout_id AND attempt_no = :attempt_no AND mac = :was"
)
_EVIDENCE = text(
    "SELECT * FROM payout_evidence WHERE mac_key = ANY(CAST(:former AS text[])) LIMIT :limit FOR UPDATE SKIP LOCKED"
)
_UPDATE_EVIDENCE = text(
    "UPDATE payout_evidence SET mac = :mac, mac_key = :key WHERE evidence_id = :evidence AND mac = :was"
)
_LEFT = text(
    "SELECT (SELECT count(*) FROM payout_methods WHERE details_key NOT IN (:key, :erased)) AS methods, "
    "(SELECT count(*) FROM rail_rows WHERE mac_key <> :key OR details_key <> :key) AS rail_rows, "
    "(SELECT count(*) FROM payout_evidence WHERE mac_key <> :key) AS evidence"
)
_ROWS = text(
    "SELECT (SELECT count(*) FROM payout_methods) + (SELECT count(*) FROM rail_rows) + (SELECT count(*) FROM payout_evidence)"
)


class Rotation:
    """Writes rows again within one transaction."""

    def __init__(self, tx: AsyncConnection, *, vault: DetailsVault, types: InstalledTypes) -> None:
        self._tx = tx
        self._types = types
        self._vault = vault
        self._former = [key_id for key_id in vault.key_ids if key_id != vault.key_id]

    async def methods(self) -> int:
        """Encrypt the details of up to ``AT_ONCE`` methods, and mark their destinations and accounts; returns how many."""
        return await self._write(await read_methods(self._tx, sealed_by=self._former, limit=AT_ONCE))

    async def unmarked(self) -> int:
        """Mark the accounts of up to ``AT_ONCE`` methods from before there were such marks; returns how many."""
        return await self._write(await unmarked_methods(self._tx, limit=AT_ONCE))

    async def _write(self, found: Sequence[Method]) -> int:
        done = 0
        for method in found:
            # what cannot be opened was changed in the database: it stays, and the check names it
            with suppress(ValueError):
                await self._tx.execute(_UPDATE_METHOD, self._again(method))
                done += 1
        return done

    async def rail_rows(self) -> int:
        """Encrypt the details of up to ``AT_ONCE`` rows of rails, and mark the rows; returns how many. A row that no key marked
        stays as it is: somebody else wrote it.
        """
        done = 0
        macs = (self._vault.row_mac, *self._vault.former_row_macs)
        for row in (await self._tx.execute(_RAIL_ROWS, {"former": self._former, "limit": AT_ONCE})).all():
            if not is_authentic(row, macs):
                continue
            new = SimpleNamespace(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name of a row's columns
            if row.details is not None:
                binding = orjson.dumps([row.rail, row.collection, row.name])
                try:
                    plain = self._vault.open_row(
                        key_id=row.details_key, binding=binding, sealed=bytes(row.details)
                    )
                except ValueError:
                    continue
                new.details = self._vault.seal_row(binding=binding, plain=plain)
                new.details_key = self._vault.key_id
            new.mac_key = self._vault.key_id
            changed = {
                name: getattr(new, name)
                for name in ("rail", "collection", "name", "details", "details_key", "mac_key")
            }
            mac = self._vault.row_mac(row_mac_message(new))
            await self._tx.execute(_UPDATE_RAIL_ROW, changed | {"mac": mac, "was": bytes(row.mac)})
            done += 1
        return done

    async def evidence(self) -> int:
        """Mark up to ``AT_ONCE`` pieces of evidence that a former key marked; returns how many."""
        done = 0
        macs, key = (self._vault.row_mac, *self._vault.former_row_macs), self._vault.key_id
        for row in (await self._tx.execute(_EVIDENCE, {"former": self._former, "limit": AT_ONCE})).all():
            found = evidence_from(row, macs)
            if found.authentic:
                mac = self._vault.row_mac(evidence_message(found, key_id=key))
                where = {"evidence": row.evidence_id, "was": bytes(row.mac)}
                await self._tx.execute(_UPDATE_EVIDENCE, where | {"mac": mac, "key": key})
                done += 1
        return done

    async def attempts(self, *, after: Place) -> Place | None:
        """Mark attempts after this place that a former key marked; returns the next place, None at the end. A row that no key
        marked stays as it is: somebody else wrote it.
        """
        wanted = {"payout_id": after[0], "attempt_no": after[1], "limit": AT_ONCE}
        rows = (await self._tx.execute(ATTEMPTS_AFTER, wanted)).all()
        for row in rows:
            attempt = attempt_from(row, self._vault.row_mac, self._vault.former_row_macs)
            mac = self._vault.row_mac(attempt_message(attempt))
            if not attempt.authentic or hmac.compare_digest(mac, row.mac):
                continue
            where = {"payout_id": row.payout_id, "attempt_no": row.attempt_no, "was": row.mac}
            await self._tx.execute(_UPDATE_ATTEMPT, where | {"mac": mac})
        return (rows[-1].payout_id, rows[-1].attempt_no) if len(rows) == AT_ONCE else None

    def _again(self, method: Method) -> dict[str, object]:
        opened = self._vault.open(method=method)
        kind, account = self._types.account(method_type=method.type, details=opened.details)
        return {
            "method_id": method.method_id,
            "former": method.sealed_by,
            "key": self._vault.key_id,
            "details": self._vault.seal(method_id=method.method_id, opened=opened),
            "account": self._vault.destination_mac(method_type=kind, details=account),
            "mac": self._vault.destination_mac(method_type=method.type, details=opened.details),
        }


def rotation_check(vault: DetailsVault) -> Check:
    """All details are encrypted by the present key. While a rotation lasts, it says how many rows are left."""

    async def left(tx: AsyncConnection) -> list[str]:
        found = (await tx.execute(_LEFT, {"key": vault.key_id, "erased": ERASED})).one()
        return [
            f"{count} {rows} are encrypted or marked by another key than the present one: keep its file in METHOD_ENCRYPTION_FORMER_KEY_FILES"
            for count, rows in (
                (found.methods, "payout methods"),
                (found.rail_rows, "rows of rails"),
                (found.evidence, "pieces of evidence"),
            )
            if count
        ]

    async def count(tx: AsyncConnection) -> int:
        return int((await tx.execute(_ROWS)).scalar_one())

    return Check("payout_details_by_the_present_key", left, count=count)
