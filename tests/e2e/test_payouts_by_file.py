"""Sponsors, casters and staff are paid by a file: tried, filed, approved once by another person, and paid over three rails."""

import csv
from pathlib import Path
from uuid import UUID

from prizewire_devstack.cli import payout_files
from prizewire_devstack.components.stellar import assets
from prizewire_devstack.demo.by_hand import RAIL, PaidByHand
from prizewire_devstack.demo.following import Prize
from prizewire_devstack.demo.players import create_accounts
from prizewire_devstack.stack import RunningStack
from prizewire_devstack.waiting import eventually_sync
from tests.scene import Scene

ACCOUNT = "file-casters"
DEADLINE_S = 600


def write(file: Path, address: str) -> Path:
    """One payout to a bank account, one to an account of the fake rail, one to an address."""
    with file.open("w", newline="", encoding="utf-8") as text:
        rows = csv.writer(text)
        rows.writerow(("reference", "amount", "type", "holder", "iban", "account", "address"))
        rows.writerow(("ana", "250.00", "bank", "Ana Example", "DE89370400440532013000", "", ""))
        rows.writerow(("ben", "40.00", "fake", "", "", "file-ben", ""))
        rows.writerow(("cat", "9.50", "stellar", "", "", "", address))
    return file


def pay_by_hand(scene: Scene, payout_id: str) -> None:
    """Two persons claim, pay and prove the payment to the bank."""
    hand = PaidByHand(lambda person: scene.api("operator", "approver", "admin", subject=person))
    line = Prize(
        place=1, player_id="", player="", amount="250.00", rail=RAIL, status="pending", payout_id=payout_id,
        tx_hash=None, ledger=None, reference=None,
    )  # fmt: skip
    eventually_sync(lambda: hand.pay([line]) == 1, deadline_s=DEADLINE_S)


def test_a_file_is_approved_once_and_paid_once(full_stack: RunningStack, tmp_path: Path) -> None:
    """One approval pays all three lines; the same file again pays nothing; every service finds its invariants kept."""
    scene = Scene(full_stack, "file", 1)
    [cat] = scene.addresses.values()
    create_accounts(full_stack.chain, [cat], {one.code: one for one in assets(full_stack.keyring.stellar())})
    file = write(tmp_path / "april.csv", cat.keypair.public_key)
    with scene.api() as ada:
        ada.post("/api/funding-accounts", {"name": ACCOUNT, "asset": "USDC"}, key="file:account")
        ada.post(
            f"/api/funding-accounts/{ACCOUNT}/fund",
            {"amount": "1000.00", "reference": "wire"},
            key="file:fund",
        )

    def sent(*, dry_run: bool) -> tuple[str | None, list[tuple[str, str | None]]]:
        with scene.api("operator", subject="olga") as olga:
            answer = payout_files.send(olga, file, account=ACCOUNT, reason="casters", dry_run=dry_run)
        return answer["batch_id"], [(one["state"], one["payout_id"]) for one in answer["lines"]]

    assert sent(dry_run=True) == (None, [("accepted", None)] * 3)
    batch, lines = sent(dry_run=False)
    assert batch is not None
    payouts = [payout_id for _, payout_id in lines if payout_id is not None]
    listed = ", ".join(f"'{one}'" for one in payouts)

    def states() -> list[str]:
        query = f"SELECT state FROM payouts WHERE payout_id IN ({listed})"
        return full_stack.postgres.run_sql(query, database="payouts").split()

    eventually_sync(lambda: states() == ["held"] * 3, deadline_s=DEADLINE_S)
    with scene.api("approver", subject="apo") as apo:
        decided = payout_files.decide(apo, UUID(batch), approve=True, text=None, as_json=True, yes=True)
    assert decided == 0
    pay_by_hand(scene, payouts[0])
    eventually_sync(lambda: states() == ["paid"] * 3, deadline_s=DEADLINE_S)
    assert sent(dry_run=False) == (batch, [("repeated", payout_id) for payout_id in payouts])
    assert scene.breaches() == []
