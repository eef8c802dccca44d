"""What the controllers of all features share."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role
from prizewire_chassis.http import ErrorStatuses, HttpContext, Problem
from prizewire_contracts import text
from prizewire_contracts.parties import PartyRole
from prizewire_payouts.errors import DetailsError, PayoutError
from prizewire_payouts.unit_of_work import UnitOfWork

STATUSES: Final = ErrorStatuses(
    errors=(PayoutError,),
    by_code={
        "payout_not_found": 404,
        "method_not_found": 404,
        "pause_not_found": 404,
        "review_not_found": 404,
        "legal_approval_not_found": 404,
        "evidence_not_found": 404,
        "rail_not_by_hand": 404,
        "batch_unknown": 404,
        "payout_not_in_batch": 422,
        "format_unknown": 422,
        "file_malformed": 422,
        "file_too_large": 422,
        **{f"approver_is_{role.value}": 403 for role in PartyRole},
        "decider_is_party": 403,
        "same_person": 403,
        "evidence_incomplete": 422,
        "pause_value_unknown": 422,
        "method_type_unserved": 422,
        "rail_unsupported": 422,
        "limit_exceeded": 422,
        "quote_unavailable": 503,
        "rail_unknown": 422,
        "ends_at_past": 422,
        "method_unknown": 422,
        "method_not_possible": 422,
    },
    by_type={DetailsError: 422},
    default=409,
)
"""Every other refusal says that the state of a payout, method or review does not allow the request."""


Context = HttpContext[UnitOfWork, UnitOfWork]
"""Controllers read and change through the same unit of work, over which each feature has its storage."""


ADDRESS_EXAMPLE = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
"""An account of the Stellar documentation."""


DecimalAmount = Annotated[
    str,
    Field(
        pattern=r"^(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?$",
        description="In units of the asset, with all its decimals.",
        examples=["12.50"],
    ),
]
"""An amount as decimal text."""


AssetCode = Annotated[str, Field(examples=["EURC"])]


CorrelationId = Annotated[
    str,
    Field(
        description="The same in all services for what follows from one match.",
        examples=["0b1f9d8e-5d0f-5c55-9d0e-3f6a1f0a7c11"],
    ),
]


RailName = Annotated[str, Field(description="The rail, as it is configured.", examples=["stellar"])]


PersonName = Annotated[str, Field(description="The subject of a token.", examples=["olga"])]


TxHash = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        examples=["3389e9f0f1a65f19736cacf544c2e825313e8447f569233bb8db39aa607c8889"],
    ),
]
"""The hash of a transaction on a chain."""


STAFF: Final = (Role.OPERATOR, Role.ADMIN)
"""Who may act for a player."""


def player_of(principal: Principal, wanted: str | None, *, what: str) -> str:
    """The player that a request is about: the caller, or for staff the named one. ``what`` of the player it is about.

    Raises:
        Problem: 403 ``forbidden`` where a player names another player; 422 ``player_required`` where staff without the role
            player names none.
    """
    if wanted is None:
        if not principal.has(Role.PLAYER):
            detail = f"{principal.subject} has not the role player: name in `player` whose {what} the request is about"
            raise Problem(status=422, code="player_required", detail=detail)
        return principal.player
    if wanted != principal.subject and not principal.has(*STAFF):
        raise Problem(status=403, code="forbidden", detail=f"a player's {what} are the player's own")
    return wanted


class Reason(BaseModel):
    """The reason of a refusal."""

    model_config = ConfigDict(extra="forbid")

    reason: text.Reason = Field(examples=["the organizer takes the result back"])
