"""Address formats of chains."""

from stellar_sdk import MuxedAccount, StrKey

__all__ = ["stellar_address_kind"]


def stellar_address_kind(address: str) -> str | None:
    """``account`` for G…, ``muxed`` for M…, ``contract`` for C…, None for anything else (SEP-23 strkeys)."""
    if StrKey.is_valid_ed25519_public_key(address):
        return "account"
    if StrKey.is_valid_med25519_public_key(address):
        # the sdk's own parser is asked too: a muxed key holds an account key that must be one
        return "muxed" if MuxedAccount.from_account(address).account_id else None
    if StrKey.is_valid_contract(address):
        return "contract"
    return None
