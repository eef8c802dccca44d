"""The RPC through the unmodified asynchronous client of stellar-sdk."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from stellar_sdk import Account, Asset, Keypair, MuxedAccount, TransactionBuilder, xdr
from stellar_sdk.exceptions import AccountNotFoundException, SorobanRpcErrorResponse
from stellar_sdk.soroban_rpc import GetTransactionStatus, SendTransactionStatus
from stellar_sdk.soroban_server_async import SorobanServerAsync

from prizewire_stellar_sandbox.settings import STANDALONE_PASSPHRASE as PASSPHRASE
from tools.stellar_sandbox.tests.net import key
from tools.stellar_sandbox.tests.process import ROOT, Sandbox, build, eventually, submit


async def account(client: SorobanServerAsync, label: str, xlm: str = "100") -> Keypair:
    """A new account out of the root's XLM."""
    keypair = key(label)
    envelope = await build(client, ROOT, lambda b: b.append_create_account_op(keypair.public_key, xlm))
    assert (await submit(client, envelope)).status is GetTransactionStatus.SUCCESS
    return keypair


async def test_health_network_version_ledger(client: SorobanServerAsync, sandbox: Sandbox) -> None:
    """The answers about the network itself parse and agree with each other."""
    health = await client.get_health()
    assert (health.status, health.oldest_ledger, health.ledger_retention_window) == ("healthy", 1, 120_960)
    network = await client.get_network()
    assert (network.passphrase, network.friendbot_url) == (PASSPHRASE, f"{sandbox.url}/friendbot")
    assert (await client.get_version_info()).protocol_version == network.protocol_version
    latest = await client.get_latest_ledger()
    header = xdr.LedgerHeader.from_xdr(latest.header_xdr)
    assert latest.sequence >= health.latest_ledger
    assert header.ledger_seq.uint32 == latest.sequence
    assert header.scp_value.close_time.time_point.uint64 == latest.close_time
    assert latest.id == hashlib.sha256(header.to_xdr_bytes()).hexdigest()
    meta = xdr.LedgerCloseMeta.from_xdr(latest.metadata_xdr)
    assert meta.v2 is not None
    assert meta.v2.ledger_header.header == header


async def test_ledgers_go_on_by_themselves(client: SorobanServerAsync) -> None:
    """Ledgers close without transactions."""
    first = (await client.get_health()).latest_ledger

    async def look() -> bool | None:
        return True if (await client.get_health()).latest_ledger > first + 1 else None

    assert await eventually(look)


async def test_payment_from_start_to_end(client: SorobanServerAsync) -> None:
    """A payment is sent, found in its ledger, and its XDR is the same in every answer."""
    alice, bob = await account(client, "rpc alice"), await account(client, "rpc bob", "5")

    def fill(builder: TransactionBuilder) -> None:
        builder.append_payment_op(bob.public_key, Asset.native(), "1.5").add_text_memo("well played")

    envelope = await build(client, alice, fill)
    sent = await client.send_transaction(envelope)
    assert (sent.status, sent.hash) == (SendTransactionStatus.PENDING, envelope.hash_hex())
    found = await submit(client, envelope)
    assert found.status is GetTransactionStatus.SUCCESS
    assert (found.application_order, found.fee_bump, found.transaction_hash) == (1, False, sent.hash)
    assert found.ledger is not None
    assert sent.latest_ledger < found.ledger <= found.latest_ledger
    assert found.create_at is not None
    assert found.oldest_ledger_close_time <= found.create_at <= found.latest_ledger_close_time
    assert found.envelope_xdr == envelope.to_xdr()
    assert found.result_xdr is not None
    result = xdr.TransactionResult.from_xdr(found.result_xdr)
    assert result.fee_charged.int64 == 100
    assert result.result.code == xdr.TransactionResultCode.txSUCCESS
    assert found.result_meta_xdr is not None
    meta = xdr.TransactionMeta.from_xdr(found.result_meta_xdr).v4
    assert meta is not None
    changes = meta.operations[0].changes.ledger_entry_changes
    updated = [change.updated.data.account for change in changes if change.updated]
    assert {entry.balance.int64 for entry in updated if entry} == {984_999_900, 65_000_000}


async def test_ledger_entries_are_real_xdr(client: SorobanServerAsync) -> None:
    """Accounts, trustlines and data come as LedgerEntryData, in the order asked, without what is missing."""
    holder = await account(client, "rpc holder")
    usdc = Asset("USDC", ROOT.public_key)

    def fill(builder: TransactionBuilder) -> None:
        builder.append_change_trust_op(usdc, "50")
        builder.append_manage_data_op("config.memo_required", "1")
        builder.append_set_options_op(home_domain="prizewire.example")
        builder.append_payment_op(holder.public_key, usdc, "7", source=ROOT.public_key)

    opened = await submit(client, await build(client, holder, fill, signers=[holder, ROOT]))
    assert opened.status is GetTransactionStatus.SUCCESS
    id_ = Keypair.from_public_key(holder.public_key).xdr_account_id()
    keys = [
        xdr.LedgerKey(
            xdr.LedgerEntryType.DATA,
            data=xdr.LedgerKeyData(id_, xdr.String64(b"config.memo_required")),
        ),
        xdr.LedgerKey(xdr.LedgerEntryType.DATA, data=xdr.LedgerKeyData(id_, xdr.String64(b"nothing"))),
        xdr.LedgerKey(
            xdr.LedgerEntryType.TRUSTLINE,
            trust_line=xdr.LedgerKeyTrustLine(id_, usdc.to_trust_line_asset_xdr_object()),
        ),
        xdr.LedgerKey(xdr.LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(id_)),
    ]
    answer = await client.get_ledger_entries(keys)
    assert answer.entries is not None
    assert [entry.key for entry in answer.entries] == [keys[0].to_xdr(), keys[2].to_xdr(), keys[3].to_xdr()]
    assert {entry.last_modified_ledger for entry in answer.entries} == {opened.ledger}
    data, line, own = (xdr.LedgerEntryData.from_xdr(entry.xdr) for entry in answer.entries)
    assert data.data is not None
    assert data.data.data_value.data_value == b"1"
    assert line.trust_line is not None
    assert (line.trust_line.balance.int64, line.trust_line.limit.int64) == (70_000_000, 500_000_000)
    assert own.account is not None
    assert own.account.num_sub_entries.uint32 == 2
    assert own.account.home_domain.string32 == b"prizewire.example"
    assert own.account.ext.v1 is not None
    assert own.account.ext.v1.ext.v2 is not None
    v3 = own.account.ext.v1.ext.v2.ext.v3
    assert v3 is not None
    assert v3.seq_ledger.uint32 == opened.ledger


async def test_missing_account(client: SorobanServerAsync) -> None:
    """An account that does not exist is reported as such."""
    with pytest.raises(AccountNotFoundException):
        await client.load_account(key("rpc nobody").public_key)


async def test_failed_transaction(client: SorobanServerAsync) -> None:
    """A transaction that fails when applied is FAILED, with its operations' codes."""
    alice = await account(client, "rpc unlucky")
    target = key("rpc nobody").public_key
    envelope = await build(client, alice, lambda b: b.append_payment_op(target, Asset.native(), "1"))
    found = await submit(client, envelope)
    assert found.status is GetTransactionStatus.FAILED
    assert found.result_xdr is not None
    result = xdr.TransactionResult.from_xdr(found.result_xdr).result
    assert result.results is not None
    assert result.results[0].tr is not None
    assert result.results[0].tr.payment_result is not None
    code = result.results[0].tr.payment_result.code
    assert code == xdr.PaymentResultCode.PAYMENT_NO_DESTINATION
    assert found.result_meta_xdr is not None
    meta = xdr.TransactionMeta.from_xdr(found.result_meta_xdr).v4
    assert meta is not None
    assert meta.operations == []


async def test_refused_when_sent(client: SorobanServerAsync) -> None:
    """A transaction that is invalid is an ERROR with its result XDR, and is never found."""
    alice = await account(client, "rpc refused")
    envelope = await build(client, alice, lambda b: b.append_payment_op(ROOT.public_key, Asset.native(), "1"))
    envelope.signatures.clear()
    sent = await client.send_transaction(envelope)
    assert sent.status is SendTransactionStatus.ERROR
    assert sent.error_result_xdr is not None
    code = xdr.TransactionResult.from_xdr(sent.error_result_xdr).result.code
    assert code == xdr.TransactionResultCode.txBAD_AUTH
    assert (await client.get_transaction(sent.hash)).status is GetTransactionStatus.NOT_FOUND


async def test_duplicate_and_try_again_later(client: SorobanServerAsync, sandbox: Sandbox) -> None:
    """The same envelope again is a DUPLICATE while it waits; another one of the source has to wait."""
    alice = await account(client, "rpc busy")
    first, second = [
        await build(client, alice, lambda b: b.append_bump_sequence_op(0).add_text_memo(memo))  # noqa: B023 - called at once
        for memo in ("first", "second")
    ]
    # One batch is answered in one go: no ledger closes in between.
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": "sendTransaction", "params": {"transaction": one.to_xdr()}}
        for n, one in enumerate((first, first, second))
    ]
    answers = (await sandbox.http.post(sandbox.url, json=batch)).json()
    statuses = [answer["result"]["status"] for answer in answers]
    assert statuses == ["PENDING", "DUPLICATE", "TRY_AGAIN_LATER"]
    assert (await submit(client, first)).status is GetTransactionStatus.SUCCESS


async def test_fee_bump_is_found_by_both_hashes(client: SorobanServerAsync) -> None:
    """The outer and the inner hash lead to the same transaction."""
    poor, rich = await account(client, "rpc poor"), await account(client, "rpc rich")
    inner = await build(client, poor, lambda b: b.append_payment_op(rich.public_key, Asset.native(), "1"))
    outer = TransactionBuilder.build_fee_bump_transaction(rich.public_key, 200, inner, PASSPHRASE)
    outer.sign(rich)
    sent = await client.send_transaction(outer)
    assert sent.hash == outer.hash_hex()
    by_outer = await submit(client, outer)
    by_inner = await client.get_transaction(inner.hash_hex())
    assert by_outer.status is by_inner.status is GetTransactionStatus.SUCCESS
    assert by_outer.fee_bump
    assert by_inner.envelope_xdr == outer.to_xdr()
    assert by_inner.transaction_hash == inner.hash_hex()


async def test_muxed_source_and_destination(client: SorobanServerAsync, sandbox: Sandbox) -> None:
    """M… addresses work on both sides, and the payments list has the id."""
    alice = await account(client, "rpc muxed")
    to = MuxedAccount(ROOT.public_key, 424_242)
    loaded = await client.load_account(alice.public_key)
    source = Account(MuxedAccount(alice.public_key, 9), loaded.sequence)
    builder = TransactionBuilder(source, PASSPHRASE)
    envelope = builder.append_payment_op(to, Asset.native(), "3").set_timeout(60).build()
    envelope.sign(alice)
    assert (await submit(client, envelope)).status is GetTransactionStatus.SUCCESS
    listed = (await sandbox.get("/sandbox/payments", account=alice.public_key))["payments"]
    assert [(one["to"], one["to_muxed"], one["amount"]) for one in listed] == [
        (ROOT.public_key, to.account_muxed, "30000000")
    ]


async def test_fee_stats(client: SorobanServerAsync) -> None:
    """Recent transactions show up in the fee distribution."""
    await account(client, "rpc fees")
    stats = await client.get_fee_stats()
    assert stats.inclusion_fee.transaction_count >= 1
    assert stats.inclusion_fee.p50 == stats.inclusion_fee.max == 100
    assert stats.soroban_inclusion_fee.transaction_count == 0


async def test_one_hundred_payments_in_a_transaction(client: SorobanServerAsync, sandbox: Sandbox) -> None:
    """A full batch is paid in one ledger; a hundred and one operations are no transaction."""
    players = [key(f"rpc player {n}") for n in range(100)]

    def fill(builder: TransactionBuilder) -> None:
        for player in players:
            builder.append_create_account_op(player.public_key, "2")

    assert (await submit(client, await build(client, ROOT, fill))).status is GetTransactionStatus.SUCCESS

    def pay_all(builder: TransactionBuilder) -> None:
        for n, player in enumerate(players):
            builder.append_payment_op(player.public_key, Asset.native(), str(n + 1))

    envelope = await build(client, ROOT, pay_all)
    assert (await submit(client, envelope)).status is GetTransactionStatus.SUCCESS
    listed = (await sandbox.get("/sandbox/payments", limit=10_000))["payments"]
    mine = [one for one in listed if one["tx_hash"] == envelope.hash_hex()]
    assert [one["op_index"] for one in mine] == list(range(100))
    assert [int(one["amount"]) for one in mine] == [(n + 1) * 10_000_000 for n in range(100)]
    envelope.transaction.operations.append(envelope.transaction.operations[0])
    packed = envelope.to_xdr_object
    with pytest.raises(ValueError, match="100"):
        packed()


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("sendTransaction", {"transaction": "AAAA"}, -32602),
        ("sendTransaction", {"transaction": "not base64!"}, -32602),
        ("sendTransaction", {}, -32602),
        ("sendTransaction", {"transaction": "AAAA", "xdrFormat": "json"}, -32602),
        ("getTransaction", {"hash": "abc"}, -32602),
        ("getTransaction", {"hash": "z" * 64}, -32602),
        ("getTransaction", None, -32602),
        ("getTransaction", ["a"], -32602),
        ("getLedgerEntries", {"keys": ["AAAA"]}, -32602),
        ("getLedgerEntries", {"keys": "AAAA"}, -32602),
        ("getLedgerEntries", {"keys": ["AAAA"] * 201}, -32602),
        ("simulateTransaction", {}, -32601),
    ],
)
async def test_bad_calls(sandbox: Sandbox, method: str, params: Any, code: int) -> None:
    """What cannot be understood is a JSON-RPC error with the real code."""
    assert (await sandbox.call(method, params))["error"]["code"] == code


async def test_client_sees_errors(client: SorobanServerAsync) -> None:
    """The client library raises its own error for them."""
    with pytest.raises(SorobanRpcErrorResponse) as raised:
        await client.get_transaction("00")
    assert raised.value.code == -32602


async def test_not_found_answer_has_every_field(sandbox: Sandbox) -> None:
    """NOT_FOUND has the range of searched ledgers, close times as strings."""
    result = (await sandbox.call("getTransaction", {"hash": "00" * 32}))["result"]
    assert result["status"] == "NOT_FOUND"
    assert isinstance(result["latestLedger"], int)
    assert isinstance(result["oldestLedger"], int)
    assert isinstance(result["latestLedgerCloseTime"], str)
    assert isinstance(result["oldestLedgerCloseTime"], str)


async def test_transport(sandbox: Sandbox) -> None:
    """Batches, notifications, both paths, nonsense, and methods other than POST."""
    ask = {"jsonrpc": "2.0", "id": "a", "method": "getHealth"}
    http, url = sandbox.http, sandbox.url
    batch = (await http.post(f"{url}/rpc", json=[ask, ask | {"id": "b"}, {"jsonrpc": "2.0"}])).json()
    assert [one.get("id") for one in batch] == ["a", "b", None]
    assert batch[2]["error"]["code"] == -32600
    silent = await http.post(f"{url}/", json={"jsonrpc": "2.0", "method": "getHealth"})
    assert (silent.status_code, silent.content) == (204, b"")
    assert (await http.post(f"{url}/", content=b"{")).json()["error"]["code"] == -32700
    assert (await http.post(f"{url}/", json=[])).json()["error"]["code"] == -32600
    assert (await http.get(f"{url}/")).status_code == 405
    assert (await http.post(f"{url}/", content=b" " * 600_000)).status_code == 413
    cross = await http.post(f"{url}/", json=ask, headers={"origin": "http://localhost:1"})
    assert cross.headers["access-control-allow-origin"] == "*"


async def test_many_clients_at_once(client: SorobanServerAsync, sandbox: Sandbox) -> None:
    """Fifty accounts pay at the same time, each exactly once."""
    payers = [key(f"rpc crowd {n}") for n in range(50)]

    def fill(builder: TransactionBuilder) -> None:
        for payer in payers:
            builder.append_create_account_op(payer.public_key, "10")

    await submit(client, await build(client, ROOT, fill))

    async def pay(payer: Keypair) -> GetTransactionStatus:
        envelope = await build(
            client, payer, lambda b: b.append_payment_op(ROOT.public_key, Asset.native(), "1")
        )
        return (await submit(client, envelope)).status

    assert set(await asyncio.gather(*map(pay, payers))) == {GetTransactionStatus.SUCCESS}
    for payer in payers:
        assert len((await sandbox.get("/sandbox/payments", account=payer.public_key))["payments"]) == 1
