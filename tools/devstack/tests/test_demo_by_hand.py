"""The persons of the demonstration who pay by hand: each step is made by the right one, once."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from prizewire_devstack.api import Api
from prizewire_devstack.demo.by_hand import CHECKER, FORMAT, PAYER, PaidByHand
from prizewire_devstack.demo.following import Prize


def prize(payout: str, *, rail: str = "manual", status: str = "pending") -> Prize:
    return Prize(
        place=1, player_id=payout, player=payout, amount="1.00", rail=rail, status=status, payout_id=payout,
        tx_hash=None, ledger=None, reference=None,
    )  # fmt: skip


class Payouts:
    """The routes of payments by hand; they note who asked for what."""

    def __init__(self) -> None:
        self.open = ["p-1", "p-2", "of-another-run"]
        self.asked: list[tuple[str, str]] = []
        self.carried = ["ref-p-1", "ref-p-2"]

    def client(self, person: str) -> Api:
        return cast("Api", Client(self, person))


class Client:
    def __init__(self, payouts: Payouts, person: str) -> None:
        self.payouts = payouts
        self.person = person

    def items(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        assert query == {"state": "open"}
        yield from ({"payout_id": one, "reference": f"ref-{one}"} for one in self.payouts.open)

    def get(self, path: str, **query: str) -> Any:
        assert query == {"format": FORMAT}
        self.payouts.asked.append((self.person, path.rpartition("/")[2]))
        return {"name": "batch.xml", "content": " ".join(self.payouts.carried)}

    def post(self, path: str, body: Any, *, key: str) -> Any:
        verb = path.rpartition("/")[2]
        self.payouts.asked.append((self.person, verb))
        if verb == "claims":
            self.payouts.open = [one for one in self.payouts.open if one not in body["payout_ids"]]
            return {
                "batch_id": "b-1",
                "items": [{"payout_id": one, "code": None} for one in body["payout_ids"]],
            }
        assert body["finding"] == "paid"
        return {"evidence": [{"evidence_id": "e-1", "state": "filed"}]}


def test_one_person_claims_and_files_and_another_confirms() -> None:
    """The lines of the run are one batch; lines of others stay open, and nothing is claimed twice."""
    payouts = Payouts()
    by_hand = PaidByHand(payouts.client)
    prizes = [prize("p-1"), prize("p-2"), prize("p-3", rail="fake"), prize("p-4", status="approved")]
    assert by_hand.pay(prizes) == 2
    assert payouts.asked == [
        (PAYER, "claims"),
        (PAYER, "export"),
        (PAYER, "evidence"),
        (CHECKER, "confirm"),
        (PAYER, "evidence"),
        (CHECKER, "confirm"),
    ]
    assert payouts.open == ["of-another-run"]
    assert [(one.payout_ids, one.exported) for one in by_hand.batches] == [(("p-1", "p-2"), "batch.xml")]
    assert by_hand.pay(prizes) == 0


def test_a_file_without_a_payment_is_noticed() -> None:
    """Nothing is proved of a payment that the exported file does not carry."""
    payouts = Payouts()
    payouts.carried = ["ref-p-1"]
    with pytest.raises(AssertionError, match="ref-p-2"):
        PaidByHand(payouts.client).pay([prize("p-1"), prize("p-2")])
    assert "evidence" not in [verb for _, verb in payouts.asked]
