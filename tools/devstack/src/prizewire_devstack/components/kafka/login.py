"""Logins of principals at the broker: SASL/SCRAM over plaintext on the loopback interface."""

import base64
import hashlib
import secrets
import uuid
from dataclasses import dataclass
from typing import Any, Final

MECHANISM: Final = "SCRAM-SHA-512"
CONTROLLER_MECHANISM: Final = "PLAIN"
"""The controller stores SCRAM credentials in its metadata, so it cannot check them before it runs."""
PROTOCOL: Final = "SASL_PLAINTEXT"
SCRAM_ITERATIONS: Final = 4096


@dataclass(frozen=True, kw_only=True)
class KafkaLogin:
    """The address of the broker and the login of one principal."""

    bootstrap_servers: str
    username: str
    password: str

    def environment(self) -> dict[str, str]:
        """The variables that every service reads."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KAFKA_SECURITY_PROTOCOL": PROTOCOL,
            "KAFKA_SASL_MECHANISM": MECHANISM,
            "KAFKA_SASL_USERNAME": self.username,
            "KAFKA_SASL_PASSWORD": self.password,
        }

    def librdkafka(self) -> dict[str, Any]:
        """The configuration of a confluent-kafka client; without log lines about connections on standard error."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": PROTOCOL,
            "sasl.mechanism": MECHANISM,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 500,
            "log_level": 0,
        }

    def aiokafka(self) -> dict[str, Any]:
        """The keyword arguments of an aiokafka client."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": PROTOCOL,
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }


def new_cluster_id() -> str:
    """An id for a new Kafka cluster."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


def scram_argument(name: str, password: str) -> str:
    """What `--add-scram` of kafka-storage.sh takes for one login, with the salted password, so that the password is not on a
    command line.
    """
    salt, salted = _salted(password)
    return f"{MECHANISM}=[name={name},iterations={SCRAM_ITERATIONS},salt={salt},saltedpassword={salted}]"


def _salted(password: str) -> tuple[str, str]:
    """Salt a password as SCRAM-SHA-512 does (RFC 5802). Returns salt and salted password, both in base 64."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, SCRAM_ITERATIONS)
    return base64.b64encode(salt).decode(), base64.b64encode(salted).decode()
