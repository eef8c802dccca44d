"""The accounts of a local chain: issuer, treasury and channels. A public network has accounts of its own."""

from pathlib import Path
from typing import Final

from prizewire_devstack.components import stellar
from prizewire_devstack.components.keys import Keyring
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.home import Home
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

WAIT_S: Final = 180.0
"""Seconds that the network may take until it closes ledgers."""


def provision_chain(*, secrets: Path, rpc: str, friendbot: str | None, wait_s: float = WAIT_S) -> str:
    """Create the accounts that are missing; returns the treasury's address.

    `secrets` is laid out as a state directory, with the chain's keys only. `friendbot` is the URL that pays for new accounts,
    by default below the RPC's.

    Raises:
        DevstackError: the network does not answer, or refused.
    """
    keys = Keyring(home=Home(root=secrets)).stellar()
    chain = stellar.StellarChain(url=rpc, friendbot=friendbot)
    try:
        eventually_sync(chain.is_ready, deadline_s=wait_s, poll_s=0.5)
    except NotInTimeError as error:
        raise DevstackError(
            f"The Stellar RPC at {rpc} was not healthy within {wait_s:g} s: check its address and that it runs."
        ) from error
    stellar.set_up(chain, keys)
    return keys.treasury.public_key
