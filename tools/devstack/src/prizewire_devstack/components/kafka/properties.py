"""The configuration of the broker: one node that is broker and controller, small and quick to start."""

from pathlib import Path
from typing import Final

from prizewire_devstack import acl
from prizewire_devstack.components.kafka.login import CONTROLLER_MECHANISM, MECHANISM, PROTOCOL
from prizewire_devstack.ports import LOOPBACK

JVM_OPTIONS: Final = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    # The broker is short-lived and small: the second compiler costs more time and memory than it saves.
    "-XX:TieredStopAtLevel=1",
    "-Dlog4j2.level=WARN",
)
OUTSIDE_PORT: Final = 9094
"""The port of the listener for clients outside the containers' networks."""


def server_properties(
    *,
    port: int,
    controller_port: int,
    log_dir: Path,
    admin_password: str,
    controller_password: str,
    host: str = LOOPBACK,
    listen: str = LOOPBACK,
    outside: str | None = None,
) -> str:
    """The content of ``server.properties``; it holds both passwords, so its file is private. Clients reach the broker at `host`;
    it listens at the address `listen`, and its controller on the loopback interface only. `outside` is `host:port` where clients
    outside the containers' networks reach it, by one more listener at OUTSIDE_PORT.
    """
    jaas = (
        "org.apache.kafka.common.security.scram.ScramLoginModule required "
        f'username="{acl.ADMIN}" password="{admin_password}";'
    )
    # `user_NAME` are the logins that the listener accepts: one, of the broker itself.
    controller_jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        f'username="{acl.CONTROLLER}" password="{controller_password}" '
        f'user_{acl.CONTROLLER}="{controller_password}";'
    )
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "log.dirs": str(log_dir),
        "listeners": f"CLIENT://{listen}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"CLIENT://{host}:{port}",
        "listener.security.protocol.map": f"CLIENT:{PROTOCOL},CONTROLLER:{PROTOCOL}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller_port}",
        "inter.broker.listener.name": "CLIENT",
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "listener.name.client.scram-sha-512.sasl.jaas.config": jaas,
        "sasl.mechanism.controller.protocol": CONTROLLER_MECHANISM,
        "listener.name.controller.sasl.enabled.mechanisms": CONTROLLER_MECHANISM,
        "listener.name.controller.plain.sasl.jaas.config": controller_jaas,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{acl.ADMIN};User:{acl.CONTROLLER}",
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A killed consumer leaves its group after its client's session timeout; this is the broker's lower limit (default 6 s).
        "group.min.session.timeout.ms": "1000",
        # A broker that was killed may register again once its former session has run out.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
    }
    if outside is not None:
        settings["listeners"] += f",OUTSIDE://{listen}:{OUTSIDE_PORT}"
        settings["advertised.listeners"] += f",OUTSIDE://{outside}"
        settings["listener.security.protocol.map"] += f",OUTSIDE:{PROTOCOL}"
        settings["listener.name.outside.scram-sha-512.sasl.jaas.config"] = jaas
    return "".join(f"{name}={value}\n" for name, value in settings.items())
