"""Codes over SMTP, to a server of the test's own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from prizewire_payouts.verification.adapters import SmtpMail, smtp_mail
from prizewire_payouts.verification.ports import CodeNotSent


@dataclass(slots=True)
class MailServer:
    """A server that speaks as much of SMTP (RFC 5321) as one message needs."""

    port: int = 0
    refuses: bool = False
    received: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode().strip():
            command = line.split(" ")[0].upper()
            if command == "RCPT" and self.refuses:
                writer.write(b"550 no such user ana@example.com\r\n")
            elif command == "DATA":
                writer.write(b"354 go on\r\n")
                text = ""
                while (part := (await reader.readline()).decode()) != ".\r\n":
                    text += part
                self.received.append(text)
                writer.write(b"250 taken\r\n")
            elif command == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """A mail server on a port of its own."""
    made = MailServer()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()


def _mail(port: int) -> SmtpMail:
    made = smtp_mail(
        url=f"smtp+plain://127.0.0.1:{port}",
        sender="prizes@example.com",
        username="",
        password=None,
        environment="development",
    )
    assert made is not None
    return made


async def test_a_code_arrives_at_its_recipient(server: MailServer) -> None:
    """The mail names sender, recipient and code; the subject, which phones show, does not."""
    await _mail(server.port).send_code(recipient="ana@example.com", code="01234567")
    (mail,) = server.received
    assert "To: ana@example.com" in mail
    assert "From: prizes@example.com" in mail
    assert "01234567" in mail.split("\r\n\r\n", 1)[1]
    assert "01234567" not in mail.split("\r\n\r\n", 1)[0]


async def test_a_refusal_shows_no_recipient(server: MailServer) -> None:
    """A server's refusal repeats the recipient; the error does not."""
    server.refuses = True
    with pytest.raises(CodeNotSent) as refused:
        await _mail(server.port).send_code(recipient="ana@example.com", code="01234567")
    assert str(refused.value) == "SMTPRecipientsRefused"
    assert refused.value.__cause__ is None


async def test_an_absent_server_is_said() -> None:
    """Without a server the code is not sent, and the error says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(CodeNotSent, match="ConnectionRefusedError"):
            await _mail(taken.getsockname()[1]).send_code(recipient="ana@example.com", code="01234567")


@pytest.mark.parametrize(
    ("url", "sender", "environment", "wrong"),
    [
        ("http://mail.example", "a@example.com", "production", "SMTP_URL must read"),
        ("smtp://ana:secret@mail.example", "a@example.com", "production", "SMTP_URL must read"),
        ("smtp+plain://mail.example", "a@example.com", "staging", "without TLS"),
        ("smtps://mail.example", "", "production", "SMTP_FROM"),
    ],
)
def test_unsafe_settings_are_refused(url: str, sender: str, environment: str, wrong: str) -> None:
    """A URL that cannot be read, a password in it, mail without TLS, and a missing sender end the start with a sentence."""
    with pytest.raises(ValueError, match=wrong) as refused:
        smtp_mail(url=url, sender=sender, username="", password=None, environment=environment)
    assert "secret" not in str(refused.value)


def test_tls_is_the_default_and_passwords_are_hidden() -> None:
    """Without a port, the scheme's own is used; the text of the adapter has no password."""
    found = smtp_mail(
        url="smtps://mail.example",
        sender="a@example.com",
        username="u",
        password="hidden",
        environment="production",
    )
    assert found is not None
    assert (found.port, found.scheme) == (465, "smtps")
    assert "hidden" not in repr(found)
    assert smtp_mail(url="", sender="", username="", password=None, environment="production") is None
