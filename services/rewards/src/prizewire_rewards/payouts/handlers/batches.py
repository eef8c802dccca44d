"""Handlers of files of operators' payouts: each line is judged, and all are filed together, or none."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from prizewire_contracts import ids
from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.ledger.domain.records import CreditParties, funding_source
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.domain.batches import (
    FiledLine,
    JudgedLine,
    LineState,
    PayoutBatch,
    Problem,
    pays_the_same,
    total_of,
)
from prizewire_rewards.payouts.domain.commands import FileBatch, OperatorPayout
from prizewire_rewards.payouts.domain.funding import FundingAccount
from prizewire_rewards.payouts.domain.model import BatchPlace, Payout, PayoutRequested
from prizewire_rewards.payouts.handlers.funding import account_of, check_terms, covered, operator_payout
from prizewire_rewards.payouts.handlers.requests import request_in
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools


async def judge_batch(
    command: FileBatch, *, ports: PayoutPorts, tools: PayoutTools
) -> tuple[FundingAccount, list[JudgedLine]]:
    """Judge each line of a file, with the account that pays it. The account's money is locked, and covers all accepted lines.

    Raises:
        NotFound: ``funding_unknown``.
        InsufficientBalance: no line is refused, and the account holds less than the accepted ones.
    """
    account = await account_of(command.funding_account, ports=ports)
    await covered(account, 0, ports=ports, tools=tools)
    references = [one.reference for one in command.lines]
    earlier = await ports.payouts.with_references(references, funding_account=account.name)
    times = Counter(references)
    judged = [
        _judged(line, times[line.reference], earlier.get(line.reference), account=account, tools=tools)
        for line in command.lines
    ]
    if not any(one.state is LineState.REFUSED for one in judged):
        _, amount = total_of(judged, LineState.ACCEPTED)
        await covered(account, amount, ports=ports, tools=tools)
    return account, judged


def _judged(
    line: FiledLine, times: int, earlier: Payout | None, *, account: FundingAccount, tools: PayoutTools
) -> JudgedLine:
    problem = line.problem or _problem_of(line, times, account=account, tools=tools)
    if problem is None and earlier is not None:
        if pays_the_same(line, earlier):
            return JudgedLine(
                filed=line,
                state=LineState.REPEATED,
                payout_id=earlier.id,
                batch_id=None if earlier.batch is None else earlier.batch.id,
            )
        problem = Problem(
            "reference_used",
            f"payout {earlier.id} out of {account.name} has this reference, and another amount or destination: look at that one, "
            "or send another reference",
        )
    if problem is not None:
        return JudgedLine(filed=line, state=LineState.REFUSED, problem=problem)
    return JudgedLine(filed=line, state=LineState.ACCEPTED)


def _problem_of(
    line: FiledLine, times: int, *, account: FundingAccount, tools: PayoutTools
) -> Problem | None:
    if times > 1:
        return Problem("reference_repeated", f"{times} lines have this reference: each line needs its own")
    assert line.destination is not None
    try:
        check_terms(line.destination, line.amount, account=account, tools=tools)
    except InvalidRequest as error:
        return Problem(error.code, error.detail)
    return None


async def file_batch(
    command: FileBatch, *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> tuple[PayoutBatch | None, list[JudgedLine]]:
    """File the accepted lines of a file as payouts of one batch. Repeated lines are not filed again; where all are, there is no
    batch. Where a line is refused nothing is filed, and there is no batch either.

    Raises:
        NotFound, InsufficientBalance: as ``judge_batch``.
        InvalidRequest: ``sealing_key_missing``.
    """
    account, judged = await judge_batch(command, ports=ports, tools=tools)
    accepted = [one.filed for one in judged if one.state is LineState.ACCEPTED]
    if not accepted or any(one.state is LineState.REFUSED for one in judged):
        return None, judged
    batch = PayoutBatch(
        id=command.id,
        funding_account=account.name,
        reason=command.reason,
        filed_by=command.operator,
        lines=len(accepted),
        total=sum(one.amount for one in accepted),
    )
    payouts = await _file(batch, accepted, account=account, ports=ports, tools=tools, now=now)
    by_line = {line.line: payout.id for line, payout in zip(accepted, payouts, strict=True)}
    return batch, [
        one.with_payout(by_line[one.filed.line], batch_id=batch.id) if one.filed.line in by_line else one
        for one in judged
    ]


async def _file(
    batch: PayoutBatch,
    lines: Sequence[FiledLine],
    *,
    account: FundingAccount,
    ports: PayoutPorts,
    tools: PayoutTools,
    now: datetime,
) -> list[Payout]:
    """File lines as payouts, numbered from 1 among those that are filed."""
    credited_by = CreditParties(await ports.parties.of_source(funding_source(account.name)))
    uow = UnitOfWork(ports, now=now)
    payouts: list[Payout] = []
    for number, line in enumerate(lines, 1):
        assert line.destination is not None
        command = OperatorPayout(
            id=ids.payout_id_for_batch(batch_id=batch.id, line=number),
            funding_account=account.name,
            amount=line.amount,
            destination=line.destination,
            operator=batch.filed_by,
            reason=batch.reason,
            reference=line.reference,
        )
        payout, sealed = operator_payout(
            command,
            account=account,
            credited_by=credited_by,
            batch=BatchPlace(batch.id, number),
            tools=tools,
            now=now,
        )
        payouts.append(payout)
        request_in(uow, payout)
        uow.events.append(PayoutRequested(payout=payout, sealed=sealed, batch_lines=batch.lines))
    await ports.batches.add(batch, now=now)
    await ports.payouts.add(payouts, now=now)
    await uow.save()
    return payouts
