"""Webhooks of the fake rail: what it sends after each change, and what its verifier takes."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction, PayoutReference, ProviderEvent, WebhookRefused
from prizewire_devstack.waiting import eventually
from prizewire_money import Amount, AssetRegistry
from prizewire_rail_fake import FakeVerifier, build, build_verifier, signed_webhook
from prizewire_rail_fake.journal import Entry
from prizewire_railkit import Options, RailContext, RailMisconfigured, VerifierContext

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ASSETS = AssetRegistry.from_mapping({"EURC": {"decimals": 2, "redeemable": True}})


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def entry(state: str = "paid") -> Entry:
    return Entry(
        key=uuid4(), payout_id=uuid4(), attempt_no=1, asset="EURC", amount="5.00", state=state, code=None,
        scenario="success", looks=0,
    )  # fmt: skip


def verify(
    body: bytes, headers: dict[str, str], *, secrets: tuple[str, ...] = (SECRET,), at: datetime | None = None
) -> ProviderEvent:
    return FakeVerifier().verify(body=body, headers=headers, secrets=secrets, now=at or datetime.now(UTC))


def test_a_signed_webhook_names_its_payment() -> None:
    """Whatever of the secrets signed it: the event is a hint with the payment's key and reference, and no amount."""
    paid, now = entry(), datetime.now(UTC)
    for secret in (SECRET, OTHER):
        body, headers = signed_webhook(entry=paid, secret=secret, at=now)
        event = verify(body, headers, secrets=(SECRET, OTHER))
        assert (event.event_type, event.provider_key) == ("payment.paid", paid.key)
        assert event.provider_ref == f"fake-{paid.key}"
        assert b"5.00" not in body


def test_a_repetition_has_the_same_id_and_body() -> None:
    """A payment that comes to a state says so once, however often it is sent; another state is another event."""
    paid, now = entry(), datetime.now(UTC)
    first, headers = signed_webhook(entry=paid, secret=SECRET, at=now)
    again, later = signed_webhook(entry=paid, secret=SECRET, at=now + timedelta(seconds=9))
    assert (first, headers["webhook-id"]) == (again, later["webhook-id"])
    assert headers["webhook-signature"] != later["webhook-signature"]


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "other"}, {"webhook-timestamp": "1"}, {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 40}, {"webhook-timestamp": "\u0661"}, {"webhook-signature": ""},
        {"webhook-signature": "v1,"}, {"webhook-signature": "v1,\u00e4"}, {"webhook-signature": "v2,AAAA v1,AAAA"},
    ],
)  # fmt: skip
def test_changed_headers_are_refused(changes: dict[str, str]) -> None:
    """Id and time are signed too."""
    body, headers = signed_webhook(entry=entry(), secret=SECRET, at=datetime.now(UTC))
    with pytest.raises(WebhookRefused, match="signature_invalid"):
        verify(body, {**headers, **changes})


def test_changed_bodies_and_other_secrets_are_refused() -> None:
    """Every byte is signed, also one that is no text; nothing is read before that."""
    body, headers = signed_webhook(entry=entry(), secret=SECRET, at=datetime.now(UTC))
    for changed in (body + b" ", body[:-1], b"", b"\xff", b"[" * 100_000):
        with pytest.raises(WebhookRefused, match="signature_invalid"):
            verify(changed, headers)
    with pytest.raises(WebhookRefused, match="signature_invalid"):
        verify(body, headers, secrets=(OTHER,))
    with pytest.raises(WebhookRefused, match="signature_invalid"):
        verify(body, {})


@pytest.mark.parametrize("off_s", [-301, 301])
def test_a_stale_or_future_time_is_refused(off_s: int) -> None:
    """A webhook is good for five minutes, both ways: a recorded one cannot be replayed later."""
    now = datetime.now(UTC)
    body, headers = signed_webhook(entry=entry(), secret=SECRET, at=now)
    with pytest.raises(WebhookRefused, match="timestamp_stale"):
        verify(body, headers, at=now + timedelta(seconds=off_s))
    assert verify(body, headers, at=now + timedelta(seconds=299 if off_s > 0 else -298))


def verifier_context(environment: str = "development", **options: Any) -> VerifierContext:
    return VerifierContext(name="fake", options=Options(rail="fake", values=options), environment=environment)


def test_a_verifier_is_built_from_its_entry() -> None:
    """The tolerance is an option; production and unknown options are refused."""
    now = datetime.now(UTC)
    body, headers = signed_webhook(entry=entry(), secret=SECRET, at=now)
    strict = build_verifier(verifier_context(tolerance_s=5))
    with pytest.raises(WebhookRefused, match="timestamp_stale"):
        strict.verify(body=body, headers=headers, secrets=[SECRET], now=now + timedelta(seconds=7))
    for wrong in (
        verifier_context("production"),
        verifier_context(tolerance=5),
        verifier_context(tolerance_s=0),
    ):
        with pytest.raises(RailMisconfigured):
            build_verifier(wrong)


class Receiver:
    """The receiver of the webhooks: it stores them, and answers 503 as often as a test sets."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, dict[str, str]]] = []
        self.failures = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def events(self) -> list[ProviderEvent]:
        return [verify(body, headers) for body, headers in self.seen]

    def types(self, key: UUID) -> list[str]:
        return [event.event_type for event in self.events() if event.provider_key == key]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = 503 if made.failures else 200
            made.failures -= bool(made.failures)
            if status == 200:
                made.seen.append((body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def rail_context(tmp_path: Path, **options: Any) -> RailContext:
    secret = tmp_path / "secret"
    secret.write_text(options.pop("secret", SECRET))
    secret.chmod(0o600)
    if "webhook_url" in options:
        options["webhook_secret"] = {"file": str(secret)}
    return RailContext(
        name="fake",
        options=Options(rail="fake", values=options),
        clock=SystemClock(),
        assets=ASSETS,
        environment="development",
    )


def payment(account: str) -> tuple[PayoutInstruction, PayoutReference]:
    payout = uuid4()
    key = provider_key(payout_id=payout, attempt_no=1)
    amount = Amount(ASSETS["EURC"], 500)
    wanted = PayoutInstruction(
        payout_id=payout,
        attempt_no=1,
        provider_key=key,
        correlation_id=str(payout),
        amount=amount,
        method_type="fake",
        details={"account": account},
    )
    return wanted, PayoutReference(payout_id=payout, attempt_no=1, provider_key=key, amount=amount)


async def test_each_change_of_a_payment_sends_a_webhook(receiver: Receiver, tmp_path: Path) -> None:
    """Accepted, paid, refused, cancelled, returned, and paid with the answer lost: each sends one signed webhook."""
    rail = build(rail_context(tmp_path, webhook_url=receiver.url, pending_looks=1))
    now = datetime.now(UTC)
    expected: dict[str, list[str]] = {
        "ana": ["payment.paid"],
        "lost_answer+ana": ["payment.paid"],
        "failure+ana": ["payment.refused"],
        "pending+ana": ["payment.paid", "payment.pending"],
        "returned+ana": ["payment.paid", "payment.returned"],
        "lost_request+ana": [],
    }
    keys = {}
    for account in expected:
        wanted, reference = payment(account)
        keys[account] = wanted.provider_key
        await rail.create_payout(wanted, now=now)
        await rail.create_payout(wanted, now=now) if account == "ana" else None
        if account in ("pending+ana", "returned+ana"):
            await rail.sync_status(reference, now=now)
            await rail.sync_status(reference, now=now)
    waiting, reference = payment("pending+bo")
    await rail.create_payout(waiting, now=now)
    await rail.cancel(reference, now=now)
    expected["cancelled"] = ["payment.pending", "payment.refused"]
    keys["cancelled"] = waiting.provider_key
    await eventually(lambda: len(receiver.seen) == sum(map(len, expected.values())))
    assert {account: sorted(receiver.types(key)) for account, key in keys.items()} == expected


async def test_a_webhook_without_an_answer_is_sent_again(receiver: Receiver, tmp_path: Path) -> None:
    """A receiver that fails for a while gets it later; the payment waits for none of it."""
    receiver.failures = 2
    rail = build(rail_context(tmp_path, webhook_url=receiver.url))
    wanted, _ = payment("ana")
    await rail.create_payout(wanted, now=datetime.now(UTC))
    assert receiver.seen == []
    await eventually(lambda: receiver.types(wanted.provider_key) == ["payment.paid"])


async def test_without_an_address_nothing_is_sent(receiver: Receiver, tmp_path: Path) -> None:
    """Webhooks are an option of the rail: both or none of address and secret, and a secret that can sign."""
    rail = build(rail_context(tmp_path))
    wanted, _ = payment("ana")
    await rail.create_payout(wanted, now=datetime.now(UTC))
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "fake webhook"]
    with pytest.raises(RailMisconfigured, match="whsec_"):
        build(rail_context(tmp_path, webhook_url=receiver.url, secret="hush!"))
    with pytest.raises(RailMisconfigured, match="webhook_url"):
        build(rail_context(tmp_path, webhook_secret={"file": str(tmp_path / "secret")}))
