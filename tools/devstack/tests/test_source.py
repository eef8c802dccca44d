"""`prizewire source`: keys and signatures of game servers."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from prizewire_contracts import topics
from prizewire_contracts.decode import decode
from prizewire_contracts.trust import NotTrusted, TrustStore, verify_raw
from prizewire_devstack.cli.source import command
from prizewire_devstack.errors import DevstackError

RESULT = {"match_id": "m-1", "competition": "cup", "results": [{"player": "ada", "place": 1}]}


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(command, list(arguments), input=stdin)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "chess.key"


def test_a_key_is_made_for_its_owner_alone(key_file: Path) -> None:
    """The file has mode 0600; the output has the public entry and no part of the private key."""
    made = run("keygen", str(key_file), "--keyid", "chess-1", "--days", "30")
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    entry = json.loads(made.output)
    assert set(entry) == {"keyid", "public_key", "not_before", "not_after"}
    assert (entry["keyid"], len(entry["public_key"])) == ("chess-1", 64)
    assert json.loads(key_file.read_text())["private_key"] not in made.output


def test_a_key_is_never_overwritten(key_file: Path) -> None:
    """A second keygen into the same file is refused, and the key stays."""
    run("keygen", str(key_file), "--keyid", "chess-1")
    before = key_file.read_text()
    again = run("keygen", str(key_file), "--keyid", "chess-1")
    assert isinstance(again.exception, DevstackError)
    assert key_file.read_text() == before


@pytest.mark.parametrize("keyid", ["", "with space", "ключ", "x" * 129])
def test_a_keyid_that_cannot_travel_is_refused(key_file: Path, keyid: str) -> None:
    """Events and competitions carry the keyid."""
    assert isinstance(run("keygen", str(key_file), "--keyid", keyid).exception, DevstackError)
    assert not key_file.exists()


@pytest.mark.parametrize("way", ["file", "stdin"])
def test_events_are_signed(tmp_path: Path, key_file: Path, way: str) -> None:
    """The output fits the contracts, its signature is valid, and a changed event is not."""
    entry = json.loads(run("keygen", str(key_file), "--keyid", "chess-1").output)
    document = {"data": RESULT, "source": "/games/chess", "id": "x"}
    path = tmp_path / "event.json"
    path.write_text(json.dumps(document))
    signed = (
        run("sign", str(path), "--key", str(key_file))
        if way == "file"
        else run("sign", "-", "--key", str(key_file), stdin=json.dumps(document))
    )
    assert signed.exit_code == 0, signed.output
    (line,) = signed.output.splitlines()
    found = decode(topic=topics.MATCHES, value=line.encode(), trust=TrustStore([]))
    assert (found.event.id, found.event.source, found.event.subject) == ("x", "/games/chess", "m-1")
    verify_raw(topic=topics.MATCHES.name, raw=found.raw, public_key=entry["public_key"])
    other = json.loads(line.replace('"ada"', '"eve"'))
    with pytest.raises(NotTrusted, match="signature_invalid"):
        verify_raw(topic=topics.MATCHES.name, raw=other, public_key=entry["public_key"])


@pytest.mark.parametrize("text", ["{", "[]", "[1]", '"x"'])
def test_input_without_an_event_is_refused(key_file: Path, text: str) -> None:
    """The error is one sentence."""
    run("keygen", str(key_file), "--keyid", "chess-1")
    assert isinstance(run("sign", "-", "--key", str(key_file), stdin=text).exception, DevstackError)
