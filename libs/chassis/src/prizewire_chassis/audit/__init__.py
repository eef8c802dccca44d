"""The audit chain of a service: written with each admin and security action, read page by page, verified link by link."""

from prizewire_chassis.audit.chain import Audit, newest_published, verify_chain
from prizewire_chassis.audit.links import GENESIS, Break, ChainReader, link_hash
from prizewire_chassis.audit.published import SEQUENCE_MAX, SURELY_KEPT, Published
from prizewire_chassis.audit.reading import AuditFilter, AuditTable, Head, Place, published_record, read_place

__all__ = [
    "GENESIS",
    "SEQUENCE_MAX",
    "SURELY_KEPT",
    "Audit",
    "AuditFilter",
    "AuditTable",
    "Break",
    "ChainReader",
    "Head",
    "Place",
    "Published",
    "link_hash",
    "newest_published",
    "published_record",
    "read_place",
    "verify_chain",
]
