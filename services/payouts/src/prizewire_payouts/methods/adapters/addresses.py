"""Address formats of chains."""

from collections.abc import Set as AbstractSet

from stellar_sdk import MuxedAccount, StrKey


def stellar_address_kind(address: str, *, own: AbstractSet[str] = frozenset()) -> str | None:
    """``account`` for G…, ``muxed`` for M…, ``contract`` for C…, None for anything else (SEP-23 strkeys).

    ``own`` for an account in ``own``, plain or muxed: Prizewire's own treasury or channels.
    """
    if StrKey.is_valid_ed25519_public_key(address):
        return "own" if address in own else "account"
    if StrKey.is_valid_med25519_public_key(address):
        # the sdk's own parser is asked too: a muxed key holds an account key that must be one
        account = MuxedAccount.from_account(address).account_id
        if not account:
            return None
        return "own" if account in own else "muxed"
    if StrKey.is_valid_contract(address):
        return "contract"
    return None
