"""The stage of the fake rail's tests: the rail over a journal, which is the stand-in of its provider."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

from standardwebhooks import Webhook

from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction, RewardPayoutProvider
from prizewire_money import Amount, Asset
from prizewire_rail_fake import FakeProvider, FakeVerifier, Journal, Scenario, WebhookSender, signed_webhook
from prizewire_rail_fake.journal import Entry
from prizewire_rail_fake.pricing import Pricing
from prizewire_rail_fake.webhooks import TOLERANCE_S
from prizewire_railkit import Secret
from prizewire_railkit.conformance import Behaviour, SentWebhook

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EURC = Asset("EURC", 2, redeemable=True)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEXT_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PRICING = Pricing(
    fees={"EURC": Amount(EURC, 25)},
    minimum={"EURC": Amount(EURC, 100)},
    maximum={"EURC": Amount(EURC, 500_000)},
)
SCENARIOS = {
    Behaviour.SUCCESS: Scenario.SUCCESS,
    Behaviour.PENDING: Scenario.PENDING,
    Behaviour.FAILURE: Scenario.FAILURE,
    Behaviour.RETRYABLE: Scenario.RETRYABLE,
    Behaviour.LOST_ANSWER: Scenario.LOST_ANSWER,
    Behaviour.OUTAGE: Scenario.OUTAGE,
    Behaviour.THROTTLED: Scenario.THROTTLED,
    Behaviour.GARBAGE: Scenario.GARBAGE,
    Behaviour.SLOW: Scenario.SLOW,
    Behaviour.RETURNED: Scenario.RETURNED,
}


class Recorder(WebhookSender):
    """Keeps the webhooks that the rail sends."""

    def __init__(self) -> None:
        super().__init__(url="http://127.0.0.1:1", secret=Secret(SECRET))
        self.sent: list[tuple[UUID, SentWebhook]] = []

    def send(self, entry: Entry) -> None:
        body, headers = signed_webhook(entry=entry, secret=SECRET, at=NOW)
        self.sent.append((entry.payout_id, SentWebhook(body=body, headers=headers)))


class FakeStage:
    """The rail over its journal, which outlives the provider. ``kind`` is the class of the provider."""

    secrets: Sequence[str] = (SECRET,)
    webhook_secrets: Sequence[str] = (NEXT_SECRET, SECRET)

    def __init__(self, journal: Journal, *, kind: type[FakeProvider] = FakeProvider) -> None:
        self.journal = journal
        self.verifier = FakeVerifier()
        self._kind = kind
        self._webhooks = Recorder()
        self.provider: RewardPayoutProvider = self._new()

    def _new(self) -> FakeProvider:
        return self._kind(
            name="fake",
            assets=frozenset({"EURC"}),
            journal=self.journal,
            webhooks=self._webhooks,
            pricing=PRICING,
        )

    def now(self) -> datetime:
        return NOW

    def smallest(self) -> Amount:
        return PRICING.minimum["EURC"]

    def instruction(self, *, amount: Amount | None = None) -> PayoutInstruction:
        payout_id = uuid4()
        account = hashlib.sha256(payout_id.bytes).hexdigest()
        return PayoutInstruction(
            payout_id=payout_id,
            attempt_no=1,
            provider_key=provider_key(payout_id=payout_id, attempt_no=1),
            correlation_id=f"test-{payout_id}",
            amount=amount or Amount(EURC, 12_345),
            method_type="fake",
            details={"account": account},
        )

    async def behave(self, behaviour: Behaviour) -> None:
        assert isinstance(self.provider, FakeProvider)
        self.provider.scenario = SCENARIOS[behaviour]

    async def effects(self, payout_id: UUID) -> int:
        return self.journal.effects(payout_id)

    async def advance(self) -> None:
        return None

    async def restart(self) -> None:
        self.provider = self._new()

    async def webhooks(self, payout_id: UUID) -> list[SentWebhook]:
        return [one for payout, one in self._webhooks.sent if payout == payout_id]


class FakeSigning:
    """The verifier, and the stand-in's side of it."""

    secrets: Sequence[str] = (SECRET, NEXT_SECRET)
    tolerance = timedelta(seconds=TOLERANCE_S)

    def __init__(self, verifier: FakeVerifier | None = None) -> None:
        self.verifier = verifier or FakeVerifier()

    def now(self) -> datetime:
        return NOW

    def states(self) -> Sequence[str]:
        return ("pending", "paid", "refused", "returned")

    def sign(self, *, key: UUID, state: str, secret: str, at: datetime) -> SentWebhook:
        entry = Entry(
            key=key,
            payout_id=uuid4(),
            attempt_no=1,
            asset="EURC",
            amount="5.00",
            state=state,
            code=None,
            scenario="success",
            looks=0,
        )
        body, headers = signed_webhook(entry=entry, secret=secret, at=at)
        return SentWebhook(body=body, headers=headers)

    def sign_body(self, body: bytes, *, secret: str, at: datetime) -> SentWebhook:
        event_id = str(uuid5(uuid4(), "test"))
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(event_id, at, body.decode()),
        }
        return SentWebhook(body=body, headers=headers)
