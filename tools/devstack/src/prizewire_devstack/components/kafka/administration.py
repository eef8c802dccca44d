"""What an administrator sets on a broker: credentials, topics with their settings, and ACLs, from the tables."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic

from prizewire_contracts.topics import TOPICS
from prizewire_devstack import acl
from prizewire_devstack.components.kafka.acls import (
    ANY_ACL,
    Acl,
    binding,
    grants_to_acls,
    in_words,
    read_acls,
)
from prizewire_devstack.components.kafka.login import SCRAM_ITERATIONS, KafkaLogin
from prizewire_devstack.topic_settings import below_default, suffices, topic_settings

ADMIN_TIMEOUT_S: Final = 30.0
"""Seconds that a broker may take for one request of the administrator."""

WaitUntil = Callable[[Callable[[], bool], float], None]
"""Waits until a condition holds, for so many seconds at most, and raises an error where it does not."""


@dataclass(frozen=True, kw_only=True)
class Provisioned:
    """What provisioning a cluster changed in settings of topics, and what it found beyond the tables and left, as texts."""

    changed: tuple[str, ...]
    beyond: tuple[str, ...]


class KafkaAdministration:
    """The administrator of one broker or cluster. `wait_until` waits for what the broker learns from the controller's log."""

    def __init__(self, login: KafkaLogin, *, wait_until: WaitUntil) -> None:
        self.client = AdminClient(login.librdkafka())
        self._wait_until = wait_until

    def is_ready(self) -> bool:
        """Say whether the broker answers the administrator now."""
        try:
            self.client.list_topics(timeout=1)
        except KafkaException:
            return False
        return True

    def provision(self, passwords: Mapping[str, str], *, replicas: int = 1) -> Provisioned:
        """Create credentials, topics and ACLs as the tables list them. `replicas` are the copies of each partition of a new topic.

        A setting of an existing topic is changed to the table's value only where the table's is better: more retention, more
        copies that confirm a write, larger messages, or the one right value. Nothing is deleted, and no right is taken back.

        Raises:
            KafkaException: the broker refused.
        """
        self._set_credentials(passwords)
        wanted = {topic.name: topic_settings(topic, replicas=replicas) for topic in TOPICS}
        self.create_topics(acl.TOPICS, replicas=replicas, settings=wanted)
        changed, smaller = self._set_topic_settings(wanted)
        rules = grants_to_acls(acl.GRANTS)
        self.allow(rules)
        granted, others = read_acls(self.client, timeout_s=ADMIN_TIMEOUT_S)
        unknown = sorted(in_words(rule) for rule in granted - rules)
        return Provisioned(changed=tuple(changed), beyond=(*smaller, *unknown, *others))

    def create_topics(
        self,
        partitions: Mapping[str, int],
        *,
        replicas: int = 1,
        settings: Mapping[str, dict[str, str]] = MappingProxyType({}),
    ) -> None:
        """Create the topics that are missing, with their settings.

        Raises:
            KafkaException: the broker refused.
        """
        missing = partitions.keys() - self.client.list_topics(timeout=ADMIN_TIMEOUT_S).topics.keys()
        if not missing:
            return
        wait_for(
            self.client.create_topics(
                [
                    NewTopic(name, partitions[name], replicas, config=settings.get(name, {}))
                    for name in sorted(missing)
                ]
            ).values()
        )
        wanted = set(missing)

        def known() -> bool:
            return wanted <= self.client.list_topics(timeout=ADMIN_TIMEOUT_S).topics.keys()

        self._wait_until(known, ADMIN_TIMEOUT_S)

    def allow(self, rules: Iterable[Acl]) -> None:
        """Create ACLs, and wait until the broker enforces them: it learns them from the controller's log."""
        wanted = [binding(rule) for rule in rules]
        wait_for(self.client.create_acls(wanted).values())

        def enforced() -> bool:
            known = self.client.describe_acls(ANY_ACL).result(ADMIN_TIMEOUT_S)
            return set(wanted) <= set(known)

        self._wait_until(enforced, ADMIN_TIMEOUT_S)

    def _set_credentials(self, passwords: Mapping[str, str]) -> None:
        changes: list[Any] = [
            UserScramCredentialUpsertion(
                name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS), password.encode()
            )
            for name, password in passwords.items()
            if name != acl.ADMIN
        ]
        wait_for(self.client.alter_user_scram_credentials(changes).values())
        names = sorted(passwords)

        def known() -> bool:
            futures: Any = self.client.describe_user_scram_credentials(names)
            return all(future.exception(ADMIN_TIMEOUT_S) is None for future in futures.values())

        self._wait_until(known, ADMIN_TIMEOUT_S)

    def _set_topic_settings(self, wanted: Mapping[str, Mapping[str, str]]) -> tuple[list[str], list[str]]:
        """Set what does not suffice, and fix what suffices by the broker's defaults only, since a default may change.

        Returns what was changed, and the settings outside the table that are too small, as texts.
        """
        described = self.client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
        )
        resources, changed, smaller = [], [], []
        for resource, future in described.items():
            found, entries = future.result(ADMIN_TIMEOUT_S), []
            for setting, value in wanted[resource.name].items():
                before = str(found[setting].value)
                good = suffices(setting, before, wanted=value)
                if not good:
                    changed.append(f"{resource.name}: {setting} from {before} to {value}")
                if not good or ConfigSource(found[setting].source) is not ConfigSource.DYNAMIC_TOPIC_CONFIG:
                    entries.append(_set(setting, before if good else value))
            if entries:
                resources.append(
                    ConfigResource(ResourceType.TOPIC, resource.name, incremental_configs=entries)
                )
            values = {name: str(entry.value) for name, entry in found.items()}
            smaller += [
                f"{resource.name}: {setting} is {value}, and Kafka's default is {default}"
                for setting, value, default in below_default(values)
            ]
        if resources:
            wait_for(self.client.incremental_alter_configs(resources).values())
        return changed, smaller


def _set(setting: str, value: str) -> ConfigEntry:
    return ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)


def wait_for(futures: Iterable[Future[Any]]) -> None:
    """Wait for the answers to a request. A topic that exists already is no failure.

    Raises:
        KafkaException: the broker refused.
    """
    for future in futures:
        with _ignoring(KafkaError.TOPIC_ALREADY_EXISTS):
            future.result(ADMIN_TIMEOUT_S)


@contextlib.contextmanager
def _ignoring(code: int) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        if error.args[0].code() != code:
            raise
