"""One Stellar RPC node over stellar-sdk's async client. Whatever is not a clear answer is ``RpcUnavailable``."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import ValidationError
from stellar_sdk import Asset, Keypair, xdr
from stellar_sdk.client.aiohttp_client import AiohttpClient
from stellar_sdk.exceptions import SdkError
from stellar_sdk.soroban_rpc import GetTransactionStatus
from stellar_sdk.soroban_server_async import SorobanServerAsync

from prizewire_payouts.stellar.adapters.transactions import read_contents, read_result
from prizewire_payouts.stellar.domain.model import (
    AccountFacts,
    AccountQuery,
    AccountsRead,
    ChainAsset,
    FeeStats,
    LedgerMoment,
    LineFacts,
    LookUp,
    LookUpStatus,
    SendAnswer,
    SendStatus,
)
from prizewire_payouts.stellar.ports import RpcUnavailable

T = TypeVar("T")

KEYS_MAX = 200
"""Ledger keys in one ``getLedgerEntries`` (Stellar RPC documentation, getLedgerEntries)."""
BASE_RESERVE = 5_000_000
"""Stroops that each entry of an account reserves: the network's base reserve of 0.5 XLM."""
MEMO_REQUIRED_ENTRY = "config.memo_required"
"""SEP-29: an account with this data entry takes no payment without a memo."""
TIMEOUT_S = 10.0
_UNCLEAR = (SdkError, ValidationError, ValueError, KeyError, OSError, TimeoutError, EOFError)
"""What the client, the transport and the decoders raise when an answer did not come or cannot be read."""


class StellarRpc:
    """``prizewire_payouts.stellar.ports.ChainRpc`` over one RPC address."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = AiohttpClient(request_timeout=timeout_s, post_timeout=timeout_s)
        self._server = SorobanServerAsync(url, client=self._client)

    async def close(self) -> None:
        """Give connections back."""
        await self._client.close()

    async def latest_ledger(self) -> LedgerMoment:
        """The last closed ledger."""
        answer = await _clear(self._server.get_latest_ledger)
        return LedgerMoment(answer.sequence, answer.close_time)

    async def fee_stats(self) -> FeeStats:
        """What classic operations bid lately."""
        answer = await _clear(self._server.get_fee_stats)
        bids = answer.inclusion_fee
        return FeeStats(p50=bids.p50, p90=bids.p90, p99=bids.p99)

    async def accounts(self, queries: Sequence[AccountQuery]) -> AccountsRead:
        """Accounts with the asked trustlines and SEP-29's flag, read in as many calls as the key limit needs."""
        keys = [key for query in queries for key in _keys(query)]
        entries: list[xdr.LedgerEntryData] = []
        ledger: int | None = None
        for start in range(0, len(keys), KEYS_MAX):
            part = keys[start : start + KEYS_MAX]

            async def read(part: list[xdr.LedgerKey] = part) -> tuple[int, list[xdr.LedgerEntryData]]:
                answer = await self._server.get_ledger_entries(part)
                return answer.latest_ledger, [
                    xdr.LedgerEntryData.from_xdr(one.xdr) for one in answer.entries or []
                ]

            at, found = await _clear(read)
            ledger = at if ledger is None else min(ledger, at)
            entries += found
        if ledger is None:
            raise RpcUnavailable("no account was asked for")
        return AccountsRead(ledger, await _clear(lambda: _facts(entries)))

    async def send(self, signed_xdr: str) -> SendAnswer:
        """Hand signed bytes to the network."""

        async def work() -> SendAnswer:
            answer = await self._server.send_transaction(signed_xdr)
            code = None
            if answer.error_result_xdr is not None:
                code = read_result(answer.error_result_xdr).code
            return SendAnswer(
                SendStatus(answer.status.value),
                LedgerMoment(answer.latest_ledger, answer.latest_ledger_close_time),
                code,
            )

        return await _clear(work)

    async def look_up(self, tx_hash: str) -> LookUp:
        """What the node knows of a transaction."""

        async def work() -> LookUp:
            answer = await self._server.get_transaction(tx_hash)
            latest = LedgerMoment(answer.latest_ledger, answer.latest_ledger_close_time)
            if answer.status is GetTransactionStatus.NOT_FOUND:
                return LookUp(
                    status=LookUpStatus.NOT_FOUND,
                    latest=latest,
                    oldest=answer.oldest_ledger,
                    oldest_time=answer.oldest_ledger_close_time,
                )
            if answer.ledger is None or answer.result_xdr is None:
                raise ValueError("a transaction that was found has a ledger and a result")
            return LookUp(
                status=LookUpStatus(answer.status.value),
                latest=latest,
                oldest=answer.oldest_ledger,
                oldest_time=answer.oldest_ledger_close_time,
                ledger=answer.ledger,
                closed_at=None if answer.create_at is None else datetime.fromtimestamp(answer.create_at, UTC),
                result_xdr=answer.result_xdr,
                result=read_result(answer.result_xdr),
                contents=None if answer.envelope_xdr is None else read_contents(answer.envelope_xdr),
            )

        return await _clear(work)


async def _clear(call: Callable[[], Awaitable[T]]) -> T:
    try:
        return await call()
    except _UNCLEAR as error:
        raise RpcUnavailable(f"{type(error).__name__}: {error}"[:300]) from error


def _keys(query: AccountQuery) -> list[xdr.LedgerKey]:
    account = Keypair.from_public_key(query.account).xdr_account_id()
    keys = [
        xdr.LedgerKey(xdr.LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(account)),
        xdr.LedgerKey(
            xdr.LedgerEntryType.DATA,
            data=xdr.LedgerKeyData(account, xdr.String64(MEMO_REQUIRED_ENTRY.encode())),
        ),
    ]
    for asset in sorted(query.assets):
        line = Asset(asset.code, asset.issuer).to_trust_line_asset_xdr_object()
        keys.append(
            xdr.LedgerKey(xdr.LedgerEntryType.TRUSTLINE, trust_line=xdr.LedgerKeyTrustLine(account, line))
        )
    return keys


async def _facts(entries: Sequence[xdr.LedgerEntryData]) -> dict[str, AccountFacts]:
    accounts: dict[str, xdr.AccountEntry] = {}
    flagged: set[str] = set()
    lines: dict[str, dict[ChainAsset, LineFacts]] = {}
    for entry in entries:
        if entry.account is not None:
            accounts[_address(entry.account.account_id)] = entry.account
        elif entry.data is not None and entry.data.data_value.data_value == b"1":
            flagged.add(_address(entry.data.account_id))
        elif entry.trust_line is not None:
            owner = lines.setdefault(_address(entry.trust_line.account_id), {})
            asset = Asset.from_xdr_object(entry.trust_line.asset)
            owner[ChainAsset(asset.code, asset.issuer)] = _line(entry.trust_line)
    return {
        address: AccountFacts(
            sequence=account.seq_num.sequence_number.int64,
            spendable=_spendable(account),
            memo_required=address in flagged,
            lines=lines.get(address, {}),
        )
        for address, account in accounts.items()
    }


def _address(account: xdr.AccountID) -> str:
    key = account.account_id.ed25519
    if key is None:
        raise ValueError("an account without a key")
    return Keypair.from_raw_ed25519_public_key(key.uint256).public_key


def _line(line: xdr.TrustLineEntry) -> LineFacts:
    buying = selling = 0
    if line.ext.v1 is not None:
        buying = line.ext.v1.liabilities.buying.int64
        selling = line.ext.v1.liabilities.selling.int64
    return LineFacts(
        spendable=line.balance.int64 - selling,
        room=line.limit.int64 - line.balance.int64 - buying,
        authorized=bool(line.flags.uint32 & xdr.TrustLineFlags.AUTHORIZED_FLAG.value),
    )


def _spendable(account: xdr.AccountEntry) -> int:
    """Balance above the reserve of (2 + subentries + sponsoring - sponsored) entries and selling liabilities."""
    entries = 2 + account.num_sub_entries.uint32
    selling = 0
    extension = account.ext.v1
    if extension is not None:
        selling = extension.liabilities.selling.int64
        if extension.ext.v2 is not None:
            entries += extension.ext.v2.num_sponsoring.uint32 - extension.ext.v2.num_sponsored.uint32
    return account.balance.int64 - entries * BASE_RESERVE - selling
