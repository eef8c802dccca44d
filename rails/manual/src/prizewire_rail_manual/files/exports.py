"""The file of a batch, for the bank or for the person who pays."""

import csv
import io
from dataclasses import replace
from datetime import datetime
from typing import Final

from prizewire_money import AssetRegistry
from prizewire_rail_manual.currencies import Debtor
from prizewire_rail_manual.files.pain001 import Transfer, credit_transfers
from prizewire_rail_manual.files.texts import cell
from prizewire_rail_manual.records import (
    BATCH_EXPORTED,
    BATCHES,
    LINES,
    amount_of,
    exported,
    read_line,
)
from prizewire_railkit.by_hand import ExportedFile, FileRefused
from prizewire_railkit.store import RailRow, RailRows

CSV: Final = "csv"
PAIN_001: Final = "pain.001.001.09"
FORMATS: Final = {
    CSV: "a table with every line of the batch, in UTF-8",
    PAIN_001: "an ISO 20022 customer credit transfer initiation, for lines to bank accounts",
}
COLUMNS: Final = (
    "reference",
    "batch",
    "payout_id",
    "amount",
    "asset",
    "currency",
    "method_type",
    "memo",
)
"""The first columns of a table. A column ``details.NAME`` follows for each detail that one of its lines has, by name."""


async def export(
    rows: RailRows, *, batch_id: str, file_format: str, by: str, assets: AssetRegistry, now: datetime
) -> ExportedFile:
    """See `PaidByHand.export`."""
    if file_format not in FORMATS:
        known = ", ".join(FORMATS)
        raise FileRefused("format_unknown", f"there is no format {file_format[:32]!r}: use one of {known}")
    batch = (await rows.lock(BATCHES, [batch_id])).get(batch_id)
    if batch is None:
        raise FileRefused("batch_unknown", f"there is no batch {batch_id[:64]}")
    names: list[str] = batch.document["lines"]
    found = await rows.lock(LINES, names)
    lines = [found[name] for name in names]
    if file_format == CSV:
        made = ExportedFile(
            name=f"{batch_id}.csv",
            media_type="text/csv; charset=utf-8",
            content=_table(lines, batch=batch, assets=assets),
        )
    else:
        made = ExportedFile(
            name=f"{batch_id}.xml",
            media_type="application/xml",
            content=_transfers(lines, batch=batch, assets=assets),
        )
    first = [] if batch.state == BATCH_EXPORTED else [replace(batch, state=BATCH_EXPORTED, changed_at=now)]
    await rows.write([*first, *(exported(row, by=by, file_format=file_format, now=now) for row in lines)])
    return replace(made, lines=tuple(read_line(row, assets) for row in lines))


def _table(lines: list[RailRow], *, batch: RailRow, assets: AssetRegistry) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    names = sorted({name for row in lines for name in row.details or {}})
    writer.writerow([*COLUMNS, *(f"details.{name}" for name in names)])
    for row in lines:
        document, amount = row.document, amount_of(row, assets)
        details = row.details or {}
        cells = (
            row.name,
            batch.name,
            str(row.payout_id),
            amount.to_wire(),
            amount.asset.code,
            batch.document["currencies"].get(amount.asset.code, ""),
            document["method_type"],
            document["memo"] or "",
            *(str(details.get(name, "")) for name in names),
        )
        writer.writerow(cell(one) for one in cells)
    return text.getvalue().encode()


def _transfers(lines: list[RailRow], *, batch: RailRow, assets: AssetRegistry) -> bytes:
    transfers: list[Transfer] = []
    refused: list[str] = []
    for row in lines:
        try:
            transfers.append(
                Transfer.of_line(row, amount=amount_of(row, assets), currencies=batch.document["currencies"])
            )
        except ValueError as error:
            refused.append(f"{row.payout_id} ({error})")
    debtors = {
        currency: Debtor.of_document(document) for currency, document in batch.document["debtors"].items()
    }
    refused += [
        f"{one.payout_id} (the rail has no debtor account in {one.currency})"
        for one in transfers
        if one.currency not in debtors
    ]
    if refused or not transfers:
        raise FileRefused(
            "export_not_possible", f"the format cannot carry these payouts: {', '.join(refused) or 'none'}"
        )
    return credit_transfers(
        batch_id=batch.name,
        created_at=datetime.fromisoformat(batch.document["created_at"]),
        transfers=transfers,
        debtors=debtors,
    )
