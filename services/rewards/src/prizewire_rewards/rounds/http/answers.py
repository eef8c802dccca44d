"""Answers about rounds, held prizes and disownments."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.fees.domain import FeeSource
from prizewire_rewards.http.bodies import AssetCode, Money, Person, Player
from prizewire_rewards.payouts.domain.model import PayoutState
from prizewire_rewards.prizes.domain.states import RewardState, RoundState
from prizewire_rewards.rounds.domain.disownments import DisownmentState


class RoundAnswer(AnswerModel):
    """The booked sums of a round. Reversed prizes do not count."""

    round_id: Id
    settlement_version: Annotated[int, Field(description="From 1.", examples=[1])]
    state: Annotated[RoundState, Field(examples=["final"])]
    final: Annotated[bool, Field(description="Whether its dispute window has passed.", examples=[True])]
    campaign: Annotated[Id, Field(description="The campaign's id.")]
    asset: AssetCode
    gross: Annotated[
        Money,
        Field(description="The amount that the round takes from the pool, with fees.", examples=["100.00"]),
    ]
    waits_for: Annotated[
        Money,
        Field(
            description="The amount that the round waits for: its pool does not cover it, other rounds wait before it, or its "
            "campaign is a draft or paused. Zero where the round does not wait.",
            examples=["0.00"],
        ),
    ]
    prizes: Annotated[int, Field(description="Number of prizes.", examples=[3])]
    prizes_total: Annotated[Money, Field(description="Sum of the prizes.", examples=["85.00"])]
    settled_at: Moment


class BookedRoundAnswer(AnswerModel):
    """The head of a booked round, with the fields of its latest settlement version."""

    round_id: Id
    settlement_version: Annotated[int, Field(description="From 1.", examples=[1])]
    state: Annotated[RoundState, Field(examples=["final"])]
    final: Annotated[bool, Field(description="Whether its dispute window has passed.", examples=[True])]
    campaign: Annotated[Id, Field(description="The campaign's id.")]
    asset: AssetCode
    gross: Annotated[
        Money,
        Field(description="The amount that the round takes from the pool, with fees.", examples=["100.00"]),
    ]
    platform_fee: Annotated[Money, Field(examples=["10.00"])]
    organizer_fee: Annotated[Money, Field(examples=["5.00"])]
    organizer_player: Annotated[
        str | None,
        Field(
            description="The player who gets the organizer's fee. Null if no player does.", examples=["org"]
        ),
    ]
    unclaimed: Annotated[
        Money, Field(description="The rest of the net prize that no player gets.", examples=["0.00"])
    ]
    digest: Annotated[
        str,
        Field(
            description="The SHA-256 of the canonical JSON of all lines, from the settlement's events.",
            examples=["4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"],
        ),
    ]
    lines_digest: Annotated[
        str | None,
        Field(
            description="The same digest, computed from the stored prizes. Null while work on a large round is left.",
            examples=["4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"],
        ),
    ]
    taken_back: Annotated[
        Money,
        Field(description="What corrections took from players or made a debt.", examples=["0.00"]),
    ]
    changed_at: Annotated[Moment, Field(description="The time of its booking or its last change.")]


class RequestedPayoutAnswer(AnswerModel):
    """A requested payout with its present state in rewards."""

    payout_id: Id
    player: Annotated[Player | None, Field(description="Null for an operator's payout.", examples=["ann"])]
    payee: Annotated[Player | None, Field(description="Who is paid in the player's place.", examples=[None])]
    asset: AssetCode
    pay_amount: Annotated[Money, Field(description="The amount to be paid out, without the player's fee.")]
    state: Annotated[PayoutState, Field(examples=["paid"])]
    requested_at: Moment
    changed_at: Annotated[Moment, Field(description="The time of its request or its last change.")]
    stored_at: Annotated[
        Moment,
        Field(
            description="When the database stored that, by its own clock: who writes a row cannot choose it. Pages are in its order."
        ),
    ]


class DisownmentAnswer(AnswerModel):
    """A disownment of a round: filed by one admin, approved or rejected by another."""

    disownment_id: Id
    round_id: Id
    reason: Annotated[
        str,
        Field(
            description="Why the filer says that settlement never settled the round.",
            examples=["verify: settlement never settled the round"],
        ),
    ]
    state: Annotated[DisownmentState, Field(examples=["approved"])]
    filed_by: Person
    filed_at: Moment
    decided_by: Annotated[Person | None, Field(description="Null until it is decided.", examples=["boris"])]
    decided_at: Annotated[Moment | None, Field(examples=["2026-05-02T12:00:00Z"])]
    decision: Annotated[
        str | None, Field(description="Why it was rejected.", examples=["settlement has the round"])
    ]
    settlement_voided_at: Annotated[
        Moment | None,
        Field(
            description="When rewards received, after the approval, that settlement voided the round. Null before that.",
            examples=[None],
        ),
    ]


class SumAnswer(AnswerModel):
    """A count of things in one asset, and their sum."""

    asset: AssetCode
    count: Annotated[int, Field(examples=[3])]
    amount: Money


class ReturnedFeeAnswer(AnswerModel):
    """A fee that went back to the pool."""

    source: Annotated[FeeSource, Field(description="The kind of fee.", examples=["platform"])]
    asset: AssetCode
    amount: Money


class PooledAnswer(AnswerModel):
    """Money that went back to the pool."""

    asset: AssetCode
    amount: Money


class TakenBackAnswer(AnswerModel):
    """What an approved disownment has taken back so far."""

    complete: Annotated[
        bool,
        Field(description="False while a job has lines or entries of the round to do.", examples=[True]),
    ]
    prizes: Annotated[
        list[SumAnswer],
        Field(
            description="The prizes that were taken back, with their amounts, also those without money yet. What players no "
            "longer had is in `owed`."
        ),
    ]
    fees: Annotated[
        list[ReturnedFeeAnswer],
        Field(description="Fees of a final round. The fees of any other round were in its reserve."),
    ]
    entries: Annotated[
        list[SumAnswer], Field(description="Entries whose fee was refunded since the approval.")
    ]
    to_pool: Annotated[
        list[PooledAnswer],
        Field(
            description="Money that went back to the campaign's pool: the round's money except what is owed."
        ),
    ]
    owed: Annotated[
        list[SumAnswer],
        Field(description="Opened receivables with their first amounts: `/api/receivables`."),
    ]
    payouts_asked_to_cancel: Annotated[
        list[SumAnswer],
        Field(
            description="Payouts of the owing players whose cancellation was requested, with the money they hold."
        ),
    ]


class StepLeftAnswer(AnswerModel):
    """An action that a person has to take in another service."""

    service: Annotated[Literal["settlement"], Field(examples=["settlement"])]
    route: Annotated[str, Field(examples=["POST /api/rounds/0c2b9cd5-6b6d-5b4d-8f40-7ed0f5b44a3e/resolve"])]
    body: Annotated[
        dict[str, bool], Field(description="The body, together with a `reason`.", examples=[{"void": True}])
    ]
    why: Annotated[str, Field(examples=["rewards has not received that settlement voided the round"])]


class DisownmentDetailAnswer(DisownmentAnswer):
    """A disownment with what it took back, and the action that is left to do."""

    taken_back: Annotated[TakenBackAnswer | None, Field(description="Null unless it is approved.")]
    left: Annotated[
        StepLeftAnswer | None,
        Field(
            description="The action that is left to do after the approval. Null before it, and once rewards received that "
            "settlement voided the round."
        ),
    ]


class DecidedRewardAnswer(AnswerModel):
    """A prize after the decision: in the state of the others of its round, or rejected."""

    reward_id: Id
    state: Annotated[RewardState, Field(examples=["credited"])]
    note: Annotated[
        str | None,
        Field(description="For a rejected prize, the stable code of the rule that held it.", examples=[None]),
    ]
