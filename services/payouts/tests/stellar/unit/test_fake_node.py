"""The node in memory behaves as the real one does."""

import hashlib

import pytest
from stellar_sdk import Keypair

from prizewire_payouts.stellar.domain.model import ChainAsset
from services.payouts.tests.stellar.unit.conformance import Bench, NodeConformance
from services.payouts.tests.stellar.unit.fakes import PASSPHRASE, FakeAccount, FakeNode


def key(label: str) -> Keypair:
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(label.encode()).digest())


class TestFakeNode(NodeConformance):
    """Every conformance test, over the fake."""

    @pytest.fixture
    def bench(self) -> Bench:
        """A fresh network in memory."""
        node = FakeNode()
        asset = ChainAsset("USDC", key("issuer").public_key)
        names = {name: key(name) for name in ("treasury", "channel", "lined", "unlined", "memo")}
        for name, keypair in names.items():
            lines = {} if name == "unlined" else {asset: 10**15}
            node.accounts_by_address[keypair.public_key] = FakeAccount(4, lines, name == "memo")

        async def closed() -> None:
            node.close()

        return Bench(
            node=node,
            passphrase=PASSPHRASE,
            treasury=names["treasury"],
            channel=names["channel"],
            lined=names["lined"].public_key,
            unlined=names["unlined"].public_key,
            wants_memo=names["memo"].public_key,
            asset=asset,
            closed=closed,
        )
