"""Gates in the life of a payout: at its request, and again before each attempt."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from prizewire_money import Amount
from prizewire_payouts.gates.adapters import DenyListError, DenyListFile
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.methods.adapters import DetailsVault
from prizewire_payouts.metrics import DENY_LIST_REFUSED, HOLDS
from prizewire_payouts.rotation.jobs import Rotator
from prizewire_railkit.method_types.installed import installed_method_types
from services.payouts.tests.fakes import make_method
from services.payouts.tests.gates.unit.test_gates import PAYOUT
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import ADDRESS, EURC, METHOD_KEY, Rig

NEW = GateLimits(new_destination_above={"EURC": Amount(EURC, 10_000)})
FREQUENT = GateLimits(withdrawals_max=2, withdrawals_sum={"EURC": Amount(EURC, 30_000)})
SECRET = "account of an attacker"


async def approve(client: Client, payout_id: UUID, by: str = "pat") -> dict[str, object]:
    path = f"/api/admin/payouts/{payout_id}/approve"
    said = await client.put(path, json={}, headers=as_(by, "approver"))
    assert said.status_code == 202, said.text
    answer: dict[str, object] = said.json()
    return answer


async def test_a_gated_payout_passes_once_it_is_approved(rig: Rig, client: Client) -> None:
    """It is held with the gate's code below the automatic limit too, and after the approval it is judged again and paid."""
    rig.limits = NEW
    counted = HOLDS.labels("new_destination")._value.get()
    payout_id = await rig.request(await rig.method(), amount="100.01")
    held = await rig.payout(payout_id)
    assert (held.state, held.code, held.approvers_needed) == ("held", "new_destination", 1)
    assert HOLDS.labels("new_destination")._value.get() == counted + 1
    assert (await approve(client, payout_id))["state"] == "approved"
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    (row,) = await rig.rows("SELECT approved FROM gate_judgements")
    assert row.approved == [["new_destination", "new"]]
    assert await rig.breaches() == []


async def test_players_see_no_gate(rig: Rig, client: Client) -> None:
    """A neutral word and sentence; staff see every gate with its reason."""
    rig.limits = NEW
    payout_id = await rig.request(await rig.method(), amount="100.01")
    for path in (f"/api/payouts/{payout_id}", "/api/payouts"):
        mine = (await client.get(path, headers=as_("ana"))).json()
        shown = mine["items"][0] if "items" in mine else mine
        assert (shown["state"], shown["code"]) == ("held", "in_review")
        assert "100" not in shown["reason"]
        assert (shown.get("gates"), shown["approvers_needed"]) == (None, None)
        assert "new_destination" not in str(mine)
    for path in (f"/api/payouts/{payout_id}", "/api/admin/payouts"):
        theirs = (await client.get(path, headers=as_("op", "operator"))).json()
        seen = theirs["items"][0] if "items" in theirs else theirs
        assert (seen["code"], seen["approvers_needed"]) == ("new_destination", 1)
        (gate,) = seen["gates"]
        assert gate["code"] == "new_destination"
        assert "100.01 EURC is above the 100.00 EURC" in gate["reason"]


async def test_a_limit_is_no_secret_of_the_automatic_kind_either(rig: Rig, client: Client) -> None:
    """A player does not learn the automatic limit from the code of a hold."""
    payout_id = await rig.request(await rig.method(), amount="5000.00")
    assert (await rig.payout(payout_id)).code == "above_automatic_limit"
    mine = (await client.get(f"/api/payouts/{payout_id}", headers=as_("ana"))).json()
    assert mine["code"] == "in_review"


async def test_facts_that_changed_hold_an_approved_payout(rig: Rig, client: Client) -> None:
    """A payout that policy approved is judged again before it is sent; another fact than the approved one holds it again."""
    first = await rig.request(await rig.method())
    rig.limits = FREQUENT
    rig.clock.advance(timedelta(seconds=1))
    later = [await rig.request(await rig.method(), amount="1.00")]
    rig.clock.advance(timedelta(seconds=1))
    later.append(await rig.request(await rig.method(), amount="1.00"))
    states = [(await rig.payout(one)).code for one in (first, *later)]
    assert states == [None, None, "withdrawals_frequent"]
    rig.limits = replace(FREQUENT, withdrawals_max=1)
    await rig.submit()
    assert [(await rig.payout(one)).state for one in (first, *later)] == ["paid", "held", "held"]
    assert (await rig.payout(later[0])).code == "withdrawals_frequent"
    await approve(client, later[0])
    await rig.submit()
    assert (await rig.payout(later[0])).state == "paid"
    assert await rig.breaches() == []


async def test_withdrawals_of_one_batch_are_counted(rig: Rig) -> None:
    """By number and by sum, of each player alone; those that ended without effect do not count."""
    rig.limits = FREQUENT
    ana, bob = await rig.method("ana"), await rig.method("bob")
    intents = [rig.intent(ana, amount="1.00") for _ in range(3)] + [rig.intent(bob, amount="1.00")]
    methods = [ana, ana, ana, bob]
    await rig.feed(*(rig.requested(method, intent) for method, intent in zip(methods, intents, strict=True)))
    found = [(await rig.payout(UUID(intent.payout_id))).code for intent in intents]
    assert found == [None, None, "withdrawals_frequent", None]
    rig.clock.advance(timedelta(minutes=1))
    summed = await rig.request(bob, amount="299.01")
    assert (await rig.payout(summed)).code == "withdrawals_frequent"
    await rig.feed(rig.cancel_asked(summed))
    rig.clock.advance(timedelta(minutes=1))
    again = await rig.request(bob, amount="299.00")
    assert (await rig.payout(again)).code is None
    rig.clock.advance(timedelta(hours=25))
    much = await rig.request(bob, amount="300.00")
    assert (await rig.payout(much)).code is None
    await rig.submit()
    assert (await rig.payout(again)).state == "held"  # its intent expired
    assert (await rig.payout(much)).state == "paid"


async def test_a_retried_attempt_needs_no_second_approval(rig: Rig, client: Client) -> None:
    """What persons let pass for a fact passes for it until the payout ends; each attempt is judged."""
    rig.limits = NEW
    payout_id = await rig.request(await rig.method(account="retryable+1"), amount="100.01")
    await approve(client, payout_id)
    await rig.submit()
    rig.clock.advance(timedelta(minutes=10))
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.attempts, payout.hold_no) == ("paid", 2, 1)
    assert len(await rig.rows("SELECT 1 FROM gate_judgements")) == 2
    assert await rig.breaches() == []


async def test_a_rail_with_a_lower_limit_holds_what_comes_to_it(rig: Rig) -> None:
    """Policy approved it over another rail: it is held, not paid."""
    payout_id = await rig.request(await rig.method())
    rig.policy = replace(rig.policy, automatic_on_rail={("fake", "EURC"): Amount(EURC, 100)})
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, rig.journal.effects(payout_id)) == ("held", "above_automatic_limit", 0)


def written(path: Path, *entries: str) -> Path:
    path.write_text(
        "destinations:\n" + "".join(f"  - {entry}\n" for entry in entries) if entries else "destinations: []"
    )
    return path


def deny(rig: Rig, path: Path) -> DenyListFile:
    return DenyListFile(path, types=installed_method_types(), macs=rig.vault.destination_macs)


async def test_a_denied_destination_needs_two_persons(rig: Rig, client: Client, tmp_path: Path) -> None:
    """Listed after the approval, it holds before the attempt; two persons may let it pass, and the file is read when it changes."""
    path = written(tmp_path / "deny.yaml")
    rig.deny_list = deny(rig, path)
    payout_id = await rig.request(await rig.method("mal", account=SECRET))
    other = await rig.request(await rig.method("ana"))
    assert (await rig.payout(payout_id)).state == "approved"
    written(path, f"{{type: fake, details: {{account: {SECRET}}}}}")
    await rig.submit()
    held = await rig.payout(payout_id)
    assert (held.state, held.code, held.approvers_needed) == ("held", "destination_denied", 2)
    assert (await rig.payout(other)).state == "paid"
    assert (await approve(client, payout_id))["state"] == "held"
    assert (await approve(client, payout_id, by="sam"))["state"] == "approved"
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert await rig.breaches() == []


async def test_an_account_on_a_chain_is_denied_with_any_memo(rig: Rig, tmp_path: Path) -> None:
    """Another memo, or a muxed address of the account, is the same destination."""
    rig.deny_list = deny(
        rig, written(tmp_path / "deny.yaml", f"{{type: stellar, details: {{address: {ADDRESS}}}}}")
    )
    method = await rig.method(kind="stellar", address=ADDRESS, memo="17")
    assert (await rig.payout(await rig.request(method))).code == "destination_denied"


async def test_an_unreadable_list_leaves_the_last_one(rig: Rig, tmp_path: Path) -> None:
    """The gate does not open because of a typing error, and the gauge says that the file is refused."""
    path = written(tmp_path / "deny.yaml", f"{{type: fake, details: {{account: {SECRET}}}}}")
    rig.deny_list = deny(rig, path)
    assert SECRET not in repr(rig.deny_list)
    path.write_text("destinations: [{type: fake}]  # ends here")
    payout_id = await rig.request(await rig.method("mal", account=SECRET))
    assert (await rig.payout(payout_id)).code == "destination_denied"
    assert DENY_LIST_REFUSED._value.get() == 1
    path.unlink()
    again = await rig.request(await rig.method("mal", account=SECRET))
    assert (await rig.payout(again)).code == "destination_denied"
    written(path)
    free = await rig.request(await rig.method("mal", account=SECRET))
    assert (await rig.payout(free)).code is None
    assert DENY_LIST_REFUSED._value.get() == 0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "destinations: 1",
        "other: []",
        "destinations: [1]",
        "destinations: [{type: moon, details: {}}]",
        f"destinations: [{{type: fake, details: {{account: {SECRET}, more: x}}}}]",
        "a: [b",
    ],
)
def test_a_malformed_list_is_refused_without_its_content(rig: Rig, tmp_path: Path, content: str) -> None:
    """At the start, with the number of the entry; the text has no destination."""
    path = tmp_path / "deny.yaml"
    path.write_text(content)
    with pytest.raises(DenyListError) as refused:
        deny(rig, path)
    assert "deny.yaml" in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM gate_judgements", "no gate was judged before it"),
        ("DELETE FROM approvals", "without the approvals that it needs"),
        (
            "UPDATE gate_judgements SET approved = '[]'; UPDATE gate_findings SET approvers = 2",
            "was not approved",
        ),
    ],
)
async def test_a_payment_past_a_gate_is_a_breach(rig: Rig, client: Client, change: str, said: str) -> None:
    """`prizewire verify` finds it where somebody changed the database."""
    rig.limits = NEW
    payout_id = await rig.request(await rig.method(), amount="100.01")
    await approve(client, payout_id)
    await rig.submit()
    assert await rig.breaches() == []
    owner = await asyncpg.connect(rig.urls.migration)
    await owner.execute(
        "ALTER TABLE gate_judgements DISABLE TRIGGER USER; ALTER TABLE gate_findings DISABLE TRIGGER USER; "
        "ALTER TABLE approvals DISABLE TRIGGER USER"
    )
    await owner.execute(change)
    await owner.close()
    assert any(said in breach for breach in await rig.breaches())


async def test_payouts_to_one_destination_are_counted_over_all_players(rig: Rig) -> None:
    """Whatever the memo, in one batch and over batches, with an operator's rotation of the key between; other accounts do not count."""
    rig.limits = GateLimits(destination_max=2, destination_sum={"EURC": Amount(EURC, 30_000)})
    shared = [
        await rig.method(player, kind="stellar", address=ADDRESS, memo=memo)
        for player, memo in (("ana", "17"), ("bob", "18"), ("cas", "19"))
    ]
    other = await rig.method("dan")
    intents = [rig.intent(method, amount="1.00") for method in (*shared, other)]
    await rig.feed(
        *(rig.requested(method, intent) for method, intent in zip((*shared, other), intents, strict=True))
    )
    found = [(await rig.payout(UUID(intent.payout_id))).code for intent in intents]
    assert found == [None, None, "destination_frequent", None]
    rig.clock.advance(timedelta(minutes=1))
    again = await rig.request(shared[0], amount="1.00")
    assert (await rig.payout(again)).code == "destination_frequent"
    rig.clock.advance(timedelta(hours=25))
    much = await rig.request(shared[1], amount="300.00")
    assert (await rig.payout(much)).code is None


async def test_players_with_one_account_are_counted_together(rig: Rig) -> None:
    """Off a chain the mark of the account finds them, also after the key of details was changed, and once old methods are marked."""
    rig.limits = GateLimits(destination_max=1)
    ana, bob = [await rig.method(player, account="shared") for player in ("ana", "bob")]
    await rig.request(ana)
    await rig.rows("UPDATE payout_methods SET account_mac = NULL RETURNING 1")
    later = Rig(rig.urls, vault=DetailsVault(key_hex="ab" * 32, former=[METHOD_KEY]))
    rotator = Rotator(db=later.db, vault=later.vault, types=later.types)
    while await rotator.run():
        continue
    later.limits = rig.limits
    later.clock.advance(timedelta(minutes=1))
    held = await later.request(bob)
    assert (await later.payout(held)).code == "destination_frequent"
    await later.close()


async def test_an_old_method_is_marked_without_a_change_of_the_key(rig: Rig) -> None:
    """The methods from before the mark get theirs from the job, which stops once it is done."""
    method = await rig.method("ana", account="shared")
    await rig.rows("UPDATE payout_methods SET account_mac = NULL RETURNING 1")
    rotator = Rotator(db=rig.db, vault=rig.vault, types=rig.types)
    assert await rotator.run()
    assert not await rotator.run()
    (row,) = await rig.rows("SELECT account_mac FROM payout_methods")
    assert bytes(row.account_mac) == method.account_mac


def test_a_denied_account_is_denied_under_any_name(rig: Rig, tmp_path: Path) -> None:
    """Another name of the holder is no other account; and a mark by a former key is found while a rotation lasts."""
    iban = "DE89370400440532013000"
    path = written(tmp_path / "deny.yaml", f"{{type: bank, details: {{holder: Mal, iban: {iban}}}}}")
    vault = DetailsVault(key_hex="ab" * 32, former=[METHOD_KEY])
    listed = DenyListFile(path, types=installed_method_types(), macs=vault.destination_macs)
    kind, account = rig.types.account(method_type="bank", details={"holder": "Somebody Else", "iban": iban})
    mac = rig.vault.destination_mac(method_type=kind, details=account)
    method = replace(make_method(), account_mac=mac)
    assert listed.denies(payout=PAYOUT, method=method)
    assert not listed.denies(payout=PAYOUT, method=replace(method, account_mac=None))
