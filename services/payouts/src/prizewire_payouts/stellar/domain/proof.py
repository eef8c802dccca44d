"""What is proved of a transaction, from what nodes report. ERROR, txBAD_SEQ and NOT_FOUND are never outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from prizewire_payouts.stellar.domain.model import LookUp, LookUpStatus

APPLIED_FAILED = "txFAILED"
"""The one code of a FAILED transaction that says by itself that it was applied and consumed its sequence number."""


class Verdict(StrEnum):
    """What may be done with a transaction that is being checked."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    REVIEW = "review"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What one node answered, in the order in which it was asked: the source account's sequence number at a ledger that
    is not older than ``entry_ledger`` and closed not before ``close_time``, then each digest of the slot, oldest
    first. ``sequence`` is None where the account does not exist.
    """

    entry_ledger: int
    close_time: int
    sequence: int | None
    look_ups: tuple[LookUp, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict; ``digest`` is the index of the digest that the ledger holds, ``why`` a sentence for people."""

    verdict: Verdict
    why: str
    digest: int | None = None


def applied(look_up: LookUp, *, consumed: bool) -> Verdict | None:
    """Whether this look-up proves that the transaction was applied.

    A FAILED transaction whose code is not ``txFAILED`` proves it only where the account's sequence number shows
    that the slot is ``consumed``: some codes leave the number as it was.
    """
    if look_up.status is LookUpStatus.SUCCESS:
        return Verdict.SUCCEEDED
    if look_up.status is LookUpStatus.FAILED and look_up.result is not None:
        if look_up.result.code == APPLIED_FAILED:
            return Verdict.FAILED
        if consumed and look_up.result.code != "txBAD_SEQ":
            return Verdict.FAILED
    return None


def judge(*, sequence: int, max_time: int, since: int | None, reports: Sequence[NodeReport]) -> Finding:
    """Judge the newest digest of a slot with this ``sequence``.

    That it is dead needs every node's report: at a ledger past ``max_time`` the account's sequence number is still below the
    slot's. Where it is not, one of the slot's digests must have consumed it; if a node that is recent enough, and
    whose memory reaches back to ``since`` (the ledger of the first send), knows none of them, a person must look.
    """
    if not reports:
        return Finding(Verdict.WAIT, "no node has answered")
    for report in reports:
        consumed = report.sequence is not None and report.sequence >= sequence
        for index, look_up in enumerate(report.look_ups):
            outcome = applied(look_up, consumed=consumed)
            if outcome is not None:
                return Finding(outcome, f"the ledger {look_up.ledger} holds it", index)
    if any(report.sequence is None for report in reports):
        return Finding(Verdict.REVIEW, "the channel account does not exist")
    if any((report.sequence or 0) >= sequence for report in reports):
        return _consumed_by_whom(reports, sequence=sequence, since=since)
    if all(report.close_time > max_time for report in reports):
        newest = max(report.entry_ledger for report in reports)
        return Finding(Verdict.DEAD, f"at ledger {newest}, past maxTime, its sequence number is not consumed")
    return Finding(Verdict.WAIT, "maxTime has not passed at every node")


def _consumed_by_whom(reports: Sequence[NodeReport], *, sequence: int, since: int | None) -> Finding:
    for report in reports:
        if (report.sequence or 0) < sequence:
            continue
        if any(look_up.latest.sequence < report.entry_ledger for look_up in report.look_ups):
            return Finding(Verdict.WAIT, "the node looked digests up at an older ledger than the account")
        if since is not None and any(look_up.oldest > since for look_up in report.look_ups):
            return Finding(
                Verdict.REVIEW, "the slot is consumed, and the nodes' memory does not reach back to the send"
            )
    return Finding(Verdict.REVIEW, "the slot is consumed, and the ledger knows none of its digests")


MEMORY_MARGIN_S = 60
"""How much older than a signature the memory of a node must be, in seconds: the clocks of signer and ledger differ."""


def judge_unasked(*, max_time: int | None, signed_at: int, look_ups: Sequence[LookUp]) -> Finding:
    """Judge a transaction that payouts did not build, from what each node says of its hash; ``signed_at`` is Unix seconds.

    One node is enough for what was applied. That it can have no effect needs every node: past ``max_time``, and with a memory
    that reaches back before the signature.
    """
    for index, look_up in enumerate(look_ups):
        outcome = applied(look_up, consumed=False)
        if outcome is not None:
            return Finding(outcome, f"the ledger {look_up.ledger} holds it", index)
    if max_time is None or any(one.latest.close_time <= max_time for one in look_ups):
        return Finding(Verdict.WAIT, "maxTime is not known, or has not passed at every node")
    if any(one.oldest_time is None or one.oldest_time > signed_at - MEMORY_MARGIN_S for one in look_ups):
        return Finding(Verdict.WAIT, "a node's memory does not reach back to the signature")
    return Finding(Verdict.DEAD, "no node has it, and its maxTime has passed")
