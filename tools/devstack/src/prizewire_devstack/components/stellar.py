"""The Stellar sandbox, and the chain's set-up through real transactions.

Accounts: an issuer of USDC and EURC, the treasury that pays prizes, and the channel accounts whose sequence
numbers carry the payouts' transactions.
"""

import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Final

import httpx
from stellar_sdk import Asset, Keypair, SorobanServer, TransactionBuilder
from stellar_sdk import xdr as stellar_xdr
from stellar_sdk.exceptions import AccountNotFoundException
from stellar_sdk.soroban_rpc import GetTransactionStatus, SendTransactionStatus
from stellar_sdk.transaction_envelope import TransactionEnvelope

from prizewire_devstack.components.keys import StellarKeys
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, base_environment
from prizewire_devstack.errors import StartError
from prizewire_devstack.ports import LOOPBACK

NAME: Final = "stellar"
PASSPHRASE: Final = "Standalone Network ; February 2017"  # noqa: S105 - the public name of a local network
LEDGER_INTERVAL_MS: Final = 1000
START_DEADLINE_S: Final = 60.0
TRANSACTION_DEADLINE_S: Final = 60.0
POLL_S: Final = 0.1
BASE_FEE_STROOPS: Final = 100
VALID_S: Final = 300
CODES: Final = ("USDC", "EURC")
TREASURY_AMOUNT: Final = Decimal(10000000000)
"""The amount of each token that the treasury receives: enough for many demonstrations."""
CHANNEL_BALANCE: Final = Decimal(100)
"""XLM for a channel's reserve and the fees of its transactions."""


def assets(keys: StellarKeys) -> tuple[Asset, ...]:
    """The tokens that the local issuer issues."""
    return tuple(Asset(code, keys.issuer.public_key) for code in CODES)


def stellar_assets(keys: StellarKeys) -> str:
    """The tokens and XLM, as the setting STELLAR_ASSETS lists them."""
    return ",".join((*(f"{one.code}:{one.issuer}" for one in assets(keys)), "XLM"))


class StellarChain:
    """A client of the sandbox's RPC; works with any Stellar RPC with a friendbot, which is `URL/friendbot` by default."""

    def __init__(self, *, url: str, passphrase: str = PASSPHRASE, friendbot: str | None = None) -> None:
        self.url = url
        self._friendbot = friendbot or f"{url}/friendbot"
        self.passphrase = passphrase
        self._server = SorobanServer(url)

    def is_ready(self) -> bool:
        """Say whether the RPC reports itself healthy."""
        try:
            answer = httpx.post(
                self.url, json={"jsonrpc": "2.0", "id": 1, "method": "getHealth"}, timeout=1, trust_env=False
            )
            return bool(answer.json().get("result", {}).get("status") == "healthy")
        except (httpx.TransportError, ValueError):
            return False

    def exists(self, address: str) -> bool:
        """Say whether an account is on the ledger."""
        try:
            self._server.load_account(address)
        except AccountNotFoundException:
            return False
        return True

    def fund(self, address: str) -> None:
        """Let the friendbot create an account, and wait until it is on the ledger.

        Raises:
            StartError: the friendbot refused, or the account did not appear.
        """
        answer = httpx.get(self._friendbot, params={"addr": address}, timeout=30, trust_env=False)
        if answer.is_error and not self.exists(address):
            raise StartError(f"The sandbox's friendbot refused to fund an account: {answer.text[:300]}")
        deadline = time.monotonic() + TRANSACTION_DEADLINE_S
        while not self.exists(address):
            if time.monotonic() > deadline:
                raise StartError(
                    "An account that the sandbox's friendbot funded did not appear on the ledger."
                )
            time.sleep(POLL_S)

    def balance(self, address: str, asset: Asset) -> int:
        """The balance of an account in an issued asset, in units of 10^-7; 0 without a trustline."""
        key = stellar_xdr.LedgerKey(
            type=stellar_xdr.LedgerEntryType.TRUSTLINE,
            trust_line=stellar_xdr.LedgerKeyTrustLine(
                account_id=Keypair.from_public_key(address).xdr_account_id(),
                asset=asset.to_trust_line_asset_xdr_object(),
            ),
        )
        entries = self._server.get_ledger_entries([key]).entries
        if not entries:
            return 0
        trust_line = stellar_xdr.LedgerEntryData.from_xdr(entries[0].xdr).trust_line
        assert trust_line is not None, "a trustline was asked for"
        return int(trust_line.balance.int64)

    def builder(self, source: str) -> TransactionBuilder:
        """Begin a transaction on the next sequence number of `source`."""
        account = self._server.load_account(source)
        return TransactionBuilder(account, self.passphrase, base_fee=BASE_FEE_STROOPS).set_timeout(VALID_S)

    def send(self, builder: TransactionBuilder, *signers: Keypair) -> str:
        """Sign and send; return the hash.

        Raises:
            StartError: the network did not accept the transaction.
        """
        envelope: TransactionEnvelope = builder.build()
        for signer in signers:
            envelope.sign(signer)
        answer = self._server.send_transaction(envelope)
        if answer.status not in {SendTransactionStatus.PENDING, SendTransactionStatus.DUPLICATE}:
            raise StartError(
                f"The network refused a set-up transaction: {answer.error_result_xdr or answer.status}"
            )
        return answer.hash

    def wait(self, *hashes: str) -> None:
        """Wait until each transaction is on the ledger.

        Raises:
            StartError: one failed, or was not included in time.
        """
        deadline = time.monotonic() + TRANSACTION_DEADLINE_S
        for one in hashes:
            while (found := self._server.get_transaction(one)).status == GetTransactionStatus.NOT_FOUND:
                if time.monotonic() > deadline:
                    raise StartError(f"The set-up transaction {one} was not included in a ledger in time.")
                time.sleep(POLL_S)
            if found.status != GetTransactionStatus.SUCCESS:
                raise StartError(f"The set-up transaction {one} failed on the ledger: {found.result_xdr}")


def set_up(chain: StellarChain, keys: StellarKeys) -> None:
    """Create issuer, treasury and channels in one transaction, if they are not on the ledger yet.

    Raises:
        StartError: the sandbox refused a transaction.
    """
    if chain.exists(keys.channels[0].public_key):
        return
    for keypair in (keys.issuer, keys.treasury):
        if not chain.exists(keypair.public_key):
            chain.fund(keypair.public_key)
    treasury = keys.treasury.public_key
    builder = chain.builder(treasury)
    for asset in assets(keys):
        builder.append_change_trust_op(asset, source=treasury)
        builder.append_payment_op(treasury, asset, TREASURY_AMOUNT, source=keys.issuer.public_key)
    for channel in keys.channels:
        builder.append_create_account_op(channel.public_key, CHANNEL_BALANCE, source=treasury)
    chain.wait(chain.send(builder, keys.treasury, keys.issuer))


def start(*, directory: Path, port: int, supervisor: Supervisor, log_file: Path) -> StellarChain:
    """Start the sandbox over its state file and wait until it is healthy.

    Raises:
        StartError: it ended or did not become healthy in time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    supervisor.start(
        ProcessSpec(
            name=NAME,
            argv=(
                *(sys.executable, "-m", "prizewire_stellar_sandbox", "serve"),
                *("--host", LOOPBACK, "--port", str(port)),
                *("--state", str(directory / "ledger.db"), "--passphrase", PASSPHRASE),
                *("--ledger-interval-ms", str(LEDGER_INTERVAL_MS)),
            ),
            environment=base_environment(),
            log_file=log_file,
            directory=directory,
        )
    )
    chain = StellarChain(url=f"http://{LOOPBACK}:{port}")
    supervisor.wait_until(NAME, chain.is_ready, deadline_s=START_DEADLINE_S)
    return chain
