"""Transfers and prizes, as the routes answer them."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.http.members import AssetCode, CorrelationId, Money
from prizewire_rewards.ledger.domain.accounts import Kind, TransferType
from prizewire_rewards.wallets.domain.history import Category
from prizewire_rewards.wallets.domain.statuses import Status

Direction = Literal["credit", "debit", "internal"]


Bucket = Literal["winnings", "topup", "pending"]


class PayoutFeeAnswer(AnswerModel):
    """One fee of a payout."""

    asset: AssetCode
    amount: Money
    borne_by: Annotated[
        Literal["player", "recipient", "platform"],
        Field(
            description="`player`: a rule took it from the amount. `recipient`: the rail took it from what arrives. "
            "`platform`: the player is charged nothing.",
            examples=["player"],
        ),
    ]


class TransferAnswer(AnswerModel):
    """What every answer shows of a transfer."""

    id: Id
    type: Annotated[TransferType, Field(description="Why money moved.", examples=["prize_credited"])]
    category: Annotated[Category, Field(description="The kind of the type.", examples=["reward"])]
    status: Annotated[
        Status, Field(description="What became of the money, as it is now.", examples=["completed"])
    ]
    asset: AssetCode
    amount: Money
    at: Moment
    correlation_id: CorrelationId
    group_id: Annotated[
        Id, Field(description="The same in transfers that were booked for the same reason at once.")
    ]
    fees: Annotated[
        list[PayoutFeeAnswer] | None,
        Field(
            description="Of a payout's request: what it costs. Null for all other transfers.", examples=[None]
        ),
    ]
    arrives: Annotated[
        Money | None,
        Field(
            description="Of a payout's request: what arrives once the fees are taken. Null where it ended without "
            "effect, and for all other transfers.",
            examples=[None],
        ),
    ]
    code: Annotated[
        str | None,
        Field(
            description="Of a payout's request that ended without payment: why, as a code of docs/payout-codes.md. Null for "
            "all other transfers.",
            examples=[None],
        ),
    ]


class PlayerTransferAnswer(TransferAnswer):
    """A transfer from the side of one player."""

    direction: Annotated[
        Direction,
        Field(
            description="`credit`: money comes into the wallet. `debit`: money leaves it. `internal`: it moves from one "
            "bucket of the wallet to another. Credits less debits are what the whole wallet holds.",
            examples=["credit"],
        ),
    ]
    from_bucket: Annotated[
        Bucket | None,
        Field(
            description="The player's bucket that gives the amount. Null where it comes from outside the wallet.",
            examples=[None],
        ),
    ]
    to_bucket: Annotated[
        Bucket | None,
        Field(
            description="The player's bucket that gets the amount. Null where it leaves the wallet. Of a bucket, the "
            "amounts that it gets less those that it gives are what it holds.",
            examples=["winnings"],
        ),
    ]


class AccountAnswer(AnswerModel):
    """An account of the ledger."""

    kind: Annotated[Kind, Field(examples=["wallet:winnings"])]
    owner: Annotated[
        str,
        Field(description="A player, or the id or name of what the account belongs to.", examples=["ann"]),
    ]


class LedgerTransferAnswer(TransferAnswer):
    """A transfer with both accounts."""

    debit: Annotated[AccountAnswer, Field(description="The account that gives.")]
    credit: Annotated[AccountAnswer, Field(description="The account that gets.")]
    cause: Annotated[
        str,
        Field(
            description="What brought the transfer about.",
            examples=["round/67d20d3b-65b1-575d-9ac8-55bf598fbc8d"],
        ),
    ]
    reference: Annotated[
        str | None,
        Field(
            description="Of money that came in: the reference under which it was booked. Null for all other transfers.",
            examples=[None],
        ),
    ]
    booked_by: Annotated[
        str | None,
        Field(
            description="Of money that came in: who booked it. Null for all other transfers.", examples=[None]
        ),
    ]
    repeats: Annotated[
        Id | None,
        Field(
            description="Of money that came in under a reference that the account had before: the first transfer with "
            "it. Else null.",
            examples=[None],
        ),
    ]
    direction: Annotated[
        Direction | None,
        Field(
            description="In a listing of one player: whether money comes into the wallet, leaves it, or moves from one "
            "bucket to another (`internal`). Else null.",
            examples=[None],
        ),
    ]
    from_bucket: Annotated[
        Bucket | None,
        Field(
            description="In a listing of one player: the bucket that gives the amount, if one does. Else null.",
            examples=[None],
        ),
    ]
    to_bucket: Annotated[
        Bucket | None,
        Field(
            description="In a listing of one player: the bucket that gets the amount, if one does. Else null.",
            examples=[None],
        ),
    ]
