"""Key backends in memory: the conformance suite, and the switches of the hot key."""

import pytest

from prizewire_signer.adapters.backends import verify
from prizewire_signer.adapters.backends.hot_key import HotKeysRefused, open_hot_keys
from prizewire_signer.errors import BackendCode, BackendError
from prizewire_signer.ports import Backend
from services.signer.tests.conformance import HASH, BackendConformance
from services.signer.tests.fakes import CHANNELS, NETWORK, TREASURY, FakeBackend, hot_keys

PUBLIC = "Public Global Stellar Network ; September 2015"


class TestHotKeys(BackendConformance):
    """Keys in memory."""

    @pytest.fixture
    def backend(self) -> Backend:
        return hot_keys()

    def test_names_each_key(self, backend: Backend) -> None:
        """The treasury and all channels."""
        assert backend.public_keys() == {
            TREASURY.raw_public_key(),
            *(channel.raw_public_key() for channel in CHANNELS),
        }


class TestFakeBackend(BackendConformance):
    """The stand-in of other tests."""

    @pytest.fixture
    def backend(self) -> Backend:
        return FakeBackend()


def test_some_failures_are_transient() -> None:
    """Throttling and outages are retryable, everything else is not."""
    retryable = {code for code in BackendCode if BackendError(code, "").retryable}
    assert retryable == {BackendCode.THROTTLED, BackendCode.UNAVAILABLE}


def test_verification_refuses_wrong_signatures() -> None:
    """Another message, another key, and bytes that are no key or signature."""
    key = TREASURY.raw_public_key()
    signature = TREASURY.sign(HASH)
    assert verify(key, HASH, signature)
    assert not verify(key, bytes(32), signature)
    assert not verify(CHANNELS[0].raw_public_key(), HASH, signature)
    assert not verify(b"short", HASH, signature)
    assert not verify(key, HASH, b"short")


def test_hot_key_needs_its_switch() -> None:
    """Without the switch keys in memory are refused."""
    with pytest.raises(HotKeysRefused, match="SIGNER_ALLOW_HOT_KEY"):
        open_hot_keys([TREASURY.secret], network=NETWORK, allowed=False, allowed_on_public=True)


def test_hot_key_on_the_public_network_needs_a_second_switch() -> None:
    """Where money is real, one switch is not enough."""
    with pytest.raises(HotKeysRefused, match="SIGNER_ALLOW_HOT_KEY_ON_PUBLIC"):
        open_hot_keys([TREASURY.secret], network=PUBLIC, allowed=True, allowed_on_public=False)
    opened = open_hot_keys([TREASURY.secret], network=PUBLIC, allowed=True, allowed_on_public=True)
    assert opened.public_keys() == {TREASURY.raw_public_key()}


def test_secret_is_never_shown() -> None:
    """Neither the backend's text nor the error about a malformed secret holds any of it."""
    assert TREASURY.secret[:8] not in repr(hot_keys())
    malformed = TREASURY.secret[:-1] + "!"
    with pytest.raises(HotKeysRefused) as caught:
        open_hot_keys([malformed], network=NETWORK, allowed=True, allowed_on_public=False)
    assert malformed[:8] not in str(caught.value)
    assert caught.value.__suppress_context__
