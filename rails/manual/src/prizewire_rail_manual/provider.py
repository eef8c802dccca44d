"""The provider: it keeps a line for each payment, and people make the payment."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import (
    CancelOutcome,
    Capabilities,
    PayoutInstruction,
    PayoutReference,
    ProviderResult,
    Quote,
    QuoteRequest,
    QuoteUnavailable,
    RailType,
)
from prizewire_money import Amount, AssetRegistry
from prizewire_rail_manual import claims, settling
from prizewire_rail_manual.currencies import Debtor, in_currency
from prizewire_rail_manual.files.answers import read_answers
from prizewire_rail_manual.files.exports import FORMATS, export
from prizewire_rail_manual.records import (
    KEY_CLOSED,
    KEYS,
    LINES,
    closed_key,
    is_of,
    line_reference,
    line_row,
    moved,
    read_line,
    result_of,
    used_key,
)
from prizewire_railkit import no_effect, pending, unknown
from prizewire_railkit.by_hand import ExportedFile, Line, LineAnswer, LineState, ReportedLine
from prizewire_railkit.method_types import DetailsRefused, MethodType, read_details
from prizewire_railkit.store import RailRow, RailRowConflict, RailRows, RailStore

_QUOTE_VALID: Final = timedelta(minutes=5)
_TRIES: Final = 5
"""How often a transaction is repeated when another one changed its rows first."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


class ManualProvider:
    """A `prizewire_contracts.rails.RewardPayoutProvider` and a `prizewire_railkit.by_hand.PaidByHand`."""

    def __init__(
        self,
        *,
        name: str,
        assets: frozenset[str],
        method_types: Mapping[str, MethodType],
        currencies: Mapping[str, str],
        debtors: Mapping[str, Debtor],
        registry: AssetRegistry,
        store: RailStore | None,
        batch_lines_max: int = 1000,
        expected_s: int | None = None,
    ) -> None:
        self._name = name
        self._assets = assets
        self._method_types = dict(method_types)
        self._currencies = dict(currencies)
        self._debtors = dict(debtors)
        self._registry = registry
        self._store = store
        self._batch_lines_max = batch_lines_max
        self._expected_s = expected_s

    def __repr__(self) -> str:
        return f"ManualProvider({self._name})"

    def capabilities(self) -> Capabilities:
        """See `RewardPayoutProvider`."""
        return Capabilities(
            rail=self._name,
            type=RailType.MANUAL,
            assets=self._assets,
            method_types=frozenset(self._method_types),
            can_cancel=True,
            minimum={code: self._smallest(code) for code in self._assets},
            pays_by_hand=True,
            expected_s=self._expected_s,
        )

    async def quote(self, request: QuoteRequest, *, now: datetime) -> Quote:
        """See `RewardPayoutProvider`: there are no fees, and assets are not exchanged."""
        if request.pay_asset != request.debit.asset or request.pay_asset.code not in self._assets:
            raise QuoteUnavailable(
                PayoutCode.RAIL_UNSUPPORTED, "the rail pays its own assets without exchange"
            )
        if not self._can_express(request.debit):
            raise QuoteUnavailable(
                PayoutCode.LIMIT_EXCEEDED, "the rail's currency cannot express this amount"
            )
        return Quote(
            debit=request.debit,
            pay=request.debit,
            fee=Amount.zero(request.pay_asset),
            fee_borne_by="platform",
            expires_at=now + _QUOTE_VALID,
        )

    async def create_payout(self, instruction: PayoutInstruction, *, now: datetime) -> ProviderResult:
        """See `RewardPayoutProvider`: an open line is created, or the one of this key is found."""

        async def create(rows: RailRows) -> ProviderResult:
            key = await _locked(rows, KEYS, str(instruction.provider_key))
            if key is None:
                return await self._create_line(rows, instruction, now=now)
            if key.state == KEY_CLOSED:
                return no_effect(code=PayoutCode(key.document["code"]))
            line = await _line_of(rows, key)
            if not is_of(line, instruction):
                # the key belongs to another payment: the outcome of this one is not known
                return unknown(code=PayoutCode.IDEMPOTENCY_CONFLICT)
            return result_of(line, self._registry)

        return await self._proved(create)

    async def sync_status(self, reference: PayoutReference, *, now: datetime) -> ProviderResult:
        """See `RewardPayoutProvider`.

        A key that was never used is closed by the look-up: a request that is still on its way under it finds it closed and
        makes no line. That is what makes "not found" a proof here.
        """

        async def read(rows: RailRows) -> ProviderResult:
            key = await _locked(rows, KEYS, str(reference.provider_key))
            if key is None:
                key = closed_key(reference, code=PayoutCode.RAIL_UNAVAILABLE, now=now)
                await rows.write([key])
            if key.state == KEY_CLOSED:
                return no_effect(code=PayoutCode(key.document["code"]))
            return result_of(await _line_of(rows, key), self._registry)

        return await self._proved(read)

    async def cancel(self, reference: PayoutReference, *, now: datetime) -> CancelOutcome:
        """See `RewardPayoutProvider`: possible until a person claims the line."""

        async def cancel(rows: RailRows) -> CancelOutcome:
            key = await _locked(rows, KEYS, str(reference.provider_key))
            if key is None:
                await rows.write([closed_key(reference, code=PayoutCode.CANCELLED, now=now)])
                return CancelOutcome.CANCELLED
            if key.state == KEY_CLOSED:
                return CancelOutcome.CANCELLED
            line = await _line_of(rows, key)
            if line.state == LineState.OPEN:
                line = moved(line, LineState.CANCELLED, now=now, code=str(PayoutCode.CANCELLED))
                await rows.write([line])
            ended = line.state in (LineState.CANCELLED, LineState.FAILED)
            return CancelOutcome.CANCELLED if ended else CancelOutcome.TOO_LATE

        try:
            return await self._transaction(cancel)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, it is not known whether the line was cancelled
            self._report(error)
            return CancelOutcome.UNKNOWN

    @property
    def export_formats(self) -> Mapping[str, str]:
        """See `PaidByHand`."""
        return FORMATS

    async def lines(
        self, rows: RailRows, *, states: Sequence[LineState] = (), after: str | None = None, limit: int = 100
    ) -> list[Line]:
        """See `PaidByHand`."""
        return await claims.lines(rows, assets=self._registry, states=states, after=after, limit=limit)

    async def line(self, rows: RailRows, *, payout_id: UUID) -> Line | None:
        """See `PaidByHand`."""
        name = (await claims.latest_lines(rows, [payout_id])).get(payout_id)
        if name is None:
            return None
        return read_line((await rows.lock(LINES, [name]))[name], self._registry)

    async def lines_of(self, rows: RailRows, *, payout_ids: Sequence[UUID]) -> list[Line]:
        """See `PaidByHand`."""
        return await claims.lines_of(rows, payout_ids, assets=self._registry)

    async def claim(
        self,
        rows: RailRows,
        *,
        payout_ids: Sequence[UUID],
        batch_id: str,
        by: str,
        paused: Mapping[UUID, str],
        now: datetime,
    ) -> list[LineAnswer]:
        """See `PaidByHand`."""
        return await claims.claim(
            rows,
            payout_ids=payout_ids,
            batch_id=batch_id,
            by=by,
            paused=paused,
            lines_max=self._batch_lines_max,
            debtors=self._debtors,
            currencies=self._currencies,
            now=now,
        )

    async def export(
        self, rows: RailRows, *, batch_id: str, file_format: str, by: str, now: datetime
    ) -> ExportedFile:
        """See `PaidByHand`."""
        return await export(
            rows, batch_id=batch_id, file_format=file_format, by=by, assets=self._registry, now=now
        )

    async def read_answers(self, rows: RailRows, *, content: bytes, media_type: str) -> list[ReportedLine]:
        """See `PaidByHand`: ``application/xml`` is a ``pain.002``, ``text/csv`` a table."""
        return await read_answers(rows, content=content, media_type=media_type, assets=self._registry)

    async def settle(
        self,
        rows: RailRows,
        *,
        payout_id: UUID,
        paid: bool,
        evidence: str,
        persons: tuple[str, str],
        now: datetime,
    ) -> ProviderResult:
        """See `PaidByHand`."""
        return await settling.settle(
            rows,
            payout_id=payout_id,
            paid=paid,
            evidence=evidence,
            persons=persons,
            assets=self._registry,
            now=now,
        )

    async def _create_line(
        self, rows: RailRows, instruction: PayoutInstruction, *, now: datetime
    ) -> ProviderResult:
        """Insert the key with its line, or the closed key of a payment that this rail never makes."""
        code, masked = self._check(instruction)
        if code is not None:
            await rows.write([closed_key(instruction, code=code, now=now)])
            return no_effect(code=code)
        reference = line_reference(provider_key=instruction.provider_key, now=now)
        await rows.write(
            [
                used_key(
                    instruction.provider_key, payout_id=instruction.payout_id, reference=reference, now=now
                ),
                line_row(instruction, reference=reference, masked=masked, now=now),
            ]
        )
        return pending(reference=reference)

    def _check(self, instruction: PayoutInstruction) -> tuple[PayoutCode | None, str]:
        """Why this rail never makes a payment, or its masked destination."""
        asset = instruction.amount.asset.code
        if asset not in self._assets or instruction.method_type not in self._method_types:
            return PayoutCode.RAIL_UNSUPPORTED, ""
        if not self._can_express(instruction.amount):
            return PayoutCode.LIMIT_EXCEEDED, ""
        try:
            details = read_details(
                self._method_types, method_type=instruction.method_type, details=instruction.details
            )
        except DetailsRefused:
            return PayoutCode.DESTINATION_INVALID, ""
        return None, details.masked()

    def _can_express(self, amount: Amount) -> bool:
        """Whether the currency of an amount's asset has decimals enough for it."""
        currency = self._currencies.get(amount.asset.code)
        return currency is None or bool(in_currency(amount, currency))

    def _smallest(self, code: str) -> Amount:
        """The smallest amount of an asset that its currency can express."""
        smallest = Amount(self._registry[code], 1)
        while not self._can_express(smallest):
            smallest = Amount(smallest.asset, 10 * smallest.minor)
        return smallest

    async def _proved(self, act: Callable[[RailRows], Awaitable[ProviderResult]]) -> ProviderResult:
        try:
            return await self._transaction(act)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, it is not known whether it committed
            self._report(error)
            return unknown()

    def _report(self, error: Exception) -> None:
        """Log that the store failed. The error's text stays out: it may hold personal details."""
        _log.warning("the store of the rail %s did not answer: %s", self._name, type(error).__name__)

    async def _transaction(self, act: Callable[[RailRows], Awaitable[T]]) -> T:
        """One transaction, repeated while others change its rows first."""
        assert self._store is not None, "the rail was built to check its configuration only"
        for _ in range(_TRIES - 1):
            try:
                async with self._store.begin() as rows:
                    return await act(rows)
            except RailRowConflict:
                continue
        async with self._store.begin() as rows:
            return await act(rows)


async def _locked(rows: RailRows, collection: str, name: str) -> RailRow | None:
    return (await rows.lock(collection, [name])).get(name)


async def _line_of(rows: RailRows, key: RailRow) -> RailRow:
    line = await _locked(rows, LINES, key.document["reference"])
    assert line is not None, "a used key and its line are inserted together"
    return line
