"""Facts for the gates and what the gates found, over PostgreSQL, with their check."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.checks import Check, rows_of
from prizewire_money import Amount
from prizewire_payouts.gates.domain import GATES, Facts, Finding, GateCode, GateLimits
from prizewire_payouts.gates.ports import DenyList, Destinations, Passed, Sent
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.methods.storage import MethodStorage
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.players.domain import PlayerFacts
from prizewire_payouts.players.storage import PlayerStorage
from prizewire_payouts.screening.domain import Screening
from prizewire_payouts.screening.storage import ScreeningStorage
from prizewire_payouts.unit_of_work import UnitOfWork

_COUNTS = (
    "e.requested_at < w.requested_at AND e.requested_at >= w.requested_at - CAST(:within AS interval) "
    "AND e.state NOT IN ('rejected', 'failed', 'cancelled')"
)
# Payouts of the same moment came in one batch, which counted them already.
_WITHDRAWALS = text(
    "SELECT w.payout_id, count(e.payout_id) AS n, "
    "coalesce(sum(e.amount_minor) FILTER (WHERE e.asset = w.asset), 0) AS minor "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:players AS text[]), CAST(:payees AS text[]), CAST(:assets AS text[]), "
    "CAST(:moments AS timestamptz[])) AS w(payout_id, player, payee, asset, requested_at) "
    "JOIN payouts e ON (e.player IN (w.player, w.payee) OR e.payee IN (w.player, w.payee)) AND e.requested_at < w.requested_at "
    "AND e.requested_at >= w.requested_at - CAST(:within AS interval) "
    "AND e.state NOT IN ('rejected', 'failed', 'cancelled') GROUP BY w.payout_id"
)
# The payouts to one account: by its mark, and on a chain by the address too, whatever the memo.
_TO_DESTINATION = text(
    "SELECT w.payout_id, count(e.payout_id) AS n, coalesce(sum(e.amount_minor) FILTER (WHERE e.asset = w.asset), 0) AS minor "  # noqa: S608 - constants
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:marks AS bytea[]), CAST(:addresses AS text[]), CAST(:assets AS text[]), "
    "CAST(:moments AS timestamptz[])) AS w(payout_id, mark, address, asset, requested_at) "
    "CROSS JOIN LATERAL (SELECT e.payout_id, e.asset, e.amount_minor FROM payout_methods m JOIN payouts e USING (method_id) "
    f"WHERE m.account_mac = w.mark AND {_COUNTS} UNION "
    f"SELECT e.payout_id, e.asset, e.amount_minor FROM payouts e WHERE e.address = w.address AND {_COUNTS}) e "
    "GROUP BY w.payout_id"
)
_IN_YEAR = text(
    "SELECT w.payout_id, sum(e.amount_minor) AS minor "
    "FROM unnest(CAST(:ids AS uuid[]), CAST(:persons AS text[]), CAST(:campaigns AS text[]), CAST(:assets AS text[]), "
    "CAST(:moments AS timestamptz[])) AS w(payout_id, person, campaign, asset, requested_at) "
    "JOIN payouts e ON (e.payee = w.person OR (e.player = w.person AND e.payee IS NULL)) AND e.asset = w.asset AND e.campaign IS NOT DISTINCT FROM w.campaign "
    "AND e.requested_at < w.requested_at AND e.requested_at >= date_trunc('year', w.requested_at, 'UTC') "
    "AND e.state NOT IN ('rejected', 'failed', 'cancelled') GROUP BY w.payout_id"
)
_PASSED = text(
    "SELECT f.payout_id, f.gate, f.fact FROM gate_findings f WHERE f.payout_id = ANY(CAST(:ids AS uuid[])) "
    "AND (SELECT count(*) FROM approvals a WHERE a.payout_id = f.payout_id AND a.hold_no = f.hold_no) >= f.approvers"
)
_ADD_FINDINGS = text(
    "INSERT INTO gate_findings (payout_id, hold_no, gate, fact, reason, approvers, at) "
    "SELECT r.payout_id, r.hold_no, r.gate, r.fact, r.reason, r.approvers, :now "
    "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
    "AS r(payout_id uuid, hold_no int, gate text, fact text, reason text, approvers int)"
)
_ADD_JUDGEMENTS = text(
    "INSERT INTO gate_judgements (payout_id, attempt_no, approved, screening, screened_after, at) "
    "SELECT r.payout_id, r.attempt_no, r.approved, r.screening, r.screened_after, :now "
    "FROM jsonb_to_recordset(CAST(:rows AS jsonb)) "
    "AS r(payout_id uuid, attempt_no int, approved jsonb, screening bigint, screened_after timestamptz)"
)
_NOT_JUDGED = text(
    "SELECT a.payout_id, a.attempt_no FROM attempts a LEFT JOIN gate_judgements j USING (payout_id, attempt_no) "
    "WHERE a.state = 'effected' AND j.payout_id IS NULL LIMIT 100"
)
_NOT_APPROVED = text(
    "SELECT j.payout_id, j.attempt_no, p->>0 AS gate FROM gate_judgements j, jsonb_array_elements(j.approved) p "
    "WHERE NOT EXISTS (SELECT 1 FROM gate_findings f WHERE f.payout_id = j.payout_id AND f.gate = p->>0 AND f.fact = p->>1 "
    "AND (SELECT count(*) FROM approvals a WHERE a.payout_id = f.payout_id AND a.hold_no = f.hold_no) >= f.approvers) "
    "LIMIT 100"
)
_NOT_SCREENED = text(
    "SELECT j.payout_id, j.attempt_no FROM gate_judgements j JOIN attempts a USING (payout_id, attempt_no) "
    "LEFT JOIN screenings s ON s.number = j.screening AND s.payout_id = j.payout_id AND s.at >= j.screened_after "
    "AND (s.verdict = 'clear' OR (s.verdict = 'hit' "
    "AND j.approved @> jsonb_build_array(jsonb_build_array('screening_hit', s.reference)))) "
    "WHERE a.state IN ('effected', 'reversed') AND j.screened_after IS NOT NULL AND s.number IS NULL LIMIT 100"
)
_HELD_AND_PAID = text(
    "SELECT f.payout_id, f.gate FROM gate_findings f JOIN payouts p USING (payout_id) WHERE p.state IN ('paid', 'returned') "
    "AND (SELECT count(*) FROM approvals a WHERE a.payout_id = f.payout_id AND a.hold_no = f.hold_no) < f.approvers "
    "LIMIT 100"
)


class GateStorage:
    """`prizewire_payouts.gates.ports.GateRows` over PostgreSQL."""

    def __init__(self, unit_of_work: UnitOfWork, *, deny_list: DenyList, destinations: Destinations) -> None:
        self._destinations = destinations
        self._unit_of_work = unit_of_work
        self._tx = unit_of_work.tx
        self._deny_list = deny_list

    async def facts(self, payouts: Sequence[Payout], *, limits: GateLimits) -> Mapping[UUID, Facts]:
        """See the port."""
        asked = limits.needs_destination or limits.counts_destinations or self._deny_list.active
        methods = await self._methods(payouts) if asked else {}
        earlier = await self._withdrawals(payouts, limits) if limits.needs_withdrawals else {}
        players = await self._players(payouts) if limits.needs_players else {}
        in_year = await self._in_year(payouts) if limits.needs_year else {}
        screened = await self._screened(payouts) if limits.screened_within is not None else {}
        marks = self._marks(payouts, methods) if limits.counts_destinations else {}
        to_destination = await self._to_destination(payouts, marks, limits) if marks else {}
        facts: dict[UUID, Facts] = {}
        for payout in payouts:
            method = None if payout.method_id is None else methods.get(payout.method_id)
            sent_to, sent_minor = to_destination.get(payout.payout_id, (0, 0))
            count, minor = earlier.get(payout.payout_id, (0, 0))
            facts[payout.payout_id] = Facts(
                # an operator names this destination, and no player confirms it: it is always new
                destination_since=None if method is None or method.player is None else method.registered_at,
                destination_denied=self._deny_list.denies(payout=payout, method=method),
                withdrawals=count,
                withdrawn=Amount(payout.amount.asset, minor),
                player=None if payout.person is None else players.get(payout.person),
                before_in_year=Amount(payout.amount.asset, in_year.get(payout.payout_id, 0)),
                screening=screened.get(payout.payout_id),
                destination=marks.get(payout.payout_id),
                payouts_to=sent_to,
                paid_to=Amount(payout.amount.asset, sent_minor),
            )
        return facts

    async def _methods(self, payouts: Sequence[Payout]) -> Mapping[UUID, Method]:
        ids = {payout.method_id for payout in payouts if payout.method_id is not None}
        return await MethodStorage(self._unit_of_work).find(ids)

    def _marks(self, payouts: Sequence[Payout], methods: Mapping[UUID, Method]) -> dict[UUID, bytes | None]:
        return {
            payout.payout_id: self._destinations.mark(
                payout=payout, method=None if payout.method_id is None else methods.get(payout.method_id)
            )
            for payout in payouts
        }

    async def _to_destination(
        self, payouts: Sequence[Payout], marks: Mapping[UUID, bytes | None], limits: GateLimits
    ) -> dict[UUID, tuple[int, int]]:
        found = await self._tx.execute(
            _TO_DESTINATION,
            {
                "ids": [payout.payout_id for payout in payouts],
                "marks": [marks[payout.payout_id] for payout in payouts],
                "addresses": [payout.address for payout in payouts],
                "assets": [payout.amount.asset.code for payout in payouts],
                "moments": [payout.requested_at for payout in payouts],
                "within": limits.destination_within,
            },
        )
        return {row.payout_id: (row.n, int(row.minor)) for row in found}

    async def _players(self, payouts: Sequence[Payout]) -> Mapping[str, PlayerFacts]:
        names = {payout.person for payout in payouts if payout.person is not None}
        return await PlayerStorage(self._unit_of_work).find(names)

    async def _screened(self, payouts: Sequence[Payout]) -> Mapping[UUID, Screening]:
        return await ScreeningStorage(self._unit_of_work).latest([payout.payout_id for payout in payouts])

    async def _withdrawals(
        self, payouts: Sequence[Payout], limits: GateLimits
    ) -> dict[UUID, tuple[int, int]]:
        of_players = [payout for payout in payouts if payout.player is not None]
        if not of_players:
            return {}
        found = await self._tx.execute(
            _WITHDRAWALS,
            {
                "ids": [payout.payout_id for payout in of_players],
                "players": [payout.player for payout in of_players],
                "payees": [payout.payee for payout in of_players],
                "assets": [payout.amount.asset.code for payout in of_players],
                "moments": [payout.requested_at for payout in of_players],
                "within": limits.withdrawals_within,
            },
        )
        return {row.payout_id: (row.n, int(row.minor)) for row in found}

    async def _in_year(self, payouts: Sequence[Payout]) -> dict[UUID, int]:
        of_players = [payout for payout in payouts if payout.player is not None]
        if not of_players:
            return {}
        found = await self._tx.execute(
            _IN_YEAR,
            {
                "ids": [payout.payout_id for payout in of_players],
                "persons": [payout.person for payout in of_players],
                "campaigns": [payout.campaign for payout in of_players],
                "assets": [payout.amount.asset.code for payout in of_players],
                "moments": [payout.requested_at for payout in of_players],
            },
        )
        return {row.payout_id: int(row.minor) for row in found}

    async def passed(self, payouts: Sequence[Payout]) -> Mapping[UUID, Passed]:
        """See the port."""
        passed: dict[UUID, set[tuple[GateCode, str]]] = defaultdict(set)
        if payouts:
            ids = [payout.payout_id for payout in payouts]
            for row in await self._tx.execute(_PASSED, {"ids": ids}):
                # a gate that a later release took away has nothing left to pass
                if row.gate in GATES:
                    passed[row.payout_id].add((GateCode(row.gate), row.fact))
        return passed

    async def add_findings(self, found: Sequence[tuple[Payout, Sequence[Finding]]], *, now: datetime) -> None:
        """See the port."""
        rows = [
            {
                "payout_id": str(payout.payout_id),
                "hold_no": payout.hold_no,
                "gate": finding.gate,
                "fact": finding.fact,
                "reason": finding.reason,
                "approvers": payout.approvers_needed,
            }
            for payout, findings in found
            for finding in findings
        ]
        await self._tx.execute(_ADD_FINDINGS, {"rows": _json(rows), "now": now})

    async def add_judgements(self, sent: Sequence[Sent], *, now: datetime) -> None:
        """See the port."""
        rows = [
            {
                "payout_id": str(one.payout.payout_id),
                "attempt_no": one.payout.attempts,
                "approved": sorted([str(gate), fact] for gate, fact in one.passed),
                "screening": None if one.screening is None else one.screening.number,
                "screened_after": one.screened_after,
            }
            for one in sent
        ]
        await self._tx.execute(_ADD_JUDGEMENTS, {"rows": _json(rows), "now": now})


def _json(rows: Sequence[dict[str, Any]]) -> str:
    return orjson.dumps(rows).decode()


async def _judged(tx: AsyncConnection) -> list[str]:
    return [
        *(
            f"attempt {row.attempt_no} of payout {row.payout_id} paid, and no gate was judged before it"
            for row in await tx.execute(_NOT_JUDGED)
        ),
        *(
            f"attempt {row.attempt_no} of payout {row.payout_id} passed the gate {row.gate} without the approvals that it needs"
            for row in await tx.execute(_NOT_APPROVED)
        ),
        *(
            f"payout {row.payout_id} was paid, and the gate {row.gate} that held it was not approved"
            for row in await tx.execute(_HELD_AND_PAID)
        ),
    ]


async def _screened(tx: AsyncConnection) -> list[str]:
    return [
        f"attempt {row.attempt_no} of payout {row.payout_id} paid without an answer of the screening service in time"
        for row in await tx.execute(_NOT_SCREENED)
    ]


CHECKS = (
    Check("payout_gates_were_passed", _judged, count=rows_of("gate_judgements")),
    Check("payouts_were_screened", _screened, count=rows_of("screenings")),
)
"""Before each attempt that paid the gates were judged, and each gate that held the payout was approved by enough persons. Each
attempt that paid while a screening service was asked began with an answer in time, and a hit was approved."""
