"""The stand-in's signed webhooks, one after each change of a payment, and the verifier that webhooks loads.

They are signed by Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` over the raw body.
"""

import asyncio
import base64
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import httpx
from standardwebhooks import Webhook

from prizewire_contracts.rails import ProviderEvent, WebhookRefused
from prizewire_rail_fake.journal import Entry
from prizewire_railkit import RailMisconfigured, Secret, VerifierContext

TOLERANCE_S: Final = 300
_SECRET_BYTES_MIN: Final = 24
_TIMESTAMP_DIGITS_MAX: Final = 12
_SIGNATURES_MAX: Final = 8
_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 0.5
_TIMEOUT_S: Final = 5.0
_AT_ONCE: Final = 8
_EVENTS: Final = UUID("6f1d3a52-5f4e-4d67-9d4f-3b8a0c2e7a11")
"""Namespace of event ids: one for each state that a payment comes to, so that a repetition has the same id."""
_log = logging.getLogger(__name__)


def signed_webhook(*, entry: Entry, secret: str, at: datetime) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the webhook that reports a payment's state."""
    body = json.dumps(
        {"type": f"payment.{entry.state}", "key": str(entry.key), "reference": f"fake-{entry.key}"}
    )
    event_id = str(uuid5(_EVENTS, f"{entry.key}:{entry.state}"))
    headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, at, body),
    }
    return body.encode(), headers


class WebhookSender:
    """Sends each webhook in the background with some retries. A webhook may arrive once, several times or never."""

    def __init__(self, *, url: str, secret: Secret) -> None:
        """Take where to and what to sign with.

        Raises:
            RailMisconfigured: the secret is none of Standard Webhooks.
        """
        _check_secret(secret.reveal())
        self._url = url
        self._secret = secret
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        # one client for all, and no certificates of authorities where http needs none: reading them takes megabytes
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT_S, trust_env=False, verify=url.startswith("https://")
        )

    def send(self, entry: Entry) -> None:
        """Start to send the webhook of a payment's state."""
        task = asyncio.create_task(self._deliver(entry), name="fake webhook")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _deliver(self, entry: Entry) -> None:
        pause = _FIRST_PAUSE_S
        for number in range(_TRIES):
            if number:
                await asyncio.sleep(pause)
                pause *= 2
            async with self._slots:
                if await self._try(entry):
                    return
        _log.warning("no receiver accepted the fake rail's webhook of %s in %d attempts", entry.key, _TRIES)

    async def _try(self, entry: Entry) -> bool:
        body, headers = signed_webhook(entry=entry, secret=self._secret.reveal(), at=datetime.now(UTC))
        try:
            answer = await self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError:
            return False
        return answer.is_success


def build_verifier(context: VerifierContext) -> "FakeVerifier":
    """The verifier of one rail. Option: ``tolerance_s`` (300), how far a webhook's time may be from ours, both ways.

    Raises:
        RailMisconfigured: in production, or an option is wrong or unknown.
    """
    if context.in_production:
        msg = f"the rail {context.name} is of type fake, which moves no money: it may not run in production"
        raise RailMisconfigured(msg)
    tolerance = timedelta(seconds=context.options.integer("tolerance_s", TOLERANCE_S, least=1, most=3600))
    context.options.finish()
    return FakeVerifier(tolerance=tolerance)


class FakeVerifier:
    """A `prizewire_contracts.rails.WebhookVerifier`."""

    def __init__(self, *, tolerance: timedelta = timedelta(seconds=TOLERANCE_S)) -> None:
        self._tolerance = tolerance

    def verify(
        self, *, body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime
    ) -> ProviderEvent:
        """See `WebhookVerifier`. The body is parsed only after its signature was verified."""
        event_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        given = headers.get("webhook-signature", "").split(" ")[:_SIGNATURES_MAX]
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _TIMESTAMP_DIGITS_MAX):
            raise WebhookRefused("signature_invalid")
        at = datetime.fromtimestamp(int(stamp), UTC)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise WebhookRefused("signature_invalid") from None
        wanted = [Webhook(secret).sign(event_id, at, text) for secret in secrets]
        if not any(hmac.compare_digest(one.encode(), other.encode()) for one in wanted for other in given):
            raise WebhookRefused("signature_invalid")
        if abs(now - at) > self._tolerance:
            raise WebhookRefused("timestamp_stale")
        return _event(event_id, text)


def _event(event_id: str, text: str) -> ProviderEvent:
    try:
        message = json.loads(text)
        return ProviderEvent(
            event_id=event_id,
            event_type=str(message["type"]),
            provider_key=UUID(message["key"]),
            provider_ref=str(message["reference"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WebhookRefused("malformed") from None


def _check_secret(text: str) -> None:
    key = text.removeprefix("whsec_")
    try:
        good = key != text and len(base64.b64decode(key, validate=True)) >= _SECRET_BYTES_MIN
    except ValueError:
        good = False
    if not good:
        msg = "webhook_secret is not a secret of Standard Webhooks, which is whsec_ and base64 of 24 bytes or more"
        raise RailMisconfigured(msg)
