"""The Stellar account of a key in the transit engine of OpenBao or Vault."""

import base64
import json
from typing import Final

from prizewire_devstack.errors import DevstackError

KEY_TYPE: Final = "ed25519"


def account_of(answer: str, *, version: int) -> tuple[str, str]:
    """The name and the account (G…) of a key, from the answer of `bao read -format=json transit/keys/NAME`.

    Raises:
        DevstackError: it is no such answer, the key is of another type, or it does not have the version.
    """
    from stellar_sdk import StrKey  # noqa: PLC0415 - takes a second to load, which no other command should wait for

    try:
        data = json.loads(answer)["data"]
        name, kind, versions = str(data["name"]), data["type"], data["keys"]
    except (ValueError, KeyError, TypeError) as error:
        raise DevstackError(
            "Standard input is no key of the transit engine: pipe `bao read -format=json transit/keys/NAME` into this command."
        ) from error
    if kind != KEY_TYPE:
        raise DevstackError(f"The key {name} is of type {kind}: Stellar signs with {KEY_TYPE}.")
    if (found := versions.get(str(version))) is None:
        raise DevstackError(f"The key {name} has no version {version}: it has {', '.join(versions)}.")
    return name, StrKey.encode_ed25519_public_key(base64.b64decode(found["public_key"]))
