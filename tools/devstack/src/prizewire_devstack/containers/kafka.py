"""The broker in its container, as clients on this machine reach it."""

from collections.abc import Callable, Mapping

from confluent_kafka.admin import AdminClient

from prizewire_devstack import acl
from prizewire_devstack.components.kafka.administration import KafkaAdministration
from prizewire_devstack.components.kafka.login import KafkaLogin
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.waiting import eventually_sync


class PublishedKafka:
    """The broker behind a port of the loopback interface."""

    def __init__(self, *, port: int, passwords: Mapping[str, str]) -> None:
        self._address = f"{LOOPBACK}:{port}"
        self._passwords = dict(passwords)
        self._administration = KafkaAdministration(self.login(acl.ADMIN), wait_until=_wait_until)

    def login(self, principal: str) -> KafkaLogin:
        """The login of `principal`.

        Raises:
            KeyError: no such principal.
        """
        return KafkaLogin(
            bootstrap_servers=self._address, username=principal, password=self._passwords[principal]
        )

    @property
    def admin(self) -> AdminClient:
        """The client of the administrator."""
        return self._administration.client

    def is_ready(self) -> bool:
        """Say whether the broker answers the administrator now."""
        return self._administration.is_ready()


def _wait_until(condition: Callable[[], bool], deadline_s: float) -> None:
    eventually_sync(condition, deadline_s=deadline_s, poll_s=0.2)
