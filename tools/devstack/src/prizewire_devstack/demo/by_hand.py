"""The persons who pay by hand: one claims payments, exports them for the bank and files evidence; another one confirms it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from prizewire_devstack.api import Api
from prizewire_devstack.demo.following import Prize

RAIL: Final = "manual"
"""The name of the rail in the local stack."""
PENDING: Final = "pending"
FORMAT: Final = "pain.001.001.09"
"""The bank file: ISO 20022 customer credit transfer initiation."""
PAYER: Final = "demo-payer"
CHECKER: Final = "demo-checker"
_LINES: Final = f"/api/admin/payouts/by-hand/{RAIL}"
_REVIEWS: Final = "/api/admin/payouts/reviews"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Payments that one person claimed: ``exported`` is the name of the bank file that carries all their references."""

    payout_ids: tuple[str, ...]
    exported: str


class PaidByHand:
    """Pays the open lines of a run as two persons do. No bank is asked: the evidence is invented."""

    def __init__(self, api_for: Callable[[str], Api]) -> None:
        self._payer, self._checker = api_for(PAYER), api_for(CHECKER)
        self.batches: list[Batch] = []

    def pay(self, prizes: Iterable[Prize]) -> int:
        """Claim, export and prove the open lines of these prizes; return how many."""
        payout_ids = {one.payout_id for one in prizes if one.rail == RAIL and one.status == PENDING}
        if not payout_ids:
            return 0
        lines = [
            line
            for line in self._payer.items(f"{_LINES}/lines", state="open")
            if line["payout_id"] in payout_ids
        ]
        if not lines:
            return 0
        batch_id = self._claim(lines)
        self._export(batch_id, lines)
        for number, line in enumerate(lines, 1):
            self._prove(line["payout_id"], reference=f"{batch_id}/{number}")
        return len(lines)

    def _claim(self, lines: list[dict[str, Any]]) -> str:
        ids = [line["payout_id"] for line in lines]
        answer = self._payer.post(f"{_LINES}/claims", {"payout_ids": ids}, key=f"demo:claim:{ids[0]}")
        refused = [item for item in answer["items"] if item["code"] is not None]
        assert not refused, f"lines that were open could not be claimed: {refused}"
        batch_id: str = answer["batch_id"]
        return batch_id

    def _export(self, batch_id: str, lines: list[dict[str, Any]]) -> None:
        file = self._payer.get(f"{_LINES}/batches/{batch_id}/export", format=FORMAT)
        absent = [line["reference"] for line in lines if line["reference"] not in file["content"]]
        assert not absent, f"the bank file lacks {absent}"
        self.batches.append(
            Batch(payout_ids=tuple(line["payout_id"] for line in lines), exported=file["name"])
        )

    def _prove(self, payout_id: str, *, reference: str) -> None:
        found = {"finding": "paid", "reference": reference}
        review = self._payer.post(
            f"{_REVIEWS}/{payout_id}/evidence",
            {**found, "note": "demonstration: the invented account statement"},
            key=f"demo:evidence:{payout_id}",
        )
        evidence_id = next(one["evidence_id"] for one in review["evidence"] if one["state"] == "filed")
        self._checker.post(
            f"{_REVIEWS}/{payout_id}/evidence/{evidence_id}/confirm", found, key=f"demo:confirm:{payout_id}"
        )
