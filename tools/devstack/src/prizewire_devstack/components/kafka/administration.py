"""What an administrator sets on a broker: credentials, topics with their settings, and ACLs, from the tables."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic

from prizewire_contracts.topics import TOPICS
from prizewire_devstack import acl
from prizewire_devstack.components.kafka.acls import ANY_ACL, Acl, binding, grants_to_acls
from prizewire_devstack.components.kafka.login import SCRAM_ITERATIONS, KafkaLogin
from prizewire_devstack.topic_settings import topic_settings

ADMIN_TIMEOUT_S: Final = 30.0
"""Seconds that a broker may take for one request of the administrator."""

WaitUntil = Callable[[Callable[[], bool], float], None]
"""Waits until a condition holds, for so many seconds at most, and raises an error where it does not."""


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

    def provision(self, passwords: Mapping[str, str], *, replicas: int = 1) -> None:
        """Create credentials, topics and ACLs as the tables list them. Existing topics get the settings of the table; nothing else
        that exists is changed. `replicas` are the copies of each partition.

        Raises:
            KafkaException: the broker refused.
        """
        self._set_credentials(passwords)
        self.create_topics(acl.TOPICS, replicas=replicas)
        self._set_topic_settings(replicas=replicas)
        self.allow(grants_to_acls(acl.GRANTS))

    def create_topics(self, partitions: Mapping[str, int], *, replicas: int = 1) -> None:
        """Create the topics that are missing.

        Raises:
            KafkaException: the broker refused.
        """
        missing = partitions.keys() - self.client.list_topics(timeout=ADMIN_TIMEOUT_S).topics.keys()
        if not missing:
            return
        wait_for(
            self.client.create_topics(
                [NewTopic(name, partitions[name], replicas) for name in sorted(missing)]
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

    def _set_topic_settings(self, *, replicas: int) -> None:
        """Give every topic its settings; settings that it has already are no change."""
        changes = [
            ConfigResource(
                ResourceType.TOPIC,
                topic.name,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in topic_settings(topic, replicas=replicas).items()
                ],
            )
            for topic in TOPICS
        ]
        wait_for(self.client.incremental_alter_configs(changes).values())


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
