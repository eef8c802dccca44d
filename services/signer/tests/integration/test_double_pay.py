"""An attacker with payouts' message key and Kafka login asks for one payout twice; the sandbox's ledger shows what is paid.

The signer does not read the ledger. A report about a slot frees no payout while a digest signed there may still be
applied. A separate limit bounds what is signed again after that.
"""

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from stellar_sdk import DecoratedSignature, Keypair, SorobanServer, TransactionEnvelope
from stellar_sdk.soroban_rpc import SendTransactionStatus

from prizewire_contracts.events.signing import (
    CloseRefusedEvent,
    SigningCompletedEvent,
    SigningRefusedEvent,
    SigningRequested,
)
from prizewire_contracts.intents import Intent
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, base_environment
from prizewire_devstack.components.stellar import StellarChain
from prizewire_devstack.ports import LOOPBACK, choose
from prizewire_devstack.waiting import eventually
from prizewire_signer.domain.model import AssetLimits
from services.signer.tests.fakes import (
    CHANNELS,
    ISSUER,
    NETWORK,
    TREASURY,
    USDC,
    close_requested,
    intent,
    keypair,
    payment_of,
    policy,
    request,
    rules,
    signing_context,
    slot_closed,
    transaction,
)
from services.signer.tests.integration.conftest import Signer

VALID_S = 12
MARGIN_S = 2
PLAYERS = ("waits", "paid")
OWED = 21 * 10**7
"""21.00 in ten-millionths."""


class Ledger:
    """The sandbox, and the balances of players in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.chain = StellarChain(url=url, passphrase=NETWORK)
        self.server = SorobanServer(url)

    def now_s(self) -> int:
        """The close time of the last ledger."""
        answer = httpx.post(
            self.url,
            json={"jsonrpc": "2.0", "id": 1, "method": "getLatestLedger"},
            trust_env=False,
            timeout=600,
        ).json()
        header = self.server.get_transaction("00" * 32)
        assert answer["result"]["sequence"] <= header.latest_ledger
        return int(header.latest_ledger_close_time)

    def next_sequence(self, account: str) -> int:
        return int(self.server.load_account(account).sequence) + 1

    def send(self, asked: SigningRequested, answer: SigningCompletedEvent) -> SendTransactionStatus:
        """Submit a transaction with the signer's signatures; the network accepts it from every sender."""
        envelope = TransactionEnvelope.from_xdr(asked.xdr, NETWORK)
        for one in answer.data.signatures:
            key = bytes.fromhex(one.public_key)
            envelope.signatures.append(DecoratedSignature(key[-4:], bytes.fromhex(one.signature)))
        return self.server.send_transaction(envelope).status

    def paid(self, player: str) -> int:
        """Ten-millionths of USDC that this player holds."""
        return self.chain.balance(player, USDC)


@pytest.fixture(scope="module")
def ledger(devstack_directory: Path, devstack_supervisor: Supervisor) -> Iterator[Ledger]:
    """A sandbox on this world's network: issuer, treasury, channels, and players with trustlines."""
    directory = devstack_directory / "stellar-signer"
    directory.mkdir(parents=True, exist_ok=True)
    port = choose(taken=set())
    devstack_supervisor.start(
        ProcessSpec(
            name="stellar-signer",
            argv=(
                *(sys.executable, "-m", "prizewire_stellar_sandbox", "serve", "--host", LOOPBACK),
                *("--port", str(port), "--state", str(directory / "ledger.db"), "--passphrase", NETWORK),
                *("--ledger-interval-ms", "250"),
            ),
            environment=base_environment(),
            log_file=directory / "log",
            directory=directory,
        )
    )
    found = Ledger(f"http://{LOOPBACK}:{port}")
    devstack_supervisor.wait_until("stellar-signer", found.chain.is_ready, deadline_s=600)
    players = [keypair(f"player {label}") for label in PLAYERS]
    for one in (ISSUER, TREASURY):
        found.chain.fund(one.public_key)
    treasury = TREASURY.public_key
    builder = found.chain.builder(treasury)
    builder.append_change_trust_op(USDC, source=treasury)
    builder.append_payment_op(treasury, USDC, "1000", source=ISSUER.public_key)
    for one in (*CHANNELS, *players):
        builder.append_create_account_op(one.public_key, "50", source=treasury)
    found.chain.wait(found.chain.send(builder, TREASURY, ISSUER))
    builder = found.chain.builder(treasury)
    for one in players:
        builder.append_change_trust_op(USDC, source=one.public_key)
    found.chain.wait(found.chain.send(builder, TREASURY, *players))
    yield found
    devstack_supervisor.stop("stellar-signer")


@pytest.fixture
def signer(open_signer: Callable[..., Signer], ledger: Ledger) -> Signer:
    """A signer whose clock follows the real one, with a small margin and room for no second signature of a payout."""
    limits = {"USDC": AssetLimits(payout_minor_max=10_000, day_minor_max=100_000, again_minor_max=2_100)}
    return open_signer(
        context=signing_context(of_rules=rules(policy=policy(free_margin_s=MARGIN_S, limits=limits)))
    )


def tick(signer: Signer) -> None:
    """Set the signer's clock to the real time."""
    signer.clock.advance(datetime.now(UTC) - signer.clock.now())


def owed(label: str) -> Intent:
    """The one intent that rewards signed: 21.00 to this player."""
    now_s = int(datetime.now(UTC).timestamp())
    return intent(
        label, debit_amount="21.00", pay_amount="21.00", issued_at=now_s - 60, expires_at=now_s + 3_600
    )


def on_slot(ledger: Ledger, channel: Keypair, of: Intent, *, valid_s: int) -> SigningRequested:
    """The attacker's request to pay the intent on the next slot of a channel."""
    envelope = transaction(
        [payment_of(of)],
        source=channel.public_key,
        sequence=ledger.next_sequence(channel.public_key),
        max_time=ledger.now_s() + valid_s,
    )
    return request([of], envelope=envelope)


async def refused(signer: Signer, asked: SigningRequested) -> list[str]:
    tick(signer)
    (answer,) = await signer.submit(asked)
    assert isinstance(answer, SigningRefusedEvent)
    return [item.code for item in answer.data.items]


async def granted(signer: Signer, asked: SigningRequested) -> SigningCompletedEvent:
    tick(signer)
    (answer,) = await signer.submit(asked)
    assert isinstance(answer, SigningCompletedEvent)
    return answer


async def until_free(signer: Signer, asked: SigningRequested) -> Any:
    """Repeat the request until the signer does not answer `payout_waits` any more; returns that answer."""

    async def answered() -> Any:
        tick(signer)
        (answer,) = await signer.submit(asked)
        waits = isinstance(answer, SigningRefusedEvent) and answer.data.items[0].code == "payout_waits"
        return None if waits else answer

    return await eventually(answered, deadline_s=600, poll_s=0.3)


@pytest.mark.parametrize("result", ["failed", "succeeded", "expired"])
async def test_false_closing_of_a_slot_pays_once(signer: Signer, ledger: Ledger, result: str) -> None:
    """A signed transaction is not submitted, and its slot is reported closed. No other slot is signed and the payout is not
    tombstoned while the first may be applied; afterwards the ledger applies one of the two.
    """
    before = ledger.paid(keypair("player waits").public_key)
    of = owed("waits")
    first = on_slot(ledger, CHANNELS[0], of, valid_s=VALID_S)
    held_back = await granted(signer, first)
    # "succeeded" of a digest that pays nobody: the void, which the attacker had signed as well
    closing = slot_closed(first, result=result)
    if result == "succeeded":
        other = on_slot(ledger, CHANNELS[0], owed("paid"), valid_s=VALID_S)
        await granted(signer, other)
        closing = slot_closed(other, result=result)
    await signer.take(closing)
    second = on_slot(ledger, CHANNELS[1], of, valid_s=600)
    assert await refused(signer, second) == ["payout_waits"]
    answer = await until_free(signer, second)
    assert isinstance(answer, SigningCompletedEvent)
    assert ledger.now_s() > first.max_time
    assert ledger.send(second, answer) is SendTransactionStatus.PENDING
    assert ledger.send(first, held_back) is SendTransactionStatus.ERROR
    ledger.chain.wait(second.tx_hash)
    assert ledger.paid(keypair("player waits").public_key) - before == OWED
    assert not any((await signer.breaches()).values())


async def test_false_closing_of_an_applied_slot_is_bounded_by_its_own_limit(
    signer: Signer, ledger: Ledger
) -> None:
    """The signer cannot detect this: the first transaction was applied, and its slot is reported failed. After the wait the
    payout is signed again, within the limit `again_max`, which is then used up for the day; no third one is signed, and the
    payout is not closed, so that its money is not given back.
    """
    of = owed("paid")
    first = on_slot(ledger, CHANNELS[2], of, valid_s=VALID_S)
    assert ledger.send(first, await granted(signer, first)) is SendTransactionStatus.PENDING
    ledger.chain.wait(first.tx_hash)
    await signer.take(slot_closed(first, result="failed"))
    second = on_slot(ledger, CHANNELS[3], of, valid_s=VALID_S)
    assert await refused(signer, second) == ["payout_waits"]

    second = on_slot(ledger, CHANNELS[3], of, valid_s=VALID_S + 60)
    assert isinstance(await until_free(signer, second), SigningCompletedEvent)
    (use,) = await signer.rows("SELECT used_minor, ceiling_minor FROM limit_use WHERE scope = 'again'")
    assert (use.used_minor, use.ceiling_minor) == (2_100, 2_100)
    await signer.take(slot_closed(second, result="failed"))
    signer.until(second.max_time + MARGIN_S)
    third = on_slot(ledger, CHANNELS[2], of, valid_s=600)
    (answer,) = await signer.submit(third)
    assert isinstance(answer, SigningRefusedEvent)
    assert [item.code for item in answer.data.items] == ["again_over_limit"]
    (answer,) = await signer.submit(close_requested("paid"))
    assert isinstance(answer, CloseRefusedEvent)
    assert answer.data.code == "again_over_limit"
