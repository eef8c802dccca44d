"""Wallets and payout requests, as the routes answer them."""

from typing import Annotated, Literal

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_rewards.http.bodies import AssetCode, CorrelationId, Money, Player
from prizewire_rewards.payouts.domain.model import PayoutState

State = Annotated[PayoutState, Field(examples=["requested"])]
PayAsset = Annotated[
    AssetCode,
    Field(description="The asset of `pay_amount`: another one than that of the wallet only by a quote."),
]
Arrives = Annotated[
    Money, Field(description="The amount to pay out: `debit_amount` less `player_fee`.", examples=["125.00"])
]
Fee = Annotated[
    Money,
    Field(
        description="The fee that a payout rule takes from `debit_amount`. It is not the rail's fee.",
        examples=["0.50"],
    ),
]


class BalanceAnswer(AnswerModel):
    """A player's money in one asset."""

    asset: AssetCode
    winnings: Annotated[Money, Field(description="Money that can be paid out.", examples=["317.00"])]
    topup: Annotated[
        Money, Field(description="Money that was paid in. It pays entry fees.", examples=["20.00"])
    ]
    pending: Annotated[Money, Field(description="Prizes that are not final.", examples=["42.50"])]
    held: Annotated[
        Money, Field(description="Prizes that a rule holds, or that are to be claimed.", examples=["0.00"])
    ]
    payout_pending: Annotated[
        Money, Field(description="Payouts that were requested and have not ended.", examples=["125.50"])
    ]
    lifetime_earnings: Annotated[
        Money, Field(description="The sum that was credited of final prizes.", examples=["442.50"])
    ]
    short: Annotated[
        Money,
        Field(description="The sum that prizes still lack because a pool has no money.", examples=["0.00"]),
    ]
    owed: Annotated[
        Money,
        Field(description="The player's debt. It is recovered from later credits.", examples=["0.00"]),
    ]


class WalletAnswer(AnswerModel):
    """A player's money. Assets that the player never had are left out."""

    player: Player
    balances: list[BalanceAnswer]


class PayoutRequestedAnswer(AnswerModel):
    """A payout was requested. Payouts receives it by an event: until then `GET /api/payouts/{payout_id}` answers 404."""

    payout_id: Id
    state: State
    player_fee: Fee
    pay_asset: PayAsset
    pay_amount: Arrives


class PayoutOutcome(AnswerModel):
    """How a payout ended. A paid payout has `rail`, the fee, `paid_at` and the proof; any other has `code`, and `reason`
    where a person gave one.
    """

    rail: Annotated[str | None, Field(description="The rail that paid.", examples=["stellar-main"])]
    fee: Annotated[
        Money | None, Field(description="The fee of the rail, in `fee_asset`.", examples=["0.0000100"])
    ]
    fee_asset: Annotated[AssetCode | None, Field(examples=["XLM"])]
    fee_borne_by: Annotated[
        Literal["platform", "recipient"] | None,
        Field(
            description="`recipient`: the rail took its fee from what arrived.",
            examples=["platform"],
        ),
    ]
    paid_at: Annotated[Moment | None, Field(examples=["2026-05-02T12:00:00Z"])]
    tx_hash: Annotated[str | None, Field(description="The transaction on the chain.", examples=["5f" * 32])]
    ledger: Annotated[
        int | None, Field(description="The chain's ledger that holds it.", examples=[51_234_567])
    ]
    op: Annotated[int | None, Field(description="The operation in the transaction, from 0.", examples=[0])]
    reference: Annotated[
        str | None, Field(description="The rail's reference where there is no chain.", examples=[None])
    ]
    code: Annotated[
        str | None, Field(description="Why it was not paid: a code of docs/payout-codes.md.", examples=[None])
    ]
    reason: Annotated[
        str | None, Field(description="Why it was not paid, as a person wrote it.", examples=[None])
    ]
    return_ref: Annotated[
        str | None, Field(description="The rail's reference of the money that came back.", examples=[None])
    ]


class PayoutAnswer(AnswerModel):
    """A payout request."""

    payout_id: Id
    player: Player
    asset: AssetCode
    debit_amount: Annotated[Money, Field(description="The amount that left the wallet.", examples=["125.50"])]
    player_fee: Fee
    pay_asset: PayAsset
    pay_amount: Arrives
    state: Annotated[PayoutState, Field(examples=["paid"])]
    payee: Annotated[
        str | None,
        Field(
            description="The person who is paid in the player's place, by a payee assignment. Null where the player is paid.",
            examples=[None],
        ),
    ]
    method_id: Annotated[
        Id | None,
        Field(description="The player's payout method.", examples=["0f7c1c54-2b8e-4a70-8f0c-6a1f7f4bb0de"]),
    ]
    round_id: Annotated[
        Id | None,
        Field(description="The round, where the payout delivers its prize directly.", examples=[None]),
    ]
    correlation_id: CorrelationId
    requested_at: Moment
    changed_at: Moment
    outcome: Annotated[PayoutOutcome | None, Field(description="Null until the payout has ended.")]
