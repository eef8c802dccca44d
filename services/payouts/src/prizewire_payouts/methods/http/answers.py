"""Payout methods, as they are answered: never their details in full."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_payouts.http.members import MaskedMemo
from prizewire_payouts.methods.domain import mask
from prizewire_payouts.payouts.domain.model import Method, MethodState


class MethodAnswer(AnswerModel):
    """Where a player's prizes can go."""

    id: Id
    version: Annotated[int, Field(description="Counts the changes of its standing, from 1.", examples=[1])]
    player: Annotated[str, Field(examples=["ana"])]
    type: Annotated[str, Field(examples=["stellar"])]
    state: Annotated[MethodState, Field(examples=["active"])]
    is_default: Annotated[bool, Field(description="Whether prizes go there.", examples=[True])]
    verified: Annotated[
        bool, Field(description="Whether a rail has confirmed the destination.", examples=[False])
    ]
    destination: Annotated[str, Field(description="Address or account, masked.", examples=["GA5Z…KZVN"])]
    memo: MaskedMemo | None
    registered_by: Annotated[
        Literal["player", "staff"],
        Field(
            description="Who named the destination. What goes to a method of the staff waits for an approver.",
            examples=["player"],
        ),
    ]
    registered_at: Moment
    shared_with: Annotated[
        int | None,
        Field(
            description="How many other players have an active method with the same destination. Null for players, and "
            "outside the list.",
            examples=[0],
        ),
    ]


def method_answer(method: Method, *, destination: str, shared_with: int | None = None) -> MethodAnswer:
    """A method; ``destination`` is its address or account in clear, which is masked here."""
    return MethodAnswer(
        id=method.method_id,
        version=method.version,
        player=method.player,
        type=method.type,
        state=method.state,
        is_default=method.is_default,
        verified=method.verified,
        destination=mask(destination),
        memo=None if method.memo is None else mask(method.memo),
        registered_by="staff" if method.by_staff else "player",
        registered_at=method.registered_at,
        shared_with=shared_with,
    )
