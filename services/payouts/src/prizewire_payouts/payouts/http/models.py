"""Answers of routes about payouts and their attempts, as models."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_contracts.parties import PartyRole
from prizewire_payouts.http import AssetCode, CorrelationId, DecimalAmount, PersonName, RailName, TxHash
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


_Player = Annotated[
    str | None,
    Field(description="Whose money is paid out. Null for an operator's payout.", examples=["ana"]),
]
_Payee = Annotated[
    str | None,
    Field(
        description="The person who is paid in the player's place, by a payee assignment. Null where the player is paid.",
        examples=[None],
    ),
]


class PayoutAnswer(AnswerModel):
    """A payout."""

    payout_id: Id
    correlation_id: CorrelationId
    player: _Player
    payee: _Payee
    campaign: Annotated[
        str | None,
        Field(
            description="The campaign of the prize that it pays. Null for a withdrawal of a wallet and an operator's payout.",
            examples=["2d0f6d3e-5d54-4d4e-9f0a-2b8e3f1c7a61"],
        ),
    ]
    competition: Annotated[
        str | None, Field(description="The competition of that prize.", examples=["spring-cup"])
    ]
    source: Annotated[
        str | None, Field(description="The source that reported its match.", examples=["/games/arena"])
    ]
    state: Annotated[PayoutState, Field(examples=["paid"])]
    code: Annotated[
        str | None,
        Field(
            description="Why it is held, unknown, waiting or ended: a code of docs/payout-codes.md, or of the policy that "
            "holds it. A player sees `in_review` for a payout that waits for a person.",
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
    debit_asset: Annotated[
        str,
        Field(
            description="The asset of `debit_amount`: another one than `asset` only by a quote.",
            examples=["EURC"],
        ),
    ]
    quote_id: Annotated[str | None, Field(description="The quote at which it is paid.", examples=[None])]
    quote_expires_at: Annotated[
        Moment | None, Field(description="Until then the quote may be paid.", examples=[None])
    ]
    player_fee: Annotated[
        DecimalAmount | None,
        Field(
            description="What a payout rule took from the player, in units of `debit_asset`. It is not the rail's fee. Null where "
            "`debit_amount` is.",
            examples=["0.50"],
        ),
    ]
    method_id: Annotated[Id | None, Field(description="The payout method. Null for an operator's payout.")]
    method_type: Annotated[str, Field(description="The type of the destination.", examples=["stellar"])]
    rail: Annotated[
        RailName | None,
        Field(
            description="The rail that pays it, or while it waits for approvers the one that would. Null where no rail fits."
        ),
    ]
    filed_by: Annotated[str, Field(description="Who asked for it.", examples=["rewards"])]
    retry_of: Annotated[
        Id | None, Field(description="The ended payout that it retries. Null for any other.", examples=[None])
    ]
    retried_by: Annotated[Id | None, Field(description="The payout that retries it.", examples=[None])]
    batch_id: Annotated[
        Id | None,
        Field(description="The batch that it was requested with. Null for any other.", examples=[None]),
    ]
    batch_line: Annotated[int | None, Field(description="Its line in that batch, from 1.", examples=[None])]
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
        int | None,
        Field(
            description="How many persons must approve it. 0 where policy has approved it. Null for players: it would tell them a limit.",
            examples=[0],
        ),
    ]
    paused: Annotated[
        bool,
        Field(
            description="Whether a pause keeps it from being sent. It goes on by itself when the pause ends."
        ),
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
    """The player, payee, amount and state of a payout."""

    payout_id: Id
    player: _Player
    payee: _Payee
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


class PauseNoteAnswer(AnswerModel):
    """The pause that keeps a payout from being sent."""

    scope: Annotated[str, Field(description="What kind of thing is paused.", examples=["campaign"])]
    value: Annotated[str, Field(description="Which one.", examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"])]
    reason: Annotated[str, Field(examples=["the organizer asks to wait"])]
    paused_by: PersonName
    paused_at: Moment


_Pause = Annotated[
    PauseNoteAnswer | None, Field(description="The pause it waits for. Null where `paused` is false.")
]


class GateAnswer(AnswerModel):
    """A gate that holds a payout."""

    code: Annotated[str, Field(description="See docs/gates.md.", examples=["new_destination"])]
    reason: Annotated[
        str,
        Field(
            description="Why, for approvers. Players never see it.",
            examples=[
                "11 payouts to the player within 24 hours are more than 10: look whether somebody else uses the account"
            ],
        ),
    ]


_Gates = Annotated[
    list[GateAnswer],
    Field(description="The gates that hold it. An approval of its hold lets it pass them once."),
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
    latency_ms: Annotated[
        int | None,
        Field(
            description="How long the rail took to answer the call that began it. Null without an answer.",
            examples=[120],
        ),
    ]


class PartyAnswer(AnswerModel):
    """A person who may not decide on the payout, and why."""

    role: Annotated[PartyRole, Field(examples=["payee"])]
    subject: Annotated[str, Field(examples=["ana"])]


class EvidenceNoteAnswer(AnswerModel):
    """What a person found of an attempt, and what another person decided."""

    evidence_id: Id
    attempt_no: Annotated[int, Field(examples=[1])]
    state: Annotated[str, Field(description="`filed`, `confirmed` or `refused`.", examples=["confirmed"])]
    finding: Annotated[str, Field(description="`paid` or `no_effect`.", examples=["no_effect"])]
    reference: Annotated[
        str,
        Field(
            description="What names the payment, or its refusal, at the bank or the vendor.",
            examples=["2026-11-21/17"],
        ),
    ]
    note: Annotated[
        str,
        Field(
            description="Where others can see it; of an answer file its line, with the bank's code.",
            examples=["answer file 6f9619ff8b864011, line 3, code AC04"],
        ),
    ]
    filed_by: PersonName
    filed_at: Moment
    decided_by: Annotated[str | None, Field(description="Null while it waits.", examples=["piet"])]
    decided_at: Moment | None
    decision_note: Annotated[str | None, Field(examples=[None])]


_Destination = Annotated[
    str | None,
    Field(
        description="Where it is paid, masked. Null where the details could not be read, or are erased.",
        examples=["GA5Z…KZVN"],
    ),
]
_DestinationMemo = Annotated[str | None, Field(description="The memo, masked.", examples=[None])]
_Parties = Annotated[
    list[PartyAnswer], Field(description="Who may not decide on it. Nobody of them approves or rejects it.")
]
_Approvers = Annotated[
    list[str], Field(description="Who has approved it under its present hold.", examples=[["pat"]])
]
_OnePerson = Annotated[
    list[str], Field(description="Who alone decided who is paid some of it.", examples=[[]])
]


class RetryAnswer(AnswerModel):
    """A request to retry an ended payout. It is open until `answered_at` is set: then `retried_by` names the new payout, or `code`
    and `detail` say why there is none.
    """

    payout_id: Id
    retry_no: Annotated[int, Field(description="From 1.", examples=[1])]
    asked_by: Annotated[str, Field(description="The operator.", examples=["olga"])]
    reason: Annotated[str, Field(examples=["the player has registered another account"])]
    method_id: Annotated[
        Id | None,
        Field(description="The payout method to pay to. Null for the default one.", examples=[None]),
    ]
    asked_at: Moment
    retried_by: Annotated[Id | None, Field(description="The new payout.", examples=[None])]
    code: Annotated[
        str | None,
        Field(description="Why there is no new payout.", examples=["insufficient_balance"]),
    ]
    detail: Annotated[
        str | None,
        Field(examples=["the winnings do not cover the requested 12.50 EURC: 3.00 EURC is available"]),
    ]
    answered_at: Moment | None


class PayoutDetailAnswer(PayoutAnswer):
    """A payout with every attempt."""

    destination: _Destination
    destination_memo: _DestinationMemo
    attempt_list: Annotated[list[AttemptAnswer], Field(description="The first one first.")]
    parties: Annotated[_Parties | None, Field(description="Who may not decide on it. Null for players.")]
    one_person: Annotated[
        _OnePerson | None,
        Field(description="Who alone decided who is paid some of it. Null for players.", examples=[[]]),
    ]
    approvers: Annotated[
        list[str] | None,
        Field(
            description="Who has approved it under its present hold. Null for players.", examples=[["pat"]]
        ),
    ]
    pause: Annotated[
        PauseNoteAnswer | None,
        Field(description="The pause it waits for. Null where there is none, and for players."),
    ]
    gates: Annotated[
        _Gates | None, Field(description="The gates that hold it. Null for players.", examples=[[]])
    ]
    retries: Annotated[
        list[RetryAnswer] | None,
        Field(description="The requests to retry it, the first one first. Null for players.", examples=[[]]),
    ]
    evidence: Annotated[
        list[EvidenceNoteAnswer] | None,
        Field(
            description="What persons found of its attempts, oldest first, decided or not. Null for players.",
            examples=[[]],
        ),
    ]


class QueuedAnswer(PayoutAnswer):
    """A payout of the queue: where it is paid, how long it waits, who has approved it, and who may not decide on it."""

    destination: _Destination
    destination_memo: _DestinationMemo

    age_s: Annotated[int, Field(description="Whole seconds since it was requested.", examples=[5400])]
    parties: _Parties
    one_person: _OnePerson
    approvers: _Approvers
    pause: _Pause
    gates: _Gates


class DecisionAnswer(PayoutAnswer):
    """A payout after a person decided on it."""

    parties: _Parties
    one_person: _OnePerson
    approvers: _Approvers
    pause: _Pause
    gates: _Gates
