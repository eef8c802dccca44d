"""Answer files: what the bank, or the person who paid, reports of the lines of a batch."""

from dataclasses import dataclass, replace
from typing import Final

from prizewire_contracts.text import LINE_LENGTH_MAX, printable
from prizewire_money import Amount, AssetRegistry
from prizewire_rail_manual.currencies import decimals_of, in_currency
from prizewire_rail_manual.files import answer_table, pain002
from prizewire_rail_manual.files.reported import Reported, units_of
from prizewire_rail_manual.records import BATCHES, LINES, amount_of
from prizewire_railkit.by_hand import FileRefused, LineState, ReportedLine
from prizewire_railkit.store import RailRow, RailRows

SIZE_MAX: Final = 5 * 1024 * 1024
LINES_MAX: Final = 20_000
_CODE_LENGTH_MAX: Final = 64
_REFERENCE_LENGTH_MAX: Final = 35
_XML: Final = ("application/xml", "text/xml")
_TABLE: Final = ("text/csv",)


@dataclass(frozen=True, slots=True)
class _Known:
    """The lines and batches that a file names."""

    lines: dict[str, RailRow]
    batches: dict[str, RailRow]


async def read_answers(
    rows: RailRows, *, content: bytes, media_type: str, assets: AssetRegistry
) -> list[ReportedLine]:
    """See `PaidByHand.read_answers`."""
    if len(content) > SIZE_MAX:
        raise FileRefused("file_too_large", f"an answer file has at most {SIZE_MAX} bytes")
    kind = media_type.partition(";")[0].strip().lower()
    if kind in _XML:
        reported = pain002.read(content)
    elif kind in _TABLE:
        reported = answer_table.read(content)
    else:
        raise FileRefused("format_unknown", f"send one of {', '.join((*_XML, *_TABLE))}")
    batches = await rows.lock(BATCHES, [one.batch_id for one in reported if one.batch_id is not None])
    named = {one.reference for one in reported if one.reference is not None}
    whole = {one.batch_id for one in reported if one.reference is None}
    named |= {name for batch in batches.values() if batch.name in whole for name in batch.document["lines"]}
    if max(len(named), len(reported)) > LINES_MAX:
        raise FileRefused("file_too_large", f"an answer file has at most {LINES_MAX} lines")
    known = _Known(await rows.lock(LINES, sorted(named)), batches)
    expanded = [line for one in reported for line in _expanded(one, known)]
    checked = [
        _checked(one, number=number, row=known.lines.get(one.reference or ""), assets=assets)
        for number, one in enumerate(expanded, start=1)
    ]
    return _without_contradictions(checked)


def _expanded(one: Reported, known: _Known) -> list[Reported]:
    """What is reported of a whole batch, or of its part in one currency, said of each of its lines."""
    batch = known.batches.get(one.batch_id or "")
    if one.reference is not None or batch is None:
        return [one]
    currencies = batch.document["currencies"]
    names = [
        name
        for name in batch.document["lines"]
        if one.part_currency is None
        or currencies.get(known.lines[name].document["asset"]) == one.part_currency
    ]
    return [replace(one, reference=name) for name in names] or [one]


def _checked(one: Reported, *, number: int, row: RailRow | None, assets: AssetRegistry) -> ReportedLine:
    amount = None if row is None else amount_of(row, assets)
    return ReportedLine(
        number=number,
        reference=_clean(one.reference, _REFERENCE_LENGTH_MAX),
        paid=one.paid,
        evidence=_clean(one.evidence, LINE_LENGTH_MAX),
        code=_clean(one.code, _CODE_LENGTH_MAX),
        amount=amount,
        problem=one.problem or _problem(one, row=row, amount=amount),
        payout_id=None if row is None else row.payout_id,
        state=None if row is None else LineState(row.state),
    )


def _problem(one: Reported, *, row: RailRow | None, amount: Amount | None) -> str | None:
    if one.reference is None:
        return "the file reports a whole message that is no batch of this rail"
    if row is None or amount is None:
        return "no line of this rail has this reference"
    if one.batch_id is not None and row.document.get("batch_id") not in (None, one.batch_id):
        return "the line is of another batch than the file answers"
    if one.paid is not None and not one.evidence:
        return "the line has no reference of the bank as evidence"
    if one.amount is None or row.state == LineState.OPEN:
        # an open line has no currency yet, and no evidence is filed about it
        return None
    currency: str | None = row.document.get("currency")
    if one.currency not in (amount.asset.code, currency):
        return f"the file reports {one.currency}, and the line pays {amount.asset.code}"
    if one.currency == amount.asset.code:
        same = units_of(one.amount, amount.asset.decimals) == amount.minor
    else:
        assert currency is not None, "it is the currency that the file reports"
        same = units_of(one.amount, decimals_of(currency)) == in_currency(amount, currency)
    return None if same else "the file reports another amount than the line's"


def _without_contradictions(lines: list[ReportedLine]) -> list[ReportedLine]:
    """Lines of one reference that report different ends are refused, all of them."""
    ends: dict[str, set[bool]] = {}
    for one in lines:
        if one.reference is not None and one.paid is not None:
            ends.setdefault(one.reference, set()).add(one.paid)
    return [
        replace(one, problem="the file reports this line as paid and as failed")
        if one.problem is None and len(ends.get(one.reference or "", ())) > 1
        else one
        for one in lines
    ]


def _clean(text: str | None, length_max: int) -> str | None:
    return None if text is None else printable(text, length_max=length_max)
