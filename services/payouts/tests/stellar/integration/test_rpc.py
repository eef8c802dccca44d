"""The client of a real RPC: the conformance suite over the sandbox, and answers that cannot be read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from prizewire_devstack.waiting import eventually
from prizewire_payouts.stellar.adapters.rpc import StellarRpc
from prizewire_payouts.stellar.domain.model import AccountQuery, ChainAsset
from prizewire_payouts.stellar.ports import RpcUnavailable
from services.payouts.tests.stellar.integration.conftest import (
    CHANNEL_KEYS,
    ISSUER,
    NO_LINE,
    PASSPHRASE,
    PLAYER_KEYS,
    TREASURY,
    WANTS_MEMO,
    Sandbox,
)
from services.payouts.tests.stellar.unit.conformance import Bench, NodeConformance


@pytest.fixture(scope="module")
def memo_account(sandbox: Sandbox) -> str:
    """A player whose account asks for memos, as SEP-29 has it; other tests pay without one, so it is nobody else."""
    player = WANTS_MEMO
    builder = sandbox.chain.builder(player.public_key)
    builder.append_manage_data_op("config.memo_required", "1")
    sandbox.chain.wait(sandbox.chain.send(builder, player))
    return player.public_key


class TestSandbox(NodeConformance):
    """Every conformance test, over the real client and the sandbox."""

    @pytest.fixture
    async def bench(self, sandbox: Sandbox, memo_account: str) -> AsyncIterator[Bench]:
        """The sandbox of the session."""
        node = StellarRpc(sandbox.url)

        async def closed() -> None:
            before = await node.latest_ledger()

            async def another() -> bool:
                return (await node.latest_ledger()).sequence > before.sequence

            await eventually(another)

        yield Bench(
            node=node,
            passphrase=PASSPHRASE,
            treasury=TREASURY,
            channel=CHANNEL_KEYS[0],
            lined=PLAYER_KEYS[0].public_key,
            unlined=NO_LINE.public_key,
            wants_memo=memo_account,
            asset=ChainAsset("USDC", ISSUER.public_key),
            closed=closed,
        )
        await node.close()


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[str]:
    """A server that answers every request with these bytes, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await gone.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    gone = asyncio.Event()
    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        gone.set()
        running.close()


def http(body: bytes, *, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


CALLS: dict[str, Callable[[StellarRpc], Awaitable[object]]] = {
    "latest_ledger": lambda rpc: rpc.latest_ledger(),
    "fee_stats": lambda rpc: rpc.fee_stats(),
    "accounts": lambda rpc: rpc.accounts([AccountQuery(TREASURY.public_key)]),
    "send": lambda rpc: rpc.send("AAAA"),
    "look_up": lambda rpc: rpc.look_up("ab" * 32),
}
ANSWERS: dict[str, bytes | None] = {
    "never": None,
    "closed": b"",
    "half": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
    "504": http(b"<html>gateway</html>", status="504 Gateway Timeout"),
    "html": http(b"<html></html>"),
    "error": http(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"oops"}}'),
    "other": http(b'{"jsonrpc":"2.0","id":1,"result":{"status":"MAYBE"}}'),
    "null": http(b"null"),
    "list": http(b"[1]"),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("call", CALLS)
async def test_unclear_answers_prove_nothing(call: str, answer: str) -> None:
    """A time-out, a broken connection, a gateway's page or garbage is one error, whatever was asked."""
    async with server(ANSWERS[answer]) as url:
        rpc = StellarRpc(url, timeout_s=0.3)
        with pytest.raises(RpcUnavailable):
            await CALLS[call](rpc)
        await rpc.close()
