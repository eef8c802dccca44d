"""Screening services by their entry point, and one over HTTP.

The body of the request over HTTP: ``v`` (1), ``question_id``, ``payout_id``, ``destination`` with ``type`` and ``details``, ``payee``,
``amount`` (decimal string), ``asset``. The answer, of status 200: ``verdict`` (``clear`` or ``hit``), ``reference``, and ``reason``
where something was found.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from prizewire_chassis.logging import get_logger
from prizewire_contracts.screening import (
    SCREENING_ENTRY_POINTS,
    ScreeningAnswer,
    ScreeningQuestion,
    ScreeningService,
    ScreeningVerdict,
)
from prizewire_railkit import Options, RailClient, RailFault, RailMisconfigured, ScreeningContext

_OK: Final = 200
_ANSWERED: Final = (ScreeningVerdict.CLEAR, ScreeningVerdict.HIT)
_NO_ANSWER: Final = ScreeningAnswer(verdict=ScreeningVerdict.UNANSWERED)
_log = get_logger(__name__)

Factory = Callable[[ScreeningContext], ScreeningService]


class HttpScreening:
    """`prizewire_contracts.screening.ScreeningService` over HTTP, with a bearer token."""

    def __init__(self, client: RailClient, *, path: str) -> None:
        self._client = client
        self._path = path

    def __repr__(self) -> str:
        return f"HttpScreening({self._client!r})"

    async def screen(self, question: ScreeningQuestion, *, now: datetime) -> ScreeningAnswer:  # noqa: ARG002 - the port's
        """See the port."""
        try:
            found = await self._client.call(
                "POST",
                self._path,
                body={
                    "v": 1,
                    "question_id": str(question.question_id),
                    "payout_id": str(question.payout_id),
                    "destination": {"type": question.method_type, "details": dict(question.details)},
                    "payee": question.payee,
                    "amount": question.amount.to_wire(),
                    "asset": question.amount.asset.code,
                },
                headers={"idempotency-key": str(question.question_id)},
            )
        except RailFault as error:
            _log.warning("the screening service did not answer", reason=str(error))
            return _NO_ANSWER
        if found.status != _OK:
            _log.warning("the screening service refused a question", status=found.status)
            return _NO_ANSWER
        return _read(found.body)

    async def close(self) -> None:
        """See the port."""
        await self._client.close()


def _read(body: Mapping[str, Any]) -> ScreeningAnswer:
    verdict, reference, reason = body.get("verdict"), body.get("reference"), body.get("reason")
    if verdict not in _ANSWERED or not isinstance(reference, str) or not isinstance(reason, str | None):
        _log.warning("the screening service gave an answer that cannot be read")
        return _NO_ANSWER
    return ScreeningAnswer(verdict=ScreeningVerdict(verdict), reference=reference, reason=reason)


def http_screening(context: ScreeningContext) -> ScreeningService:
    """The service of the options ``url``, ``token`` (``{file: PATH}``) and ``timeout_ms`` (5000).

    Raises:
        RailMisconfigured: an option is missing, unknown or unusable.
    """
    options = context.options
    url, token = urlsplit(options.text("url")), options.secret("token")
    timeout_ms = options.integer("timeout_ms", 5_000, least=100, most=60_000)
    options.finish()
    plain = url.scheme == "http" and context.environment == "development"
    if (url.scheme != "https" and not plain) or not url.hostname or url.username is not None or url.query:
        msg = "the screening service: url must read https://HOST/PATH, or http:// in development, without a user and without a query"
        raise RailMisconfigured(msg)
    client = RailClient(
        base_url=f"{url.scheme}://{url.netloc}",
        headers={"authorization": f"Bearer {token.reveal()}"},
        timeout_s=timeout_ms / 1000,
    )
    return HttpScreening(client, path=url.path or "/")


def load_screening(*, name: str, options_file: Path | None, environment: str) -> ScreeningService | None:
    """The service that the settings name; None where they name none.

    Raises:
        RailMisconfigured: nothing brings it, several do, or its options cannot be used.
    """
    if not name:
        if options_file is not None:
            msg = "PAYOUTS_SCREENING_OPTIONS_FILE is set without PAYOUTS_SCREENING_SERVICE: name the service, or unset the file"
            raise RailMisconfigured(msg)
        return None
    announced = list(entry_points(group=SCREENING_ENTRY_POINTS, name=name))
    if len(announced) != 1:
        count = "no installed package brings" if not announced else f"{len(announced)} packages bring"
        raise RailMisconfigured(f"PAYOUTS_SCREENING_SERVICE names {name!r}, which {count}")
    factory: Factory = announced[0].load()
    options = Options(rail=name, values=_options(options_file), subject=f"the screening service {name}")
    return factory(ScreeningContext(name=name, options=options, environment=environment))


def _options(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        msg = f"PAYOUTS_SCREENING_OPTIONS_FILE {path.name} cannot be read: {error.strerror}"
        raise RailMisconfigured(msg) from None
    except yaml.YAMLError:
        raise RailMisconfigured(f"PAYOUTS_SCREENING_OPTIONS_FILE {path.name} is no YAML") from None
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise RailMisconfigured(f"PAYOUTS_SCREENING_OPTIONS_FILE {path.name} must hold a mapping of options")
    return document
