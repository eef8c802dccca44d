"""The Stellar rail: payments are queued, built, signed by the signer, sent and proved."""
