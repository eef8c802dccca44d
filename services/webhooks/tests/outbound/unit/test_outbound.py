"""The guard that connections pass, and how answers are read."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpcore
import pytest
from standardwebhooks import Webhook

from prizewire_chassis.clock import ManualClock
from prizewire_webhooks.errors import AddressRefused, HostUnknown
from prizewire_webhooks.outbound.adapters.secrets import SecretBox, new_secret
from prizewire_webhooks.outbound.adapters.sender import AddressGuard, HttpSender, system_lookup
from prizewire_webhooks.outbound.domain.addresses import Target, TargetRules
from services.webhooks.tests.conftest import ANY_TARGET, KEY_HEX
from services.webhooks.tests.outbound.unit.test_decisions import TASK


def answering(*rounds: Sequence[str]):
    """A look-up that gives these addresses, one round after the other, the last for ever."""
    left = list(rounds)

    async def lookup(host, port):
        return left.pop(0) if len(left) > 1 else left[0]

    return lookup


class Network(httpcore.AsyncNetworkBackend):
    """Connects to nothing; the peer is where the test says the connection really went."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.dialled: list[str] = []
        self.closed = False

    async def connect_tcp(self, host, port, **_):
        self.dialled.append(host)
        network = self

        class Stream(httpcore.AsyncNetworkStream):
            def get_extra_info(self, info):
                return (network.peer, port) if info == "server_addr" else None

            async def aclose(self):
                network.closed = True

        return Stream()


def guard(lookup, *, network: Network | None = None, allow_loopback=False) -> AddressGuard:
    made = AddressGuard(allow_loopback=allow_loopback, rules=ANY_TARGET, lookup=lookup)
    if network is not None:
        made._network = network
    return made


async def test_a_host_that_leads_inside_is_refused():
    """One inner address among public ones is enough."""
    with pytest.raises(AddressRefused):
        await guard(answering(["1.1.1.1", "10.0.0.1"])).check(Target("https", "x.example", 443))
    await guard(answering(["1.1.1.1"])).check(Target("https", "x.example", 443))


async def test_a_rebound_name_is_caught_when_connecting():
    """A name that was public when subscribed and leads inside when used gets no connection."""
    network = Network("127.0.0.1")
    rebinding = guard(answering(["1.1.1.1"], ["127.0.0.1"]), network=network)
    await rebinding.check(Target("http", "x.example", 80))
    with pytest.raises(AddressRefused):
        await rebinding.connect_tcp("x.example", 80)
    assert network.dialled == []


async def test_the_peer_really_reached_is_judged():
    """A connection that ended up inside is closed before a byte is sent."""
    network = Network("169.254.169.254")
    with pytest.raises(AddressRefused):
        await guard(answering(["1.1.1.1"]), network=network).connect_tcp("x.example", 80)
    assert network.closed


async def test_the_judged_address_is_dialled_not_the_name():
    """Between judging and connecting the name is not looked up again."""
    network = Network("1.1.1.1")
    await guard(answering(["1.1.1.1"]), network=network).connect_tcp("x.example", 443)
    assert network.dialled == ["1.1.1.1"]


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "localhost", "127.0.0.1", "::1"])
async def test_other_spellings_of_loopback_are_refused(host):
    """What the system's resolver takes for loopback is loopback."""
    with pytest.raises((AddressRefused, HostUnknown)):
        await AddressGuard(allow_loopback=False, rules=ANY_TARGET, lookup=system_lookup).check(
            Target("http", host, 80)
        )


async def test_a_name_that_does_not_resolve():
    """Reserved names do not resolve and have another code than refused ones."""
    with pytest.raises(HostUnknown):
        await AddressGuard(allow_loopback=True, rules=ANY_TARGET).check(Target("http", "nothing.invalid", 80))


def sender_with(*, timeout_s):
    return HttpSender(
        box=SecretBox(KEY_HEX),
        guard=AddressGuard(allow_loopback=True, rules=ANY_TARGET),
        clock=ManualClock(datetime.now(UTC)),
        connections=4,
        timeout_s=timeout_s,
    )


@pytest.fixture
async def sender():
    made = sender_with(timeout_s=60)
    yield made
    await made.close()


BODY = b'{"id":"evt-1"}'


def task_for(url, secrets=()):
    box = SecretBox(KEY_HEX)
    sealed = [box.seal(secret, subscription_id=TASK.subscription_id) for secret in secrets]
    return replace(TASK, url=url, secrets=sealed)


async def test_a_subscription_that_is_older_than_the_rules_gets_nothing(receiver):
    """Scheme and port are held to the rules again at each delivery, and nothing is sent."""
    for rules, code in ((TargetRules(), "scheme_refused"), (TargetRules(plain_http=True), "port_refused")):
        made = HttpSender(
            box=SecretBox(KEY_HEX),
            guard=AddressGuard(allow_loopback=True, rules=rules),
            clock=ManualClock(datetime.now(UTC)),
            connections=4,
        )
        answer = await made.send(task_for(receiver.url, [new_secret()]), body=BODY, now=datetime.now(UTC))
        await made.close()
        assert (answer.status, answer.code) == (None, code)
    assert receiver.seen == []


async def test_every_current_secret_signs(sender, receiver):
    """During a rotation a subscriber may verify with the old secret or the new one."""
    old, new, other = new_secret(), new_secret(), new_secret()
    answer = await sender.send(task_for(receiver.url, [new, old]), body=BODY, now=datetime.now(UTC))
    assert answer.status == 204
    request = receiver.seen[0]
    for secret in (old, new):
        assert Webhook(secret).verify(request.body, dict(request.headers)) == {"id": "evt-1"}
    with pytest.raises(Exception, match="signature"):
        Webhook(other).verify(request.body, dict(request.headers))


async def test_redirects_are_not_followed(sender, receiver):
    """A 3xx is an answer like any other, wherever it points."""
    receiver.answer = lambda _: (307, {"location": receiver.url + "/other"}, b"")
    assert (await sender.send(task_for(receiver.url), body=BODY, now=datetime.now(UTC))).status == 307
    assert [request.path for request in receiver.seen] == ["/hook"]


async def test_a_hanging_endpoint_costs_its_time_only(receiver):
    """The whole attempt is bounded."""
    import asyncio

    async def never_answer(_):
        await asyncio.Event().wait()

    receiver.answer = never_answer
    made = sender_with(timeout_s=0.5)
    answer = await made.send(task_for(receiver.url), body=BODY, now=datetime.now(UTC))
    await made.close()
    assert (answer.status, answer.code) == (None, "timeout")
    assert answer.latency_ms >= 400


async def test_a_long_answer_is_not_read(sender, receiver):
    """Only the start of a body is looked at."""
    receiver.answer = lambda _: (500, {}, b"no " * 3_000_000)
    answer = await sender.send(task_for(receiver.url), body=BODY, now=datetime.now(UTC))
    assert answer.status == 500
    assert len(answer.excerpt) <= 500


async def test_no_receiver(sender, receiver):
    """A refused connection and a refused address have codes of their own."""
    answer = await sender.send(task_for("http://127.0.0.1:1/"), body=BODY, now=datetime.now(UTC))
    assert (answer.status, answer.code) == (None, "connect_failed")
    strict = HttpSender(
        box=SecretBox(KEY_HEX),
        guard=AddressGuard(allow_loopback=False, rules=ANY_TARGET),
        clock=ManualClock(datetime.now(UTC)),
        connections=1,
    )
    answer = await strict.send(task_for(receiver.url), body=BODY, now=datetime.now(UTC))
    await strict.close()
    assert (answer.status, answer.code, receiver.seen) == (None, "address_refused", [])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, 999_999_999),
        ("Mon, 99999999999999999999 Jan 2024 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
    ],
)
async def test_retry_after_in_seconds(sender, receiver, value, seconds):
    """A number of seconds is read; nonsense is not there."""
    receiver.answer = lambda _: (503, {"Retry-After": value}, b"")
    assert (
        await sender.send(task_for(receiver.url), body=BODY, now=datetime.now(UTC))
    ).retry_after_s == seconds


async def test_retry_after_as_a_date(sender, receiver):
    """An HTTP date is turned into seconds from now."""
    moment = format_datetime(sender._clock.now() + timedelta(seconds=90), usegmt=True)
    receiver.answer = lambda _: (503, {"Retry-After": moment}, b"")
    found = (await sender.send(task_for(receiver.url), body=BODY, now=datetime.now(UTC))).retry_after_s
    assert 88 <= found <= 90
