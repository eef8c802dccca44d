"""Details in a request: opened by payouts alone, bound to their payout, and as new as any new method."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from nacl.signing import SigningKey

from prizewire_chassis.testing import make_key
from prizewire_contracts.ids import inline_method_id, payout_id_for_retry
from prizewire_contracts.intents import AllowedWay, Intent
from prizewire_contracts.rails import Outcome, ProviderResult
from prizewire_contracts.sealing import InlineDetails, seal
from prizewire_contracts.trust import MessageKey
from prizewire_money import Amount
from prizewire_payouts.gates.adapters import DenyListFile
from prizewire_payouts.gates.domain import GateLimits
from prizewire_payouts.inline.adapters import MessageKeyBoxes
from prizewire_payouts.inline.domain import Sealed
from prizewire_payouts.methods.adapters import DetailsVault
from prizewire_payouts.methods.domain import Method
from prizewire_payouts.methods.handlers import verify
from prizewire_payouts.methods.jobs import erasure_job
from prizewire_payouts.methods.ports import OpenedDetails
from prizewire_payouts.rotation.jobs import Rotator
from prizewire_railkit.method_types.installed import installed_method_types
from services.payouts.tests.fakes import make_method
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import ADDRESS, EURC, METHOD_KEY, Rig

SALT = bytes(range(32))
FAKE = {"account": "account of a sponsor"}
KEPT = timedelta(days=90)


def own_key(keyid: str = "payouts-1", *, of: str = "payouts") -> tuple[str, SigningKey]:
    """A message key, as `make_key` has it, for sealing."""
    return keyid, SigningKey(hashlib.sha256(f"test {of}".encode()).digest())


def boxed(
    payout_id: UUID, *, kind: str = "fake", details: dict[str, str] | None = None, of: str = "payouts"
) -> dict[str, str]:
    """Sealed details, as rewards sends them."""
    keyid, key = own_key(f"{of}-1", of=of)
    inline = InlineDetails(payout_id=payout_id, type=kind, details=details or FAKE, salt=SALT)
    return {"key_id": keyid, "box": seal(inline, key=key.verify_key)}


def asked(
    rig: Rig,
    *,
    player: str | None = "ana",
    kind: str = "fake",
    details: dict[str, str] | None = None,
    amount: str = "12.50",
    box: dict[str, str] | None = None,
    payout_id: UUID | None = None,
    intended: dict[str, str] | None = None,
    **changes: Any,
) -> tuple[UUID, bytes]:
    """A request with inline details; ``intended`` are those that the intent leads to, where they differ."""
    payout_id = payout_id or uuid4()
    given = details or (FAKE if kind == "fake" else {"address": ADDRESS})
    meant = intended or given
    on_chain = kind == "stellar"
    way = AllowedWay(
        rail=kind,
        destination=meant["address"] if on_chain else None,
        commitment=None if on_chain else rig.vault.commitment(opened=OpenedDetails(details=meant, salt=SALT)),
        memo=meant.get("memo"),
        amount_max=amount,
    )
    intent = _intent(rig, payout_id, player=player, way=way, amount=amount)
    fields = {
        "player": player,
        "method_id": str(inline_method_id(payout_id)),
        "method_version": 1,
        "filed_by": player or "olga",
        "sealed_details": box or boxed(payout_id, kind=kind, details=given),
        **changes,
    }
    return payout_id, rig.requested(_stand_in(), intent, **fields)


def _intent(rig: Rig, payout_id: UUID, *, player: str | None, way: AllowedWay, amount: str) -> Intent:
    return rig.intent(
        _stand_in(),
        payout_id=payout_id,
        amount=amount,
        player=player,
        funding_account=None if player else "sponsors",
        campaign=None,
        competition=None,
        source=None,
        allowed=(way,),
    )


def _stand_in() -> Method:
    """Fills what the rig's events take from a method, all of which the requests here replace."""
    return make_method()


async def ask(rig: Rig, **given: Any) -> UUID:
    """Feed a request with inline details."""
    payout_id, event = asked(rig, **given)
    await rig.feed(event)
    return payout_id


async def kept(rig: Rig, payout_id: UUID) -> Method | None:
    """The method that was made of a payout's details."""
    key = inline_method_id(payout_id)
    return (await rig.run(lambda storages: storages.methods.find([key]))).get(key)


async def approve(client: Client, payout_id: UUID, by: str = "pat") -> None:
    said = await client.put(f"/api/admin/payouts/{payout_id}/approve", json={}, headers=as_(by, "approver"))
    assert said.status_code == 202, said.text


async def test_a_players_own_details_are_paid(rig: Rig, client: Client) -> None:
    """The payout is paid to the details in its request. They are encrypted, no method of the player, announced by no event, and shown
    masked to the player and to staff.
    """
    payout_id = await ask(rig)
    assert await rig.stuck() == []
    await rig.submit()
    paid = await rig.payout(payout_id)
    assert (paid.state, paid.method_type, paid.method_version) == ("paid", "fake", 1)
    assert rig.journal.effects(payout_id) == 1
    method = await kept(rig, payout_id)
    assert method is not None
    assert (method.player, method.payout_id, method.registered_by) == ("ana", payout_id, "ana")
    assert b"sponsor" not in method.sealed
    assert await rig.events(method.method_id) == []
    assert (await client.get("/api/payout-methods", headers=as_("ana"))).json()["items"] == []
    for who in (as_("ana"), as_("pat", "approver")):
        shown = (await client.get(f"/api/payouts/{payout_id}", headers=who)).json()
        assert shown["destination"] is not None
        assert "sponsor" not in str(shown)
    assert await rig.breaches() == []


async def test_an_operators_details_wait_for_another_person(rig: Rig, client: Client) -> None:
    """A sponsor's payout out of a funding account goes to its inline details, once a person approved it who did not file it."""
    rig.cool_down = timedelta(days=1)
    rig.require_verified("fake", "fake")
    payout_id = await ask(rig, player=None)
    held = await rig.payout(payout_id)
    assert (held.state, held.code) == ("held", "filed_by_operator")
    assert ("registrant", "olga") in held.parties
    await approve(client, payout_id)
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert await rig.breaches() == []


async def test_an_address_is_compared_in_clear(rig: Rig) -> None:
    """On a chain the intent names address and memo: the box must hold the same."""
    rig.chain.answers.append(ProviderResult(outcome=Outcome.PENDING))
    payout_id = await ask(rig, kind="stellar", details={"address": ADDRESS, "memo": "77"})
    found = await rig.payout(payout_id)
    assert (found.state, found.address, found.memo) == ("approved", ADDRESS, "77")
    await rig.submit("stellar")
    assert rig.chain.created[0].details == {"address": ADDRESS, "memo": "77"}
    await ask(rig, kind="stellar", details={"address": ADDRESS, "memo": "78"}, intended={"address": ADDRESS})
    assert await rig.stuck() == [("dead", "intent_invalid")]


@pytest.mark.parametrize("broken", ["unknown key", "changed", "other payout"])
async def test_a_box_that_cannot_be_opened_gives_the_money_back(rig: Rig, broken: str) -> None:
    """The payout is stored and fails at once, so that rewards gives the money back. Nothing parks."""
    payout_id = uuid4()
    good = boxed(payout_id)
    box = {
        "unknown key": {**good, "key_id": "payouts-0"},
        "changed": {**good, "box": good["box"][:-8] + "AAAAAAA="},
        "other payout": boxed(uuid4()),
    }[broken]
    await ask(rig, payout_id=payout_id, box=box)
    assert await rig.stuck() == []
    found = await rig.payout(payout_id)
    assert (found.state, found.code, found.method_id) == ("failed", "details_unreadable", None)
    [event] = await rig.events(payout_id)
    assert (event.type, event.version, event.data["code"]) == ("payout.failed", 1, "details_unreadable")
    assert await kept(rig, payout_id) is None
    assert await rig.breaches() == []


async def test_refused_details_give_the_money_back(rig: Rig) -> None:
    """The code of the type is the reason, and no detail is in it. On a rail of the signer its closure comes first."""
    payout_id = await ask(rig, details={"account": ""})
    found = await rig.payout(payout_id)
    assert (found.state, found.code, found.method_type) == ("failed", "details_invalid", "fake")
    other = await ask(rig, details={"iban": "DE00"}, box=None, kind="fake", intended=FAKE)
    assert (await rig.payout(other)).code == "details_invalid"
    assert "DE00" not in str(await rig.rows("SELECT * FROM payouts"))
    chain = await ask(rig, kind="stellar", details={"address": "G-no-address"})
    closing = await rig.payout(chain)
    assert (closing.state, closing.code) == ("closing_failed", "details_invalid")
    assert await rig.event_types(chain) == ["signing.close_requested"]
    assert await rig.stuck() == []
    assert await rig.breaches() == []


@pytest.mark.parametrize(
    "change",
    [
        {"intended": {"account": "account of another"}},
        {"method_id": str(UUID(int=5))},
        {"method_version": 2},
        {"sealed_details": None},
    ],
)
async def test_the_intent_must_lead_to_the_details(rig: Rig, change: dict[str, Any]) -> None:
    """A box with other details than the intent commits to, under another method id or version, or without a box, is refused."""
    payout_id = await ask(rig, **change)
    assert await rig.stuck() == [("dead", "intent_invalid")]
    assert await rig.rows("SELECT 1 FROM payouts UNION ALL SELECT 1 FROM payout_methods") == []
    assert await kept(rig, payout_id) is None


async def test_a_former_message_key_opens_requests_in_flight() -> None:
    """After a change of the key, boxes for the former one are opened; a key is given once."""
    payout_id = uuid4()
    found = boxed(payout_id)
    sealed = Sealed(key_id=found["key_id"], box=found["box"])
    new = MessageKey.from_seed(keyid="payouts-2", seed=bytes(32))
    opened = MessageKeyBoxes(new, [make_key("payouts")]).open(sealed)
    assert opened is not None
    assert (opened.payout_id, opened.details, opened.salt) == (payout_id, FAKE, SALT)
    assert MessageKeyBoxes(new).open(sealed) is None
    with pytest.raises(ValueError, match="names a key twice"):
        MessageKeyBoxes(new, [new])


async def test_inline_details_are_as_new_as_a_new_method(rig: Rig) -> None:
    """Cool-down and verification hold for them. A registered method of the same destination lends its age and its proof."""
    rig.cool_down = timedelta(minutes=30)
    rig.spec = rig.make_spec()
    rig.require_verified("fake", "fake")
    payout_id = await ask(rig)
    await rig.submit()
    assert (await rig.payout(payout_id)).code == "method_not_usable_yet"
    rig.clock.advance(timedelta(minutes=10))
    registered = await rig.method("ana", **FAKE)
    rig.clock.advance(timedelta(minutes=20))
    second, eves = await ask(rig), await ask(rig, player="eve")
    await rig.submit()
    waiting = await rig.payout(payout_id)
    assert (waiting.state, waiting.code) == ("approved", "method_unverified")
    assert (await rig.payout(second)).code == "method_not_usable_yet"
    await rig.run(
        lambda storages: verify(
            storages.methods,
            method_id=registered.method_id,
            player="ana",
            actor="ana",
            now=rig.clock.now(),
        )
    )
    rig.clock.advance(timedelta(minutes=10))
    await rig.submit()
    assert {(await rig.payout(one)).state for one in (payout_id, second)} == {"paid"}
    assert (await rig.payout(eves)).code == "method_not_usable_yet"


async def test_gates_judge_inline_details(rig: Rig, tmp_path: Path) -> None:
    """A large amount to inline details is held as to a new destination; a denied destination is held with two approvers."""
    rig.limits = GateLimits(new_destination_above={"EURC": Amount(EURC, 10_000)})
    fresh = await rig.payout(await ask(rig, amount="100.01"))
    assert (fresh.state, fresh.code) == ("held", "new_destination")
    await rig.method("ana", **FAKE)
    rig.clock.advance(timedelta(days=4))
    known = await rig.payout(await ask(rig, amount="100.01"))
    assert known.state == "approved"
    others = await rig.payout(await ask(rig, amount="100.01", player="eve"))
    assert others.code == "new_destination"
    path = tmp_path / "deny.yaml"
    path.write_text("destinations:\n  - {type: fake, details: {account: account of a sponsor}}\n")
    rig.deny_list = DenyListFile(path, types=installed_method_types(), macs=rig.vault.destination_macs)
    denied = await rig.payout(await ask(rig))
    assert (denied.state, denied.code, denied.approvers_needed) == ("held", "destination_denied", 2)


async def test_staff_who_name_a_players_destination_are_a_party(rig: Rig) -> None:
    """Where another person than the player files the request, the payout is held, and this person does not approve it."""
    found = await rig.payout(await ask(rig, filed_by="olga"))
    assert (found.state, found.code) == ("held", "method_registered_by_staff")
    assert ("registrant", "olga") in found.parties


async def test_no_other_payout_uses_the_details(rig: Rig, client: Client) -> None:
    """Neither another payout nor a retry of another one names the method; a retry of the same payout does, and again its retry."""
    first = await ask(rig, details={"account": "failure+sponsor"})
    unrelated = await ask(rig, details={"account": "failure+other"})
    await rig.submit()
    assert (await rig.payout(first)).state == "failed"

    async def named(retry_of: UUID | None, payout_id: UUID | None = None) -> UUID:
        payout_id, event = asked(
            rig,
            payout_id=payout_id,
            details={"account": "failure+sponsor"},
            method_id=str(inline_method_id(first)),
            sealed_details=None,
            retry_of=None if retry_of is None else str(retry_of),
            filed_by="olga",
        )
        await rig.feed(event)
        return payout_id

    await named(None)
    await named(unrelated)
    assert await rig.stuck() == [("dead", "intent_invalid")] * 2
    again = await named(first, payout_id_for_retry(first))
    held = await rig.payout(again)
    assert (held.state, held.method_id, held.retry_of) == ("held", inline_method_id(first), first)
    await approve(client, again)
    await rig.submit()
    last = await rig.payout(await named(again, payout_id_for_retry(again)))
    assert (last.state, last.method_id) == ("held", inline_method_id(first))
    for body in (
        {"method_id": str(inline_method_id(first))},
        {"method_id": str(inline_method_id(unrelated))},
    ):
        refused = await client.post(
            f"/api/admin/payouts/{unrelated}/retry",
            json={"reason": "again", **body},
            headers=as_("olga", "operator", key=uuid4().hex),
        )
        assert refused.json()["code"] == "method_unknown"
    assert await rig.breaches() == []


async def test_details_that_are_gone_are_not_retried(rig: Rig, client: Client) -> None:
    """A payout whose details could not be read, or are erased, is not retried without another method: the new one would fail."""
    unread = await ask(rig, box=boxed(uuid4()))
    erased = await ask(rig, details={"account": "failure+sponsor"})
    await rig.submit()
    await erase(rig, after=KEPT)
    for payout_id in (unread, erased):
        refused = await client.post(
            f"/api/admin/payouts/{payout_id}/retry",
            json={"reason": "again"},
            headers=as_("olga", "operator", key=uuid4().hex),
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "details_not_kept")


async def erase(rig: Rig, *, after: timedelta) -> None:
    rig.clock.advance(after)
    job = erasure_job(db=rig.db, clock=rig.clock, audit=rig.audit, kept_for=KEPT)
    while await job.run():
        continue


async def test_details_are_erased_after_the_payout(rig: Rig, client: Client) -> None:
    """They stay while the payout is open, and for the time of removed methods after its end. Then nothing is shown of them."""
    paid, waiting = await ask(rig), await ask(rig, player=None)
    rig.clock.advance(timedelta(minutes=30))
    await rig.submit()
    await erase(rig, after=KEPT - timedelta(minutes=1))
    one = await kept(rig, paid)
    assert one is not None
    assert not one.erased
    await erase(rig, after=timedelta(minutes=1))
    gone, open_ = await kept(rig, paid), await kept(rig, waiting)
    assert gone is not None
    assert open_ is not None
    assert (gone.sealed, gone.erased, open_.erased) == (b"", True, False)
    shown = (await client.get(f"/api/payouts/{paid}", headers=as_("ana"))).json()
    assert shown["destination"] is None
    assert await rig.breaches() == []


async def test_the_key_of_details_is_changed_for_them_too(rig: Rig) -> None:
    """After a rotation the former key is not needed to pay to inline details."""
    payout_id = await ask(rig)
    later = Rig(rig.urls, vault=DetailsVault(key_hex="ab" * 32, former=[METHOD_KEY]))
    rotator = Rotator(db=later.db, vault=later.vault, types=later.types)
    while await rotator.run():
        continue
    await later.close()
    afterwards = Rig(rig.urls, vault=DetailsVault(key_hex="ab" * 32))
    await afterwards.submit()
    assert (await afterwards.payout(payout_id)).state == "paid"
    await afterwards.close()


async def test_a_repeated_request_makes_one_method(rig: Rig) -> None:
    """The same event twice in one batch and once more in another one has one effect."""
    payout_id, event = asked(rig)
    await rig.feed(event, event)
    await rig.feed(event)
    assert await rig.stuck() == []
    assert len(await rig.rows("SELECT 1 FROM payout_methods")) == 1
    assert await rig.event_types(payout_id) == ["payout.approved"]
