"""Every id in every database follows from these derivations: they never change, and no two things share an id."""

from uuid import RFC_4122, UUID

import pytest

from prizewire_contracts import ids

ROUND, PAYOUT = UUID("6f1d8a52-9c3e-5b47-8d21-0a4be7c5f913"), UUID(int=2)
CALLS = {
    "match_correlation_id": {"source": "s", "match_id": "m"},
    "round_id": {"source": "s", "match_id": "m"},
    "reward_id": {"round_id": ROUND, "player": "p"},
    "payout_id_for_round": {"round_id": ROUND, "player": "p", "ordinal": 1},
    "http_id": {"actor": "a", "route": "r", "idempotency_key": "k"},
    "transfer_id": {"cause": "c", "index": 0},
    "event_id": {"source": "s", "subject": "t", "version": 1, "kind": "k"},
    "provider_key": {"payout_id": PAYOUT, "attempt_no": 1},
    "slot_id": {"chain": "c", "network": "n", "account": "a", "sequence": 2**60},
}
PINNED = {
    "match_correlation_id": "8107d38d-e60c-5fb4-a070-0fdea33c8c8c",
    "round_id": "060cf353-8fd0-524d-8158-ae44bf113db3",
    "reward_id": "6f1d8a52-9c3e-8b47-9f6c-e3bdce40b109",
    "payout_id_for_round": "910805a6-f5bf-5fb8-94a3-a32f7b87541c",
    "http_id": "4c3474d1-dd89-53a1-88ae-6b7a8b03b3d7",
    "transfer_id": "b7034da8-bd55-8e23-a9f7-9fc812500000",
    "event_id": "491e79a6-a45d-5f7a-a9c5-9b21fbbb140e",
    "provider_key": "e4d48c55-556a-5e78-bb20-95be5172848b",
    "slot_id": "48e55602-c8a3-5314-804f-ccff78196698",
}


def changed(value):
    if isinstance(value, UUID):
        return UUID(int=value.int + 1)
    return value + 1 if isinstance(value, int) else value + "x"


@pytest.mark.parametrize("name", sorted(CALLS))
def test_ids_are_pinned(name):
    """A replay of old events by new code derives the ids that stand in the databases."""
    assert str(getattr(ids, name)(**CALLS[name])) == PINNED[name]


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name, call in CALLS.items() for argument in call]
)
def test_every_cause_counts(name, argument):
    """Things that differ in one cause differ in their id."""
    derive, call = getattr(ids, name), CALLS[name]
    assert derive(**call) != derive(**{**call, argument: changed(call[argument])})


def test_kinds_and_neighbours_do_not_meet():
    """Equal causes of two kinds, or the same letters cut elsewhere, are other ids."""
    assert ids.derive("round", "a", "b") != ids.derive("match", "a", "b")
    assert ids.derive("x", "ab", "c") != ids.derive("x", "a", "bc")
    assert ids.derive("x", "1") != ids.derive("x", 1)


@pytest.mark.parametrize("cause", [1.0, True, None, b"a", 2**53, -(2**53)])
def test_an_id_has_canonical_causes_only(cause):
    """What has no single canonical form would give one thing two ids."""
    with pytest.raises(TypeError, match="derived from"):
        ids.derive("x", cause)


def test_prizes_of_a_round_lie_together():
    """Rewards begin as their round does, and are UUIDs that any reader takes."""
    rewards = [ids.reward_id(round_id=ROUND, player=f"p-{n}") for n in range(1000)]
    assert len(set(rewards)) == 1000
    assert {str(reward)[:15] for reward in rewards} == {"6f1d8a52-9c3e-8"}
    assert {(reward.version, reward.variant) for reward in rewards} == {(8, RFC_4122)}


def test_transfers_of_a_cause_are_numbered():
    """Those of one cause follow one another; another cause begins elsewhere."""
    found = ids.transfer_ids(cause="c", indexes=[0, 1, 2**20 - 1])
    assert [one.int - found[0].int for one in found] == [0, 1, 2**20 - 1]
    assert {(one.version, one.variant) for one in found} == {(8, RFC_4122)}
    assert ids.transfer_id(cause="c", index=1) == found[1]
    assert abs(ids.transfer_id(cause="d", index=0).int - found[0].int) > 2**20


@pytest.mark.parametrize("index", [-1, 2**20])
def test_a_transfer_beyond_the_last_number_is_refused(index):
    """It would take the id of another cause."""
    with pytest.raises(ValueError, match="fewer than 1048576"):
        ids.transfer_id(cause="c", index=index)
