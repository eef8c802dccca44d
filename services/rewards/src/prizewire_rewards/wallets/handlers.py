"""Opening balances from an earlier system. Each is booked once, also when it is sent again."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.parties import Party, PartyRole
from prizewire_rewards.ledger.domain.accounts import TransferType
from prizewire_rewards.ledger.handlers import Booking, UnitOfWork, credit_parties
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.wallets.domain.opening import Opening, Reconciliation, Refusal, classify, opening_move
from prizewire_rewards.wallets.ports import WalletPorts


def transfer_id_of(opening: Opening) -> UUID:
    """The id of the transfer of an opening balance. It follows from the key alone, not from the amount, so a repetition finds
    the transfer.
    """
    return ids.transfer_id(cause=f"{_cause_of(opening)}/{TransferType.OPENING_BALANCE}", index=0)


def _cause_of(opening: Opening) -> str:
    return f"opening/{ids.derive('opening', *opening.key)}"


async def import_balances(
    openings: Sequence[Opening],
    *,
    refused: Sequence[Refusal] = (),
    dry_run: bool,
    actor: str,
    ports: WalletPorts,
    tools: PayoutTools,
    now: datetime,
) -> Reconciliation:
    """Book new opening balances. A dry run books nothing and returns the same result.

    ``refused`` are rows that could not be read. Debts of a player are recovered from the credit, as from every credit.
    ``actor`` becomes a party of the money, as importer.
    """
    if not dry_run:
        await ports.openings.lock()
    keys = {transfer_id_of(opening): opening.key for opening in openings}
    booked = {keys[known]: amount for known, amount in (await ports.openings.booked(list(keys))).items()}
    intake = {
        asset: await ports.ledger.lock_intake(asset) for asset in sorted({one.asset for one in openings})
    }
    found = classify(openings, booked=booked, intake=intake, assets=tools.assets)
    before = await ports.openings.totals({opening.sum_key for opening in openings})
    if not dry_run:
        await _book(found.new, actor=actor, ports=ports, now=now)
    return Reconciliation(
        rows=len(openings) + len(refused),
        new=found.new,
        already=found.already,
        refused=sorted([*refused, *found.refused]),
        before=before,
    )


async def _book(openings: Sequence[Opening], *, actor: str, ports: WalletPorts, now: datetime) -> None:
    if not openings:
        return
    uow = UnitOfWork(ports, now=now)
    credited_by = credit_parties([Party(PartyRole.IMPORTER, actor)])
    for opening in openings:
        uow.bookings.append(
            Booking(
                [opening_move(opening)],
                cause=_cause_of(opening),
                correlation_id=str(ids.derive("opening", opening.reference)),
                credited_by=credited_by,
            )
        )
    posted = await uow.post()
    references = [opening.reference for opening in openings]
    await ports.ledger.document(posted, actor=actor, references=references, now=now)
    await uow.save()
