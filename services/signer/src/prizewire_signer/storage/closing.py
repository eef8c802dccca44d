"""The records as a batch of the consumer uses them: store requests, close slots, tombstone payouts.

Slots are locked before payouts, payouts in the order of their ids, as everywhere in this service.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_signer.domain.commands import CloseRequest, SlotClosing
from prizewire_signer.domain.judge import ClosingFacts
from prizewire_signer.domain.model import Slot
from prizewire_signer.domain.states import PayoutState, SlotState
from prizewire_signer.ports import SlotDigest, Work
from prizewire_signer.storage.history import add_transitions, free_due
from prizewire_signer.storage.limits import SCOPE_AGAIN, add_use, begin_use, day_of, use_of


class SqlClosingStore:
    """``ports.ClosingStore`` over one batch transaction."""

    def __init__(self, tx: AsyncConnection) -> None:
        self._tx = tx

    async def enqueue(self, work: Sequence[Work]) -> None:
        """Store signing requests; existing ones are not changed."""
        if not work:
            return
        await self._tx.execute(
            _ENQUEUE,
            {
                "events": [one.event_id for one in work],
                "subjects": [one.subject for one in work],
                "payloads": [one.payload for one in work],
                "times": [one.event_time for one in work],
                "received": work[0].received_at,
            },
        )

    async def answered(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Which of these events were answered before, with a counter."""
        rows = await self._tx.execute(_ANSWERED, {"causes": list(event_ids)})
        return frozenset(row.cause for row in rows)

    async def slot_state(self, slot_id: UUID) -> tuple[SlotState, bytes | None, int | None] | None:
        """State, consuming hash and ledger of a slot, locked; None for an unknown one."""
        row = (await self._tx.execute(_SLOT, {"slot": slot_id})).one_or_none()
        if row is None:
            return None
        consumed_by = None if row.consumed_by is None else bytes(row.consumed_by)
        return SlotState(row.state), consumed_by, row.ledger

    async def slot_digests(self, slot_id: UUID) -> Mapping[bytes, SlotDigest]:
        """Every digest of a slot, by its hash."""
        found = await self._tx.execute(_SLOT_DIGESTS, {"slot": slot_id})
        return {bytes(row.tx_hash): SlotDigest(payouts=frozenset(row.payouts)) for row in found}

    async def close_slot(
        self, *, closing: SlotClosing, paid: frozenset[UUID], known: bool, margin_s: int, now: datetime
    ) -> None:
        """Close a slot: ``paid`` stay bound for ever. Each of its other payouts stays bound until ``margin_s`` after the
        latest maxTime of the slot's digests that pay it.
        """
        slot = closing.slot
        parameters = {
            "slot": slot.slot_id,
            "chain": slot.chain,
            "account": slot.account,
            "sequence": slot.sequence,
            "state": closing.state,
            "consumed_by": closing.consumed_by,
            "ledger": closing.ledger,
        }
        if known:
            await self._tx.execute(_SLOT_CLOSE, parameters)
        else:
            await self._tx.execute(_SLOT_INSERT_CLOSED, parameters)
        await add_transitions(
            self._tx,
            machine="slot",
            edges=[(str(slot.slot_id), SlotState.OPEN if known else "", closing.state)],
            cause=closing.event_id,
            correlation_id=closing.correlation_id,
            now=now,
        )
        bound = [row.payout_id for row in await self._tx.execute(_SLOT_PAYOUTS, {"slot": slot.slot_id})]
        rest = [payout_id for payout_id in bound if payout_id not in paid]
        kept = [payout_id for payout_id in bound if payout_id in paid]
        await self._tx.execute(_PAYOUTS_PAID, {"ids": kept})
        await self._tx.execute(_PAYOUTS_FREE_AT, {"slot": slot.slot_id, "ids": rest, "margin": margin_s})
        await add_transitions(
            self._tx,
            machine="payout",
            edges=[(str(one), PayoutState.BOUND, PayoutState.PAID) for one in kept],
            cause=closing.event_id,
            correlation_id=closing.correlation_id,
            now=now,
        )

    async def hold_slot(self, slot_id: UUID) -> None:
        """Keep the payouts that are still bound to this slot bound for ever."""
        await self._tx.execute(_SLOT_PAYOUTS, {"slot": slot_id})
        await self._tx.execute(_SLOT_HOLD, {"slot": slot_id})

    async def contradicted_slots(self) -> Sequence[UUID]:
        """Slots with payouts that a moment would free, of which another ``signing.slot_closed`` was refused for its id or
        version.
        """
        return (await self._tx.execute(_CONTRADICTED)).scalars().all()

    async def closing_facts(
        self, payout_ids: Collection[UUID], *, now: datetime
    ) -> Mapping[UUID, ClosingFacts]:
        """The records about payouts that are to be closed, locked until the transaction ends. Unknown ones get their
        tombstone at once; those of closed slots that are due are freed first.
        """
        ids = sorted(payout_ids)
        # Inserted first: so this transaction waits for a row that another one is about to commit, and does not miss it.
        inserted = {row.payout_id for row in await self._tx.execute(_TOMBSTONES_INSERT, {"ids": ids})}
        freed = set(await free_due(self._tx, ids, now=now))
        rows = await self._tx.execute(_PAYOUTS_LOCK, {"ids": ids})
        return {
            row.payout_id: ClosingFacts(
                state=PayoutState(row.state),
                fresh=row.payout_id in inserted,
                freed=row.payout_id in freed,
                asset=row.asset,
                minor=row.amount_minor or 0,
                slot=None
                if row.slot_id is None
                else Slot(slot_id=row.slot_id, chain=row.chain, account=row.account, sequence=row.sequence),
                free_at=row.free_at,
            )
            for row in rows
        }

    async def again_used(self, ceilings: Mapping[str, int], *, now: datetime) -> Mapping[str, int]:
        """Minor units of the day's limit for payouts that were signed before, by asset, locked until the transaction ends.
        ``ceilings`` are the policy's, of the assets that are asked for.
        """
        if not ceilings:
            return {}
        # a row that does not exist cannot be locked
        await begin_use(self._tx, SCOPE_AGAIN, ceilings, day=day_of(now))
        used = await use_of(self._tx, [SCOPE_AGAIN], sorted(ceilings), day=day_of(now))
        return {asset: minor for (_, asset), minor in used.items()}

    async def tombstone(
        self,
        requests: Sequence[CloseRequest],
        *,
        facts: Mapping[UUID, ClosingFacts],
        closing: Collection[UUID],
        now: datetime,
    ) -> None:
        """Tombstone ``closing``, count them into the day's limit, and store the history of all these requests."""
        used: dict[str, int] = {}
        for payout_id in closing:
            known = facts[payout_id]
            if known.asset is None:
                raise AssertionError(f"payout {payout_id} is free and was signed for no asset")
            used[known.asset] = used.get(known.asset, 0) + known.minor
        await add_use(self._tx, SCOPE_AGAIN, used, day=day_of(now))
        await self._tx.execute(_TOMBSTONES_SET, {"ids": sorted(closing), "day": day_of(now)})
        for request in {one.payout_id: one for one in requests}.values():
            known = facts[request.payout_id]
            subject = str(request.payout_id)
            edges: list[tuple[str, str, str]] = []
            if known.freed:
                edges.append((subject, PayoutState.BOUND, PayoutState.FREE))
            if known.fresh:
                edges.append((subject, "", PayoutState.TOMBSTONED))
            elif request.payout_id in closing:
                edges.append((subject, PayoutState.FREE, PayoutState.TOMBSTONED))
            await add_transitions(
                self._tx,
                machine="payout",
                edges=edges,
                cause=request.event_id,
                correlation_id=request.correlation_id,
                now=now,
            )


_ENQUEUE = text(
    "INSERT INTO signing_work (event_id, subject, payload, event_time, received_at, state, ready_at) "
    "SELECT u.event_id, u.subject, u.payload, u.event_time, CAST(:received AS timestamptz), 'queued', "
    "CAST(:received AS timestamptz) "
    "FROM unnest(CAST(:events AS text[]), CAST(:subjects AS text[]), CAST(:payloads AS bytea[]), "
    "CAST(:times AS timestamptz[])) WITH ORDINALITY AS u(event_id, subject, payload, event_time, n) "
    "ORDER BY u.n ON CONFLICT (event_id) DO NOTHING"
)
_ANSWERED = text("SELECT cause FROM answers WHERE cause = ANY(CAST(:causes AS text[]))")
_SLOT = text("SELECT state, consumed_by, ledger FROM slots WHERE slot_id = :slot FOR UPDATE")
_SLOT_DIGESTS = text(
    "SELECT d.tx_hash, coalesce(array_agg(p.payout_id) FILTER (WHERE p.payout_id IS NOT NULL), '{}') "
    "AS payouts FROM digests d LEFT JOIN digest_payouts p USING (tx_hash) WHERE d.slot_id = :slot GROUP BY d.tx_hash"
)
_SLOT_CLOSE = text(
    "UPDATE slots SET state = :state, consumed_by = :consumed_by, ledger = :ledger WHERE slot_id = :slot"
)
_SLOT_INSERT_CLOSED = text(
    "INSERT INTO slots (slot_id, chain, account, sequence, state, consumed_by, ledger) "
    "VALUES (:slot, :chain, :account, :sequence, :state, :consumed_by, :ledger)"
)
_SLOT_PAYOUTS = text(
    "SELECT payout_id FROM payouts WHERE slot_id = :slot AND state = 'bound' ORDER BY payout_id FOR UPDATE"
)
_PAYOUTS_PAID = text("UPDATE payouts SET state = 'paid' WHERE payout_id = ANY(CAST(:ids AS uuid[]))")
# A digest that voids the slot pays nobody: no payout waits for its maxTime.
_PAYOUTS_FREE_AT = text(
    "UPDATE payouts p SET free_at = to_timestamp(d.max_time + :margin) "
    "FROM (SELECT i.payout_id, max(d.max_time) AS max_time FROM digests d JOIN digest_payouts i USING (tx_hash) "
    "WHERE d.slot_id = :slot GROUP BY i.payout_id) d "
    "WHERE p.payout_id = d.payout_id AND p.payout_id = ANY(CAST(:ids AS uuid[]))"
)
_CONTRADICTED = text(
    "SELECT DISTINCT p.slot_id FROM payouts p WHERE p.free_at IS NOT NULL AND p.state = 'bound' "
    "AND EXISTS (SELECT 1 FROM stuck_events e WHERE e.subject = CAST(p.slot_id AS text) "
    "AND e.type = 'prizewire.signing.slot_closed.v1' AND e.reason IN ('id_conflict', 'version_conflict')) ORDER BY p.slot_id"
)
_SLOT_HOLD = text("UPDATE payouts SET free_at = NULL WHERE slot_id = :slot AND state = 'bound'")
_TOMBSTONES_INSERT = text(
    "INSERT INTO payouts (payout_id, state, slots_used) "
    "SELECT u.payout_id, 'tombstoned', 0 FROM unnest(CAST(:ids AS uuid[])) AS u(payout_id) "
    "ORDER BY u.payout_id ON CONFLICT DO NOTHING RETURNING payout_id"
)
_PAYOUTS_LOCK = text(
    "SELECT p.payout_id, p.state, p.asset, p.amount_minor, p.free_at, s.slot_id, s.chain, s.account, s.sequence "
    "FROM payouts p LEFT JOIN slots s ON s.slot_id = coalesce(p.slot_id, (SELECT d.slot_id FROM digest_payouts i "
    "JOIN digests d USING (tx_hash) WHERE i.payout_id = p.payout_id ORDER BY d.recorded_at DESC, d.tx_hash LIMIT 1)) "
    "WHERE p.payout_id = ANY(CAST(:ids AS uuid[])) ORDER BY p.payout_id FOR UPDATE OF p"
)
_TOMBSTONES_SET = text(
    "UPDATE payouts SET state = 'tombstoned', closed_on = CAST(:day AS date) "
    "WHERE payout_id = ANY(CAST(:ids AS uuid[])) AND state = 'free'"
)
