"""ISO 20022 ``pain.002``: the bank's report on a credit transfer initiation, in any version of the message.

The file comes from outside: it is read as UTF-8, without a document type, entities or the network.
"""

import re
from typing import Final

from lxml import etree

from prizewire_rail_manual.files.reported import Reported
from prizewire_railkit.by_hand import FileRefused

_NAMESPACE: Final = re.compile(r"urn:iso:std:iso:20022:tech:xsd:pain\.002\.001\.[0-9]{2}")
_STATUSES: Final = {"ACSC": True, "ACCC": True, "RJCT": False, "CANC": False}
"""ISO 20022, ExternalPaymentTransactionStatus1Code: settled on the debtor's account, settled on the creditor's, rejected,
cancelled. All others report no end: received, accepted, pending, in process.
"""


def read(content: bytes) -> list[Reported]:
    """The statements of a report: of single payments, and of whole batches where no single payment is named.

    Raises:
        FileRefused: ``file_malformed``.
    """
    report = _report(content)
    message_id = _text(report, "GrpHdr/MsgId")
    group = _child(report, "OrgnlGrpInfAndSts")
    batch_id = None if group is None else _text(group, "OrgnlMsgId")
    if group is None or batch_id is None:
        raise _malformed("the report names no message that it answers (OrgnlMsgId)")
    found: list[Reported] = []
    for part in _children(report, "OrgnlPmtInfAndSts"):
        payments = _children(part, "TxInfAndSts")
        found += [_payment(one, batch_id=batch_id, message_id=message_id) for one in payments]
        status = _text(part, "PmtInfSts")
        if not payments and status is not None:
            # the exported file ends the id of a payment information with its currency
            currency = (_text(part, "OrgnlPmtInfId") or "")[-3:]
            found.append(
                _whole(part, status, batch_id=batch_id, message_id=message_id, part_currency=currency)
            )
    status = _text(group, "GrpSts")
    if not found and status is not None:
        found.append(_whole(group, status, batch_id=batch_id, message_id=message_id))
    if not found:
        raise _malformed("the report holds no status of a payment")
    return found


def _payment(one: "etree._Element", *, batch_id: str, message_id: str | None) -> Reported:
    amount = _child(one, "OrgnlTxRef/Amt/InstdAmt")
    return Reported(
        reference=_text(one, "OrgnlEndToEndId") or "",
        paid=_STATUSES.get(_text(one, "TxSts") or ""),
        batch_id=batch_id,
        evidence=_text(one, "AcctSvcrRef") or _text(one, "ClrSysRef") or _text(one, "StsId") or message_id,
        code=_reason(one),
        amount=None if amount is None else (amount.text or "").strip(),
        currency=None if amount is None else amount.get("Ccy"),
    )


def _whole(
    part: "etree._Element",
    status: str,
    *,
    batch_id: str,
    message_id: str | None,
    part_currency: str | None = None,
) -> Reported:
    return Reported(
        reference=None,
        paid=_STATUSES.get(status),
        batch_id=batch_id,
        evidence=message_id,
        code=_reason(part),
        part_currency=part_currency,
    )


def _reason(element: "etree._Element") -> str | None:
    return _text(element, "StsRsnInf/Rsn/Cd") or _text(element, "StsRsnInf/Rsn/Prtry")


def _report(content: bytes) -> "etree._Element":
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _malformed("the file is not encoded in UTF-8") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _malformed("the file has a document type, which is not accepted")
    parser = etree.XMLParser(
        # the encoding that the file declares is not asked: what was searched above is what is parsed
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(f"the file is no XML at line {error.lineno}") from None
    namespace = etree.QName(root).namespace or ""
    report = root[0] if len(root) == 1 else None
    if (
        not _NAMESPACE.fullmatch(namespace)
        or report is None
        or etree.QName(root).localname != "Document"
        or etree.QName(report).localname != "CstmrPmtStsRpt"
    ):
        raise _malformed("the file is no customer payment status report (pain.002)")
    return report


def _children(parent: "etree._Element", name: str) -> "list[etree._Element]":
    return [child for child in parent if etree.QName(child).localname == name]


def _child(parent: "etree._Element", path: str) -> "etree._Element | None":
    found: etree._Element | None = parent
    for name in path.split("/"):
        found = None if found is None else next(iter(_children(found, name)), None)
    return found


def _text(parent: "etree._Element", path: str) -> str | None:
    found = _child(parent, path)
    return None if found is None else (found.text or "").strip() or None


def _malformed(detail: str) -> FileRefused:
    return FileRefused("file_malformed", detail)
