"""What trust.json may say, and what a signature by a message key is worth: one use each."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest

from prizewire_contracts import intents
from prizewire_contracts.intents import AllowedWay, Approval, Intent, commitment
from prizewire_contracts.trust import USES, MessageKey, NotTrusted, TrustStore, event_signing_bytes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = MessageKey.from_seed(keyid="payouts-1", seed=bytes(32))
INTENT = Intent(
    v=2, network="test", payout_id="p-1", correlation_id="c-1", player="ana", campaign="spring", competition="spring-cup", source="/games/chess", quote=None, funding_account=None,
    debit_asset="EUR", debit_amount="1.00", pay_asset="EUR", pay_amount="1.00",
    allowed=(AllowedWay(rail="fake", commitment="00" * 32, amount_max="1.00"),), issued_at=1, expires_at=2, key_id="rewards-1",
)  # fmt: skip
APPROVAL = Approval(
    v=1, kind="payment", network="test", chain="stellar", account="G", sequence="7", revision=1, tx_hash="00" * 32,
    max_time=9, fee_cap=100, items=("p-1",), key_id="payouts-1",
)  # fmt: skip


def entry(**changes):
    return {
        "keyid": KEY.keyid, "service": "payouts", "uses": sorted(USES), "public_key": KEY.public_key,
        "not_before": "2026-01-01T00:00:00+00:00", "not_after": "2027-01-01T00:00:00+00:00", **changes,
    }  # fmt: skip


def store(*entries) -> TrustStore:
    return TrustStore.from_json(json.dumps({"keys": list(entries)}))


def test_a_good_entry_verifies():
    """Where nothing is wrong, the key counts for what it is pinned for."""
    store(entry()).verify(
        keyid=KEY.keyid, service="payouts", use="event", message=b"m", signature=KEY.sign(b"m"), at=NOW
    )


def test_each_purpose_and_key_derives_a_key_of_its_own():
    """Neither another purpose nor another message key derives the same."""
    other = MessageKey.from_seed(keyid=KEY.keyid, seed=bytes(31) + b"1")
    derived = [KEY.derived(b"a"), KEY.derived(b"b"), other.derived(b"a")]
    assert len(set(derived)) == 3
    assert {len(one) for one in derived} == {32}
    assert derived[0] == MessageKey.from_seed(keyid="x", seed=bytes(32)).derived(b"a")


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry(), entry(service="rewards")], "twice"),
        ([entry(uses=["event", "everything"])], "unknown uses"),
        ([entry(public_key="zz")], "hexadecimal"),
        ([entry(public_key="00")], "32 bytes"),
        ([entry(public_key=7)], "wrong type"),
        ([entry(keyid=7)], "wrong type"),
        ([entry(service=True)], "wrong type"),
        ([entry(uses="event")], "wrong type"),
        ([entry(uses={"event": 1})], "wrong type"),
        ([entry(not_before=1767225600)], "wrong type"),
        ([entry(public_key=f" {KEY.public_key}")], "white space"),
        ([entry(not_before="soon")], "isoformat"),
        ([entry(not_before="2026-01-01T00:00:00")], "not_before .* needs an offset"),
        ([entry(not_after="2027-01-01T00:00:00")], "not_after .* needs an offset"),
        ([{name: value for name, value in entry().items() if name != "service"}], "'service'"),
        (["payouts-1"], "wrong type"),
    ],
)
def test_a_malformed_trust_file_is_refused(entries, said):
    """A mistake in trust.json stops the start with a sentence, and never waits for the first event."""
    with pytest.raises(ValueError, match=said):
        store(*entries)


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def test_signed_bytes_are_pinned():
    """The bytes under each signature are tag and canonical JSON, to the last byte: both sides derive them with the
    same code, so that only this test would notice a change.
    """
    assert INTENT.signing_bytes() == b"prizewire:intent:v1\n" + canonical(asdict(INTENT))
    assert APPROVAL.signing_bytes() == b"prizewire:approval:v1\n" + canonical(asdict(APPROVAL))
    raw = {"id": "1", "signature": "s", "traceparent": "t"}
    assert event_signing_bytes(topic="t.v1", raw=raw) == b'prizewire:event:v1\nt.v1\n{"id":"1"}'
    details = {"iban": "DE00"}
    salted = canonical(["prizewire:method:v1\n", "07" * 32, details])
    assert commitment(salt=bytes([7]) * 32, details=details) == hashlib.sha256(salted).hexdigest()


def test_no_tag_begins_another():
    """What is signed for one use can never be read as something signed for another."""
    tags = [value for name, value in vars(intents).items() if name.endswith("_TAG")]
    assert len(tags) == 5
    assert [(a, b) for a in tags for b in tags if a is not b and b.startswith(a)] == []
    assert all(tag.endswith(b"\n") for tag in tags)


@pytest.mark.parametrize("use", sorted(USES))
def test_a_use_that_is_not_pinned_is_refused(use):
    """A key counts only for the uses that stand beside it, whatever it signed."""
    pinned = store(entry(uses=sorted(USES - {use})))
    with pytest.raises(NotTrusted) as refused:
        pinned.verify(
            keyid=KEY.keyid, service="payouts", use=use, message=b"m", signature=KEY.sign(b"m"), at=NOW
        )
    assert refused.value.code == "key_not_trusted"


@pytest.mark.parametrize(
    "changed",
    [
        replace(INTENT, pay_amount="2.00"),
        replace(INTENT, player="ben"),
        replace(INTENT, expires_at=3),
        replace(INTENT, network="public"),
        replace(
            INTENT, allowed=(AllowedWay(rail="fake", commitment="00" * 32, memo="1", amount_max="1.00"),)
        ),
    ],
)
def test_an_intent_covers_every_term(changed):
    """Amount, player, expiry, network and memo stand under the signature."""
    pinned = store(entry())
    with pytest.raises(NotTrusted) as refused:
        pinned.verify(
            keyid=KEY.keyid, service="payouts", use="intent", message=changed.signing_bytes(),
            signature=KEY.sign(INTENT.signing_bytes()), at=NOW,
        )  # fmt: skip
    assert refused.value.code == "signature_invalid"


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_commitment_needs_a_whole_salt(size):
    """Details of low entropy are guessed where the salt is short."""
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(salt=bytes(size), details={})
