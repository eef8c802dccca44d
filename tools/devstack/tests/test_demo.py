"""The demonstration's own judgement: it must be able to say no."""

from datetime import UTC, datetime
from typing import Any, cast

import httpx
import orjson
import pytest
from standardwebhooks import Webhook

from prizewire_devstack.api import Api
from prizewire_devstack.demo.following import Prize, Standing
from prizewire_devstack.demo.receiver import subscribed
from prizewire_devstack.demo.report import amount
from prizewire_devstack.demo.sums import WHEREABOUTS, Sum, chain_sums
from prizewire_devstack.demo.tournaments import load
from prizewire_devstack.home import repository_root
from prizewire_money import Amount, Asset, AssetRegistry

USDC = Asset("USDC", 2, redeemable=True)
NOW = datetime.now(UTC)


def books(**changed: int) -> Sum:
    minor = dict.fromkeys(WHEREABOUTS, 0) | {"paid": 700, "platform_fees": 100, "available": 200} | changed
    paid_lines = minor.pop("paid_lines", 700)
    funded = minor.pop("funded", 1000)
    return Sum(
        tournament="cup",
        asset="USDC",
        funded=Amount(USDC, funded),
        whereabouts={name: Amount(USDC, value) for name, value in minor.items()},
        paid_lines=Amount(USDC, paid_lines),
    )


def test_books_that_balance_match() -> None:
    """Funded is paid plus fees plus what is left."""
    assert books().matches


@pytest.mark.parametrize(
    "changed",
    [
        {"funded": 1001},
        {"paid": 699},
        {"paid_lines": 699},
        {"wallets": 1},
        {"payout_pending": 1, "available": 199},
        {"reserved": 1, "available": 199},
    ],
    ids=str,
)
def test_one_cent_that_is_off_is_seen(changed: dict[str, int]) -> None:
    """A cent too much, too little, under way or still reserved is no match."""
    assert not books(**changed).matches


def paid(*, rail: str, value: str) -> Prize:
    return Prize(
        place=1,
        player="Ada",
        amount=value,
        rail=rail,
        status="paid",
        payout_id=None,
        tx_hash=None,
        ledger=None,
        reference=None,
    )


def test_the_chain_is_compared_with_what_was_paid_over_it() -> None:
    """Only prizes on that rail left the treasury; a unit of the seventh decimal more is seen."""
    tournament = load(repository_root() / "examples" / "small-round", run="r1", now=NOW)
    found = Standing(
        prizes=(paid(rail="stellar", value="1.50"), paid(rail="fake", value="2.00")), settled=True
    )
    registry = AssetRegistry({"USDC": USDC})

    def left(minor: int) -> bool:
        sums = chain_sums(
            [(tournament, found)],
            before={"USDC": 50_000_000},
            after={"USDC": 50_000_000 - minor},
            assets=registry,
        )
        return sums[0].matches

    assert left(15_000_000)
    assert not left(15_000_001)
    assert not left(35_000_000)


class Webhooks:
    """The subscription interface of the service."""

    def __init__(self) -> None:
        self.url = ""
        self.deleted: list[str] = []

    def post(self, path: str, body: dict[str, Any], **_: object) -> dict[str, str]:
        self.url = body["url"]
        assert body["event_types"] == ["prizewire.payout.paid.v1"]
        return {"id": "s-1", "secret": "whsec_" + "c2VjcmV0" * 4}

    def delete(self, path: str) -> None:
        self.deleted.append(path)


def test_only_deliveries_with_a_good_signature_count() -> None:
    """A forged delivery is answered 401 and shown as refused; a repeated one counts once."""
    service = Webhooks()
    with subscribed(cast("Api", service)) as receiver:
        body = orjson.dumps({"type": "prizewire.payout.paid.v1", "data": {"correlation_id": "c-1"}}).decode()
        signature = Webhook(receiver.secret).sign("msg-1", NOW, body)
        headers = {
            "webhook-id": "msg-1",
            "webhook-timestamp": str(int(NOW.timestamp())),
            "webhook-signature": signature,
        }
        for _ in range(2):
            assert httpx.post(service.url, content=body, headers=headers).status_code == 204
        forged = body.replace("c-1", "c-2")
        assert httpx.post(service.url, content=forged, headers=headers).status_code == 401
        assert receiver.paid == {"c-1": 1}
        assert receiver.refused == 1
    assert service.deleted == ["/api/webhooks/s-1"]


def test_large_amounts_are_readable() -> None:
    """Thousands are set apart; nothing is rounded."""
    assert amount("2700000.05") == "2,700,000.05"
    assert amount("12") == "12"
