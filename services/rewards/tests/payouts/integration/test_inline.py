"""Requests that name the details of their destination: checked, sealed for payouts, and never kept in clear text."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from prizewire_chassis.testing import make_key
from prizewire_contracts import ids
from prizewire_contracts.events.rewards import PayoutRequested, PayoutRequestedEvent
from prizewire_contracts.intents import commitment
from prizewire_railkit.method_types.installed import installed_method_types
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.payouts.adapters import read_inline_rails
from services.rewards.tests.payouts.integration.test_funding import ADDRESS, funded, payout_body  # noqa: F401 - a fixture
from services.rewards.tests.payouts.integration.test_retries import retry_event
from services.rewards.tests.rig import Match, Rig, closed_event, closure_of, method_event
from services.rewards.tests.sql import as_owner

IBAN = "DE89370400440532013000"
HOLDER = "Ana Example"
BANK = {"type": "bank", "details": {"holder": HOLDER, "iban": "DE89 3704 0044 0532 0130 00"}}


async def ask(rig: Rig, *, key: str | None = None, **changes: Any) -> httpx.Response:
    """Ann requests 40.00 USDC to a bank account."""
    body = {"asset": "USDC", "amount": "40.00", "method": BANK, **changes}
    async with rig.client("ann") as ann:
        return await ann.post(
            "/api/wallet/payout-request", json=body, headers={"Idempotency-Key": key or uuid4().hex}
        )


async def pay(rig: Rig, *, key: str | None = None, **changes: Any) -> httpx.Response:
    """Olga pays 250.00 USDC of a funding account to a bank account."""
    body = {**payout_body(), "method": BANK, **changes}
    del body["destination"]
    async with rig.client("olga", "operator") as olga:
        return await olga.post(
            "/api/payouts/create", json=body, headers={"Idempotency-Key": key or uuid4().hex}
        )


@pytest.fixture
async def rich(rig: Rig) -> Rig:
    """Ann has 100.00 USDC of winnings, and no payout method."""
    await rig.settle(Match(await rig.campaign(funded=100_000), [("ann", "100.00")]))
    return rig


async def last_request(rig: Rig) -> PayoutRequested:
    return PayoutRequestedEvent.model_validate((await rig.events("payout.requested"))[-1]).data


async def everything(rig: Rig) -> str:
    """Every row of every table that holds what a request brought, as text."""
    tables = ("payouts", "idempotency_keys", "outbox", "audit_log", "transitions")
    known = {row["name"] for row in await rig.rows("SELECT tablename AS name FROM pg_tables")}
    found = []
    for table in tables:
        if table in known:
            found += await rig.rows(f"SELECT CAST(t AS text) AS row FROM {table} t")
    events = await rig.events()
    return "\n".join([*(row["row"] for row in found), *map(str, events)])


async def test_details_of_a_request_reach_payouts_sealed(rich: Rig) -> None:
    """Payouts opens the box and finds details that make the commitment in the intent; the method is that of the payout."""
    answer = await ask(rich)
    assert answer.status_code == 202, answer.text
    payout_id = UUID(answer.json()["payout_id"])
    data = await last_request(rich)
    assert (data.method_id, data.method_version) == (ids.inline_method_id(payout_id), 1)
    assert data.sealed_details is not None
    assert data.sealed_details.key_id == make_key("payouts").keyid
    opened = make_key("payouts").open(data.sealed_details.box)
    assert (opened.payout_id, opened.type) == (payout_id, "bank")
    assert opened.details == {"holder": HOLDER, "iban": IBAN}
    [way] = data.intent.allowed
    assert (way.rail, way.destination, way.amount_max) == ("manual", None, "40.00")
    assert way.commitment == commitment(salt=opened.salt, details=dict(opened.details))
    assert await rich.balance(Kind.PAYOUT_PENDING, payout_id) == 4_000
    assert await rich.breaches() == []


async def test_an_address_on_a_chain_stands_in_the_intent(rich: Rig) -> None:
    """The signer reads address and memo out of the intent, which has no commitment then."""
    method = {"type": "stellar", "details": {"address": ADDRESS, "memo": "77"}}
    assert (await ask(rich, method=method)).status_code == 202
    [way] = (await last_request(rich)).intent.allowed
    assert (way.rail, way.destination, way.memo, way.commitment) == ("stellar", ADDRESS, "77", None)


async def test_nothing_keeps_the_details(rich: Rig, funded: Rig) -> None:  # noqa: F811 - a fixture
    """No row, event, answer or audit record has the details in clear text, and the audit record has the mask."""
    answers = [
        await ask(rich),
        await pay(funded),
        await ask(rich, method={**BANK, "details": {"iban": IBAN}}),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 422]
    kept = await everything(rich) + "".join(answer.text for answer in answers)
    for detail in (IBAN, "0532", HOLDER, "Example"):
        assert detail not in kept
    assert "DE89…3000" in kept


@pytest.mark.parametrize("wrong", [{"iban": IBAN * 20}, {"iban": [IBAN]}, {"iban": {"of": IBAN}}])
async def test_a_malformed_request_is_not_repeated_to_its_sender(rich: Rig, wrong: dict[str, Any]) -> None:
    """The problem names the member and never its value."""
    answer = await ask(rich, method={"type": "bank", "details": wrong})
    assert answer.status_code == 400
    assert IBAN not in answer.text


async def test_one_key_is_one_payout_whose_details_are_compared(rich: Rig) -> None:
    """The same details in another form are the same request; other details under the key are refused."""
    first = await ask(rich, key="one")
    compact = {"type": "bank", "details": {"holder": HOLDER, "iban": IBAN, "bic": None}}
    again = await ask(rich, key="one", method=compact)
    assert (again.status_code, again.json()) == (202, first.json())
    other = {"type": "bank", "details": {"holder": "Ben Example", "iban": IBAN}}
    refused = await ask(rich, key="one", method=other)
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_conflict")
    assert await rich.winnings("ann") == 6_000


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"method": {"type": "email", "details": {"address": "ana@example.org"}}}, "method_type_unserved"),
        ({"method": {"type": "cash", "details": {}}}, "method_type_unknown"),
        ({"method": {"type": "bank", "details": {"holder": HOLDER}}}, "details_malformed"),
        ({"method": {"type": "bank", "details": {"holder": HOLDER, "iban": "DE00"}}}, "iban_invalid"),
    ],
)
async def test_refused_details_move_nothing(rich: Rig, changes: dict[str, Any], code: str) -> None:
    """Each refusal has its code, and the winnings stay."""
    answer = await ask(rich, **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await rich.winnings("ann") == 10_000


async def test_a_request_names_one_destination(rich: Rig) -> None:
    """A method id beside the details is refused, and no payout is made."""
    assert (await ask(rich, method_id=str(uuid4()))).status_code == 400
    assert await rich.winnings("ann") == 10_000


async def test_an_operator_pays_to_details(funded: Rig) -> None:  # noqa: F811 - a fixture
    """The payout has a method and no player; the reference is used once; a failed one gives the money back."""
    answer = await pay(funded, payoutId="caster-1")
    assert answer.status_code == 202, answer.text
    payout_id = UUID(answer.json()["payout_id"])
    data = await last_request(funded)
    assert (data.player, data.method_id) == (None, ids.inline_method_id(payout_id))
    assert data.intent.funding_account == "marketing"
    again = await pay(funded, payoutId="caster-1")
    assert (again.status_code, again.json()["code"]) == (409, "reference_used")
    earlier = {"asset": "USDC", "amount": "1.00", "method": BANK, "idempotencyKey": "k"}
    async with funded.client("olga", "operator") as olga:
        assert (await olga.post("/api/payouts/create", json=earlier)).status_code == 202
    await funded.feed(funded.payouts, closed_event(payout_id, "rejected", closure=None))
    assert await funded.balance(Kind.FUNDING, "marketing") == 99_900
    assert await funded.breaches() == []


async def test_a_retry_goes_to_the_same_details(rich: Rig, funded: Rig) -> None:  # noqa: F811 - a fixture
    """It has the method and the ways of the ended payout and no second box; a named method takes their place."""
    for request, player in ((ask, "ann"), (pay, None)):
        old = UUID((await request(rich)).json()["payout_id"])
        before = await last_request(rich)
        await rich.feed(rich.payouts, closed_event(old, "failed", closure=None))
        await rich.feed(rich.payouts, retry_event(old, player=player))
        after = await last_request(rich)
        assert (after.retry_of, after.method_id, after.sealed_details) == (old, before.method_id, None)
        assert after.intent.allowed == before.intent.allowed
    assert await rich.events("payout.retry_refused") == []
    assert await rich.breaches() == []
    again = UUID((await ask(rich)).json()["payout_id"])
    registered = uuid4()
    await rich.feed(
        rich.payouts,
        method_event("ann", method_id=registered),
        closed_event(again, "failed", closure=None),
        retry_event(again, method_id=str(registered)),
    )
    assert (await last_request(rich)).method_id == registered
    assert await rich.breaches() == []


async def test_an_exchange_of_details_is_found(rich: Rig) -> None:
    """A row whose retry has other details, or a registered method with the id of inline details, is a breach."""
    first = UUID((await ask(rich)).json()["payout_id"])
    await rich.feed(
        rich.payouts,
        closed_event(first, "failed", closure=closure_of(first)),
        retry_event(first),
    )
    await rich.feed(rich.payouts, method_event("eve", method_id=ids.inline_method_id(first)))
    await as_owner(
        rich,
        "ALTER TABLE payouts DISABLE TRIGGER USER",
        f"UPDATE payouts SET inline_mark = 'ff' WHERE retry_of = '{first}'",
        "ALTER TABLE payouts ENABLE TRIGGER USER",
    )
    found = [one for one in await rich.breaches() if one.startswith("inline_destinations_have_one_payout")]
    kinds = [("a registered method" in one, "another destination" in one) for one in found]
    assert sorted(kinds) == [(False, True), (True, False), (True, False)]


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"bank": "manual"}', '{"bank": []}', '{"bank": ["a", "a"]}', '{"cash": ["manual"]}']
)
def test_an_unusable_setting_is_refused(text: str) -> None:
    """The configured rails are read completely or not at all."""
    with pytest.raises(ValueError, match=r"JSON|types of rails|no method type"):
        read_inline_rails(text, types=installed_method_types())
