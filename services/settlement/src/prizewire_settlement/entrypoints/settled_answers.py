"""What ``/api/rounds/settled`` answers."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id
from prizewire_money import Amount as Money
from prizewire_settlement.domain.states import RoundState
from prizewire_settlement.entrypoints.rule_answers import AmountText, Asset, Campaign, PlayerName
from prizewire_settlement.ports import SettledRound


class SettledAnswer(AnswerModel):
    """A round that was settled, with the figures of its newest settlement."""

    round_id: Id
    state: Annotated[RoundState, Field(examples=["FINALIZED"])]
    settlement_version: Annotated[int, Field(description="From 1.", examples=[1])]
    campaign: Campaign
    asset: Asset
    gross: AmountText
    platform_fee: Annotated[AmountText, Field(examples=["10.00"])]
    organizer_fee: Annotated[AmountText, Field(examples=["5.00"])]
    organizer_player: Annotated[
        PlayerName | None,
        Field(description="Who gets the organizer's fee. Null if nobody does.", examples=["org"]),
    ]
    unclaimed: Annotated[AmountText, Field(description="What no player gets.", examples=["17.00"])]
    digest: Annotated[
        str,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="The SHA-256 of the canonical JSON of all lines, as the events of the settlement carry it.",
            examples=["4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"],
        ),
    ]


def settled_answer(settled: SettledRound) -> SettledAnswer:
    """A round with the figures of its newest settlement."""

    def wire(amount: int) -> str:
        return Money(settled.asset, amount).to_wire()

    return SettledAnswer(
        round_id=settled.round.id,
        state=settled.round.state,
        settlement_version=settled.round.settlement_version,
        campaign=settled.campaign,
        asset=settled.asset.code,
        gross=wire(settled.gross),
        platform_fee=wire(settled.platform_fee),
        organizer_fee=wire(settled.organizer_fee),
        organizer_player=settled.organizer_player,
        unclaimed=wire(settled.unclaimed),
        digest=settled.digest,
    )
