"""The state directory: ports, keys and the lock."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from prizewire_contracts.intents import EVENT_TAG
from prizewire_contracts.trust import MessageKey, NotTrusted, TrustStore
from prizewire_devstack.components.keys import USES, Keyring
from prizewire_devstack.errors import AlreadyRunningError, DevstackError, NotRunningError, PortBusyError
from prizewire_devstack.home import Home
from prizewire_devstack.ports import LOOPBACK, assign, choose, is_free

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(root=tmp_path / "state")
    made.create()
    return made


@pytest.fixture
def fresh_keyring(home: Home) -> Keyring:
    made = Keyring(home=home)
    made.ensure(now=NOW)
    return made


def test_every_secret_is_readable_by_its_owner_only(fresh_keyring: Keyring) -> None:
    """Other users of the machine read no key."""
    modes = {file.name: file.stat().st_mode & 0o777 for file in fresh_keyring.home.keys.iterdir()}
    assert len(modes) >= 10
    assert set(modes.values()) == {0o600}


def test_the_directories_are_their_owners_alone(home: Home) -> None:
    """Directories that an earlier version left open are closed too."""
    home.root.chmod(0o755)
    home.create()
    for directory in (home.root, home.logs, home.keys):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_a_secret_of_a_service_comes_by_a_file(fresh_keyring: Keyring) -> None:
    """The variable names a file of mode 0600 with the secret; another secret has another file."""
    first = fresh_keyring.by_file("rewards", "DATABASE_URL", "postgresql://one")
    other = fresh_keyring.by_file("rewards", "DATABASE_URL", "postgresql://two")
    file = Path(first["DATABASE_URL_FILE"])
    assert file.read_text().strip() == "postgresql://one"
    assert file.stat().st_mode & 0o777 == 0o600
    assert Path(other["DATABASE_URL_FILE"]).read_text().strip() == "postgresql://two"
    assert first == fresh_keyring.by_file("rewards", "DATABASE_URL", "postgresql://one")


def test_a_second_start_keeps_every_key(fresh_keyring: Keyring) -> None:
    """A new key would make stored ciphertexts and signatures unreadable."""
    before = {file.name: file.read_bytes() for file in fresh_keyring.home.keys.iterdir()}
    fresh_keyring.ensure(now=NOW)
    assert before == {file.name: file.read_bytes() for file in fresh_keyring.home.keys.iterdir()}


@pytest.mark.parametrize("service", USES)
def test_the_trust_file_pins_each_service_to_its_uses(service: str, fresh_keyring: Keyring) -> None:
    """A service's key is trusted for its own use, and not for another use."""
    trust = TrustStore.from_json(fresh_keyring.trust_file.read_text())
    key = MessageKey.from_json(fresh_keyring.message_key_file(service).read_text())
    message = EVENT_TAG + b"something"
    outcomes = {}
    for use in ("event", "intent", "approval", "quote", "seal", "audit-head"):
        try:
            trust.verify(
                keyid=key.keyid,
                service=service,
                use=use,
                message=message,
                signature=key.sign(message),
                at=NOW,
            )
        except NotTrusted as refused:
            outcomes[use] = refused.code
        else:
            outcomes[use] = "trusted"
    assert outcomes == {use: "trusted" if use in USES[service] else "key_not_trusted" for use in outcomes}


def test_the_game_servers_key_is_not_in_the_trust_file(fresh_keyring: Keyring) -> None:
    """Competitions pin game servers themselves."""
    assert fresh_keyring.game_server_key()["keyid"] not in fresh_keyring.trust_file.read_text()


def test_a_token_carries_subject_roles_and_an_end(fresh_keyring: Keyring) -> None:
    """The claims are those that the services check."""
    token = fresh_keyring.token("player", subject="ada")
    public = jwt.PyJWKSet.from_json(fresh_keyring.jwks_file.read_text())
    claims = jwt.decode(
        token,
        public[jwt.get_unverified_header(token)["kid"]],
        algorithms=["EdDSA"],
        audience="prizewire",
        issuer="prizewire-dev",
    )
    assert (claims["sub"], claims["roles"]) == ("ada", ["player"])


def test_a_state_directory_serves_one_stack_at_a_time(home: Home) -> None:
    """Two brokers over one log would destroy it."""
    with home.lock(), pytest.raises(AlreadyRunningError), home.lock():
        pass


def test_wiping_keeps_the_lock_that_is_held(home: Home) -> None:
    """A second start stays refused while the first one wipes."""
    with home.lock():
        (home.root / "postgres").mkdir()
        home.wipe()
        assert sorted(entry.name for entry in home.root.iterdir()) == ["keys", "lock", "logs"]
        with pytest.raises(AlreadyRunningError), home.lock():
            pass


def test_state_of_another_version_is_refused_unchanged(home: Home) -> None:
    """State of an earlier version is neither used nor removed; state of this version is used again."""
    home.claim()
    (home.root / "postgres").mkdir()
    home.claim()
    for older in (lambda: (home.root / "generation").write_text("1\n"), (home.root / "generation").unlink):
        older()
        with pytest.raises(DevstackError, match="--fresh"):
            home.claim()
        assert (home.root / "postgres").is_dir()
    home.wipe()
    home.claim()


def test_a_command_that_needs_the_stack_says_so(home: Home) -> None:
    """Not running, and still starting, are sentences."""
    with pytest.raises(NotRunningError, match="prizewire up"):
        home.running()
    home.run_file.write_text(
        json.dumps(
            {
                "supervisor": {"pid": 1, "started_at_s": 1},
                "ports": {},
                "urls": {},
                "processes": {},
                "ready": True,
            }
        )
    )
    with pytest.raises(NotRunningError, match="prizewire up"):
        home.running()


def test_free_ports_of_the_last_start_are_used_again() -> None:
    """Free ports are used again, so bookmarks and configured clients stay valid."""
    taken: set[int] = set()
    free, busy = choose(taken=taken), choose(taken=taken)
    with socket.socket() as other:
        other.bind((LOOPBACK, busy))
        other.listen()
        assert not is_free(busy)
        ports = assign(("a", "b"), remembered={"a": free, "b": busy}, fixed={})
        assert ports["a"] == free
        assert ports["b"] not in {free, busy}
        with pytest.raises(PortBusyError, match=str(busy)):
            assign(("a",), remembered={}, fixed={"a": busy})
