"""Rules about connections: encrypted, and each service with a login of its own."""

from collections.abc import Iterator
from typing import Final

from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding

ENCRYPTED: Final = "SASL_SSL"


def _plaintext(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        protocol = one.value("KAFKA_SECURITY_PROTOCOL")
        if protocol != ENCRYPTED:
            yield Finding(
                code="plaintext",
                place=one.service,
                sentence=f"KAFKA_SECURITY_PROTOCOL is {protocol}: set {ENCRYPTED}, since events cross the network unencrypted.",
            )
        elif not one.value("KAFKA_CA_FILE"):
            yield Finding(
                code="plaintext",
                place=one.service,
                sentence="KAFKA_CA_FILE is not set: name the authority of the brokers' certificates.",
            )


def _principals(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        found = one.value("KAFKA_SASL_USERNAME")
        if found != one.service:
            yield Finding(
                code="principal",
                place=one.service,
                sentence=f"KAFKA_SASL_USERNAME is {found!r}: {one.service} logs in as {one.service}, whose rights are its own.",
            )


RULES: Final = (_plaintext, _principals)
