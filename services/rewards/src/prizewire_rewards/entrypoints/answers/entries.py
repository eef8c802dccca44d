"""Entries into rounds, as the routes answer them."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.domain.entries import EntryState
from prizewire_rewards.entrypoints.answers.shared import AssetCode, CorrelationId, Money, Player


class EntryAnswer(AnswerModel):
    """A player's entry into a round. `from_topup` and `from_winnings` make `amount`; they are zero where it was refused."""

    entry_id: Id
    round_id: Id
    match_source: Annotated[str, Field(description="The game server's source.", examples=["/games/chess"])]
    match_id: Annotated[str, Field(description="The match by that source.", examples=["4711"])]
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(description="The fee.", examples=["2.50"])]
    from_topup: Annotated[Money, Field(description="What top-ups paid of it.", examples=["2.00"])]
    from_winnings: Annotated[Money, Field(description="What winnings paid of it.", examples=["0.50"])]
    state: Annotated[EntryState, Field(examples=["paid"])]
    code: Annotated[
        str | None,
        Field(
            description="Why it was refused, or why nothing of it came back, as a stable code.",
            examples=[None],
        ),
    ]
    correlation_id: CorrelationId
    entered_at: Annotated[Moment, Field(description="When the entry was asked for first.")]


class ChangedEntryAnswer(AnswerModel):
    """What an entry took, to be compared with what it costs to enter its round."""

    entry_id: Id
    round_id: Id
    player: Player
    asset: AssetCode
    amount: Annotated[Money, Field(description="The fee.", examples=["2.50"])]
    state: Annotated[EntryState, Field(examples=["earned"])]
    changed_at: Annotated[Moment, Field(description="When it was made or last changed.")]
