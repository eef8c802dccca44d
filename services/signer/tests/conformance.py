"""The tests that every key backend passes, over memory and over real servers alike."""

import pytest

from prizewire_signer.adapters.backends import verify
from prizewire_signer.errors import BackendCode, BackendError
from prizewire_signer.ports import Backend

HASH = bytes(range(32))


class BackendConformance:
    """Subclasses have a fixture ``backend``."""

    async def test_signatures_verify_and_repeat(self, backend: Backend) -> None:
        """Every key that a backend names signs, verifiably, and the same bytes give the same signature."""
        keys = backend.public_keys()
        assert len(keys) > 1
        for key in keys:
            signature = await backend.sign(key, HASH)
            assert verify(key, HASH, signature)
            assert signature == await backend.sign(key, HASH)

    async def test_unknown_key_has_a_stable_code(self, backend: Backend) -> None:
        """An unknown key is an error that a retry cannot solve."""
        with pytest.raises(BackendError) as caught:
            await backend.sign(bytes(32), HASH)
        assert (caught.value.code, caught.value.retryable) == (BackendCode.KEY_UNKNOWN, False)
