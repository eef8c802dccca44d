"""Rules about the public keys that services trust: complete, for the right uses, neither too old nor about to end."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from prizewire_contracts.trust import TrustStore
from prizewire_devstack.components.keys import USES
from prizewire_devstack.doctor.configuration import ServiceConfiguration, Subject
from prizewire_devstack.doctor.findings import Finding

AGE_MAX: Final = timedelta(days=400)
"""A year, and a month for the change."""
ENDS_SOON: Final = timedelta(days=30)
VALIDITY_MAX: Final = timedelta(days=731)


def _trust(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        text = one.text("TRUST_FILE")
        if text is None:
            continue
        if '"private_key"' in text:
            yield Finding(
                code="private_key_published",
                place=one.service,
                sentence="TRUST_FILE holds a private key: replace that key everywhere, since it is known now.",
            )
        try:
            TrustStore.from_json(text)
        except ValueError as error:
            yield Finding(code="trust", place=one.service, sentence=f"TRUST_FILE cannot be used: {error}.")
            continue
        signing = {entry["service"] for entry in _entries(one) if "event" in entry["uses"]}
        for name in sorted(USES.keys() - signing):
            yield Finding(
                code="trust",
                place=one.service,
                sentence=f"TRUST_FILE has no key for the events of {name}: every event of {name} would be refused.",
            )


def _sealing(subject: Subject) -> Iterator[Finding]:
    rewards = subject.get("rewards")
    if rewards is None or rewards.value("PAYOUT_INLINE_RAILS").strip() in ("", "{}"):
        return
    if not any(entry["service"] == "payouts" and "seal" in entry["uses"] for entry in _entries(rewards)):
        yield Finding(
            code="trust",
            place="rewards",
            sentence="PAYOUT_INLINE_RAILS lets requests name details, and TRUST_FILE has no key of payouts with the use seal: such "
            "requests would be refused.",
        )


def _entries(one: ServiceConfiguration) -> list[dict[str, Any]]:
    """The keys of a service's trust file; none where it is malformed."""
    text = one.text("TRUST_FILE")
    try:
        TrustStore.from_json(text or "")
    except ValueError:
        return []
    found: list[dict[str, Any]] = json.loads(text or "")["keys"]
    return found


def _same_trust(subject: Subject) -> Iterator[Finding]:
    found = {one.service: text for one in subject.services if (text := one.text("TRUST_FILE")) is not None}
    if len(set(found.values())) > 1:
        yield Finding(
            code="trust_differs",
            place=", ".join(found),
            sentence="TRUST_FILE differs between the services: what one accepts, another refuses. Give all the same file.",
        )


def _uses(subject: Subject) -> Iterator[Finding]:
    for entry in _distinct(subject):
        foreign = sorted(set(entry["uses"]) - set(USES.get(entry["service"], ())))
        if foreign:
            yield Finding(
                code="key_uses",
                place=entry["service"],
                sentence=f"The key {entry['keyid']} may sign {', '.join(foreign)} for {entry['service']}, which that service "
                "never signs: take the use out of trust.json.",
            )


def _ages(subject: Subject) -> Iterator[Finding]:
    for entry in _distinct(subject):
        yield from _age(subject, entry, place=entry["service"])
    rewards = subject.get("rewards")
    document = None if rewards is None else rewards.document("PLAYER_SOURCES_FILE")
    sources = document.get("sources") if isinstance(document, dict) else None
    for source in sources if isinstance(sources, list) else ():
        for entry in source.get("keys", ()) if isinstance(source, dict) else ():
            yield from _age(subject, entry, place=f"source {source.get('source')}")


def _distinct(subject: Subject) -> list[dict[str, Any]]:
    """The keys of all trust files, each once."""
    found = {json.dumps(entry, sort_keys=True): entry for one in subject.services for entry in _entries(one)}
    return list(found.values())


def _age(subject: Subject, entry: Mapping[str, Any], *, place: str) -> Iterator[Finding]:
    try:
        begins, ends = (datetime.fromisoformat(str(entry[name])) for name in ("not_before", "not_after"))
        age, left = subject.now - begins, ends - subject.now
    except (KeyError, ValueError, TypeError):
        yield _old(
            place,
            f"The key {entry.get('keyid')} has no times not_before and not_after: write both, with an offset.",
        )
        return
    key = f"The key {entry.get('keyid')}"
    if left <= ENDS_SOON:
        yield _old(place, f"{key} ends on {ends:%Y-%m-%d}: add its successor now, and change to it before.")
    if age > AGE_MAX:
        yield _old(place, f"{key} is {age.days} days old: replace it, as a key is replaced every year.")
    if ends - begins > VALIDITY_MAX:
        yield _old(place, f"{key} is valid for {(ends - begins).days} days: two years are the most.")


def _old(place: str, sentence: str) -> Finding:
    return Finding(code="key_age", place=place, sentence=sentence)


RULES: Final = (_trust, _sealing, _same_trust, _uses, _ages)
