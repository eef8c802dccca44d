"""Owners by the installed method types, and codes by e-mail, over SMTP."""

import asyncio
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import urlsplit

from prizewire_payouts.verification.domain import Kind
from prizewire_payouts.verification.ports import CodeNotSent
from prizewire_railkit.method_types import MethodType, Verification, read_details

_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
_PROOFS: Final = {Verification.CODE: Kind.CODE, Verification.SIGNATURE: Kind.SIGNATURE}
_PLAIN: Final = "smtp+plain"


@dataclass(frozen=True, slots=True)
class TypedOwners:
    """`prizewire_payouts.verification.ports.Owners` by the installed method types."""

    types: Mapping[str, MethodType]

    def proof_of(self, *, method_type: str) -> Kind | None:
        """See the port. The owner of a method whose type is not installed cannot be asked."""
        known = self.types.get(method_type)
        return None if known is None else _PROOFS.get(known.verification)

    def code_recipient(self, *, method_type: str, details: Mapping[str, Any]) -> str | None:
        """See the port."""
        return read_details(self.types, method_type=method_type, details=details).code_recipient()

    def has_signed(
        self, *, method_type: str, details: Mapping[str, Any], challenge: str, signature: str
    ) -> bool:
        """See the port."""
        found = read_details(self.types, method_type=method_type, details=details)
        return found.has_signed(challenge=challenge, signature=signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpMail:
    """`prizewire_payouts.verification.ports.CodeMail` over a mail server (RFC 5321)."""

    scheme: str
    host: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    async def send_code(self, *, recipient: str, code: str) -> None:
        """See the port."""
        message = EmailMessage()
        message["From"], message["To"] = self.sender, recipient
        message["Subject"] = "Your code for a payout method"
        message.set_content(
            f"Your code is {code}.\n\nIt confirms that prizes may be paid to this e-mail address, and is valid for 15 minutes.\n"
            "If you did not register a payout method, do nothing: without the code nothing is paid to this address.\n"
        )
        try:
            await asyncio.to_thread(self._send, message)
        except (smtplib.SMTPException, OSError) as error:
            # the text of the error stays out: it repeats the recipient
            raise CodeNotSent(type(error).__name__) from None

    def _send(self, message: EmailMessage) -> None:
        with self._connect() as connection:
            if self.username is not None:
                connection.login(self.username, self.password or "")
            connection.send_message(message)

    def _connect(self) -> smtplib.SMTP:
        if self.scheme == "smtps":
            return smtplib.SMTP_SSL(
                self.host, self.port, timeout=_TIMEOUT_S, context=ssl.create_default_context()
            )
        connection = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_S)
        if self.scheme != _PLAIN:
            connection.starttls(context=ssl.create_default_context())
        return connection


def smtp_mail(
    *, url: str, sender: str, username: str, password: str | None, environment: str
) -> SmtpMail | None:
    """The mail server of the settings; None where ``url`` is empty.

    Raises:
        ValueError: the URL cannot be read, no sender is named, or mail would cross a network without TLS outside development.
    """
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        msg = "SMTP_URL must read smtp://HOST:PORT (STARTTLS) or smtps://HOST:PORT (TLS), without a user"
        raise ValueError(msg)
    if parts.scheme == _PLAIN and environment != "development":
        msg = "SMTP_URL: smtp+plain sends codes without TLS, which only development may: use smtp or smtps"
        raise ValueError(msg)
    if "@" not in sender:
        msg = "SMTP_FROM must be the e-mail address that codes are sent from, since SMTP_URL is set"
        raise ValueError(msg)
    return SmtpMail(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        sender=sender,
        username=username or None,
        password=password,
    )
