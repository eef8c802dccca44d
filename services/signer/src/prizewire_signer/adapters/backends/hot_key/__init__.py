"""Keys in this process' memory: for development and controlled environments only."""

from prizewire_signer.adapters.backends.hot_key.backend import HotKeys, HotKeysRefused, open_hot_keys

__all__ = ["HotKeys", "HotKeysRefused", "open_hot_keys"]
