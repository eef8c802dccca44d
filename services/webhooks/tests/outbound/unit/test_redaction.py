"""What is kept of an endpoint's answer."""

import pytest

from prizewire_webhooks.outbound.domain.redaction import EXCERPT_CHARS_MAX, redact


@pytest.mark.parametrize(
    "hidden",
    [
        "whsec_c2hvcnQ=",
        "Bearer abcdefgh",
        "someone@example.com",
        "4111 1111 1111 1111",
        "k" * 24,
        "Basic dXNlcjpwdw==",
    ],
)
def test_secrets_and_people_are_not_kept(hidden):
    """Credentials, tokens, addresses of people and long numbers are replaced."""
    kept = redact(f"error: {hidden} was wrong".encode())
    assert hidden not in kept
    assert kept.startswith("error: ")
    assert "[redacted]" in kept


def test_a_token_at_the_limit_is_hidden_before_the_cut():
    """Cutting first would leave a piece too short to be recognised."""
    kept = redact(b"x " * ((EXCERPT_CHARS_MAX - 10) // 2) + b"whsec_" + b"A" * 40)
    assert "AAAA" not in kept


def test_the_rest_is_short_and_printable():
    """Control characters and broken encoding become harmless; the length is bounded."""
    kept = redact(b"ok\x00\x1b[31m\xff\n" + b"no " * 1000)
    assert len(kept) <= EXCERPT_CHARS_MAX
    assert kept.isprintable()
