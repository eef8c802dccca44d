"""Rules about who may call: tokens, proxies, limits of requests, origins of browser pages."""

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from prizewire_devstack import tokens
from prizewire_devstack.doctor.configuration import Subject
from prizewire_devstack.doctor.findings import Finding

REQUESTS_MAX: Final = 60_000
"""Requests of one caller a minute above which the limit protects nothing: a thousand a second."""
BAD_TOKENS_MAX: Final = 300
PUBLIC_MAX: Final = {4: 2**16, 6: 2**80}
"""Public addresses, by version of the protocol, above which the proxies are not those of one installation: a /16, or a /48."""
MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""The addresses of the fourth version, written as those of the sixth."""
PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
"""The members of a JWK that are secret (RFC 7518, section 6; RFC 8037, section 2)."""


def _development_tokens(subject: Subject) -> Iterator[Finding]:
    for one in subject.having("JWT_ALLOW_HS256_DEVELOPMENT"):
        if one.is_true("JWT_ALLOW_HS256_DEVELOPMENT") or one.value("JWT_SECRET_FILE"):
            yield Finding(
                code="development_tokens",
                place=one.service,
                sentence="Tokens signed by a shared secret (HS256) are accepted, so every service could make tokens: "
                "unset JWT_ALLOW_HS256_DEVELOPMENT and JWT_SECRET_FILE.",
            )
        if one.value("JWT_ISSUER") == tokens.ISSUER:
            yield Finding(
                code="development_tokens",
                place=one.service,
                sentence=f"JWT_ISSUER is {tokens.ISSUER}, the issuer of local stacks: name your identity provider.",
            )


def _token_keys(subject: Subject) -> Iterator[Finding]:
    for one in subject.having("JWT_JWKS_FILE"):
        file, url = one.value("JWT_JWKS_FILE"), one.value("JWT_JWKS_URL")
        if bool(file) == bool(url):
            yield Finding(
                code="token_keys",
                place=one.service,
                sentence="JWT_JWKS_FILE and JWT_JWKS_URL are both set: leave one of them out."
                if file
                else "No public keys of access tokens are named: set JWT_JWKS_URL or JWT_JWKS_FILE.",
            )
        if url and urlsplit(url).scheme != "https":
            yield Finding(
                code="token_keys",
                place=one.service,
                sentence="JWT_JWKS_URL does not begin with https://, so anyone on the way could replace the keys.",
            )
        document = one.document("JWT_JWKS_FILE")
        if document is None:
            continue
        found: Any = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(found, list) or not found or not all(isinstance(key, dict) for key in found):
            yield Finding(
                code="token_keys",
                place=one.service,
                sentence=f"{file} has no list `keys` with public keys: no token could be checked.",
            )
        elif any(PRIVATE_MEMBERS & key.keys() for key in found):
            yield Finding(
                code="private_key_published",
                place=one.service,
                sentence=f"{file} holds a private or symmetric key: replace that key everywhere, since it is known now.",
            )


def _proxies(subject: Subject) -> Iterator[Finding]:
    for one in subject.having("JWT_JWKS_FILE"):
        found = one.values("HTTP_TRUSTED_PROXIES")
        if all(_is_loopback(part) for part in found):
            yield Finding(
                code="proxies",
                place=one.service,
                sentence="HTTP_TRUSTED_PROXIES names no proxy beside the own machine, so all clients count as one address: "
                "name the network of the ingress.",
            )
        if everybody := _public_in(found):
            yield Finding(
                code="proxies",
                place=one.service,
                sentence=f"HTTP_TRUSTED_PROXIES trusts every address in {everybody}, so a client there can choose the address it "
                "is counted under: name the network of the ingress only.",
            )


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_network(text, strict=False).is_loopback
    except ValueError:
        return False


def _public_in(parts: Iterable[str]) -> str:
    """The networks of public addresses among these, if together they are more than a proxy needs; else an empty text."""
    if "*" in parts:
        return "the internet"
    found: dict[int, list[Any]] = {4: [], 6: []}
    for part in parts:
        with suppress(ValueError):
            network = ipaddress.ip_network(part, strict=False)
            if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(MAPPED):
                low = ipaddress.ip_address(int(network.network_address) & 0xFFFF_FFFF)
                network = ipaddress.ip_network(f"{low}/{network.prefixlen - 96}")
            found[network.version].append(network)
    wide = []
    for version, networks in found.items():
        public = [one for one in ipaddress.collapse_addresses(networks) if one.is_global]
        if sum(one.num_addresses for one in public) > PUBLIC_MAX[version]:
            wide += public
    return ", ".join(map(str, wide))


def _request_limits(subject: Subject) -> Iterator[Finding]:
    limits = {
        "HTTP_RATE_PER_MINUTE": REQUESTS_MAX,
        "HTTP_ANONYMOUS_RATE_PER_MINUTE": REQUESTS_MAX,
        "HTTP_BAD_TOKENS_PER_MINUTE": BAD_TOKENS_MAX,
    }
    for one in subject.services:
        for name, most in limits.items():
            value = one.value(name)
            if value.isdigit() and int(value) > most:
                yield Finding(
                    code="request_limits",
                    place=one.service,
                    sentence=f"{name} is {value}, which limits nothing: {most} a minute is the most that protects.",
                )


def _origins(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for origin in one.values("HTTP_CORS_ORIGINS"):
            if origin == "*" or urlsplit(origin).scheme != "https":
                yield Finding(
                    code="open_origins",
                    place=one.service,
                    sentence=f"HTTP_CORS_ORIGINS has {origin}: name the https origins of your own pages only.",
                )


RULES: Final = (_development_tokens, _token_keys, _proxies, _request_limits, _origins)
