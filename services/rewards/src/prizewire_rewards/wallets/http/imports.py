"""Answers of ``/api/imports``."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from pydantic import Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import RequiredKey
from prizewire_chassis.http.answers import AnswerModel
from prizewire_chassis.idempotency import check_key
from prizewire_contracts.text import PRINTABLE, is_name, is_normal, printable
from prizewire_money import Amount, AssetRegistry, InvalidAmount
from prizewire_rewards.http.bodies import AssetCode, Money
from prizewire_rewards.http.context import Amounts, Context, RewardsAction
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.wallets.domain.opening import OPENING_BUCKETS, Opening, Reconciliation, Refusal, SumKey
from prizewire_rewards.wallets.handlers import import_balances
from prizewire_rewards.wallets.http.bodies import OpeningRow, OpeningsBody
from prizewire_rewards.wallets.ports import WalletPorts


class RefusedRowAnswer(AnswerModel):
    """A row that is not booked."""

    row: Annotated[int, Field(description="Its row in the request, from 0.", examples=[2])]
    code: Annotated[str, Field(description="A stable code.", examples=["asset_unknown"])]
    detail: Annotated[
        str,
        Field(
            description="The code as a sentence.",
            examples=["there is no asset USDX: use one of EURC, USDC, XLM"],
        ),
    ]


class SumAnswer(AnswerModel):
    """Opening balances of one asset and bucket."""

    asset: AssetCode
    bucket: Annotated[str, Field(description="`winnings` or `topup`.", examples=["winnings"])]
    before: Annotated[Money, Field(description="Booked before this request.", examples=["317.00"])]
    imported: Annotated[Money, Field(description="Booked by this request.", examples=["125.50"])]
    after: Annotated[Money, Field(description="Booked after this request.", examples=["442.50"])]


class ImportAnswer(AnswerModel):
    """What was booked, or what a dry run would book."""

    dry_run: Annotated[bool, Field(examples=[True])]
    rows: Annotated[int, Field(description="Rows of the request.", examples=[3])]
    imported: Annotated[int, Field(description="Rows that are booked now.", examples=[1])]
    already: Annotated[int, Field(description="Rows that were booked before.", examples=[1])]
    refused: list[RefusedRowAnswer]
    sums: list[SumAnswer]


_Context = Context[WalletPorts, PayoutTools]


_Action = RewardsAction[WalletPorts]


_REFERENCE = re.compile(f"{PRINTABLE[1:-2]}{{1,128}}")


class ImportController(Controller):
    """Opening balances, for admins."""

    path = "/api/imports"
    tags = ["imports"]  # noqa: RUF012 - Litestar reads a plain list

    @post(
        "/balances",
        guards=[require(Role.ADMIN)],
        status_code=200,
        summary="Book opening balances, each once, or check them in a dry run",
    )
    async def balances(
        self,
        *,
        context: NamedDependency[_Context],
        data: JSONBody[OpeningsBody],
        request: Request[Principal, Any, Any],
        key: RequiredKey = None,
    ) -> Response[ImportAnswer]:
        """A wrong row, or a row that was booked with another amount, is refused alone; all others are booked. A dry run
        changes nothing and does not use its Idempotency-Key.
        """
        openings, refused = read_rows(data.rows, assets=context.amounts.assets)

        async def reconcile(action: _Action) -> Reconciliation:
            return await import_balances(
                openings,
                refused=refused,
                dry_run=data.dry_run,
                actor=request.user.subject,
                ports=action.unit_of_work,
                tools=context.tools,
                now=action.now,
            )

        if data.dry_run:
            check_key(key)
            return Response(
                _shown(context.amounts, await context.change(reconcile, actor=request.user), dry_run=True)
            )

        async def book(action: _Action) -> tuple[int, ImportAnswer]:
            shown = _shown(context.amounts, await reconcile(action), dry_run=False)
            await action.record(
                "balances.imported",
                target=str(action.id),
                detail={
                    "rows": str(shown.rows),
                    "imported": str(shown.imported),
                    "already": str(shown.already),
                    "refused": str(len(shown.refused)),
                    "references": sorted({opening.reference for opening in openings})[:20],
                    "sums": [one.model_dump(mode="json") for one in shown.sums],
                },
            )
            return 200, shown

        return await context.once(
            book,
            answers=ImportAnswer,
            actor=request.user,
            route="POST /api/imports/balances",
            key=key,
            body=data.model_dump(mode="json"),
        )


def read_rows(rows: Sequence[OpeningRow], *, assets: AssetRegistry) -> tuple[list[Opening], list[Refusal]]:
    """The opening balances of the rows, and refusals of the rows that cannot be read. Rows are numbered from 0."""
    openings: list[Opening] = []
    refused: list[Refusal] = []
    for number, row in enumerate(rows):
        read = _read(number, row, assets=assets)
        if isinstance(read, Opening):
            openings.append(read)
        else:
            refused.append(read)
    return openings, refused


def _read(number: int, row: OpeningRow, *, assets: AssetRegistry) -> Opening | Refusal:
    asset = assets.get(row.asset)
    if not is_name(row.player):
        return Refusal(number, "player_invalid", "a player must have 1 to 128 characters without white space")
    if not _REFERENCE.fullmatch(row.reference) or not is_normal(row.reference):
        return Refusal(number, "reference_invalid", "a reference must have 1 to 128 printable characters")
    if row.bucket not in OPENING_BUCKETS:
        return Refusal(number, "bucket_unknown", f"a bucket must be one of {', '.join(OPENING_BUCKETS)}")
    if asset is None:
        return Refusal(number, "asset_unknown", assets.refusal_of(printable(row.asset, length_max=12)))
    try:
        amount = Amount.parse(asset, row.amount).minor
    except InvalidAmount as error:
        return Refusal(number, str(error.code), printable(str(error)))
    return Opening(
        number=number,
        player=row.player,
        asset=asset.code,
        bucket=row.bucket,
        amount=amount,
        reference=row.reference,
    )


def _shown(amounts: Amounts, found: Reconciliation, *, dry_run: bool) -> ImportAnswer:
    imported, after = found.imported(), found.after()

    def sums(key: SumKey) -> SumAnswer:
        return SumAnswer(
            asset=key.asset,
            bucket=key.bucket,
            before=amounts.text(key.asset, found.before.get(key, 0)),
            imported=amounts.text(key.asset, imported.get(key, 0)),
            after=amounts.text(key.asset, after[key]),
        )

    return ImportAnswer(
        dry_run=dry_run,
        rows=found.rows,
        imported=len(found.new),
        already=len(found.already),
        refused=[RefusedRowAnswer(row=one.number, code=one.code, detail=one.detail) for one in found.refused],
        sums=[sums(key) for key in sorted(after)],
    )
