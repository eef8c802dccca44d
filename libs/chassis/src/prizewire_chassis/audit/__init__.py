"""The audit chain of a service: written with each admin and security action, read page by page, verified link by link."""

from prizewire_chassis.audit.chain import SEQUENCE_MAX, Audit, newest_published, verify_chain
from prizewire_chassis.audit.links import GENESIS, Break, ChainReader, link_hash
from prizewire_chassis.audit.reading import AuditFilter, AuditTable, Head, published_record

__all__ = [
    "GENESIS",
    "SEQUENCE_MAX",
    "Audit",
    "AuditFilter",
    "AuditTable",
    "Break",
    "ChainReader",
    "Head",
    "link_hash",
    "newest_published",
    "published_record",
    "verify_chain",
]
