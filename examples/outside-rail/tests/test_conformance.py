"""The rail passes the suite that every rail passes, over a stand-in of its vendor; its verifier too."""

import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from acme_rail.provider import build
from acme_rail.stand_in import Acme
from acme_rail.webhooks import HEADER, TOLERANCE_S, AcmeVerifier, signature

from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction, RewardPayoutProvider
from prizewire_money import Amount, AssetRegistry
from prizewire_railkit import Options, RailContext
from prizewire_railkit.conformance import (
    Behaviour,
    Feature,
    RailConformance,
    SentWebhook,
    Signing,
    Stage,
    VerifierConformance,
)

ASSETS = AssetRegistry.from_mapping({"EURC": {"decimals": 2, "redeemable": True}})
SECRETS = ("acme-webhook-secret-1", "acme-webhook-secret-2")


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class AcmeStage:
    """The rail over the stand-in, which outlives the provider."""

    webhook_secrets: Sequence[str] = SECRETS

    def __init__(self, vendor: Acme, key_file: Path) -> None:
        self.vendor = vendor
        self.secrets: Sequence[str] = (vendor.api_key, *SECRETS)
        self.verifier = AcmeVerifier()
        self._key_file = key_file
        self._payouts: dict[UUID, list[str]] = {}
        self.provider: RewardPayoutProvider = self._new()

    def _new(self) -> RewardPayoutProvider:
        values = {"base_url": self.vendor.url, "api_key": {"file": str(self._key_file)}, "timeout_ms": 5000}
        return build(
            RailContext(
                name="acme",
                options=Options(rail="acme", values=values),
                clock=Clock(),
                assets=ASSETS,
                environment="development",
            )
        )

    def now(self) -> datetime:
        return datetime.now(UTC)

    def smallest(self) -> Amount:
        return Amount(ASSETS["EURC"], 1)

    def instruction(self, *, amount: Amount | None = None) -> PayoutInstruction:
        payout_id = uuid4()
        keys = [provider_key(payout_id=payout_id, attempt_no=number) for number in (1, 2)]
        self._payouts[payout_id] = [str(key) for key in keys]
        return PayoutInstruction(
            payout_id=payout_id,
            attempt_no=1,
            provider_key=keys[0],
            correlation_id=f"test-{payout_id}",
            amount=amount or Amount(ASSETS["EURC"], 12_345),
            method_type="acme_card",
            details={"card": f"AC{secrets.randbelow(10**10):010}"},
        )

    async def behave(self, behaviour: Behaviour) -> None:
        self.vendor.behaviour = str(behaviour)

    async def effects(self, payout_id: UUID) -> int:
        return sum(1 for key in self.vendor.effects if key in self._payouts[payout_id])

    async def advance(self) -> None:
        return None

    async def restart(self) -> None:
        self.provider = self._new()

    async def webhooks(self, payout_id: UUID) -> list[SentWebhook]:
        return [
            SentWebhook(body=one.body, headers=one.headers)
            for one in self.vendor.webhooks
            if one.key in self._payouts[payout_id]
        ]


class TestAcme(RailConformance):
    skips: ClassVar = {
        Feature.RETURNS: "the vendor takes no payment back",
        Feature.MINIMUM: "the vendor has no smallest amount",
        Feature.MAXIMUM: "the vendor has no largest amount",
        Feature.BALANCES: "the vendor does not say what the account has",
        Behaviour.RETURNED: "the vendor takes no payment back",
    }

    @pytest.fixture(autouse=True)
    def _vendor(self, tmp_path: Path) -> Iterator[None]:
        self.key_file = tmp_path / "api-key"
        self.key_file.write_text(secrets.token_hex())
        self.key_file.chmod(0o600)
        with Acme(api_key=self.key_file.read_text(), webhook_secret=SECRETS[0]).serve() as self.vendor:
            yield

    async def make_stage(self) -> Stage:
        return AcmeStage(self.vendor, self.key_file)


class AcmeSigning:
    """The verifier, and the vendor's side of it."""

    secrets: Sequence[str] = SECRETS
    tolerance = timedelta(seconds=TOLERANCE_S)

    def __init__(self) -> None:
        self.verifier = AcmeVerifier()
        self._now = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self._now

    def states(self) -> Sequence[str]:
        return ("pending", "paid", "refused")

    def sign(self, *, key: UUID, state: str, secret: str, at: datetime) -> SentWebhook:
        return self.sign_body(json.dumps({"key": str(key), "state": state}).encode(), secret=secret, at=at)

    def sign_body(self, body: bytes, *, secret: str, at: datetime) -> SentWebhook:
        return SentWebhook(body=body, headers={HEADER: signature(body, secret=secret, at=at)})


class TestVerifier(VerifierConformance):
    async def make_signing(self) -> Signing:
        return AcmeSigning()
