"""Answers of routes about payouts and their attempts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_contracts.parties import PartyRole
from prizewire_payouts.http import AssetCode, CorrelationId, DecimalAmount, RailName, TxHash
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.states import AttemptState, PayoutState

_Reference = Annotated[
    str | None,
    Field(
        description="The provider's own id of the payment. Null before it named one.", examples=["fake-17"]
    ),
]
_ChainHash = Annotated[TxHash | None, Field(description="The transaction that paid, on a chain.")]
_Ledger = Annotated[
    int | None, Field(description="The ledger of the transaction, on a chain.", examples=[52_417_301])
]


class ProofAnswer(AnswerModel):
    """Evidence of a payment: on a chain transaction, ledger and operation, elsewhere the rail's reference."""

    tx_hash: _ChainHash
    ledger: _Ledger
    op: Annotated[
        int | None, Field(description="The operation within the transaction, from 0.", examples=[0])
    ]
    reference: Annotated[str | None, Field(description="The rail's reference.", examples=[None])]


class PayoutAnswer(AnswerModel):
    """A payout."""

    payout_id: Id
    correlation_id: CorrelationId
    player: Annotated[
        str | None, Field(description="Who is paid. Null for an operator's payout.", examples=["ana"])
    ]
    state: Annotated[PayoutState, Field(examples=["paid"])]
    code: Annotated[
        str | None,
        Field(
            description="Why it is held, unknown, waiting or ended: a code of docs/payout-codes.md, or of the policy that "
            "holds it.",
            examples=[None],
        ),
    ]
    reason: Annotated[str | None, Field(description="Why, in a person's words.", examples=[None])]
    asset: AssetCode
    pay_amount: Annotated[
        DecimalAmount,
        Field(description="What is paid out: `debit_amount` less `player_fee`.", examples=["12.50"]),
    ]
    debit_amount: Annotated[
        DecimalAmount | None,
        Field(
            description="What left the player's wallet, or the funding account, for this payout. Null where the stored "
            "intent does not say it: it was changed in the database, `prizewire verify` shows how, and it is not paid.",
            examples=["13.00"],
        ),
    ]
    player_fee: Annotated[
        DecimalAmount | None,
        Field(
            description="What a payout rule took from the player, in units of `asset`. It is not the rail's fee. Null where "
            "`debit_amount` is.",
            examples=["0.50"],
        ),
    ]
    method_id: Annotated[Id | None, Field(description="The payout method. Null for an operator's payout.")]
    method_type: Annotated[str, Field(description="The type of the destination.", examples=["stellar"])]
    rail: Annotated[RailName | None, Field(description="Null before a rail was chosen.")]
    filed_by: Annotated[str, Field(description="Who asked for it.", examples=["rewards"])]
    attempts: Annotated[int, Field(description="Attempts so far.", examples=[1])]
    attempts_waived: Annotated[
        int,
        Field(
            description="Those of them that do not count against the most there may be, since what ended them passes.",
            examples=[0],
        ),
    ]
    next_attempt_at: Annotated[
        Moment | None,
        Field(
            description="When it is tried again after a failed attempt. Null if it does not wait for that.",
            examples=[None],
        ),
    ]
    approvers_needed: Annotated[
        int,
        Field(description="How many persons must approve it. 0 where policy has approved it.", examples=[0]),
    ]
    cancel_asked_by: Annotated[str | None, Field(description="Who asked for a cancel.", examples=[None])]
    provider_ref: _Reference
    tx_hash: _ChainHash
    ledger: _Ledger
    proof: Annotated[ProofAnswer | None, Field(description="Null unless it was paid.")]
    rail_fee: Annotated[
        DecimalAmount | None,
        Field(
            description="What the rail charged for the payment, in units of `rail_fee_asset`. Null before it was paid. "
            "`rail_fee_borne_by` says who bears it."
        ),
    ]
    rail_fee_asset: AssetCode | None
    rail_fee_borne_by: Annotated[
        str | None,
        Field(
            description="`platform`: all of `pay_amount` arrives. `recipient`: the rail takes its fee from what arrives. "
            "Null before it was paid.",
            examples=["platform"],
        ),
    ]
    requested_at: Moment
    changed_at: Annotated[Moment, Field(description="When it came to its present state.")]
    paid_at: Moment | None


class KnownPayoutAnswer(AnswerModel):
    """The payee, amount and state of a payout."""

    payout_id: Id
    player: Annotated[
        str | None, Field(description="Who is paid. Null for an operator's payout.", examples=["ana"])
    ]
    asset: AssetCode
    pay_amount: Annotated[DecimalAmount, Field(description="What is paid out.", examples=["12.50"])]
    state: Annotated[PayoutState, Field(examples=["paid"])]
    requested_at: Moment
    stored_at: Annotated[
        Moment | None,
        Field(
            description="When the database stored its last change. Null where payouts are asked for by their ids."
        ),
    ]


class AttemptAnswer(AnswerModel):
    """One attempt at one rail."""

    attempt_no: Annotated[int, Field(description="From 1.", examples=[1])]
    rail: RailName
    state: Annotated[AttemptState, Field(examples=["effected"])]
    provider_key: Annotated[Id, Field(description="The key under which the rail knows the attempt.")]
    provider_ref: _Reference
    code: Annotated[str | None, Field(description="Why it had no effect, or is unclear.", examples=[None])]
    opened_at: Moment
    changed_at: Moment


class PartyAnswer(AnswerModel):
    """A person who may not decide on the payout, and why."""

    role: Annotated[PartyRole, Field(examples=["payee"])]
    subject: Annotated[str, Field(examples=["ana"])]


_Parties = Annotated[
    list[PartyAnswer], Field(description="Who may not decide on it. Nobody of them approves or rejects it.")
]
_OnePerson = Annotated[
    list[str], Field(description="Who alone decided who is paid some of it.", examples=[[]])
]


class PayoutDetailAnswer(PayoutAnswer):
    """A payout with every attempt."""

    attempt_list: Annotated[list[AttemptAnswer], Field(description="The first one first.")]
    parties: Annotated[_Parties | None, Field(description="Who may not decide on it. Null for players.")]
    one_person: Annotated[
        _OnePerson | None,
        Field(description="Who alone decided who is paid some of it. Null for players.", examples=[[]]),
    ]


class DecisionAnswer(PayoutAnswer):
    """A payout after a person decided on it."""

    parties: _Parties
    one_person: _OnePerson
    approvers: Annotated[
        list[str], Field(description="Who has approved it under its present hold.", examples=[["pat"]])
    ]


def payout_answer(payout: Payout) -> PayoutAnswer:
    """A payout as its owner and operators see it."""
    return PayoutAnswer(**_members(payout))


def known_payout_answer(payout: Payout, *, stored_at: datetime | None = None) -> KnownPayoutAnswer:
    """The payee, amount and state of a payout."""
    return KnownPayoutAnswer(
        payout_id=payout.payout_id,
        player=payout.player,
        asset=payout.amount.asset.code,
        pay_amount=payout.amount.to_wire(),
        state=payout.state,
        requested_at=payout.requested_at,
        stored_at=stored_at,
    )


def detail_answer(payout: Payout, *, attempts: Sequence[Attempt], for_staff: bool) -> PayoutDetailAnswer:
    """A payout with its attempts; with its parties for staff alone."""
    return PayoutDetailAnswer(
        **_members(payout),
        attempt_list=[
            AttemptAnswer(
                attempt_no=attempt.attempt_no,
                rail=attempt.rail,
                state=attempt.state,
                provider_key=attempt.provider_key,
                provider_ref=attempt.provider_ref,
                code=attempt.code,
                opened_at=attempt.opened_at,
                changed_at=attempt.changed_at,
            )
            for attempt in attempts
        ],
        parties=_parties(payout) if for_staff else None,
        one_person=list(payout.one_person) if for_staff else None,
    )


def decision_answer(payout: Payout, *, approvers: Sequence[str]) -> DecisionAnswer:
    """A payout with those who may not decide on it, and those who did."""
    return DecisionAnswer(
        **_members(payout),
        parties=_parties(payout),
        one_person=list(payout.one_person),
        approvers=list(approvers),
    )


def _parties(payout: Payout) -> list[PartyAnswer]:
    return [PartyAnswer(role=PartyRole(role), subject=subject) for role, subject in payout.parties]


def _members(payout: Payout) -> dict[str, Any]:
    """The members of ``PayoutAnswer``, which the longer answers share."""
    proof, debit = payout.proof or {}, payout.debit
    return {
        "payout_id": payout.payout_id,
        "correlation_id": payout.correlation_id,
        "player": payout.player,
        "state": payout.state,
        "code": payout.code,
        "reason": payout.reason,
        "asset": payout.amount.asset.code,
        "pay_amount": payout.amount.to_wire(),
        "debit_amount": None if debit is None else debit.to_wire(),
        "player_fee": None if debit is None else (debit - payout.amount).to_wire(),
        "method_id": payout.method_id,
        "method_type": payout.method_type,
        "rail": payout.rail,
        "filed_by": payout.filed_by,
        "attempts": payout.attempts,
        "attempts_waived": payout.attempts_waived,
        "next_attempt_at": _next_attempt(payout),
        "approvers_needed": payout.approvers_needed,
        "cancel_asked_by": payout.cancel_asked_by,
        "provider_ref": payout.provider_ref,
        "tx_hash": proof.get("tx_hash"),
        "ledger": proof.get("ledger"),
        "proof": ProofAnswer(
            tx_hash=proof.get("tx_hash"),
            ledger=proof.get("ledger"),
            op=proof.get("op"),
            reference=proof.get("reference"),
        )
        if proof
        else None,
        "rail_fee": None if payout.fee is None else payout.fee.to_wire(),
        "rail_fee_borne_by": payout.fee_borne_by,
        "rail_fee_asset": None if payout.fee is None else payout.fee.asset.code,
        "requested_at": payout.requested_at,
        "changed_at": payout.changed_at,
        "paid_at": payout.paid_at,
    }


def _next_attempt(payout: Payout) -> datetime | None:
    """When an approved payout is tried again; what it waits for is its code."""
    waits = payout.state is PayoutState.APPROVED and payout.attempts > 0
    return payout.due_at if waits else None
