"""Keys in a real OpenBao: what signs, what is refused, and under which code."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from prometheus_client import REGISTRY
from stellar_sdk import StrKey

from prizewire_chassis.lifecycle import ConfigurationError, open_runtime
from prizewire_devstack.home import write_private
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.waiting import eventually
from prizewire_signer.adapters.backends.openbao import (
    KeysMalformed,
    TransitKey,
    TransitKeys,
    TransitServer,
    open_transit,
    parse_keys,
)
from prizewire_signer.app import build
from prizewire_signer.errors import BackendCode, BackendError
from prizewire_signer.jobs import token_job
from prizewire_signer.settings import SignerSettings
from services.signer.tests.conformance import HASH, BackendConformance
from services.signer.tests.openbao import MOUNT, NAMES, POLICY, Bao


@pytest.fixture
def server(bao: Bao, tmp_path: Path) -> TransitServer:
    """The server under a token that may sign, and nothing else."""
    write_private(tmp_path / "token", bao.token(POLICY))
    return TransitServer(url=bao.url, mount=MOUNT, token_file=tmp_path / "token")


@pytest.fixture
async def keys(server: TransitServer) -> TransitKeys:
    return await open_transit(server, parse_keys(",".join(NAMES)))


class TestOpenBao(BackendConformance):
    """The suite of every backend, over the real server."""

    @pytest.fixture
    def backend(self, keys: TransitKeys) -> TransitKeys:
        return keys


def only(keys: TransitKeys) -> bytes:
    return min(keys.public_keys())


async def code_of(keys: TransitKeys) -> BackendCode:
    with pytest.raises(BackendError) as caught:
        await keys.sign(only(keys), HASH)
    return caught.value.code


EXPIRES = "prizewire_credential_expires_timestamp_seconds"


def shown_end() -> float | None:
    """The end of the token in the metrics."""
    return REGISTRY.get_sample_value(EXPIRES, {"kind": "token", "name": "openbao"})


async def test_the_end_of_the_token_is_shown(bao: Bao, server: TransitServer, keys: TransitKeys) -> None:
    """The metric has the end that the server knows, and keeps it once the token has ended and is refused."""
    run = token_job(token_expires_at=keys.token_expires_at).run
    await run()
    token = server.token_file.read_text().strip()
    said = bao.root.auth.token.lookup(token)["data"]["expire_time"]
    known = datetime.fromisoformat(said).timestamp()
    assert shown_end() == pytest.approx(known, abs=1)
    bao.root.auth.token.revoke(token)
    await run()
    assert shown_end() == pytest.approx(known, abs=1)


async def test_a_token_without_an_end_has_no_series(
    bao: Bao, server: TransitServer, keys: TransitKeys
) -> None:
    """A token that never ends, such as root's, shows no end, and the former token's is gone."""
    run = token_job(token_expires_at=keys.token_expires_at).run
    await run()
    assert shown_end() is not None
    write_private(server.token_file, bao.root.token)
    await run()
    assert shown_end() is None


async def test_a_rotated_key_goes_on_signing_in_its_version(bao: Bao, server: TransitServer) -> None:
    """A new version is another account. The account of a version stays the one that its transactions name."""
    bao.root.secrets.transit.create_key("rotated", key_type="ed25519", mount_point=MOUNT)
    write_private(server.token_file, bao.root.token)
    before = await open_transit(server, parse_keys("rotated"))
    signature = await before.sign(only(before), HASH)
    bao.root.secrets.transit.rotate_key("rotated", mount_point=MOUNT)
    assert await before.sign(only(before), HASH) == signature
    assert (await open_transit(server, parse_keys("rotated"))).public_keys() == before.public_keys()
    newer = await open_transit(server, parse_keys("rotated:2"))
    assert newer.public_keys() != before.public_keys()
    assert await newer.sign(only(newer), HASH) != signature


async def test_a_token_without_the_right_is_refused(
    bao: Bao, server: TransitServer, keys: TransitKeys
) -> None:
    """Without the right to sign there is a code of its own, and a new token in the file is used at once."""
    write_private(server.token_file, bao.token('path "sys/health" { capabilities = ["read"] }'))
    assert await code_of(keys) is BackendCode.PERMISSION_DENIED
    write_private(server.token_file, bao.token(POLICY))
    assert len(await keys.sign(only(keys), HASH)) == 64


async def test_a_token_that_others_can_read_is_not_used(server: TransitServer, keys: TransitKeys) -> None:
    """The token is a secret like a key."""
    server.token_file.chmod(0o644)
    assert await code_of(keys) is BackendCode.PERMISSION_DENIED


async def test_an_outage_is_transient(keys: TransitKeys, server: TransitServer) -> None:
    """A server that cannot be reached is asked again later; the error names no address."""
    with socket.create_server((LOOPBACK, 0)) as closed:
        port = closed.getsockname()[1]
    away = TransitKeys(
        replace(server, url=f"http://{LOOPBACK}:{port}"), {only(keys): TransitKey(name="x", version=1)}
    )
    with pytest.raises(BackendError) as caught:
        await away.sign(only(away), HASH)
    assert (caught.value.code, caught.value.retryable) == (BackendCode.UNAVAILABLE, True)
    assert str(port) not in str(caught.value)


async def test_a_key_that_is_gone_is_unknown(server: TransitServer, keys: TransitKeys, bao: Bao) -> None:
    """A key that was deleted on the server cannot come back by itself."""
    write_private(server.token_file, bao.root.token)
    gone = TransitKeys(server, {only(keys): TransitKey(name="gone", version=1)})
    assert await code_of(gone) is BackendCode.KEY_UNKNOWN


class _Answer(BaseHTTPRequestHandler):
    """Answers every request with the status and the text of the server."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self) -> None:
        status, text = self.server.answer  # type: ignore[attr-defined]  # set by the test
        self.server.asked += 1  # type: ignore[attr-defined]  # read by the test
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def answering(status: HTTPStatus, text: bytes) -> Iterator[Any]:
    """A server that gives one answer; its `answer` may be changed, and `asked` counts the requests."""
    stand_in: Any = ThreadingHTTPServer((LOOPBACK, 0), _Answer)
    stand_in.answer, stand_in.asked = (status, text), 0
    thread = Thread(target=stand_in.serve_forever)
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.shutdown()
        thread.join()
        stand_in.server_close()


def url_of(stand_in: Any) -> str:
    return f"http://{LOOPBACK}:{stand_in.server_address[1]}"


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (HTTPStatus.TOO_MANY_REQUESTS, b'{"errors": ["rate limit quota exceeded"]}', BackendCode.THROTTLED),
        (HTTPStatus.SERVICE_UNAVAILABLE, b'{"errors": ["Vault is sealed"]}', BackendCode.UNAVAILABLE),
        (HTTPStatus.BAD_GATEWAY, b"no JSON", BackendCode.UNAVAILABLE),
        (HTTPStatus.BAD_REQUEST, b'{"errors": ["key does not support signing"]}', BackendCode.WRONG_KEY_TYPE),
        (HTTPStatus.OK, b'{"data": {}}', BackendCode.SIGNATURE_WRONG),
        (HTTPStatus.OK, b'{"data": {"signature": "vault:v1:%%"}}', BackendCode.SIGNATURE_WRONG),
    ],
)
async def test_each_failure_has_its_code(
    keys: TransitKeys, server: TransitServer, status: HTTPStatus, text: bytes, code: BackendCode
) -> None:
    """Answers that a development server does not give on request, by a stand-in."""
    with answering(status, text) as stand_in:
        asked = TransitKeys(
            replace(server, url=url_of(stand_in)), {only(keys): TransitKey(name="treasury", version=1)}
        )
        assert await code_of(asked) is code


@pytest.mark.parametrize(
    ("names", "sentence"), [("rsa", "is of type rsa-2048"), ("treasury:2", "has no version 2")]
)
async def test_a_key_that_cannot_sign_for_stellar_does_not_start(
    bao: Bao, server: TransitServer, names: str, sentence: str
) -> None:
    """A key of another type, and a version that does not exist, stop the start with a sentence."""
    write_private(server.token_file, bao.root.token)
    with pytest.raises(KeysMalformed, match=sentence):
        await open_transit(server, parse_keys(names))


@pytest.mark.parametrize("text", ["", " , ", "a:", "a:0", "a:x", ":1", "a,a", "a,a:1"])
def test_malformed_names_are_refused(text: str) -> None:
    """An empty list, an empty name, no version, and a key that stands twice."""
    with pytest.raises(KeysMalformed, match="OPENBAO_KEYS"):
        parse_keys(text)


def settings_of(environment: dict[str, str], **changes: str) -> SignerSettings:
    """The settings of a signer that asks a server for its signatures, without any key in memory."""
    hot = {"PAYOUT_HOT_SIGNER_SECRET_FILE", "CHANNEL_SIGNER_SECRETS_FILE", "SIGNER_ALLOW_HOT_KEY"}
    given = {name: text for name, text in environment.items() if name not in hot}
    given |= {"SIGNER_BACKEND": "openbao", "OPENBAO_KEYS": ",".join(NAMES), **changes}
    return SignerSettings(**{name.lower(): text for name, text in given.items()})  # type: ignore[arg-type]  # texts, as from the environment


async def test_the_signer_starts_with_keys_of_a_server(
    environment: dict[str, str], bao: Bao, server: TransitServer, keys: TransitKeys
) -> None:
    """The treasury is the key whose account the settings name, and the other keys are those of channels."""
    treasury = StrKey.encode_ed25519_public_key(only(keys))
    settings = settings_of(
        environment,
        OPENBAO_URL=bao.url,
        OPENBAO_TOKEN_FILE=str(server.token_file),
        PAYOUT_SOURCE_ACCOUNT=treasury,
    )
    async with open_runtime(settings, service="signer") as runtime:
        assert (await build(runtime)).jobs
    foreign = settings_of(environment, OPENBAO_URL=bao.url, OPENBAO_TOKEN_FILE=str(server.token_file))
    async with open_runtime(foreign, service="signer") as runtime:
        with pytest.raises(ConfigurationError, match="OPENBAO_KEYS"):
            await build(runtime)


async def test_the_start_waits_for_the_server_of_the_keys(
    environment: dict[str, str], server: TransitServer
) -> None:
    """While the server is sealed the signer asks again; once the server refuses for good it ends with a sentence."""
    sealed = (HTTPStatus.SERVICE_UNAVAILABLE, b'{"errors": ["Vault is sealed"]}')
    with answering(*sealed) as stand_in:
        settings = settings_of(
            environment, OPENBAO_URL=url_of(stand_in), OPENBAO_TOKEN_FILE=str(server.token_file)
        )
        async with open_runtime(settings, service="signer") as runtime:
            starting = asyncio.create_task(build(runtime))
            await eventually(lambda: stand_in.asked > 1)
            assert not starting.done()
            stand_in.answer = (HTTPStatus.FORBIDDEN, b'{"errors": ["permission denied"]}')
            with pytest.raises(ConfigurationError, match="permission_denied"):
                await starting


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"OPENBAO_URL": "bao.prizes.invalid"}, "OPENBAO_URL is no address"),
        (
            {"OPENBAO_URL": "http://bao.prizes.invalid", "PRIZEWIRE_ENVIRONMENT": "staging"},
            "begins with https://",
        ),
        ({"OPENBAO_URL": "https://bao.prizes.invalid"}, "OPENBAO_TOKEN_FILE is not set"),
    ],
)
async def test_an_incomplete_configuration_does_not_start(
    environment: dict[str, str], changes: dict[str, str], sentence: str
) -> None:
    """A missing setting, and an address without encryption outside development, stop the start with a sentence."""
    async with open_runtime(settings_of(environment, **changes), service="signer") as runtime:
        with pytest.raises(ConfigurationError, match=sentence):
            await build(runtime)
