"""What every verifier of webhooks must do, as tests to inherit."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from prizewire_contracts.rails import ProviderEvent, WebhookRefused, WebhookVerifier
from prizewire_railkit.conformance.cases import Skipping, case
from prizewire_railkit.conformance.stage import Feature, SentWebhook

CODES = frozenset({"signature_invalid", "timestamp_stale", "malformed"})
SIGNATURE_INVALID = "signature_invalid"
_LARGE = 1_000_000


class Signing(Protocol):
    """A verifier with the vendor's side of it. ``secrets`` are two or more secrets of the vendor's form. ``tolerance`` is how far
    a webhook's time may be from ours, both ways.
    """

    verifier: WebhookVerifier
    secrets: Sequence[str]
    tolerance: timedelta

    def now(self) -> datetime:
        """The present moment."""
        ...

    def sign(self, *, key: UUID, state: str, secret: str, at: datetime) -> SentWebhook:
        """The webhook by which the vendor reports a payment's state; ``key`` is our key of the payment."""
        ...

    def states(self) -> Sequence[str]:
        """The states that the vendor reports: two or more."""
        ...

    def sign_body(self, body: bytes, *, secret: str, at: datetime) -> SentWebhook:
        """Any bytes, signed as the vendor signs a webhook."""
        ...


class VerifierConformance(Skipping):
    """All cases of a verifier. ``skips`` names ``Feature.SIGNED_TIME`` where the vendor signs no time, with the reason."""

    async def make_signing(self) -> Signing:
        """A verifier and its vendor's side; called once for each test."""
        raise AssertionError("a verifier's test class must define make_signing")

    async def test_a_signed_webhook_names_its_payment(self) -> None:
        """A signed webhook is a hint with an id, a type and the payment's key or reference."""
        signing = await self.make_signing()
        key = uuid4()
        event = _verify(signing, _signed(signing, key))
        assert event.event_id
        assert event.event_type
        assert event.provider_key == key or event.provider_ref

    async def test_each_secret_in_force_is_accepted(self) -> None:
        """During a rotation, a webhook is accepted by whichever of the secrets signed it."""
        signing = await self.make_signing()
        for secret in signing.secrets:
            sent = signing.sign(key=uuid4(), state=signing.states()[0], secret=secret, at=signing.now())
            assert _code(signing, sent) is None

    async def test_another_secret_is_refused(self) -> None:
        """A webhook under a secret that is not in force is refused, also where none is in force."""
        signing = await self.make_signing()
        sent = _signed(signing, uuid4())
        for secrets in (signing.secrets[1:], ()):
            assert _code(signing, sent, secrets=secrets) == SIGNATURE_INVALID

    async def test_a_changed_body_is_refused(self) -> None:
        """Every byte of the body is signed; nothing is read of a body whose signature is wrong."""
        signing = await self.make_signing()
        sent = _signed(signing, uuid4())
        changed = [sent.body + b" ", sent.body[:-1], b"", b"\xff", b"[" * _LARGE]
        changed += [
            sent.body[:place] + bytes([sent.body[place] ^ 1]) + sent.body[place + 1 :]
            for place in range(len(sent.body))
        ]
        for body in changed:
            assert _code(signing, SentWebhook(body=body, headers=sent.headers)) == SIGNATURE_INVALID

    async def test_changed_headers_are_refused(self) -> None:
        """Without any header, or with a signature of another form, a webhook is refused and no other error is raised."""
        signing = await self.make_signing()
        sent = _signed(signing, uuid4())
        assert _code(signing, SentWebhook(body=sent.body, headers={})) is not None
        signed = [name for name in sent.headers if _code(signing, _without(sent, name)) is not None]
        assert signed, "no header is needed to verify a webhook"
        for name in signed:
            for value in ("", "x", "9" * 40, "\u0661", "v1,", "v1,\u00e4", "t=1,v1=00", "sha256=00"):
                changed = SentWebhook(body=sent.body, headers={**sent.headers, name: value})
                assert _code(signing, changed) in CODES

    @case(Feature.SIGNED_TIME)
    async def test_a_stale_or_future_time_is_refused(self) -> None:
        """A webhook is good for the tolerance, both ways: a recorded one cannot be replayed later."""
        signing = await self.make_signing()
        sent = _signed(signing, uuid4())
        second = timedelta(seconds=1)
        for beyond in (signing.tolerance + second, -signing.tolerance - second):
            assert _code(signing, sent, now=signing.now() + beyond) == "timestamp_stale"
        for within in (signing.tolerance - second, second - signing.tolerance):
            assert _code(signing, sent, now=signing.now() + within) is None

    async def test_a_repetition_has_the_same_id(self) -> None:
        """A webhook that the vendor sends again has the same id; another state and another payment have other ids."""
        signing = await self.make_signing()
        key, (first, second, *_) = uuid4(), signing.states()
        later = signing.now() + timedelta(seconds=1)

        def event_id(of: UUID, state: str, at: datetime) -> str:
            return _verify(
                signing, signing.sign(key=of, state=state, secret=signing.secrets[0], at=at)
            ).event_id

        assert event_id(key, first, signing.now()) == event_id(key, first, later)
        others = {event_id(key, second, later), event_id(uuid4(), first, later)}
        assert len(others | {event_id(key, first, later)}) == 3

    async def test_a_signed_body_that_cannot_be_read_is_malformed(self) -> None:
        """A body that is signed but is no event of the vendor is refused with a code, and raises no other error."""
        signing = await self.make_signing()
        for body in (b"", b"null", b"[]", b"{}", b"1", b'"text"', b"{" * 1000, b'{"type": 1}'):
            sent = signing.sign_body(body, secret=signing.secrets[0], at=signing.now())
            assert _code(signing, sent) == "malformed"

    async def test_a_refusal_shows_no_secret(self) -> None:
        """Neither a refusal nor the verifier shows a secret or the body."""
        signing = await self.make_signing()
        sent = _signed(signing, uuid4())
        refused = _refusal(signing, SentWebhook(body=sent.body + b" ", headers=sent.headers))
        shown = f"{signing.verifier!r} {refused!r} {refused}"
        assert not any(secret in shown for secret in signing.secrets)
        assert sent.body.decode(errors="replace") not in shown


def _signed(signing: Signing, key: UUID) -> SentWebhook:
    return signing.sign(key=key, state=signing.states()[0], secret=signing.secrets[0], at=signing.now())


def _without(sent: SentWebhook, name: str) -> SentWebhook:
    headers: Mapping[str, str] = {other: value for other, value in sent.headers.items() if other != name}
    return SentWebhook(body=sent.body, headers=headers)


def _verify(
    signing: Signing,
    sent: SentWebhook,
    *,
    secrets: Sequence[str] | None = None,
    now: datetime | None = None,
) -> ProviderEvent:
    return signing.verifier.verify(
        body=sent.body,
        headers=sent.headers,
        secrets=signing.secrets if secrets is None else secrets,
        now=now or signing.now(),
    )


def _refusal(
    signing: Signing,
    sent: SentWebhook,
    *,
    secrets: Sequence[str] | None = None,
    now: datetime | None = None,
) -> WebhookRefused | None:
    try:
        _verify(signing, sent, secrets=secrets, now=now)
    except WebhookRefused as refused:
        return refused
    return None


def _code(
    signing: Signing,
    sent: SentWebhook,
    *,
    secrets: Sequence[str] | None = None,
    now: datetime | None = None,
) -> str | None:
    """The code of the refusal; None where the webhook is accepted."""
    refused = _refusal(signing, sent, secrets=secrets, now=now)
    return None if refused is None else refused.code
