"""The signer's records in PostgreSQL, behind the handlers' ports."""

from prizewire_signer.adapters.storage.book import SqlBook
from prizewire_signer.adapters.storage.checks import breaches_of, queue_state
from prizewire_signer.adapters.storage.closing import SqlClosingBook
from prizewire_signer.adapters.storage.refusals import SqlRefusals

__all__ = ["SqlBook", "SqlClosingBook", "SqlRefusals", "breaches_of", "queue_state"]
