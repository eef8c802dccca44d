"""Events as others see them: CloudEvents, JSON Schemas, signatures."""

import json
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import orjson
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from jsonschema import Draft202012Validator

from prizewire_contracts import schemas
from prizewire_contracts.codes import (
    PAYOUT_CAUSES,
    PAYOUT_DECISIONS,
    PayoutCause,
    PayoutCode,
    RetryDecision,
    cause_for,
    decision_for,
)
from prizewire_contracts.decode import EventRefused, decode
from prizewire_contracts.encode import encode, sign_raw
from prizewire_contracts.envelope import CONTENT_TYPE
from prizewire_contracts.events.payouts import PayoutHeld, PayoutHeldEvent
from prizewire_contracts.events.rewards import PayoutCancelRequested
from prizewire_contracts.money_events import MONEY_EVENTS, OTHER_EVENTS, holds_money
from prizewire_contracts.rails import SIGNER_RAILS, RailType
from prizewire_contracts.topics import AUDIT, MATCHES, PAYOUTS, TOPICS, topic_of
from prizewire_contracts.trust import MessageKey, NotTrusted, TrustStore, verify_raw

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = MessageKey.from_seed(keyid="payouts-1", seed=bytes(32))
PAYOUT = UUID("00000000-0000-4000-8000-000000000001")


def trust(
    *, service="payouts", uses=("event",), not_before=NOW, not_after=NOW + timedelta(days=1)
) -> TrustStore:
    entry = {
        "keyid": KEY.keyid, "service": service, "uses": list(uses), "public_key": KEY.public_key,
        "not_before": not_before.isoformat(), "not_after": not_after.isoformat(),
    }  # fmt: skip
    return TrustStore.from_json(json.dumps({"keys": [entry]}))


def held(reason: str = "limit_exceeded"):
    return encode(
        PayoutHeldEvent, PayoutHeld(payout_id=PAYOUT, reason=reason), service="payouts", subject=str(PAYOUT),
        version=1, correlation_id="c-1", causation_id="e-0", now=NOW, key=KEY,
    )  # fmt: skip


def test_every_type_is_on_one_topic_and_has_a_committed_schema():
    """Types are unique over topics, named with a version, and their JSON Schemas are up to date."""
    types = [kind for topic in TOPICS for kind in topic.models]
    assert len(types) == len(set(types))
    assert all(kind.startswith("prizewire.") and kind.endswith(".v1") for kind in types)
    assert all(topic_of(kind).models[kind] for kind in types)
    assert schemas.main(["--check"]) == 0


def test_sent_events_satisfy_their_own_schema():
    """A consumer in another language that validates by our JSON Schema accepts our bytes."""
    schema = json.loads(schemas.render()["prizewire.payout.held.v1.json"])
    Draft202012Validator(schema).validate(orjson.loads(held().value))


def test_a_ready_made_cloudevents_library_reads_our_messages():
    """The CloudEvents SDK parses our structured message with all its attributes."""
    message = KafkaMessage(headers={"content-type": CONTENT_TYPE.encode()}, key=b"c-1", value=held().value)
    event = from_structured(message, JSONFormat())
    assert event.get_type() == "prizewire.payout.held.v1"
    assert event.get_extension("correlationid") == "c-1"
    assert event.get_extension("aggregateversion") == 1
    nothing = {"campaign": None, "competition": None, "source": None}
    assert event.get_data() == {"payout_id": str(PAYOUT), "reason": "limit_exceeded", **nothing}


def test_encoding_is_deterministic():
    """The same event derived twice is the same bytes under the same id."""
    assert held().value == held().value
    assert held().event_id == held("other").event_id


def test_a_signed_event_is_accepted_and_any_changed_byte_is_not():
    """Verification covers every attribute and the whole of the data."""
    raw = orjson.loads(held().value)
    assert decode(topic=PAYOUTS, value=held().value, trust=trust()).event.data.reason == "limit_exceeded"
    for name, value in {"subject": "x", "time": "2026-03-01T12:00:01+00:00", "aggregateversion": 2, "id": "y",
                        "correlationid": "z", "causationid": "q"}.items():  # fmt: skip
        with pytest.raises(EventRefused) as refused:
            decode(topic=PAYOUTS, value=orjson.dumps({**raw, name: value}), trust=trust())
        assert refused.value.code == "signature_invalid"
    traced = orjson.dumps({**raw, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert decode(topic=PAYOUTS, value=traced, trust=trust())


@pytest.mark.parametrize(
    ("store", "code"),
    [
        (trust(service="rewards"), "key_not_trusted"),
        (trust(uses=("intent",)), "key_not_trusted"),
        (trust(not_after=NOW), "key_not_trusted"),
        (trust(not_before=NOW + timedelta(microseconds=1)), "key_not_trusted"),
        (TrustStore([]), "key_not_trusted"),
    ],
)
def test_only_pinned_keys_count(store, code):
    """A key of another service, for another use, out of its time, or unknown, proves nothing."""
    with pytest.raises(EventRefused) as refused:
        decode(topic=PAYOUTS, value=held().value, trust=store)
    assert refused.value.code == code


@pytest.mark.parametrize("name", ["keyid", "signature"])
def test_a_service_event_without_signature_is_refused(name):
    """Neither the key's name nor the signature may be left out."""
    raw = orjson.loads(held().value)
    del raw[name]
    with pytest.raises(EventRefused) as refused:
        decode(topic=PAYOUTS, value=orjson.dumps(raw), trust=trust())
    assert refused.value.code == "signature_missing"


def test_every_event_of_a_service_is_bound_to_its_producer():
    """No type that a service acts on can be forged: its producer's signature is mandatory. Only a competition says
    whether its game servers sign, and rewards pins who signs facts of players. Audit records come from
    all services, each of which signs its own.
    """
    for topic in TOPICS:
        for kind, model in topic.models.items():
            if topic is AUDIT:
                assert (model.signed, model.producer, model.keyed_by_subject) == (True, None, True), kind
            elif topic.producers <= {"game-server", "identity"}:
                assert (model.signed, model.producer) == (False, None), kind
            else:
                assert (model.signed, {model.producer}) == (True, set(topic.producers)), kind


def test_every_type_says_whether_money_waits_for_it():
    """A new type must be put into one of the two tables; one that nobody knows counts as money."""
    types = {kind for topic in TOPICS for kind in topic.models}
    assert types == MONEY_EVENTS | OTHER_EVENTS
    assert not MONEY_EVENTS & OTHER_EVENTS
    assert holds_money("prizewire.payout.paid.v1")
    assert not holds_money("prizewire.payout.cancel_requested.v1")
    assert holds_money(None)
    assert holds_money("prizewire.unheard_of.v1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aggregateversion", 0),
        ("aggregateversion", 2**31),
        ("aggregateversion", None),
        ("correlationid", None),
        ("correlationid", ""),
        ("correlationid", "a b"),
        ("correlationid", "é"),
        ("correlationid", "c" * 129),
        ("source", "/prizewire/payouts\n"),
        ("keyid", "k" * 129),
        ("signature", "00"),
        ("signature", "G" * 128),
        ("time", "2026-03-01T12:00:00"),
        ("subject", "s" * 257),
        ("datacontenttype", "text/plain"),
    ],
)
def test_malformed_attributes_of_service_events_are_refused(name, value):
    """Attributes that are stored, compared or used as a key have bounds, before any signature is looked at."""
    raw = {**orjson.loads(held().value), name: value}
    with pytest.raises(EventRefused) as refused:
        decode(topic=PAYOUTS, value=orjson.dumps(raw), trust=trust())
    assert refused.value.code == "schema_invalid"


@pytest.mark.parametrize(
    "amount", ["-1.00", "+1", "1e3", "01", ".5", "5.", "1,5", " 1", "1\n", "", "1.0000000000000000000", 1]
)
def test_amounts_in_events_are_plain_decimal_strings(amount):
    """An amount on the wire has one way to be written, and is never a number."""
    raw = {
        **orjson.loads(held().value),
        "type": "prizewire.payout.returned.v1",
        "data": {
            "payout_id": str(PAYOUT), "return_ref": "r-1", "asset": "EUR", "amount": "1.00", "fee": "0.00",
        },
    }  # fmt: skip
    signed = orjson.dumps(sign_raw(topic=PAYOUTS.name, raw=raw, key=KEY))
    assert decode(topic=PAYOUTS, value=signed, trust=trust()).event.data.amount == "1.00"
    raw["data"]["amount"] = amount
    with pytest.raises(EventRefused) as refused:
        decode(topic=PAYOUTS, value=orjson.dumps(raw), trust=trust())
    assert refused.value.code == "schema_invalid"


def test_a_signature_is_bound_to_its_topic():
    """The same bytes signed for one topic are worth nothing on another."""
    raw = sign_raw(topic="prizewire.other.v1", raw=orjson.loads(held().value), key=KEY)
    with pytest.raises(EventRefused) as refused:
        decode(topic=PAYOUTS, value=orjson.dumps(raw), trust=trust())
    assert refused.value.code == "signature_invalid"


def test_only_the_producing_service_may_be_the_source():
    """An event that names another source than its producer is refused before its signature is looked at."""
    raw = {**orjson.loads(held().value), "source": "/prizewire/rewards"}
    with pytest.raises(EventRefused) as refused:
        decode(topic=PAYOUTS, value=orjson.dumps(raw), trust=trust())
    assert refused.value.code == "source_not_allowed"


def match(**data) -> bytes:
    body = {"match_id": "m-1", "competition": "c-1", "results": [{"player": "p-1", "place": 1}], **data}
    return orjson.dumps({
        "specversion": "1.0", "id": "1", "source": "https://game.example/eu", "type": "prizewire.match.completed.v1",
        "time": NOW.isoformat(), "subject": "m-1", "data": body,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "not_json"),
        (b"{", "not_json"),
        (b"x" * 1_000_001, "message_too_large"),
        (b"7", "not_cloudevent"),
        (match().replace(b'"1.0"', b'"0.3"'), "not_cloudevent"),
        (match().replace(b"completed.v1", b"completed.v2"), "unsupported_version"),
        (match().replace(b"completed.v1", b"exploded.v1"), "unknown_type"),
        (match(prize=1.5), "float_refused"),
        (match(prize=2**53), "number_out_of_range"),
        (match(prize="?").replace(b'"?"', b"1" + b"0" * 30), "number_out_of_range"),
        (match(prize="?").replace(b'"?"', b"-1e30"), "number_out_of_range"),
        (match(prize="?").replace(b'"?"', b"1e400"), "number_out_of_range"),
        (match(prize="?").replace(b'"?"', b"1" * 5_000), "number_out_of_range"),
        (match(prize="?").replace(b'"?"', b"Infinity"), "not_json"),
        (match(prize="?").replace(b'"?"', b"1e400, 7"), "not_json"),
        (match(results=[{"player": "p-1"}]), "schema_invalid"),
        (match(results=[]), "schema_invalid"),
        (match(results=[{"player": "p 1", "place": 1}]), "schema_invalid"),
        (match().replace(b'"subject":"m-1"', b'"subject":"m\\u00001"'), "schema_invalid"),
        (match().replace(b'"id":"1"', b'"id":"1\\n"'), "schema_invalid"),
        (match(results=[{"player": "p", "place": 0}]), "schema_invalid"),
        (match(results=[{"player": "p", "scores": {"points": "1e3"}}]), "schema_invalid"),
    ],
)
def test_bad_messages_have_stable_reasons(value, code):
    """Each kind of bad message on the matches topic is refused with its own code."""
    with pytest.raises(EventRefused) as refused:
        decode(topic=MATCHES, value=value, trust=TrustStore([]))
    assert refused.value.code == code


def test_a_message_by_another_way_may_be_larger():
    """Its bound is the caller's; without one it is that of a message of Kafka."""
    spaced = match() + b" " * 1_000_000
    assert decode(topic=MATCHES, value=spaced, trust=TrustStore([]), bytes_max=len(spaced)).event.id == "1"
    for bound in ({}, {"bytes_max": len(spaced) - 1}):
        with pytest.raises(EventRefused) as refused:
            decode(topic=MATCHES, value=spaced, trust=TrustStore([]), **bound)
        assert refused.value.code == "message_too_large"


def test_game_servers_signatures_use_the_same_mechanism():
    """A match event signed with a competition's key verifies by that key only."""
    raw = sign_raw(topic=MATCHES.name, raw=orjson.loads(match()), key=KEY)
    verify_raw(topic=MATCHES.name, raw=raw, public_key=KEY.public_key)
    other = MessageKey.from_seed(keyid="game-1", seed=bytes(range(32)))
    for broken, public_key, code in (
        ({**raw, "id": "2"}, KEY.public_key, "signature_invalid"),
        ({**raw, "signature": "zz"}, KEY.public_key, "signature_invalid"),
        ({**raw, "signature": 7}, KEY.public_key, "signature_missing"),
        (orjson.loads(match()), KEY.public_key, "signature_missing"),
        (raw, other.public_key, "signature_invalid"),
        (raw, "zz", "key_not_trusted"),
        (raw, "00", "key_not_trusted"),
    ):
        with pytest.raises(NotTrusted) as refused:
            verify_raw(topic=MATCHES.name, raw=broken, public_key=public_key)
        assert refused.value.code == code


def test_a_cancel_names_a_code_of_payouts():
    """What a cancel says is what the payout ends with; where it says nothing, its player asked."""
    codes = get_args(PayoutCancelRequested.model_fields["code"].annotation)
    assert set(codes) <= set(PayoutCode)
    said = PayoutCancelRequested(payout_id=PAYOUT, by="ann", reason="stop")
    assert said.code == PayoutCode.CANCELLED_BY_PLAYER


def test_every_payout_code_has_a_decision():
    """No code is without a retry decision; an unknown word or outcome never leads to another attempt."""
    assert set(PAYOUT_DECISIONS) == set(PayoutCode)
    assert decision_for("not_in_the_table") is RetryDecision.LOOK_UP
    assert decision_for(PayoutCode.OUTCOME_UNKNOWN) is RetryDecision.LOOK_UP


def test_every_payout_code_has_a_cause():
    """A new code is put on one side, since alerts leave out those of payees; an unknown word is for an operator to look at."""
    assert set(PAYOUT_CAUSES) == set(PayoutCode)
    assert cause_for("no_trustline") is PayoutCause.PAYEE
    assert cause_for("not_in_the_table") is PayoutCause.INSTALLATION


def test_keys_do_not_show_themselves():
    """A message key's repr holds nothing secret."""
    assert "0000" not in repr(KEY)


def test_payouts_over_the_signers_rails_need_a_tombstone():
    """Money of a payout that could go out on a chain comes back only with the signer's closure; a type left out here
    would be given back while its signature may live.
    """
    assert {RailType.STELLAR, RailType.TON_WALLET} == SIGNER_RAILS
