"""Credentials, topics and ACLs on a broker that is reached over the network."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

from prizewire_devstack.components.kafka.administration import KafkaAdministration, Provisioned
from prizewire_devstack.errors import DevstackError
from prizewire_devstack.files import read_text
from prizewire_devstack.provision.readers import login_of_admin
from prizewire_devstack.waiting import NotInTimeError, eventually_sync

WAIT_S: Final = 90.0
"""Seconds that the broker may take until it accepts the administrator."""


def provision_topics(*, secrets: Path, kafka: str, replicas: int, wait_s: float = WAIT_S) -> Provisioned:
    """Create what is missing, set passwords, and better settings; returns what was changed, and what is in no table.

    `secrets` has the file `kafka_passwords`: a JSON object with the password of each principal, the administrator's too.

    Raises:
        DevstackError: the broker does not answer, or refused.
    """
    passwords = json.loads(read_text(secrets / "kafka_passwords"))
    administration = KafkaAdministration(login_of_admin(passwords, kafka), wait_until=_wait_until)
    try:
        _wait_until(administration.is_ready, wait_s)
    except NotInTimeError as error:
        raise DevstackError(
            f"Kafka at {kafka} did not accept the administrator within {wait_s:g} s: check its address, that it runs, and the "
            "password in kafka_passwords."
        ) from error
    try:
        return administration.provision(passwords, replicas=replicas)
    except KafkaException as error:
        raise DevstackError(f"Kafka at {kafka} refused: {error.args[0].str()}.") from error
    except NotInTimeError as error:
        raise DevstackError(
            f"Kafka at {kafka} did not apply a change in time: run the command again."
        ) from error


def _wait_until(condition: Callable[[], bool], deadline_s: float) -> None:
    eventually_sync(condition, deadline_s=deadline_s, poll_s=0.2)
