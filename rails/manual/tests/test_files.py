"""Exported files and answer files."""

import csv
import io
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from prizewire_rail_manual.currencies import Debtor, decimal_text
from prizewire_rail_manual.files.answers import SIZE_MAX
from prizewire_rail_manual.files.pain001 import NAMESPACE, Transfer, credit_transfers, information_id
from prizewire_rail_manual.files.texts import bank_text, cell
from prizewire_railkit.by_hand import FileRefused, ReportedLine
from rails.manual.tests.hands import EURC, IBAN, JPYC, USDC, Hands, instruction, rail

PAIN = "pain.001.001.09"
GOLDEN = Path(__file__).parent / "golden" / "batch.xml"
UPI = {"vpa": "ana@okbank"}
ALLOWED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-?:().,'+ ")
DEBTORS = {
    "EUR": Debtor(name="Prizewire & Söhne GmbH", iban="DE02120300000000202051", bic="BYLADEM1001"),
    "JPY": Debtor(name="Prizewire GmbH", account="0012345"),
}


@cache
def schema() -> Any:
    source = files("prizewire_rail_manual").joinpath("schemas/pain.001.001.09.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(source))


def find(content: bytes, path: str) -> list[str]:
    root = etree.fromstring(content)
    return [
        one.text or ""
        for one in root.iterfind(".//" + "/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/")))
    ]


async def batch(hands: Hands, *instructions: Any) -> list[UUID]:
    payouts = await hands.create(*instructions)
    assert await hands.claim(*payouts) == [None] * len(payouts)
    return payouts


def test_the_id_of_a_payment_information_holds_the_whole_batch_id() -> None:
    """Also of the longest batch id, so that a person finds the batch at the bank; its last three characters are the currency."""
    assert information_id("85c6" * 8, "USD") == "85c6" * 8 + "USD"
    assert information_id("85c6" * 7 + "abc", "USD") == "85c6" * 7 + "abc-USD"
    assert information_id("mine", "EUR") == "mine-EUR"


async def test_a_bank_file_holds_each_line_exactly() -> None:
    """One payment information for each currency, exact counts and sums, and each line's reference as EndToEndId."""
    hands = Hands()
    await batch(
        hands,
        instruction(123_4500000),
        instruction(
            50_0000000, details={"holder": "Łukasz Ångström", "iban": IBAN, "bic": "COBADEFF"}, memo="Cup №1"
        ),
        instruction(
            1000_00, asset=JPYC, details={"holder": "Yuki", "country": "JP", "account_number": "1234567"}
        ),
        instruction(
            7_25,
            asset=USDC,
            details={
                "holder": "Joe",
                "country": "US",
                "account_number": "123456789",
                "routing_number": "021000021",
            },
        ),
    )
    content = await hands.export(PAIN)
    assert schema().validate(etree.fromstring(content))
    assert find(content, "GrpHdr/NbOfTxs") == ["4"]
    assert find(content, "GrpHdr/CtrlSum") == ["1180.70"]
    assert find(content, "PmtInf/PmtInfId") == ["batch-1-EUR", "batch-1-JPY", "batch-1-USD"]
    assert find(content, "PmtInf/NbOfTxs") == ["2", "1", "1"]
    assert find(content, "PmtInf/CtrlSum") == ["173.45", "1000", "7.25"]
    assert find(content, "InstdAmt") == ["123.45", "50.00", "1000", "7.25"]
    assert sorted(find(content, "EndToEndId")) == sorted((await hands.references()).values())
    assert find(content, "Cdtr/Nm") == ["Ana Example", "Lukasz Angstrom", "Yuki", "Joe"]
    assert find(content, "ClrSysMmbId/MmbId") == ["021000021"]
    assert find(content, "SvcLvl/Cd") == ["SEPA"]


async def test_an_exported_file_stays_the_same() -> None:
    """A batch gives the same bytes later, after other claims, after its lines ended, and with other debtors configured."""
    hands = Hands()
    payouts = await batch(hands, instruction(), instruction())
    first = {name: await hands.export(name) for name in hands.rail.export_formats}
    await hands.create(later := instruction())
    assert await hands.claim(later.payout_id) == ["batch_exported"]
    async with hands.store.begin() as rows:
        await hands.rail.settle(
            rows, payout_id=payouts[0], paid=True, evidence="e", persons=("olga", "piet"), now=hands.now
        )
    for name, content in first.items():
        assert await hands.export(name) == content
    hands.rail = rail(hands.database, debtor={"EUR": {"name": "Other", "iban": IBAN}})
    for name, content in first.items():
        assert await hands.export(name) == content


def test_the_golden_file_stays_as_it_is() -> None:
    """The message of fixed transfers is the stored file, which fits ISO's schema."""
    content = credit_transfers(
        batch_id="0123456789abcdef0123456789abcdef",
        created_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        transfers=[
            Transfer(
                payout_id=UUID(int=1),
                reference="PW-20261120-120000-0123456789AB",
                units=12_345,
                currency="EUR",
                remittance="Cup 2026",
                creditor="Ana Example",
                iban=IBAN,
            ),
            Transfer(
                payout_id=UUID(int=2),
                reference="PW-20261120-120001-0123456789AC",
                units=500,
                currency="JPY",
                remittance="PW-20261120-120001-0123456789AC",
                creditor="Yuki",
                account="1234567",
                country="JP",
            ),
        ],
        debtors=DEBTORS,
    )
    assert schema().validate(etree.fromstring(GOLDEN.read_bytes()))
    assert content == GOLDEN.read_bytes()


@given(
    amounts=st.lists(
        st.tuples(st.sampled_from(["EUR", "JPY"]), st.integers(1, 10**15)), min_size=1, max_size=20
    ),
    name=st.text(min_size=1, max_size=140),
    memo=st.text(max_size=300),
)
def test_any_batch_fits_the_schema(amounts: list[tuple[str, int]], name: str, memo: str) -> None:
    """Whatever the names, memos and amounts are, the message fits the schema, its sums are exact, and its texts have only
    characters that banks take.
    """
    creditor = bank_text(name, length_max=70) or "x"
    transfers = [
        Transfer(
            payout_id=UUID(int=number),
            reference=f"PW-{number}",
            units=units,
            currency=currency,
            remittance=bank_text(memo, length_max=140) or "x",
            creditor=creditor,
            iban=IBAN,
        )
        for number, (currency, units) in enumerate(amounts)
    ]
    content = credit_transfers(
        batch_id="b" * 32, created_at=datetime(2026, 1, 1, tzinfo=UTC), transfers=transfers, debtors=DEBTORS
    )
    assert schema().validate(etree.fromstring(content))
    assert find(content, "GrpHdr/NbOfTxs") == [str(len(amounts))]
    total = sum(Decimal(decimal_text(units, currency)) for currency, units in amounts)
    assert Decimal(find(content, "GrpHdr/CtrlSum")[0]) == total
    assert all(len(one) <= 35 for path in ("MsgId", "PmtInfId", "EndToEndId") for one in find(content, path))
    for path in ("Nm", "Ustrd"):
        assert all(set(one) <= ALLOWED and "//" not in one for one in find(content, path))


async def test_what_a_bank_file_cannot_carry_is_named() -> None:
    """A batch with a line to no bank account has no bank file; the refusal names the payout and no detail."""
    hands = Hands()
    payouts = await batch(hands, instruction(), instruction(method_type="upi", details=UPI))
    with pytest.raises(FileRefused) as refused:
        await hands.export(PAIN)
    assert refused.value.code == "export_not_possible"
    assert str(payouts[1]) in refused.value.detail
    assert "ana@okbank" not in refused.value.detail
    assert b"ana@okbank" in await hands.export("csv")


async def test_a_currency_without_debtor_has_no_bank_file() -> None:
    """A batch in a currency that no account is configured for has no bank file."""
    hands = Hands(debtor={"EUR": {"name": "P", "iban": IBAN}})
    await batch(hands, instruction(7_25, asset=USDC))
    with pytest.raises(FileRefused, match="no debtor account in USD"):
        await hands.export(PAIN)


@pytest.mark.parametrize(
    ("file_format", "batch_id", "code"), [("pdf", "batch-1", "format_unknown"), ("csv", "x", "batch_unknown")]
)
async def test_unknown_formats_and_batches_are_refused(file_format: str, batch_id: str, code: str) -> None:
    """An unknown format or batch has a code of its own."""
    hands = Hands()
    await batch(hands, instruction())
    with pytest.raises(FileRefused) as refused:
        await hands.export(file_format, batch_id)
    assert refused.value.code == code


async def test_a_table_has_stable_columns_and_no_formula() -> None:
    """The first columns never change, each detail has a column of its own, and no cell begins with what a spreadsheet reads as a formula."""
    hands = Hands()
    await batch(
        hands,
        instruction(memo='=HYPERLINK("http://x")'),
        instruction(memo="@SUM(A1)\n-2", method_type="upi", details=UPI),
    )
    rows = list(csv.reader(io.StringIO((await hands.export("csv")).decode(), newline="")))
    assert rows[0] == [
        "reference",
        "batch",
        "payout_id",
        "amount",
        "asset",
        "currency",
        "method_type",
        "memo",
        "details.holder",
        "details.iban",
        "details.vpa",
    ]
    assert [row[-3:] for row in rows[1:]] == [["Ana Example", IBAN, ""], ["", "", UPI["vpa"]]]
    assert [row[7] for row in rows[1:]] == ['\'=HYPERLINK("http://x")', "'@SUM(A1) -2"]
    assert rows[1][3:6] == ["123.4500000", "EURC", "EUR"]


@given(st.text())
def test_no_cell_is_a_formula(text: str) -> None:
    """No text makes a cell that begins a formula or spans lines."""
    made = cell(text)
    assert not made.lstrip().startswith(("=", "+", "-", "@"))
    assert not set(made) & set("\t\r\n\0")


def pain002(*payments: str, batch_id: str = "batch-1", group: str = "", version: str = "10") -> bytes:
    inner = "".join(payments)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}"><CstmrPmtStsRpt>
<GrpHdr><MsgId>BANK-7</MsgId><CreDtTm>2026-11-21T09:00:00Z</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts><OrgnlMsgId>{batch_id}</OrgnlMsgId><OrgnlMsgNmId>{PAIN}</OrgnlMsgNmId>{group}</OrgnlGrpInfAndSts>
{inner}</CstmrPmtStsRpt></Document>""".encode()


def payment(reference: str, status: str, *, reason: str = "", amount: str = "") -> str:
    why = f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>" if reason else ""
    of = f"<OrgnlTxRef><Amt><InstdAmt Ccy='EUR'>{amount}</InstdAmt></Amt></OrgnlTxRef>" if amount else ""
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>batch-1-EUR</OrgnlPmtInfId><TxInfAndSts><OrgnlEndToEndId>{reference}"
        f"</OrgnlEndToEndId><TxSts>{status}</TxSts>{why}<AcctSvcrRef>REF-{status}</AcctSvcrRef>{of}</TxInfAndSts></OrgnlPmtInfAndSts>"
    )


async def read(hands: Hands, content: bytes, media_type: str = "application/xml") -> list[ReportedLine]:
    async with hands.store.begin() as rows:
        return await hands.rail.read_answers(rows, content=content, media_type=media_type)


async def refusal(hands: Hands, content: bytes, media_type: str = "application/xml") -> str:
    with pytest.raises(FileRefused) as refused:
        await read(hands, content, media_type)
    return refused.value.code


async def test_a_bank_report_is_read_line_by_line() -> None:
    """Settled payments are paid with the bank's reference, rejected ones failed with its reason, others have no end."""
    hands = Hands()
    payouts = await batch(hands, *(instruction() for _ in range(4)))
    names = await hands.references()
    found = await read(
        hands,
        pain002(
            payment(names[payouts[0]], "ACSC", amount="123.45"),
            payment(names[payouts[1]], "RJCT", reason="AC04"),
            payment(names[payouts[2]], "ACSP"),
            payment(names[payouts[3]], "ACCC", amount="123.46"),
            payment("PW-OTHER", "ACSC"),
        ),
    )
    assert [(one.number, one.payout_id) for one in found] == [*enumerate(payouts, start=1), (5, None)]
    assert [one.paid for one in found] == [True, False, None, True, True]
    assert (found[0].evidence, found[1].code) == ("REF-ACSC", "AC04")
    assert [one.problem is None for one in found] == [True, True, True, False, False]


async def test_a_report_about_a_whole_batch_is_said_of_each_line() -> None:
    """A rejected message, and a rejected payment information, are reported for each of their lines."""
    hands = Hands()
    payouts = await batch(hands, instruction(), instruction(7_25, asset=USDC))
    found = await read(hands, pain002(group="<GrpSts>RJCT</GrpSts>"))
    assert [(one.payout_id, one.paid, one.evidence, one.problem) for one in found] == [
        (one, False, "BANK-7", None) for one in payouts
    ]
    part = "<OrgnlPmtInfAndSts><OrgnlPmtInfId>batch-1-USD</OrgnlPmtInfId><PmtInfSts>RJCT</PmtInfSts></OrgnlPmtInfAndSts>"
    assert [one.payout_id for one in await read(hands, pain002(part))] == [payouts[1]]
    (stray,) = await read(hands, pain002(batch_id="other", group="<GrpSts>RJCT</GrpSts>"))
    assert stray.problem is not None


async def test_a_line_reported_both_ways_is_not_used() -> None:
    """A file that reports one line as paid and as failed has a problem in both lines."""
    hands = Hands()
    (payout,) = await batch(hands, instruction())
    name = (await hands.references())[payout]
    found = await read(hands, pain002(payment(name, "ACSC"), payment(name, "RJCT")))
    assert all(one.problem for one in found)


async def test_a_report_with_a_document_type_is_refused() -> None:
    """A report that could be read is refused where it declares a document type, in which entities would stand."""
    hands = Hands()
    (payout,) = await batch(hands, instruction())
    content = pain002(payment((await hands.references())[payout], "ACSC"))
    assert [one.problem for one in await read(hands, content)] == [None]
    declared = content.replace(b"<Document", b'<!DOCTYPE Document [<!ENTITY a "b">]><Document', 1)
    assert await refusal(hands, declared) == "file_malformed"


async def test_a_report_about_another_batch_is_not_used() -> None:
    """A line that is reported in the answer to another batch than its own has a problem."""
    hands = Hands()
    (payout,) = await batch(hands, instruction())
    name = (await hands.references())[payout]
    (found,) = await read(hands, pain002(payment(name, "ACSC"), batch_id="batch-2"))
    assert found.problem is not None


def test_a_message_that_does_not_fit_the_schema_is_not_written() -> None:
    """A message with an id that is too long for ISO's schema is refused, without the value."""
    one = Transfer(
        payout_id=UUID(int=1),
        reference="R" * 36,
        units=1,
        currency="EUR",
        remittance="x",
        creditor="Ana",
        iban=IBAN,
    )
    with pytest.raises(FileRefused) as refused:
        credit_transfers(
            batch_id="b", created_at=datetime(2026, 1, 1, tzinfo=UTC), transfers=[one], debtors=DEBTORS
        )
    assert refused.value.code == "export_not_possible"
    assert "R" * 36 not in refused.value.detail


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not xml",
        b"\xff\xfe<\x00",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>',
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrPmtStsRpt/></Document>',
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt/></Document>',
        b"<d>" * 2000 + b"</d>" * 2000,
        '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
    ],
)
async def test_malformed_reports_are_refused(content: bytes) -> None:
    """What is no report, and every document type and entity, is refused before it is used."""
    assert await refusal(Hands(), content) == "file_malformed"


async def test_large_files_and_other_types_are_refused() -> None:
    """A file that is too large, and one of another media type, have codes of their own."""
    hands = Hands()
    assert await refusal(hands, b" " * (SIZE_MAX + 1)) == "file_too_large"
    assert await refusal(hands, b"{}", "application/json") == "format_unknown"


@given(content=st.binary(max_size=400), media_type=st.sampled_from(["application/xml", "text/csv"]))
async def test_no_bytes_break_the_reader(content: bytes, media_type: str) -> None:
    """Any bytes are read, or refused with a code."""
    with suppress(FileRefused):
        await read(Hands(), content, media_type)


async def test_an_answer_table_is_read_line_by_line() -> None:
    """A table reports paid, failed and open lines; wrong lines have a problem and do not stop the others."""
    hands = Hands()
    payouts = await batch(hands, *(instruction() for _ in range(5)))
    names = await hands.references()
    table = "\r\n".join(
        [
            "Reference,Status,Evidence,Code,Amount,Currency",
            f"{names[payouts[0]]},paid,statement 17,,123.45,EUR",
            f"{names[payouts[1]]},failed,letter 3,AC04,,",
            f"{names[payouts[2]]},open,,,123.45,EURC",
            f"{names[payouts[3]]},perhaps,x,,,",
            f"{names[payouts[4]]},paid,,,,",
            "PW-OTHER,paid,x",
            "",
        ]
    )
    found = await read(hands, b"\xef\xbb\xbf" + table.encode(), "text/csv; charset=utf-8")
    assert [one.paid for one in found] == [True, False, None, None, True, True]
    assert [one.problem is None for one in found] == [True, True, True, False, False, False]
    assert found[1].code == "AC04"


@pytest.mark.parametrize(
    "table",
    [
        "",
        "reference,status",
        "reference,status,evidence,evidence",
        "reference,status,evidence,amount",
        "a,b\n",
        'reference,status,evidence\n"x',
    ],
)
async def test_malformed_tables_are_refused(table: str) -> None:
    """A table without the columns that are needed is refused."""
    assert await refusal(Hands(), table.encode(), "text/csv") == "file_malformed"


def test_texts_keep_their_letters() -> None:
    """Letters of other scripts are transliterated, and signs that banks refuse become spaces."""
    assert bank_text("Zoë Größe & Söhne//", length_max=70) == "Zoe Grosse Sohne"
    assert bank_text("Иван", length_max=70) == "Ivan"
    assert bank_text("a" * 100, length_max=70) == "a" * 70
    assert EURC.decimals == 7
