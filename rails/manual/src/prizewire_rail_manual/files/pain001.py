"""ISO 20022 ``pain.001.001.09``: a customer credit transfer initiation, checked against ISO's schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Final, Self
from uuid import UUID

from lxml import etree

from prizewire_money import Amount
from prizewire_rail_manual.currencies import Debtor, decimal_text, decimals_of, in_currency
from prizewire_rail_manual.files.texts import bank_text
from prizewire_railkit.by_hand import FileRefused
from prizewire_railkit.store import RailRow

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
_NAME_LENGTH_MAX: Final = 70
_REMITTANCE_LENGTH_MAX: Final = 140
_ID_LENGTH_MAX: Final = 35
_CLEARING_SYSTEMS: Final = {"AU": "AUBSB", "CA": "CACPA", "IN": "INFSC", "US": "USABA", "ZA": "ZANCC"}
"""Codes of national clearing systems, whose members routing numbers name (ISO 20022, ExternalClearingSystemIdentification1Code)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One credit transfer. ``units`` counts the currency's smallest unit. The creditor's account is not shown in a ``repr``."""

    payout_id: UUID
    reference: str
    units: int
    currency: str
    remittance: str
    creditor: str = field(repr=False)
    iban: str | None = field(default=None, repr=False)
    account: str | None = field(default=None, repr=False)
    bic: str | None = field(default=None, repr=False)
    country: str | None = None
    routing_number: str | None = field(default=None, repr=False)

    @classmethod
    def of_line(cls, row: RailRow, *, amount: Amount, currencies: Mapping[str, str]) -> Self:
        """The transfer of a line.

        Raises:
            ValueError: the line cannot be a credit transfer; the text says why, without a detail.
        """
        details = row.details or {}
        currency = currencies.get(amount.asset.code)
        if currency is None:
            raise ValueError(f"no currency is configured for {amount.asset.code}")
        units = in_currency(amount, currency)
        if units is None or units <= 0:
            raise ValueError(f"{currency} has {decimals_of(currency)} decimals")
        iban, account = details.get("iban"), details.get("account_number")
        if iban is None and account is None:
            raise ValueError(f"a method of type {row.document['method_type']} is no bank account")
        creditor = bank_text(details.get("holder", ""), length_max=_NAME_LENGTH_MAX)
        if not creditor:
            raise ValueError("the holder's name has no character that banks take")
        assert row.payout_id is not None
        return cls(
            payout_id=row.payout_id,
            reference=row.name,
            units=units,
            currency=currency,
            remittance=bank_text(row.document["memo"] or "", length_max=_REMITTANCE_LENGTH_MAX) or row.name,
            creditor=creditor,
            iban=iban,
            account=account,
            bic=details.get("bic"),
            country=details.get("country"),
            routing_number=details.get("routing_number"),
        )


def information_id(batch_id: str, currency: str) -> str:
    """The id of the payment information of a batch in one currency: the whole batch id, with the currency as its last three characters.
    The hyphen between them is left out where the batch id has the most characters that it may have.
    """
    parts = f"{batch_id}-{currency}"
    return parts if len(parts) <= _ID_LENGTH_MAX else f"{batch_id}{currency}"


def credit_transfers(
    *, batch_id: str, created_at: datetime, transfers: Sequence[Transfer], debtors: Mapping[str, Debtor]
) -> bytes:
    """The message of a batch: one payment information for each currency. The same batch gives the same bytes.

    Raises:
        FileRefused: ``export_not_possible``, where the message is not what the schema asks for.
    """
    ordered = sorted(transfers, key=lambda one: (one.currency, one.reference))
    root = etree.Element(f"{{{NAMESPACE}}}Document", nsmap={None: NAMESPACE})
    message = _add(root, "CstmrCdtTrfInitn")
    header = _add(message, "GrpHdr")
    _add(header, "MsgId", batch_id)
    _add(header, "CreDtTm", created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _add(header, "NbOfTxs", str(len(ordered)))
    _add(header, "CtrlSum", _control_sum(ordered))
    initiator = min(debtors[one.currency].name for one in ordered)
    _add(_add(header, "InitgPty"), "Nm", bank_text(initiator, length_max=_NAME_LENGTH_MAX))
    for currency, group in groupby(ordered, key=lambda one: one.currency):
        _add_payment_information(
            message,
            batch_id=batch_id,
            created_at=created_at,
            currency=currency,
            transfers=list(group),
            debtor=debtors[currency],
        )
    schema = _schema()
    if not schema.validate(root):
        # the schema's messages repeat values, which may be personal details
        paths = sorted({str(entry.path) for entry in schema.error_log})[:3]
        raise FileRefused(
            "export_not_possible", f"the message does not fit the schema of ISO 20022 at {', '.join(paths)}"
        )
    made: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return made


def _add_payment_information(
    message: "etree._Element",
    *,
    batch_id: str,
    created_at: datetime,
    currency: str,
    transfers: Sequence[Transfer],
    debtor: Debtor,
) -> None:
    information = _add(message, "PmtInf")
    _add(information, "PmtInfId", information_id(batch_id, currency))
    _add(information, "PmtMtd", "TRF")
    _add(information, "NbOfTxs", str(len(transfers)))
    _add(information, "CtrlSum", _control_sum(transfers))
    sepa = currency == "EUR" and debtor.iban is not None and all(one.iban is not None for one in transfers)
    if sepa:
        _add(_add(_add(information, "PmtTpInf"), "SvcLvl"), "Cd", "SEPA")
    _add(_add(information, "ReqdExctnDt"), "Dt", created_at.astimezone(UTC).date().isoformat())
    _add(_add(information, "Dbtr"), "Nm", bank_text(debtor.name, length_max=_NAME_LENGTH_MAX))
    _add_account(information, "DbtrAcct", iban=debtor.iban, account=debtor.account)
    institution = _add(_add(information, "DbtrAgt"), "FinInstnId")
    if debtor.bic is not None:
        _add(institution, "BICFI", debtor.bic)
    else:
        _add(_add(institution, "Othr"), "Id", "NOTPROVIDED")
    if sepa:
        _add(information, "ChrgBr", "SLEV")
    for one in transfers:
        _add_transfer(information, one)


def _add_transfer(information: "etree._Element", one: Transfer) -> None:
    transfer = _add(information, "CdtTrfTxInf")
    _add(_add(transfer, "PmtId"), "EndToEndId", one.reference)
    amount = _add(_add(transfer, "Amt"), "InstdAmt", decimal_text(one.units, one.currency))
    amount.set("Ccy", one.currency)
    if one.bic is not None or one.routing_number is not None:
        institution = _add(_add(transfer, "CdtrAgt"), "FinInstnId")
        if one.bic is not None:
            _add(institution, "BICFI", one.bic)
        if one.routing_number is not None:
            member = _add(institution, "ClrSysMmbId")
            system = _CLEARING_SYSTEMS.get(one.country or "")
            if system is not None:
                _add(_add(member, "ClrSysId"), "Cd", system)
            _add(member, "MmbId", one.routing_number)
    _add(_add(transfer, "Cdtr"), "Nm", one.creditor)
    _add_account(transfer, "CdtrAcct", iban=one.iban, account=one.account)
    _add(_add(transfer, "RmtInf"), "Ustrd", one.remittance)


def _add_account(parent: "etree._Element", name: str, *, iban: str | None, account: str | None) -> None:
    identification = _add(_add(parent, name), "Id")
    if iban is not None:
        _add(identification, "IBAN", iban)
    else:
        _add(_add(identification, "Othr"), "Id", account)


def _control_sum(transfers: Sequence[Transfer]) -> str:
    """The sum of the numbers, whatever their currencies, exact."""
    decimals = max(decimals_of(one.currency) for one in transfers)
    total = sum(one.units * 10 ** (decimals - decimals_of(one.currency)) for one in transfers)
    digits = str(total).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def _add(parent: "etree._Element", name: str, text: str | None = None) -> "etree._Element":
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


@cache
def _schema() -> "etree.XMLSchema":
    source = files("prizewire_rail_manual").joinpath("schemas/pain.001.001.09.xsd").read_bytes()
    return etree.XMLSchema(etree.fromstring(source))
