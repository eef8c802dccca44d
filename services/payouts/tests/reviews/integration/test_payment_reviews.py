"""Evidence of two persons about payments: by hand, and of a vendor whose outcome is unknown."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from prizewire_contracts.rails import Outcome, ProviderResult
from prizewire_payouts.metrics import EVIDENCE_WAITING
from prizewire_payouts.payouts.storage.lineage import PayoutLineage
from prizewire_payouts.rails.storage import rail_rows
from prizewire_payouts.reviews.domain import EVIDENCE_EDGES, EVIDENCE_START
from prizewire_payouts.reviews.storage import measure_evidence
from prizewire_railkit.by_hand import PaidByHand
from services.payouts.tests.fakes import ScriptedProvider
from services.payouts.tests.hands import REVIEWS, add_hands, add_vendor, claim, confirm, file, lines_of
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import ASSETS, Rig

UNKNOWN = ProviderResult(outcome=Outcome.UNKNOWN, code="outcome_unknown")


@pytest.fixture
def hands(rig: Rig) -> None:
    add_hands(rig)


@pytest.fixture
def vendor(rig: Rig) -> ScriptedProvider:
    return add_vendor(rig)


def refused(said: Any) -> tuple[int, str]:
    return said.status_code, said.json()["code"]


def evidence_of(said: Any) -> str:
    assert said.status_code == 201, said.text
    found: str = said.json()["evidence"][-1]["evidence_id"]
    return found


async def claimed(rig: Rig, client: Client) -> UUID:
    """A payout whose line olga claimed."""
    (payout_id,) = await lines_of(rig)
    said = await claim(client, payout_id)
    assert said.json()["items"][0]["code"] is None
    return payout_id


async def unknown(rig: Rig, vendor: ScriptedProvider) -> UUID:
    """A payout whose outcome the vendor does not know."""
    vendor.answers.append(UNKNOWN)
    payout_id = await rig.request(await rig.method())
    await rig.submit("vendor")
    assert (await rig.payout(payout_id)).state == "unknown"
    return payout_id


async def test_a_payment_by_hand_is_paid_by_two_persons(rig: Rig, hands: None, client: Client) -> None:
    """One person files, another confirms: the payout is paid with the proof, its line is confirmed, and both are audited."""
    payout_id = await claimed(rig, client)
    evidence = evidence_of(await file(client, payout_id))
    assert (await rig.payout(payout_id)).state == "pending"
    async with rig.db.transaction() as tx:
        await measure_evidence(tx)
    assert EVIDENCE_WAITING._value.get() == 1
    (waiting,) = (await client.get(REVIEWS, headers=as_("op", "operator"))).json()["items"]
    assert (waiting["payout_id"], waiting["evidence"][0]["state"]) == (str(payout_id), "filed")
    said = await confirm(client, payout_id, evidence)
    assert (said.status_code, said.json()["state"]) == (200, "paid")
    assert (await confirm(client, payout_id, evidence)).json() == said.json()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.proof and bool(payout.proof["reference"])) == ("paid", True)
    assert (await rig.event_types(payout_id))[-1] == "payout.paid"
    shown = await client.get(f"{REVIEWS}/{payout_id}", headers=as_("op", "operator"))
    assert (shown.status_code, shown.json()) == (200, said.json())
    assert refused(await client.get(f"{REVIEWS}/{UUID(int=7)}", headers=as_("op", "operator"))) == (
        404,
        "payout_not_found",
    )
    async with rig.db.transaction() as tx:
        steps = await PayoutLineage(assets=ASSETS)(tx, payout.correlation_id)
    found = [one.summary.partition(": ")[2] for one in steps if one.kind.startswith("payout.evidence")]
    assert found == [
        "evidence paid, 2026-11-21/17, filed by olga: statement",
        "evidence paid, 2026-11-21/17, confirmed by piet",
    ]
    await rig.watch("hands")
    assert (await rig.payout(payout_id)).state == "paid"
    actions = await rig.rows(
        "SELECT actor, action FROM audit_log WHERE target = :t ORDER BY sequence", t=str(payout_id)
    )
    assert [(one.actor, one.action) for one in actions] == [
        ("olga", "payout.evidence_filed"),
        ("piet", "payout.evidence_confirmed"),
    ]
    assert await rig.breaches() == []


async def test_no_effect_gives_the_money_back(rig: Rig, hands: None, client: Client) -> None:
    """Evidence that nothing was paid ends the payout as failed, with an event that returns the money."""
    payout_id = await claimed(rig, client)
    evidence = evidence_of(await file(client, payout_id, finding="no_effect"))
    said = await confirm(client, payout_id, evidence, finding="no_effect")
    assert said.json()["state"] == "failed"
    assert (await rig.event_types(payout_id))[-1] == "payout.failed"
    assert await rig.breaches() == []


async def test_the_same_person_does_not_confirm(rig: Rig, hands: None, client: Client) -> None:
    """The filer, the payee, and a person who confirms something else are refused, and nothing is paid."""
    payout_id = await claimed(rig, client)
    assert refused(await file(client, payout_id, by="ana")) == (403, "decider_is_party")
    evidence = evidence_of(await file(client, payout_id))
    assert refused(await confirm(client, payout_id, evidence, by="olga")) == (403, "same_person")
    assert refused(await confirm(client, payout_id, evidence, by="ana")) == (403, "decider_is_party")
    said = await confirm(client, payout_id, evidence, finding="no_effect", key="k2")
    assert refused(said) == (409, "evidence_contradicted")
    said = await confirm(client, payout_id, evidence, reference="other", key="k3")
    assert refused(said) == (409, "evidence_contradicted")
    said = await client.post(
        f"{REVIEWS}/{payout_id}/evidence/{evidence}/confirm",
        json={"finding": "paid", "reference": "2026-11-21/17"},
        headers=as_("pia", "operator", key="k4"),
    )
    assert said.status_code == 403
    assert refused(await file(client, payout_id, by="pia", key="f2")) == (409, "evidence_open")
    assert (await rig.payout(payout_id)).state == "pending"


async def test_two_confirmations_at_once_pay_once(rig: Rig, hands: None, client: Client) -> None:
    """Of two confirmations at the same time one is applied, and the other is refused."""
    payout_id = await claimed(rig, client)
    evidence = evidence_of(await file(client, payout_id))
    both = await asyncio.gather(
        confirm(client, payout_id, evidence, by="piet", key="k1"),
        confirm(client, payout_id, evidence, by="pia", key="k1"),
    )
    assert sorted(one.status_code for one in both) == [200, 409]
    assert (await rig.event_types(payout_id)).count("payout.paid") == 1
    assert await rig.breaches() == []


async def test_an_unclaimed_payment_is_not_in_review(rig: Rig, hands: None, client: Client) -> None:
    """Nobody proves the outcome of a payment that nobody has claimed, nor of one that ended."""
    (payout_id,) = await lines_of(rig)
    assert refused(await file(client, payout_id)) == (409, "line_not_claimed")
    await claim(client, payout_id)
    evidence = evidence_of(await file(client, payout_id, key="f2"))
    await confirm(client, payout_id, evidence)
    assert refused(await file(client, payout_id, key="f3", finding="no_effect")) == (409, "proof_contradicts")
    assert refused(await file(client, payout_id, key="f4")) == (409, "not_in_review")
    assert refused(await confirm(client, payout_id, evidence, key="k9")) == (409, "evidence_not_open")


async def test_refused_evidence_makes_room(rig: Rig, hands: None, client: Client) -> None:
    """Evidence that is withdrawn or not believed changes nothing, and other evidence may follow."""
    payout_id = await claimed(rig, client)
    first = evidence_of(await file(client, payout_id))
    path = f"{REVIEWS}/{payout_id}/evidence/{first}/refuse"
    said = await client.post(path, json={"reason": "wrong line"}, headers=as_("pia", "operator", key="r1"))
    assert said.json()["evidence"][0]["state"] == "refused"
    again = await client.post(path, json={"reason": "wrong"}, headers=as_("pia", "operator", key="r2"))
    assert refused(again) == (409, "evidence_not_open")
    second = evidence_of(await file(client, payout_id, key="f2"))
    assert refused(await confirm(client, payout_id, first, key="k2")) == (409, "evidence_not_open")
    assert (await confirm(client, payout_id, second, key="k3")).json()["state"] == "paid"


@pytest.mark.parametrize(("finding", "state"), [("paid", "paid"), ("no_effect", "failed")])
async def test_a_vendors_unknown_is_ended_by_two_persons(
    rig: Rig, vendor: ScriptedProvider, client: Client, finding: str, state: str
) -> None:
    """Where a vendor's look-up proves nothing, evidence of two persons is the proof."""
    payout_id = await unknown(rig, vendor)
    (listed,) = (await client.get(REVIEWS, headers=as_("op", "operator"))).json()["items"]
    assert (listed["payout_id"], listed["evidence"]) == (str(payout_id), [])
    evidence = evidence_of(await file(client, payout_id, finding=finding))
    said = await confirm(client, payout_id, evidence, finding=finding)
    assert said.json()["state"] == state
    assert await rig.breaches() == []


async def test_proof_is_above_evidence(rig: Rig, vendor: ScriptedProvider, client: Client) -> None:
    """Evidence that was filed before the rail proved the outcome is not confirmed afterwards."""
    payout_id = await unknown(rig, vendor)
    evidence = evidence_of(await file(client, payout_id, finding="no_effect"))
    payout = await rig.payout(payout_id)
    vendor.looks.append(
        ProviderResult(
            outcome=Outcome.PAID, provider_ref="v-1", amount=payout.amount, proof={"reference": "v-1"}
        )
    )
    await rig.watch("vendor")
    assert (await rig.payout(payout_id)).state == "paid"
    said = await confirm(client, payout_id, evidence, finding="no_effect")
    assert refused(said) == (409, "not_in_review")
    assert (await rig.payout(payout_id)).state == "paid"


async def test_evidence_against_the_rails_own_end_is_refused(rig: Rig, hands: None, client: Client) -> None:
    """A line that has ended otherwise is above evidence: the confirmation is refused, and the rail's end is applied."""
    payout_id = await claimed(rig, client)
    evidence = evidence_of(await file(client, payout_id))
    provider = rig.rails[0].provider
    assert isinstance(provider, PaidByHand)
    async with rig.db.transaction() as tx:
        await provider.settle(
            rail_rows(rig.unit_of_work(tx), "hands"),
            payout_id=payout_id,
            paid=False,
            evidence="letter",
            persons=("pia", "piet"),
            now=rig.clock.now(),
        )
    assert refused(await confirm(client, payout_id, evidence)) == (409, "proof_contradicts")
    await rig.watch("hands")
    assert (await rig.payout(payout_id)).state == "failed"
    assert await rig.breaches() == []


async def test_a_pending_payment_of_a_vendor_is_not_in_review(
    rig: Rig, vendor: ScriptedProvider, client: Client
) -> None:
    """While a vendor reports that a payment is pending, persons do not decide about it."""
    vendor.answers.append(ProviderResult(outcome=Outcome.PENDING, provider_ref="v-1"))
    payout_id = await rig.request(await rig.method())
    await rig.submit("vendor")
    assert refused(await file(client, payout_id)) == (409, "not_in_review")


async def test_evidence_is_not_confirmed_once_the_vendor_works_on_it(
    rig: Rig, vendor: ScriptedProvider, client: Client
) -> None:
    """A vendor reports that a payment is pending after evidence said that nothing was paid: the money is not given back, and the
    vendor's proof ends the payout.
    """
    payout_id = await unknown(rig, vendor)
    evidence = evidence_of(await file(client, payout_id, finding="no_effect"))
    vendor.looks.append(ProviderResult(outcome=Outcome.PENDING, provider_ref="v-1"))
    await rig.watch("vendor")
    assert (await rig.payout(payout_id)).state == "pending"
    said = await confirm(client, payout_id, evidence, finding="no_effect")
    assert refused(said) == (409, "not_in_review")
    amount = (await rig.payout(payout_id)).amount
    vendor.looks.append(
        ProviderResult(outcome=Outcome.PAID, provider_ref="v-1", amount=amount, proof={"reference": "v-1"})
    )
    await rig.watch("vendor")
    assert (await rig.payout(payout_id)).state == "paid"
    assert await rig.breaches() == []


async def test_a_rail_of_the_signer_is_not_in_review(rig: Rig, client: Client) -> None:
    """The outcome of a payment on a chain is proved by its ledger, and not by persons here."""
    rig.chain.answers.append(UNKNOWN)
    payout_id = await rig.request(await rig.method(kind="stellar"))
    await rig.submit("stellar")
    assert refused(await file(client, payout_id)) == (409, "not_in_review")


async def test_the_database_has_the_edges_of_evidence(rig: Rig) -> None:
    """The database allows the edges of the domain's table, and no others."""
    rows = await rig.rows("SELECT from_state, to_state FROM payout_evidence_state_edges")
    assert {(one.from_state, one.to_state) for one in rows} == {
        *(("", state) for state in EVIDENCE_START),
        *EVIDENCE_EDGES,
    }
    assert all(EVIDENCE_EDGES.values())


async def test_the_database_guards_evidence(rig: Rig, hands: None, client: Client) -> None:
    """Evidence is not changed after it was filed, not confirmed by its filer, and not decided twice, whatever the code does."""
    payout_id = await claimed(rig, client)
    await file(client, payout_id)
    decide = "state = 'confirmed', decided_at = now(), decided_by = "
    for change, problem in (
        ("finding = 'no_effect'", "permission denied"),
        ("reference = 'other'", "permission denied"),
        (decide + "'olga'", "payout_evidence_two_persons"),
    ):
        with pytest.raises(DBAPIError, match=problem):
            await rig.rows(f"UPDATE payout_evidence SET {change} RETURNING 1")
    await rig.rows(f"UPDATE payout_evidence SET {decide}'piet' RETURNING 1")
    with pytest.raises(DBAPIError, match="stays as it was filed"):
        await rig.rows("UPDATE payout_evidence SET state = 'refused' RETURNING 1")
    breaches = await rig.breaches()
    assert any("found paid, and the attempt is accepted" in one for one in breaches)
    assert len(breaches) == 2


async def test_a_check_finds_evidence_of_a_party(rig: Rig, hands: None, client: Client) -> None:
    """Evidence that a payee confirmed, past the code, is a breach of an invariant."""
    payout_id = await claimed(rig, client)
    await file(client, payout_id)
    await rig.rows(
        "UPDATE payout_evidence SET state = 'confirmed', decided_at = now(), decided_by = 'ana' RETURNING 1"
    )
    assert any("by a party" in breach for breach in await rig.breaches())


async def test_evidence_that_nobody_filed_is_not_confirmed(rig: Rig, hands: None, client: Client) -> None:
    """Evidence that was inserted in the database with an invented filer is not confirmed, and a check names it. Once it is refused, other
    evidence ends the payout; the refused row does not become authentic.
    """
    (payout_id,) = await lines_of(rig)
    await claim(client, payout_id)
    (row,) = await rig.rows(
        "INSERT INTO payout_evidence (evidence_id, payout_id, attempt_no, rail, state, finding, reference, note, filed_by, filed_at) "
        f"VALUES (gen_random_uuid(), '{payout_id}', 1, 'hands', 'filed', 'no_effect', '2026-11-21/17', 'n', 'olga', now()) "
        "RETURNING evidence_id"
    )
    said = await confirm(client, payout_id, str(row.evidence_id), finding="no_effect")
    assert refused(said) == (409, "evidence_not_authentic")
    assert (await rig.payout(payout_id)).state == "pending"
    breach = [f"evidence {row.evidence_id} of payout {payout_id} was written in the database"]
    assert await rig.breaches() == breach
    path = f"{REVIEWS}/{payout_id}/evidence/{row.evidence_id}/refuse"
    said = await client.post(path, json={"reason": "forged"}, headers=as_("pia", "operator", key="r1"))
    assert said.status_code == 200, said.text
    assert await rig.breaches() == breach
    evidence = evidence_of(await file(client, payout_id))
    assert (await confirm(client, payout_id, evidence, key="k2")).status_code == 200


async def test_a_party_refuses_no_evidence(rig: Rig, hands: None, client: Client) -> None:
    """A party of a payout does not refuse evidence about it."""
    (payout_id,) = await lines_of(rig)
    await claim(client, payout_id)
    path = f"{REVIEWS}/{payout_id}/evidence/{evidence_of(await file(client, payout_id))}/refuse"
    said = await client.post(path, json={"reason": "no"}, headers=as_("ana", "operator", key="r1"))
    assert refused(said) == (403, "decider_is_party")
