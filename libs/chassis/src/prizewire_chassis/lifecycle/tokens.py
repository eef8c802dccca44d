"""How a service checks access tokens, from its settings."""

from urllib.parse import urlsplit

from prizewire_chassis.auth import TokenReader
from prizewire_chassis.jwks import FileKeys, KeySource, TokenKeysMalformed, UrlKeys
from prizewire_chassis.keys import read_secret
from prizewire_chassis.settings import ApiSettings, ConfigurationError, ServiceSettings

_SECRET_BYTES_MIN = 32
"""RFC 7518, section 3.2: a shorter HS256 key is guessed sooner than a signature."""


def token_reader(settings: ServiceSettings) -> TokenReader:
    """The reader that the settings describe.

    Raises:
        ConfigurationError: they name no keys, or none that may be used in this environment.
        UnsafeKeyFile: the HS256 secret is missing or readable by others.
    """
    if not isinstance(settings, ApiSettings):
        raise ConfigurationError(
            "a service with HTTP routes for people reads ApiSettings, which name the keys of access tokens"
        )
    secret = _hs256_secret(settings)
    keys = _keys(settings)
    if keys is None and secret is None:
        raise ConfigurationError(
            "no access token can be checked: set JWT_JWKS_FILE or JWT_JWKS_URL to the public keys of their issuer"
        )
    return TokenReader(
        keys=keys, issuer=settings.jwt_issuer, audience=settings.jwt_audience, hs256_secret=secret
    )


def _keys(settings: ApiSettings) -> KeySource | None:
    file, url = settings.jwt_jwks_file, settings.jwt_jwks_url
    if file is not None and url is not None:
        raise ConfigurationError("JWT_JWKS_FILE and JWT_JWKS_URL are both set: leave one of them out")
    if url is not None:
        schemes = ("https", "http") if settings.prizewire_environment == "development" else ("https",)
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise ConfigurationError(f"JWT_JWKS_URL is no address that begins with {' or '.join(schemes)}://")
        return UrlKeys(url)
    if file is None:
        return None
    try:
        return FileKeys(file)
    except TokenKeysMalformed as error:
        raise ConfigurationError(f"JWT_JWKS_FILE {file.name} is refused: {error}") from None


def _hs256_secret(settings: ApiSettings) -> str | None:
    file = settings.jwt_secret_file
    if not settings.jwt_allow_hs256_development:
        if file is not None:
            raise ConfigurationError(
                "JWT_SECRET_FILE is read only with JWT_ALLOW_HS256_DEVELOPMENT=true, since every service that checks "
                "HS256 tokens can make them: use JWT_JWKS_FILE or JWT_JWKS_URL"
            )
        return None
    if settings.prizewire_environment != "development":
        raise ConfigurationError(
            "JWT_ALLOW_HS256_DEVELOPMENT is for PRIZEWIRE_ENVIRONMENT=development: unset it, and use JWT_JWKS_FILE or "
            "JWT_JWKS_URL"
        )
    if file is None:
        raise ConfigurationError("JWT_ALLOW_HS256_DEVELOPMENT is set, and JWT_SECRET_FILE is not: set it")
    secret = read_secret(file)
    if len(secret.encode()) < _SECRET_BYTES_MIN:
        raise ConfigurationError(
            f"the token secret in JWT_SECRET_FILE is too short: HS256 wants {_SECRET_BYTES_MIN} bytes"
        )
    return secret
