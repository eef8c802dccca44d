"""The demonstration's checks: each must be able to fail."""

from datetime import UTC, datetime
from typing import Any, cast

import httpx
import orjson
import pytest
from standardwebhooks import Webhook

from prizewire_devstack.api import Api, ApiError
from prizewire_devstack.components.kafka import KafkaLogin
from prizewire_devstack.demo.projection import MethodsProjection
from prizewire_devstack.demo.receiver import subscribed
from prizewire_devstack.demo.report import amount
from prizewire_devstack.demo.sums import WHEREABOUTS, Sum
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.ports import choose
from prizewire_money import Amount, Asset

USDC = Asset("USDC", 2, redeemable=True)


def books(**changed: int) -> Sum:
    minor = dict.fromkeys(WHEREABOUTS, 0) | {"paid": 700, "platform_fees": 100, "available": 200} | changed
    paid_lines = minor.pop("paid_lines", 700)
    funded = minor.pop("funded", 1000)
    expected = {"paid": paid_lines, "platform_fees": 100, "wallets": 0, "payout_pending": 0, "reserved": 0}
    return Sum(
        tournament="cup",
        asset="USDC",
        funded=Amount(USDC, funded),
        whereabouts={name: Amount(USDC, value) for name, value in minor.items()},
        expected={name: Amount(USDC, value) for name, value in expected.items()},
    )


def test_books_that_balance_match() -> None:
    """Funded is paid plus fees plus the rest."""
    assert books().matches


@pytest.mark.parametrize(
    "changed",
    [
        {"funded": 1001},
        {"paid": 699},
        {"paid_lines": 699},
        {"wallets": 1},
        {"wallets": 1, "available": 199},
        {"platform_fees": 101, "available": 199},
        {"payout_pending": 1, "available": 199},
        {"reserved": 1, "available": 199},
    ],
    ids=str,
)
def test_a_difference_of_one_cent_is_found(changed: dict[str, int]) -> None:
    """A cent too much, too little, on its way, still reserved, or in another place than expected, is a difference."""
    assert not books(**changed).matches


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
        now = datetime.now(UTC)
        signature = Webhook(receiver.secret).sign("msg-1", now, body)
        headers = {
            "webhook-id": "msg-1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        for _ in range(2):
            assert httpx.post(service.url, content=body, headers=headers, timeout=600).status_code == 204
        forged = body.replace("c-1", "c-2")
        assert httpx.post(service.url, content=forged, headers=headers, timeout=600).status_code == 401
        assert receiver.paid == {"c-1": 1}
        assert receiver.refused == 1
    assert service.deleted == ["/api/webhooks/s-1"]


class Refusing(Webhooks):
    """A subscription that cannot be ended, since the stack has stopped."""

    def delete(self, path: str) -> None:
        raise ApiError(status=502, code="bad_gateway", detail="gone", path=path)


def test_the_first_failure_is_not_hidden_by_the_end_of_the_subscription() -> None:
    """The first failure is raised; a note says that the subscription was not ended."""
    failing = pytest.raises(DevstackError, match="the real reason")
    with failing as caught, subscribed(cast("Api", Refusing())):
        raise DevstackError("the real reason")
    assert "could not be ended" in caught.value.__notes__[0]
    with pytest.raises(ApiError, match="502"), subscribed(cast("Api", Refusing())):
        pass


def test_a_broker_that_does_not_answer_is_reported_in_a_sentence() -> None:
    """The error names the broker and what to do, without a traceback."""
    login = KafkaLogin(bootstrap_servers=f"127.0.0.1:{choose(taken=set())}", username="a", password="b")
    projection = MethodsProjection(login, timeout_s=0.2)
    for question in (projection.published, projection.applied):
        with pytest.raises(
            DevstackError, match=r"Kafka at 127\.0\.0\.1:\d+ does not answer .*prizewire status"
        ):
            question()


def test_large_amounts_are_readable() -> None:
    """Thousands have separators; nothing is rounded."""
    assert amount("2700000.05") == "2,700,000.05"
    assert amount("12") == "12"
