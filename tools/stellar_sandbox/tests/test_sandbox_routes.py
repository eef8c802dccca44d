"""The routes that a real node does not have: friendbot, the views for people and tests, the faults."""

from __future__ import annotations

import asyncio

import pytest
from stellar_sdk import Asset, TransactionBuilder
from stellar_sdk.soroban_rpc import GetTransactionStatus, SendTransactionStatus
from stellar_sdk.soroban_server_async import SorobanServerAsync

from tools.stellar_sandbox.tests.net import key
from tools.stellar_sandbox.tests.process import ROOT, Sandbox, build, settled, submit

FRIENDBOT_STROOPS = "100000000000"


async def test_friendbot_funds_many_at_once(sandbox: Sandbox, client: SorobanServerAsync) -> None:
    """150 requests at once are 150 accounts, in few real transactions of the root."""
    players = [key(f"friend {n}") for n in range(150)]
    http, url = sandbox.http, sandbox.url
    answers = await asyncio.gather(
        *(http.get(f"{url}/friendbot", params={"addr": player.public_key}) for player in players)
    )
    assert {answer.status_code for answer in answers} == {200}
    hashes = {answer.json()["hash"] for answer in answers}
    assert len(hashes) < len(players) / 5
    for hash_ in hashes:
        found = await client.get_transaction(hash_)
        assert found.status is GetTransactionStatus.SUCCESS
    for player in players:
        shown = await sandbox.get(f"/sandbox/accounts/{player.public_key}")
        assert shown["balances"] == {"native": FRIENDBOT_STROOPS}


async def test_friendbot_fills_up_and_refuses(sandbox: Sandbox, client: SorobanServerAsync) -> None:
    """A poorer account is filled up (also by a form); a full one and nonsense are refused as friendbot does."""
    poor = key("friend poor")
    created = await build(client, ROOT, lambda b: b.append_create_account_op(poor.public_key, "12.5"))
    await submit(client, created)
    http, url = sandbox.http, sandbox.url
    filled = await http.post(f"{url}/friendbot", data={"addr": poor.public_key})
    again = await http.get(f"{url}/friendbot", params={"addr": poor.public_key})
    nonsense = await http.get(f"{url}/friendbot", params={"addr": "GABC"})
    assert filled.status_code == 200
    assert filled.json()["successful"]
    shown = await sandbox.get(f"/sandbox/accounts/{poor.public_key}")
    assert shown["balances"] == {"native": FRIENDBOT_STROOPS}
    assert (again.status_code, again.json()["detail"]) == (400, "account already funded to starting balance")
    assert nonsense.status_code == 400


async def test_ledger_and_account_views(sandbox: Sandbox, client: SorobanServerAsync) -> None:
    """Balances by asset in stroops; an unknown account is a 404, nonsense a 400."""
    holder, prize = key("view holder"), Asset("PRIZE", ROOT.public_key)

    def fill(builder: TransactionBuilder) -> None:
        builder.append_create_account_op(holder.public_key, "10")
        builder.append_change_trust_op(prize, source=holder.public_key)
        builder.append_payment_op(holder.public_key, prize, "0.0000042")
        builder.append_ed25519_public_key_signer(key("view signer").public_key, 1, source=holder.public_key)
        builder.append_manage_data_op("k", "v", source=holder.public_key)

    await submit(client, await build(client, ROOT, fill, signers=[ROOT, holder]))
    shown = await sandbox.get(f"/sandbox/accounts/{holder.public_key}")
    assert shown["balances"] == {"native": "100000000", f"PRIZE:{ROOT.public_key}": "42"}
    assert shown["signers"] == [{"key": key("view signer").public_key, "weight": 1}]
    assert shown["data"] == {"k": "dg=="}
    assert shown["subentries"] == 3
    ledger = await sandbox.get("/sandbox/ledger")
    assert ledger["root"] == ROOT.public_key
    assert ledger["queued"] == 0
    http, url = sandbox.http, sandbox.url
    unknown = await http.get(f"{url}/sandbox/accounts/{key('nobody').public_key}")
    nonsense = await http.get(f"{url}/sandbox/accounts/alice")
    kind = await http.get(f"{url}/sandbox/payments", params={"kind": "loan"})
    assert (unknown.status_code, nonsense.status_code, kind.status_code) == (404, 400, 400)


async def test_payments_by_page(sandbox: Sandbox, client: SorobanServerAsync) -> None:
    """Payments are listed oldest first with their memo, page by page; failed ones never."""
    payer = key("page payer")
    await submit(
        client, await build(client, ROOT, lambda b: b.append_create_account_op(payer.public_key, "50"))
    )

    def five(builder: TransactionBuilder) -> None:
        builder.add_id_memo(77)
        for n in range(5):
            builder.append_payment_op(ROOT.public_key, Asset.native(), str(n + 1))

    def failing(builder: TransactionBuilder) -> None:
        builder.append_payment_op(ROOT.public_key, Asset.native(), "1")
        builder.append_payment_op(key("page nobody").public_key, Asset.native(), "1")

    paid = await build(client, payer, five)
    assert (await submit(client, paid)).status is GetTransactionStatus.SUCCESS
    assert (await submit(client, await build(client, payer, failing))).status is GetTransactionStatus.FAILED
    first = await sandbox.get("/sandbox/payments", account=payer.public_key, limit=3)
    second = await sandbox.get("/sandbox/payments", account=payer.public_key, after=first["next"])
    both = first["payments"] + second["payments"]
    assert [one["amount"] for one in both] == [str(n * 10_000_000) for n in range(1, 6)]
    assert {(one["memo_type"], one["memo"], one["asset"]) for one in both} == {("id", "77", "native")}
    assert {one["tx_hash"] for one in both} == {paid.hash_hex()}
    after = await sandbox.get("/sandbox/payments", account=payer.public_key, after=second["next"])
    assert after == {"payments": [], "next": second["next"]}
    everything = await sandbox.get("/sandbox/payments", account=payer.public_key, kind="all")
    assert everything["payments"][0]["type"] == "create_account"


async def test_lost_answer(sandbox: Sandbox, client: SorobanServerAsync) -> None:
    """The transaction is queued although its sender gets no answer; the fault happens as often as set."""
    envelope = await build(client, ROOT, lambda b: b.append_bump_sequence_op(0))
    await sandbox.arm(lose_answer=1)
    await client.get_health()
    with pytest.raises(Exception, match="not completed"):
        await client.send_transaction(envelope)
    assert (await settled(client, envelope.hash_hex())).status is GetTransactionStatus.SUCCESS
    assert (await sandbox.get("/sandbox/faults"))["lose_answer"] == 0


async def test_try_again_later_and_not_found(sandbox: Sandbox, client: SorobanServerAsync) -> None:
    """The next n calls are answered with the fault, then the truth comes back."""
    envelope = await build(client, ROOT, lambda b: b.append_bump_sequence_op(0))
    await sandbox.arm(try_again_later=2, not_found=1)
    for _ in range(2):
        sent = await client.send_transaction(envelope)
        assert sent.status is SendTransactionStatus.TRY_AGAIN_LATER
        assert sent.hash == envelope.hash_hex()
    assert (await sandbox.get("/sandbox/ledger"))["queued"] == 0
    await client.send_transaction(envelope)
    await settled(client, envelope.hash_hex())
    await sandbox.arm(not_found=1)
    assert (await client.get_transaction(envelope.hash_hex())).status is GetTransactionStatus.NOT_FOUND
    assert (await client.get_transaction(envelope.hash_hex())).status is GetTransactionStatus.SUCCESS


@pytest.mark.parametrize(
    "counts", [{"no_such": 1}, {"not_found": -1}, {"not_found": "1"}, {"not_found": True}]
)
async def test_unknown_faults(sandbox: Sandbox, counts: dict[str, object]) -> None:
    """A fault that does not exist, or a count that is none, is refused and sets nothing."""
    http, url = sandbox.http, sandbox.url
    refused = await http.post(f"{url}/sandbox/faults", json={"try_again_later": 5, **counts})
    assert refused.status_code == 400
    assert (await sandbox.get("/sandbox/faults"))["try_again_later"] == 0
