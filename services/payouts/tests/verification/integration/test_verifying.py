"""A player verifies a payout method by a code or by a signature, and no other way."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from stellar_sdk import Keypair

from prizewire_payouts.methods.handlers import verify
from prizewire_payouts.verification.domain import BEGUN_PER_DAY_MAX, CODE_DIGITS, VALID_FOR, WRONG_ANSWERS_MAX
from services.payouts.tests.http import Client, as_, create
from services.payouts.tests.rig import Rig

EMAIL = {"address": "ana@example.com"}


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """Its second rail pays to e-mail addresses too."""
    known = rig.rails[1]
    types = known.capabilities.method_types | {"email"}
    rig.rails[1] = replace(known, capabilities=replace(known.capabilities, method_types=types))
    return rig


async def registered(client: Client, player: str = "ana", **body: Any) -> str:
    answer = await create(client, player, **(body or {"type": "email", "details": EMAIL}))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def begin(client: Client, method: str, player: str = "ana") -> Any:
    return await client.post(f"/api/payout-methods/{method}/verify", headers=as_(player))


async def confirm(client: Client, method: str, answer: str, player: str = "ana") -> Any:
    path = f"/api/payout-methods/{method}/verify/confirm"
    return await client.post(path, json={"answer": answer}, headers=as_(player))


async def test_the_code_that_was_sent_verifies_the_method(rig: Rig, client: Client) -> None:
    """The code goes to the method's address alone, is not stored, and makes the method verified, once."""
    method = await registered(client)
    begun = await begin(client, method)
    assert (begun.status_code, begun.json()["kind"], begun.json()["challenge"]) == (201, "code", None)
    code = rig.mail.codes["ana@example.com"]
    assert code not in begun.text
    (row,) = await rig.rows("SELECT code_mac FROM method_verifications")
    assert code.encode() not in bytes(row.code_mac)
    answer = await confirm(client, method, code)
    assert (answer.status_code, answer.json()["verified"], answer.json()["version"]) == (200, True, 2)
    events = await rig.events(UUID(method))
    assert [(one.type, one.data["verified"]) for one in events] == [
        ("method.registered", False),
        ("method.verified", True),
    ]
    again = await confirm(client, method, code)
    assert (again.status_code, again.json()["code"]) == (409, "method_already_verified")
    assert await rig.breaches() == []


async def test_a_signed_challenge_verifies_an_account(rig: Rig, client: Client) -> None:
    """The key of the account signs the challenge; a signature of another key or of another challenge is wrong."""
    owner = Keypair.random()
    method = await registered(client, type="stellar", details={"address": owner.public_key})
    first = (await begin(client, method)).json()["challenge"]
    second = (await begin(client, method)).json()["challenge"]
    assert first != second

    def signed(key: Keypair, challenge: str) -> str:
        return base64.b64encode(key.sign_message(challenge)).decode()

    for wrong in (signed(Keypair.random(), second), signed(owner, first), "not a signature"):
        answer = await confirm(client, method, wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "verification_wrong")
    assert (await confirm(client, method, signed(owner, second))).status_code == 200
    assert rig.mail.codes == {}


async def test_wrong_codes_are_counted_and_end_the_verification(rig: Rig, client: Client) -> None:
    """After five wrong codes the right one is refused, and another verification has another code."""
    method = await registered(client)
    await begin(client, method)
    code = rig.mail.codes["ana@example.com"]
    wrong = "00000000" if code != "00000000" else "00000001"
    for left in reversed(range(WRONG_ANSWERS_MAX)):
        answer = await confirm(client, method, wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "verification_wrong")
        assert f"{left} more" in answer.json()["detail"]
    late = await confirm(client, method, code)
    assert (late.status_code, late.json()["code"]) == (409, "verification_failed")
    await begin(client, method)
    assert (await confirm(client, method, rig.mail.codes["ana@example.com"])).status_code == 200


async def test_a_method_that_cannot_be_read_is_not_verified(rig: Rig, client: Client) -> None:
    """No code is sent to details that somebody changed in the database, and no signature of their owner is accepted."""
    owner = Keypair.random()
    by_code = await registered(client)
    by_signature = await registered(client, type="stellar", details={"address": owner.public_key})
    begun = await begin(client, by_signature)
    assert begun.json()["kind"] == "signature"
    for method in (by_code, by_signature):
        await rig.spoil_details(UUID(method))
    signature = base64.b64encode(owner.sign_message(begun.json()["challenge"])).decode()
    for refused in (await begin(client, by_code), await confirm(client, by_signature, signature)):
        assert (refused.status_code, refused.json()["code"]) == (409, "method_unreadable")
    assert rig.mail.codes == {}


async def test_a_code_expires(rig: Rig, client: Client) -> None:
    """A code is accepted for a quarter of an hour."""
    method = await registered(client)
    assert (await confirm(client, method, "12345678")).json()["code"] == "verification_not_begun"
    await begin(client, method)
    rig.clock.advance(VALID_FOR)
    late = await confirm(client, method, rig.mail.codes["ana@example.com"])
    assert (late.status_code, late.json()["code"]) == (409, "verification_expired")


async def test_verifications_of_a_destination_are_bounded(rig: Rig, client: Client) -> None:
    """Nobody sends many codes to one address, not even by several players; a day later it goes on."""
    methods = {player: await registered(client, player) for player in ("ana", "eve")}
    for number in range(BEGUN_PER_DAY_MAX):
        player = ("ana", "eve")[number % 2]
        assert (await begin(client, methods[player], player)).status_code == 201
    refused = await begin(client, methods["eve"], "eve")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_verifications")
    rig.clock.advance(timedelta(days=1))
    assert (await begin(client, methods["eve"], "eve")).status_code == 201


async def test_only_the_owner_of_a_method_verifies_it(rig: Rig, client: Client) -> None:
    """Another player finds no such method, and staff has no part in it."""
    method = await registered(client)
    assert (await begin(client, method, "eve")).json()["code"] == "method_not_found"
    staff = await client.post(f"/api/payout-methods/{method}/verify", headers=as_("op", "operator"))
    assert staff.status_code == 403
    await begin(client, method)
    code = rig.mail.codes["ana@example.com"]
    assert (await confirm(client, method, code, "eve")).json()["code"] == "method_not_found"


async def test_what_cannot_be_verified_is_refused(rig: Rig, client: Client) -> None:
    """A type without an owner to ask, a removed method, and codes without a mail server are refused by code."""
    plain = await registered(client, type="fake", details={"account": "ana"})
    assert (await begin(client, plain)).json()["code"] == "verification_not_possible"
    method = await registered(client)
    await client.delete(f"/api/payout-methods/{method}", headers=as_("ana"))
    assert (await begin(client, method)).json()["code"] == "method_removed"


async def test_a_code_that_is_not_sent_is_said(rig: Rig, client: Client) -> None:
    """Where the mail server refuses, the answer is 503, and names neither address nor code."""
    method = await registered(client)
    rig.mail.fails = True
    answer = await begin(client, method)
    assert (answer.status_code, answer.json()["code"]) == (503, "code_not_sent")
    assert "ana@example.com" not in answer.text


async def test_an_unverified_method_waits_until_it_is_verified(rig: Rig) -> None:
    """A rail that pays only verified methods is not called before; the payout says why, and goes on by itself."""
    rig.require_verified("fake", "fake")
    method = await rig.method()
    payout_id = await rig.request(method)
    await rig.submit()
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, payout.attempts) == ("approved", "method_unverified", 0)
    assert rig.journal.effects(payout_id) == 0
    assert [one.type for one in await rig.events(payout_id)] == ["payout.approved", "payout.held"]
    await rig.run(
        lambda storages: verify(
            storages.methods,
            method_id=method.method_id,
            player="ana",
            actor="ana",
            now=rig.clock.now(),
        )
    )
    rig.clock.advance(timedelta(minutes=1))
    await rig.submit()
    payout = await rig.payout(payout_id)
    assert (payout.state, payout.code, rig.journal.effects(payout_id)) == ("paid", None, 1)


async def test_a_new_method_is_not_paid_before_its_time(rig: Rig, client: Client) -> None:
    """During the cool-down the payout waits, with a code and a time; then it is paid once."""
    rig.cool_down = timedelta(minutes=30)
    method = await rig.method()
    payout_id = await rig.request(method)
    await rig.submit()
    shown = (await client.get(f"/api/payouts/{payout_id}", headers=as_("ana"))).json()
    assert (shown["state"], shown["code"]) == ("approved", "method_not_usable_yet")
    listed = (await client.get("/api/payout-methods", headers=as_("ana"))).json()["items"][0]
    assert listed["usable_from"] > listed["registered_at"]
    rig.clock.advance(timedelta(minutes=30) - timedelta(seconds=1))
    await rig.submit()
    assert rig.journal.effects(payout_id) == 0
    rig.clock.advance(timedelta(seconds=1))
    await rig.submit()
    assert (await rig.payout(payout_id)).state == "paid"
    assert rig.journal.effects(payout_id) == 1


async def test_codes_have_leading_zeros(rig: Rig, client: Client) -> None:
    """Every code has eight digits."""
    method = await registered(client)
    await begin(client, method)
    code = rig.mail.codes["ana@example.com"]
    assert len(code) == CODE_DIGITS
    assert code.isdigit()
