"""The verifier of the vendor's webhooks: ``acme-signature: t=SECONDS,v1=HEX``, HMAC-SHA256 over ``t.body``."""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from prizewire_contracts.rails import ProviderEvent, WebhookRefused
from prizewire_railkit import VerifierContext

HEADER: Final = "acme-signature"
TOLERANCE_S: Final = 300
_FORM: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", re.ASCII)


def signature(body: bytes, *, secret: str, at: datetime) -> str:
    """The header that signs a body."""
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def build_verifier(context: VerifierContext) -> "AcmeVerifier":
    """The verifier of one entry of the configuration.

    Raises:
        RailMisconfigured: an option is wrong or unknown.
    """
    tolerance = timedelta(seconds=context.options.integer("tolerance_s", TOLERANCE_S, least=1, most=3600))
    context.options.finish()
    return AcmeVerifier(tolerance=tolerance)


class AcmeVerifier:
    """A `prizewire_contracts.rails.WebhookVerifier`."""

    def __init__(self, *, tolerance: timedelta = timedelta(seconds=TOLERANCE_S)) -> None:
        self._tolerance = tolerance

    def verify(
        self, *, body: bytes, headers: Mapping[str, str], secrets: Sequence[str], now: datetime
    ) -> ProviderEvent:
        """See `WebhookVerifier`. The body is parsed only after its signature was verified."""
        found = _FORM.fullmatch(headers.get(HEADER, ""))
        if found is None:
            raise WebhookRefused("signature_invalid")
        at = datetime.fromtimestamp(int(found[1]), UTC)
        given = found[0]
        if not any(hmac.compare_digest(signature(body, secret=one, at=at), given) for one in secrets):
            raise WebhookRefused("signature_invalid")
        if abs(now - at) > self._tolerance:
            raise WebhookRefused("timestamp_stale")
        return _event(body)


def _event(body: bytes) -> ProviderEvent:
    try:
        message = json.loads(body)
        key, state = UUID(message["key"]), message["state"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WebhookRefused("malformed") from None
    if not isinstance(state, str):
        raise WebhookRefused("malformed")
    return ProviderEvent(
        event_id=f"{key}:{state}", event_type=f"payment.{state}", provider_key=key, provider_ref=None
    )
