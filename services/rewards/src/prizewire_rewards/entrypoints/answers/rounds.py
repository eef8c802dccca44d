"""What ``/api/rewards/rounds`` and ``/api/rewards/payouts`` answer."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.domain.states import PayoutState, RoundState
from prizewire_rewards.entrypoints.answers.shared import AssetCode, Money, Player


class RoundAnswer(AnswerModel):
    """What is booked of a round. Prizes that were taken back do not count."""

    round_id: Id
    settlement_version: Annotated[int, Field(description="From 1.", examples=[1])]
    state: Annotated[RoundState, Field(examples=["final"])]
    final: Annotated[bool, Field(description="Whether its dispute window has passed.", examples=[True])]
    campaign: Annotated[Id, Field(description="The campaign's id.")]
    asset: AssetCode
    gross: Annotated[
        Money, Field(description="What the round takes out of the pool, fees included.", examples=["100.00"])
    ]
    prizes: Annotated[int, Field(description="Number of prizes.", examples=[3])]
    prizes_total: Annotated[Money, Field(description="Sum of the prizes.", examples=["85.00"])]
    settled_at: Moment


class BookedRoundAnswer(AnswerModel):
    """The head of a booked round, as it came with the settlement that it follows."""

    round_id: Id
    settlement_version: Annotated[int, Field(description="From 1.", examples=[1])]
    state: Annotated[RoundState, Field(examples=["final"])]
    final: Annotated[bool, Field(description="Whether its dispute window has passed.", examples=[True])]
    campaign: Annotated[Id, Field(description="The campaign's id.")]
    asset: AssetCode
    gross: Annotated[
        Money, Field(description="What the round takes out of the pool, fees included.", examples=["100.00"])
    ]
    platform_fee: Annotated[Money, Field(examples=["10.00"])]
    organizer_fee: Annotated[Money, Field(examples=["5.00"])]
    organizer_player: Annotated[
        str | None,
        Field(description="Who gets the organizer's fee. Null if nobody does.", examples=["org"]),
    ]
    unclaimed: Annotated[Money, Field(description="What no player gets.", examples=["0.00"])]
    digest: Annotated[
        str,
        Field(
            description="The SHA-256 of the canonical JSON of all lines, as the events of the settlement carried it.",
            examples=["4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"],
        ),
    ]
    changed_at: Annotated[Moment, Field(description="When it was booked or last changed.")]


class AskedPayoutAnswer(AnswerModel):
    """A payout that was asked for, as it stands here."""

    payout_id: Id
    player: Annotated[Player | None, Field(description="Null for an operator's payout.", examples=["ann"])]
    asset: AssetCode
    pay_amount: Annotated[Money, Field(description="What is paid out: the player's fee is taken off.")]
    state: Annotated[PayoutState, Field(examples=["paid"])]
    requested_at: Moment
    changed_at: Annotated[Moment, Field(description="When it was asked for or last changed.")]
