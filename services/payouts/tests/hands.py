"""A rail whose payments people make, and one of a vendor, beside those of the rig."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.rails.storage import rail_store
from prizewire_rail_manual import ManualProvider
from prizewire_railkit.method_types.installed import installed_method_types
from services.payouts.tests.fakes import ScriptedProvider
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import ASSETS, Rig

LINES = "/api/admin/payouts/by-hand/hands"
REVIEWS = "/api/admin/payouts/reviews"


def add_hands(rig: Rig) -> None:
    """Let people pay to methods of type ``fake``, over the rail ``hands``."""
    provider = ManualProvider(
        name="hands",
        assets=frozenset({"EURC"}),
        method_types={"fake": installed_method_types()["fake"]},
        currencies={"EURC": "EUR"},
        debtors={},
        registry=ASSETS,
        store=rail_store(db=rig.db, unit_of_work=rig.unit_of_work, rail="hands"),
    )
    _add(
        rig, Rail(name="hands", capabilities=replace(provider.capabilities(), type="fake"), provider=provider)
    )


def add_vendor(rig: Rig) -> ScriptedProvider:
    """A rail of a vendor, whose answers a test writes."""
    provider = ScriptedProvider(rail="vendor")
    capabilities = replace(provider.capabilities(), type="fake", method_types=frozenset({"fake"}))
    _add(rig, Rail(name="vendor", capabilities=capabilities, provider=provider))
    return provider


def _add(rig: Rig, rail: Rail) -> None:
    rig.rails.insert(0, rail)
    rig.workers[rail.name] = rig.worker(rail)


async def lines_of(rig: Rig, *, count: int = 1, player: str = "ana") -> list[UUID]:
    """Payouts with an open line each."""
    method = await rig.method(player)
    payouts = [await rig.request(method) for _ in range(count)]
    await rig.submit("hands")
    return payouts


async def claim(client: Client, *payout_ids: UUID, by: str = "olga", key: str = "c1", **body: Any) -> Any:
    sent = {"payout_ids": [str(one) for one in payout_ids], **body}
    return await client.post(f"{LINES}/claims", json=sent, headers=as_(by, "operator", key=key))


async def file(
    client: Client, payout_id: UUID, *, by: str = "olga", key: str = "f1", finding: str = "paid"
) -> Any:
    body = {"finding": finding, "reference": "2026-11-21/17", "note": "statement"}
    return await client.post(
        f"{REVIEWS}/{payout_id}/evidence", json=body, headers=as_(by, "operator", key=key)
    )


async def confirm(
    client: Client,
    payout_id: UUID,
    evidence_id: str,
    *,
    by: str = "piet",
    key: str = "k1",
    finding: str = "paid",
    reference: str = "2026-11-21/17",
) -> Any:
    return await client.post(
        f"{REVIEWS}/{payout_id}/evidence/{evidence_id}/confirm",
        json={"finding": finding, "reference": reference},
        headers=as_(by, "approver", key=key),
    )
