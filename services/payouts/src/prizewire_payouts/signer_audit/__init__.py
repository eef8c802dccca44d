"""The audit records of the signer, which serves no HTTP: read from `prizewire.audit.v1`, kept append-only, and served here."""
