"""Findings: what is wrong with a configuration, each with a code, a sentence and a link."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

GUIDE: Final = "docs/go-live.md"
"""The document that has a heading for each code."""


class Profile(StrEnum):
    """The environment that a configuration is checked for."""

    STAGING = "staging"
    PRODUCTION = "production"


class Severity(StrEnum):
    """Whether a configuration may go live with a finding."""

    ERROR = "error"
    WARNING = "warning"


_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

CODES: Final = {
    # settings
    "service_missing": _ERROR,
    "environment": _ERROR,
    "setting_missing": _ERROR,
    "setting_wrong": _ERROR,
    "setting_unknown": _ERROR,
    "setting_twice": _ERROR,
    "setting_not_checked": _ERROR,
    "process_environment": _ERROR,
    "placeholder": _ERROR,
    "file_missing": _ERROR,
    "file_not_checked": _ERROR,
    "secret_in_environment": _ERROR,
    "loopback": _ERROR,
    "log_level": _WARNING,
    # access
    "development_tokens": _ERROR,
    "token_keys": _ERROR,
    "private_key_published": _ERROR,
    "proxies": _ERROR,
    "request_limits": _WARNING,
    "open_origins": _ERROR,
    # chain
    "network": _ERROR,
    "live_execution": _ERROR,
    "hot_key": _ERROR,
    "key_server": _ERROR,
    "accounts": _ERROR,
    "chain_settings_differ": _ERROR,
    "gas_limit": _ERROR,
    "chain_servers": _ERROR,
    "one_chain_server": _WARNING,
    # limits
    "automatic_limits": _ERROR,
    "second_approver": _ERROR,
    "signer_policy": _ERROR,
    "payout_rules": _WARNING,
    "limit_unbounded": _WARNING,
    # rails
    "fake_rail": _ERROR,
    "mock_payments": _ERROR,
    "test_mode": _ERROR,
    "rails_differ": _ERROR,
    "webhook_targets": _ERROR,
    # keys
    "trust": _ERROR,
    "trust_differs": _ERROR,
    "key_uses": _ERROR,
    "key_age": _ERROR,
    # transport
    "plaintext": _ERROR,
    "principal": _ERROR,
    # workloads and network policies, as the manifests order them
    "image": _ERROR,
    "rights_of_pods": _ERROR,
    "foreign_program": _ERROR,
    "account_token": _ERROR,
    "environment_not_checked": _ERROR,
    "network_not_denied": _ERROR,
    "network_open": _ERROR,
    # backups, as the manifests order them
    "backups_ordered": _ERROR,
    # Kafka
    "kafka_not_checked": _ERROR,
    "brokers": _ERROR,
    "automatic_topics": _ERROR,
    "topic_missing": _ERROR,
    "topic_unknown": _WARNING,
    "topic_partitions": _ERROR,
    "topic_copies": _ERROR,
    "topic_settings": _ERROR,
    "acl_missing": _ERROR,
    "acl_unknown": _ERROR,
    # databases
    "database_not_checked": _ERROR,
    "database_version": _ERROR,
    "database_plaintext": _ERROR,
    "durability": _ERROR,
    "role_attributes": _ERROR,
    "role_rights": _ERROR,
    "role_settings": _ERROR,
    "guards_off": _ERROR,
    "not_migrated": _ERROR,
    "backups": _ERROR,
    "clock": _ERROR,
}
"""Every code with its severity. A later feature adds its codes here, its rule in `rules`, and a heading to the guide."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to change. `place` is the service or part that it concerns."""

    code: str
    place: str
    sentence: str

    @property
    def severity(self) -> Severity:
        """Whether the configuration may go live with it."""
        return CODES[self.code]

    @property
    def link(self) -> str:
        """The heading of the guide that says why, and what to do."""
        return f"{GUIDE}#{self.code}"

    def to_json(self) -> dict[str, Any]:
        """The finding as one JSON object."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "place": self.place,
            "sentence": self.sentence,
            "link": self.link,
        }
