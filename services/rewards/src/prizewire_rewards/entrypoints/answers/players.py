"""What is known of players for risk rules, as the routes answer it."""

from typing import Annotated

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Moment
from prizewire_rewards.domain.players import KycState
from prizewire_rewards.entrypoints.answers.shared import Player

At = Annotated[
    Moment | None, Field(description="When this fact was told. Null if it never was.", examples=[None])
]


class PlayerAnswer(AnswerModel):
    """Facts of a player. Of device and address it only says whether they are known."""

    player: Player
    registered_at: Annotated[
        Moment | None,
        Field(description="When the account was made.", examples=["2026-01-05T10:00:00Z"]),
    ]
    registered_at_told: At
    kyc_state: Annotated[
        KycState | None,
        Field(description="How far the player's identity was checked.", examples=["verified"]),
    ]
    kyc_state_told: At
    device_known: Annotated[bool, Field(examples=[True])]
    device_told: At
    address_known: Annotated[bool, Field(examples=[False])]
    address_told: At
