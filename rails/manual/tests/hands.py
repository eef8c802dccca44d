"""A manual rail over a store in memory, and lines on it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from prizewire_contracts.ids import provider_key
from prizewire_contracts.rails import PayoutInstruction, PayoutReference
from prizewire_money import Amount, Asset, AssetRegistry
from prizewire_rail_manual import ManualProvider, build
from prizewire_railkit import Options, RailContext
from prizewire_railkit.method_types.installed import installed_method_types
from prizewire_railkit.testing import MemoryDatabase

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EURC = Asset("EURC", 7, redeemable=True)
JPYC = Asset("JPYC", 2, redeemable=True)
USDC = Asset("USDC", 2, redeemable=True)
ASSETS = AssetRegistry({"EURC": EURC, "JPYC": JPYC, "USDC": USDC})
IBAN = "DE89370400440532013000"
OPTIONS: dict[str, Any] = {
    "method_types": ["bank", "upi"],
    "currencies": {"EURC": "EUR", "JPYC": "JPY", "USDC": "USD"},
    "debtor": {
        "EUR": {"name": "Prizewire GmbH", "iban": "DE02 1203 0000 0000 2020 51", "bic": "BYLADEM1001"},
        "JPY": {"name": "Prizewire GmbH", "account": "0012345"},
        "USD": {"name": "Prizewire GmbH", "account": "998877", "bic": "CHASUS33"},
    },
}


class Clock:
    def now(self) -> datetime:
        return NOW


def rail(database: MemoryDatabase | None = None, **options: Any) -> ManualProvider:
    """The rail of these options; an option that is None is left out."""
    values = {name: value for name, value in (OPTIONS | options).items() if value is not None}
    return build(
        RailContext(
            name="manual",
            options=Options(rail="manual", values=values),
            clock=Clock(),
            assets=ASSETS,
            environment="production",
            method_types=installed_method_types(),
            store=None if database is None else database.store("manual"),
        )
    )


def instruction(
    minor: int = 123_4500000,
    *,
    asset: Asset = EURC,
    method_type: str = "bank",
    details: Mapping[str, Any] | None = None,
    memo: str | None = None,
    payout_id: UUID | None = None,
    attempt_no: int = 1,
) -> PayoutInstruction:
    payout_id = payout_id or uuid4()
    return PayoutInstruction(
        payout_id=payout_id,
        attempt_no=attempt_no,
        provider_key=provider_key(payout_id=payout_id, attempt_no=attempt_no),
        correlation_id=f"test-{payout_id}",
        amount=Amount(asset, minor),
        method_type=method_type,
        details=details or {"holder": "Ana Example", "iban": IBAN},
        memo=memo,
    )


def reference_of(one: PayoutInstruction) -> PayoutReference:
    return PayoutReference(
        payout_id=one.payout_id,
        attempt_no=one.attempt_no,
        provider_key=one.provider_key,
        amount=one.amount,
    )


class Hands:
    """A rail with its store, and a person who claims."""

    def __init__(self, **options: Any) -> None:
        self.database = MemoryDatabase()
        self.store = self.database.store("manual")
        self.rail = rail(self.database, **options)
        self.now = NOW

    async def create(self, *instructions: PayoutInstruction) -> list[UUID]:
        for one in instructions:
            self.now += timedelta(seconds=1)
            await self.rail.create_payout(one, now=self.now)
        return [one.payout_id for one in instructions]

    async def claim(
        self,
        *payout_ids: UUID,
        batch_id: str = "batch-1",
        by: str = "olga",
        paused: Mapping[UUID, str] | None = None,
    ) -> list[str | None]:
        async with self.store.begin() as rows:
            answers = await self.rail.claim(
                rows, payout_ids=payout_ids, batch_id=batch_id, by=by, paused=paused or {}, now=self.now
            )
        assert [one.payout_id for one in answers] == list(payout_ids)
        return [one.code for one in answers]

    async def export(self, file_format: str, batch_id: str = "batch-1") -> bytes:
        async with self.store.begin() as rows:
            made = await self.rail.export(
                rows, batch_id=batch_id, file_format=file_format, by="olga", now=self.now
            )
        return made.content

    async def references(self) -> dict[UUID, str]:
        async with self.store.begin() as rows:
            return {line.payout_id: line.reference for line in await self.rail.lines(rows)}
