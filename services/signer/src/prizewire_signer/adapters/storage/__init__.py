"""The signer's records in PostgreSQL, behind the handlers' ports."""

from prizewire_signer.adapters.storage.book import SqlBook
from prizewire_signer.adapters.storage.checks import breaches_of, queue_state
from prizewire_signer.adapters.storage.closing import SqlClosingBook

__all__ = ["SqlBook", "SqlClosingBook", "breaches_of", "queue_state"]
