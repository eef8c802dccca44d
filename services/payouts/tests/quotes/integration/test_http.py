"""``POST /api/payout-quotes``."""

from typing import Any
from uuid import uuid4

from prizewire_contracts.quotes import PayoutQuote
from prizewire_payouts.quotes.adapters import OwnQuotes
from services.payouts.tests.http import Client, as_
from services.payouts.tests.rig import Rig


async def ask(client: Client, subject: str, *roles: str, **body: Any) -> Any:
    given = {"asset": "EURC", "amount": "12.50", **body}
    return await client.post("/api/payout-quotes", json=given, headers=as_(subject, *roles))


async def test_a_player_gets_a_signed_quote(rig: Rig, client: Client) -> None:
    """The answer has the best quote as one document, which payouts knows again; nothing is stored."""
    method = await rig.method("ana")
    answer = await ask(client, "ana", method_id=str(method.method_id))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["arrives"], body["alternatives"]) == ("12.50", [])
    quote = OwnQuotes(rig.trust).read(body["quote"])
    assert isinstance(quote, PayoutQuote)
    assert (quote.player, quote.method_id, quote.rail) == ("ana", str(method.method_id), "fake")
    assert (quote.debit_amount, quote.pay_amount, quote.rate) == ("12.50", "12.50", None)
    assert "account of ana" not in answer.text


async def test_a_quote_is_the_players_own(rig: Rig, client: Client) -> None:
    """Another player's method is unknown, another player is refused, and staff asks for a player."""
    method = str((await rig.method("ana")).method_id)
    assert (await ask(client, "eve", method_id=method)).status_code == 404
    assert (await ask(client, "eve", method_id=method, player="ana")).status_code == 403
    assert (await ask(client, "ana", method_id=str(uuid4()))).status_code == 404
    staff = await ask(client, "op", "operator", method_id=method, player="ana")
    assert (staff.status_code, staff.json()["quote"]["player"]) == (200, "ana")
    unnamed = await ask(client, "op", "operator", method_id=method)
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "player_required")
    assert (await client.post("/api/payout-quotes", json={})).status_code == 401


async def test_what_cannot_be_quoted_has_a_code(rig: Rig, client: Client) -> None:
    """Each refusal has its own code; an outage of the rail is no refusal of the request."""
    method = str((await rig.method("ana")).method_id)
    cases = {
        "asset_unknown": {"asset": "GOLD"},
        "asset_not_redeemable": {"asset": "SEASON", "amount": "1"},
        "invalid_amount": {"amount": "0.00"},
        "rail_unsupported": {"pay_asset": "XLM"},
    }
    for code, body in cases.items():
        answer = await ask(client, "ana", method_id=method, **body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    await client.delete(f"/api/payout-methods/{method}", headers=as_("ana"))
    gone = await ask(client, "ana", method_id=method)
    assert (gone.status_code, gone.json()["code"]) == (409, "method_removed")


async def test_quotes_are_limited(rig: Rig, client: Client) -> None:
    """Each caller may ask for so many quotes in a minute: rails are asked at each call."""
    method = str((await rig.method("ana")).method_id)
    most = rig.quotes_asked.most
    for _ in range(most):
        rig.quotes_asked.hit("ana")
    answer = await ask(client, "ana", method_id=method)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["retry-after"]
    assert (await ask(client, "op", "operator", method_id=method, player="ana")).status_code == 200
