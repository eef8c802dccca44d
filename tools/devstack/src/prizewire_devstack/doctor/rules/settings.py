"""Rules about settings as such: missing, wrong, unknown, unfinished, or secrets where they can be read."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from prizewire_devstack.doctor.checking import wrong_settings
from prizewire_devstack.doctor.configuration import CERTIFICATES, FILE, ServiceConfiguration, Subject
from prizewire_devstack.doctor.findings import Finding
from prizewire_devstack.doctor.sources import is_public_file
from prizewire_devstack.routes import SERVICES

PLACEHOLDER: Final = re.compile(
    r"change[-_ ]?me|replace[-_ ]?(me|this)|fill[-_ ]?(me|in)|\bTODO\b|\bexample\.(com|org|net)\b|<[^<>]+>"
    r"|[\w-]\.(example|invalid)(?![\w-]|\.\w)|(?<![\d.])(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}(?!\d)",
    re.IGNORECASE,
)
"""The texts that stand where a value is still to be written. The domains are reserved by RFC 2606, the addresses by RFC 5737."""
LOOPBACK: Final = re.compile(r"(?<![\w.])(127(\.\d+){3}|localhost|\[?::1\]?)(?![\w.])")
MAY_BE_LOOPBACK: Final = frozenset({"HTTP_HOST", "HTTP_TRUSTED_PROXIES"})
OF_OTHERS: Final = re.compile(
    r"(OTEL_|LC_|XDG_)[A-Z_]*|TZ|LANG|HOME|PYTHONDONTWRITEBYTECODE|PYTHONUNBUFFERED|PGSSLROOTCERT|MALLOC_ARENA_MAX"
)
"""Variables that are read by Python, libraries or the operating system, not by a service, and that change nothing of account."""
OF_PROCESS: Final = re.compile(
    r"(PYTHON|PG|LD_|OPENSSL|SSL_?CERT|SSLKEYLOG|GLIBC_)\w*|PATH|\w*_PROXY|(REQUESTS|CURL)_CA_BUNDLE|SSL_\w+",
    re.IGNORECASE,
)
"""Variables that decide which code runs, whom TLS trusts, or through whom requests go."""
AUTHORITIES: Final = frozenset({"KAFKA_CA_FILE", "OPENBAO_CA_FILE", *CERTIFICATES})
"""The public files that are certificates: a Secret may bring them, if an object that makes it is given."""
FEW_LOGS: Final = frozenset({"INFO", "WARNING", "ERROR"})


def _missing_services(subject: Subject) -> Iterator[Finding]:
    for name in SERVICES:
        if subject.get(name) is None:
            yield Finding(
                code="service_missing",
                place=name,
                sentence=f"{name} is not configured: give it settings, since the others send it events.",
            )


def _environment(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        found = one.value("PRIZEWIRE_ENVIRONMENT")
        if found != subject.profile:
            yield Finding(
                code="environment",
                place=one.service,
                sentence=f"PRIZEWIRE_ENVIRONMENT is {found}: set it to {subject.profile}.",
            )


def _missing(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for setting in one.settings.values():
            if setting.required and not _is_given(one, setting.name):
                name = (
                    f"{setting.name}_FILE"
                    if setting.secret and not setting.name.endswith(FILE)
                    else setting.name
                )
                yield Finding(
                    code="setting_missing",
                    place=one.service,
                    sentence=f"{name} is not set: the service does not start without it.",
                )


def _is_given(one: ServiceConfiguration, name: str) -> bool:
    return bool(one.environment.get(name) or one.environment.get(f"{name}_FILE"))


def wrong(subject: Subject) -> Iterator[Finding]:
    """What the services refuse. Each is asked by its own command, all at the same time."""
    with ThreadPoolExecutor(2) as pool:
        for one, sentences in zip(subject.services, pool.map(wrong_settings, subject.services), strict=True):
            for sentence in sentences:
                yield Finding(code="setting_wrong", place=one.service, sentence=sentence)


def _unknown(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name in one.environment:
            of_secret = name.endswith(FILE) and one.knows(name.removesuffix(FILE))
            foreign = OF_OTHERS.fullmatch(name) or OF_PROCESS.fullmatch(name)
            if not one.knows(name) and not of_secret and not foreign:
                yield Finding(
                    code="setting_unknown",
                    place=one.service,
                    sentence=f"{name} is no setting of {one.service}, which ignores it: correct its name, or take it out.",
                )


def _of_process(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name in one.environment:
            if not one.knows(name) and OF_PROCESS.fullmatch(name) and not OF_OTHERS.fullmatch(name):
                yield Finding(
                    code="process_environment",
                    place=one.service,
                    sentence=f"{name} changes which code the process runs, whom its TLS trusts, or where its requests go: take "
                    "it out.",
                )


def _twice(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name in one.settings:
            if not name.endswith(FILE) and one.environment.get(name) and one.environment.get(f"{name}{FILE}"):
                yield Finding(
                    code="setting_twice",
                    place=one.service,
                    sentence=f"{name} and {name}{FILE} are both set, which the service refuses: leave one of them out.",
                )


def _by_file(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name, path in one.by_file().items():
            if path not in one.files or one.source_of(path) is not None:
                yield Finding(
                    code="setting_not_checked",
                    place=one.service,
                    sentence=f"{name} was not checked: its file {path} is not among those given. Write the value itself, or add the "
                    "file.",
                )


def _placeholders(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name, value in one.environment.items():
            if PLACEHOLDER.search(value):
                yield Finding(
                    code="placeholder",
                    place=one.service,
                    sentence=f"{name} is {value!r}, which stands for a value: write the real one.",
                )
        for path, text in one.files.items():
            if found := PLACEHOLDER.search(text):
                yield Finding(
                    code="placeholder",
                    place=one.service,
                    sentence=f"The file {path} has {found[0]!r}, which stands for a value: write the real one.",
                )


def _files(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        named = {name: one.value(name) for name, setting in one.settings.items() if is_public_file(setting)}
        named |= {name: one.environment[name] for name in CERTIFICATES & one.environment.keys()}
        for name, path in named.items():
            if not path:
                continue
            source = one.source_of(path)
            if source is not None and not (source.made and name in AUTHORITIES):
                yield Finding(
                    code="file_not_checked",
                    place=one.service,
                    sentence=f"{name} is {path}, which {source.name} brings, and was not checked: bring it by a ConfigMap that is among "
                    "the objects"
                    + (", or add the object that makes the Secret." if name in AUTHORITIES else "."),
                )
            elif source is None and path not in one.files:
                yield Finding(
                    code="file_missing",
                    place=one.service,
                    sentence=f"{name} is {path}, which is not among the files of the service: add it, so that it is checked too.",
                )


def _secrets(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name, setting in one.settings.items():
            if setting.secret and not name.endswith(FILE) and one.environment.get(name):
                yield Finding(
                    code="secret_in_environment",
                    place=one.service,
                    sentence=f"{name} is a secret in the environment: put it into a file, and name that in {name}_FILE.",
                )


def _loopback(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        for name, value in one.given().items():
            if name not in MAY_BE_LOOPBACK and LOOPBACK.search(value):
                yield Finding(
                    code="loopback",
                    place=one.service,
                    sentence=f"{name} is {value}, an address of the service's own machine: name the server.",
                )
        if not one.given().get("KAFKA_BOOTSTRAP_SERVERS"):
            yield Finding(
                code="loopback",
                place=one.service,
                sentence="KAFKA_BOOTSTRAP_SERVERS is not set, and its default is the service's own machine: name the brokers.",
            )


def _logs(subject: Subject) -> Iterator[Finding]:
    for one in subject.services:
        if subject.live and one.value("LOG_LEVEL") not in FEW_LOGS:
            yield Finding(
                code="log_level",
                place=one.service,
                sentence=f"LOG_LEVEL is {one.value('LOG_LEVEL')}: use INFO, which does not log each step of each event.",
            )


RULES: Final = (
    _missing_services,
    _environment,
    _missing,
    wrong,
    _unknown,
    _of_process,
    _twice,
    _by_file,
    _placeholders,
    _files,
    _secrets,
    _loopback,
    _logs,
)
