"""Answers with transfers."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.http.bodies import AssetCode, CorrelationId, Money
from prizewire_rewards.ledger.domain.accounts import Kind, TransferType
from prizewire_rewards.wallets.domain.history import Category
from prizewire_rewards.wallets.domain.statuses import Status

Direction = Literal["credit", "debit", "internal", "none"]


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
    """The members of every answer with a transfer."""

    id: Id
    type: Annotated[TransferType, Field(description="Why money moved.", examples=["prize_credited"])]
    category: Annotated[Category, Field(description="The category of the type.", examples=["reward"])]
    status: Annotated[Status, Field(description="The present status of the money.", examples=["completed"])]
    asset: AssetCode
    amount: Money
    at: Moment
    correlation_id: CorrelationId
    group_id: Annotated[
        Id, Field(description="The same in transfers that were booked for the same reason at once.")
    ]
    debt_id: Annotated[
        Id | None,
        Field(
            description="The debt of a player that the transfer opens (`receivable_opened`), recovers from a credit "
            "(`receivable_recovered`) or changes otherwise: the same in all transfers of one debt. Null for all other "
            "transfers.",
            examples=[None],
        ),
    ]
    fees: Annotated[
        list[PayoutFeeAnswer] | None,
        Field(description="The fees of a payout request. Null for all other transfers.", examples=[None]),
    ]
    arrives: Annotated[
        Money | None,
        Field(
            description="The amount of a payout request that arrives, less the fees. Null where it ended without "
            "payment, and for all other transfers.",
            examples=[None],
        ),
    ]
    code: Annotated[
        str | None,
        Field(
            description="Why a payout request ended without payment: a code of docs/payout-codes.md. Null for "
            "all other transfers.",
            examples=[None],
        ),
    ]


class PlayerTransferAnswer(TransferAnswer):
    """A transfer as one player sees it."""

    direction: Annotated[
        Direction,
        Field(
            description="`credit`: money comes into the wallet. `debit`: money leaves it. `internal`: it moves from one "
            "bucket of the wallet to another. `none`: a debt arises, and the wallet stays as it is; later credits pay the "
            "debt. Credits less debits are what the whole wallet holds.",
            examples=["credit"],
        ),
    ]
    from_bucket: Annotated[
        Bucket | None,
        Field(
            description="The player's bucket that pays the amount. Null where the amount comes from outside the wallet.",
            examples=[None],
        ),
    ]
    to_bucket: Annotated[
        Bucket | None,
        Field(
            description="The player's bucket that receives the amount. Null where the amount leaves the wallet. The "
            "balance of a bucket is what it received less what it paid.",
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

    debit: Annotated[AccountAnswer, Field(description="The account that pays.")]
    credit: Annotated[AccountAnswer, Field(description="The account that receives.")]
    cause: Annotated[
        str,
        Field(
            description="The cause of the transfer.",
            examples=["round/67d20d3b-65b1-575d-9ac8-55bf598fbc8d"],
        ),
    ]
    reference: Annotated[
        str | None,
        Field(
            description="The reference of money that came in. Null for all other transfers.",
            examples=[None],
        ),
    ]
    booked_by: Annotated[
        str | None,
        Field(
            description="The person who booked money that came in. Null for all other transfers.",
            examples=[None],
        ),
    ]
    repeats: Annotated[
        Id | None,
        Field(
            description="The first transfer under the same reference into the account, for money that came in under a "
            "used reference. Else null.",
            examples=[None],
        ),
    ]
    direction: Annotated[
        Direction | None,
        Field(
            description="In a listing of one player: whether money comes into the wallet, leaves it, or moves from one "
            "bucket to another (`internal`). `none` where a debt arises, which changes no bucket. Else null.",
            examples=[None],
        ),
    ]
    from_bucket: Annotated[
        Bucket | None,
        Field(
            description="In a listing of one player: the bucket that pays the amount, if any. Else null.",
            examples=[None],
        ),
    ]
    to_bucket: Annotated[
        Bucket | None,
        Field(
            description="In a listing of one player: the bucket that receives the amount, if any. Else null.",
            examples=[None],
        ),
    ]
