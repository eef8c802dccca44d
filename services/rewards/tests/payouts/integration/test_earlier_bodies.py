"""`POST /api/payouts/create` with the bodies of earlier systems."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from prizewire_contracts.events.rewards import PayoutRequestedEvent
from prizewire_money import Asset, AssetRegistry
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.payouts.adapters import read_funding_by_asset
from services.rewards.tests.payouts.integration.test_funding import ADDRESS, funded, payout_body  # noqa: F401 - a fixture
from services.rewards.tests.rig import Rig, closed_event, closure_of


def earlier(**changes: Any) -> dict[str, Any]:
    return {
        "payoutId": "invoice-77",
        "destinationAccount": ADDRESS,
        "amount": "250.00",
        "asset": "USDC",
        "idempotencyKey": uuid4().hex,
        **changes,
    }


async def create(rig: Rig, body: dict[str, Any], **headers: str) -> httpx.Response:
    async with rig.client("olga", "operator") as olga:
        return await olga.post("/api/payouts/create", json=body, headers=headers)


async def test_an_earlier_body_is_paid_out_of_the_account_of_its_asset(funded: Rig) -> None:  # noqa: F811 - a fixture
    """The intent names the configured account and the address; the reference is returned."""
    answer = await create(funded, earlier())
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    assert (shown["funding_account"], shown["reference"], shown["amount"]) == (
        "marketing",
        "invoice-77",
        "250.00",
    )
    [requested] = await funded.events("payout.requested")
    intent = PayoutRequestedEvent.model_validate(requested).data.intent
    [way] = intent.allowed
    assert (intent.funding_account, way.rail, way.destination) == ("marketing", "stellar", ADDRESS)
    assert await funded.balance(Kind.FUNDING, "marketing") == 75_000
    assert await funded.breaches() == []


async def test_a_repeated_key_is_one_payout(funded: Rig) -> None:  # noqa: F811 - a fixture
    """Whether it is in the body, in the header or in both; another body under it is refused, and so are two keys."""
    body = earlier(idempotencyKey="key-1")
    without = {name: value for name, value in body.items() if name != "idempotencyKey"}
    answers = [
        await create(funded, body),
        await create(funded, body),
        await create(funded, without, **{"Idempotency-Key": "key-1"}),
        await create(funded, body, **{"Idempotency-Key": "key-1"}),
    ]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["payout_id"] for answer in answers}) == 1
    other = await create(funded, {**body, "amount": "1.00"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    two = await create(funded, body, **{"Idempotency-Key": "key-2"})
    assert (two.status_code, two.json()["code"]) == (422, "idempotency_key_differs")
    none = await create(funded, without)
    assert (none.status_code, none.json()["code"]) == (400, "idempotency_key_required")
    assert await funded.balance(Kind.FUNDING, "marketing") == 75_000


async def test_an_account_pays_once_under_a_reference(funded: Rig) -> None:  # noqa: F811 - a fixture
    """Another key does not pay the same payoutId again, in neither form, until the payout ended without effect."""
    first = UUID((await create(funded, earlier())).json()["payout_id"])
    for body in (earlier(), payout_body(payoutId="invoice-77")):
        again = await create(funded, body, **({} if "asset" in body else {"Idempotency-Key": uuid4().hex}))
        assert (again.status_code, again.json()["code"]) == (409, "reference_used")
        assert str(first) in again.json()["detail"]
    assert await funded.balance(Kind.FUNDING, "marketing") == 75_000
    await funded.feed(funded.payouts, closed_event(first, "failed", closure=closure_of(first)))
    assert (await create(funded, earlier())).status_code == 202
    assert await funded.balance(Kind.FUNDING, "marketing") == 75_000
    assert await funded.breaches() == []


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"asset": "SEASON"}, 422, "funding_not_configured"),
        ({"asset": "XLM"}, 422, "funding_not_configured"),
        ({"asset": "EURC"}, 422, "funding_unknown"),
        ({"destinationAccount": "GNOBODY"}, 422, "address_invalid"),
        ({"amount": "0.001"}, 422, "amount_too_many_decimals"),
        ({"amount": "1000.01"}, 422, "insufficient_balance"),
        ({"funding_account": "marketing"}, 400, "invalid_request"),
        ({"asset": None}, 400, "invalid_request"),
        ({"payoutId": "a\nb"}, 400, "invalid_request"),
        ({"idempotencyKey": "a b"}, 400, "invalid_request"),
    ],
)
async def test_a_wrong_earlier_body_is_refused(
    funded: Rig,  # noqa: F811 - a fixture
    changes: dict[str, Any],
    status: int,
    code: str,
) -> None:
    """With its code, and nothing moves."""
    answer = await create(funded, earlier(**changes))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await funded.balance(Kind.FUNDING, "marketing") == 100_000


@pytest.mark.parametrize("text", ["USDC", "USDC=", "USDC=a,USDC=b", "NOPE=a", "SEASON=a"])
def test_a_wrong_list_of_accounts_stops_the_start(text: str) -> None:
    """A part without an account, an asset named twice, and one that is unknown or never paid out."""
    assets = AssetRegistry({"USDC": Asset("USDC", 2, True), "SEASON": Asset("SEASON", 0, False)})
    with pytest.raises(ValueError):
        read_funding_by_asset(text, assets=assets)
    assert read_funding_by_asset("USDC=a", assets=assets) == {"USDC": "a"}
