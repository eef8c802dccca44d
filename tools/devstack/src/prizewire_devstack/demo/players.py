"""The players' accounts on the chain, created by real transactions, and their payout methods."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from stellar_sdk import Asset, Keypair

from prizewire_devstack.api import Api
from prizewire_devstack.components.stellar import StellarChain
from prizewire_devstack.demo.tournaments import RAIL_DEFAULT, Player
from prizewire_devstack.home import Home, write_private

OPERATIONS_MAX: Final = 100
"""Operations that one Stellar transaction may hold."""
SIGNATURES_MAX: Final = 20
"""Signatures that one Stellar transaction may carry: a trustline needs its owner's."""
STARTING_BALANCE: Final = Decimal(5)
"""XLM: the reserve of an account with a few trustlines, and fees."""
PARALLEL_REQUESTS: Final = 8


@dataclass(frozen=True, kw_only=True)
class Address:
    """A player's key on the chain, and the asset whose trustline it has."""

    player: Player
    keypair: Keypair


class PlayerBook:
    """The state of earlier runs: the players' chain keys, and which players have a method. Stored in the state directory."""

    def __init__(self, home: Home) -> None:
        self._file: Path = home.root / "demo" / "players.json"
        self._secrets: dict[str, str] = {}
        self._registered: set[str] = set()
        if self._file.is_file():
            kept = json.loads(self._file.read_text())
            self._secrets, self._registered = kept["secrets"], set(kept["registered"])

    def address(self, player: Player) -> Address:
        """The player's key, generated at the first call."""
        secret = self._secrets.setdefault(player.id, Keypair.random().secret)
        return Address(player=player, keypair=Keypair.from_secret(secret))

    def keep(self) -> None:
        """Store the keys. This happens before they are used, so that an interrupted run continues with the same keys."""
        write_private(
            self._file,
            json.dumps({"secrets": self._secrets, "registered": sorted(self._registered)}, indent=1) + "\n",
        )

    def unregistered(self, players: Iterable[Player]) -> list[Player]:
        """The players who have no payout method yet."""
        return [player for player in players if _registration(player) not in self._registered]

    def registered(self, players: Iterable[Player]) -> None:
        """Store that these players have a method and, on the chain, an account."""
        self._registered |= {_registration(player) for player in players}
        self.keep()


def _registration(player: Player) -> str:
    """The name of a player's payout method: other details are another method."""
    if player.details is None:
        return player.id
    method = json.dumps([player.method_type, player.details], sort_keys=True)
    return f"{player.id}:{hashlib.sha256(method.encode()).hexdigest()[:12]}"


def create_accounts(chain: StellarChain, addresses: Sequence[Address], tokens: Mapping[str, Asset]) -> None:
    """Create missing accounts and then their trustlines, in a few ledgers for any number of players.

    A ledger takes one transaction of a source account, so each transaction has a source of its own: for accounts a
    separate funder, for trustlines the first player of its group.

    Raises:
        StartError: the network refused a transaction.
    """
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        there = list(pool.map(chain.exists, [address.keypair.public_key for address in addresses]))
    missing = [address for address, exists in zip(addresses, there, strict=True) if not exists]
    groups = list(_batched(missing, OPERATIONS_MAX))
    funders = [Keypair.random() for _ in groups]
    with ThreadPoolExecutor(max(1, len(groups))) as pool:
        list(pool.map(chain.fund, [funder.public_key for funder in funders]))
    hashes = []
    for funder, group in zip(funders, groups, strict=True):
        builder = chain.builder(funder.public_key)
        for address in group:
            builder.append_create_account_op(address.keypair.public_key, STARTING_BALANCE)
        hashes.append(chain.send(builder, funder))
    chain.wait(*hashes)
    hashes = []
    for group in _batched(addresses, SIGNATURES_MAX):
        builder = chain.builder(group[0].keypair.public_key)
        for address in group:
            builder.append_change_trust_op(tokens[address.player.asset], source=address.keypair.public_key)
        hashes.append(chain.send(builder, *(address.keypair for address in group)))
    chain.wait(*hashes)


def register_methods(api_of: Callable[[str], Api], addresses: Sequence[Address]) -> None:
    """Register each player's default payout method with the player's own token, which ``api_of`` puts into a client: a
    payout to a method that staff registered always waits for an approver.

    Raises:
        ApiError: payouts refused one.
    """

    def register(address: Address) -> None:
        player = address.player
        on_chain = player.rail == RAIL_DEFAULT
        details = player.details or (
            {"address": address.keypair.public_key} if on_chain else {"account": f"{player.id}@example.com"}
        )
        with api_of(player.id) as api:
            api.post(
                "/api/payout-methods",
                {"type": player.method_type or player.rail, "details": dict(details), "default": True},
                key=f"demo:method:{_registration(player)}",
            )

    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        list(pool.map(register, addresses))


def _batched(items: Sequence[Address], size: int) -> Iterable[Sequence[Address]]:
    return (items[start : start + size] for start in range(0, len(items), size))
