"""What a Stellar transaction is, what may become of it, and what proves it. Pure."""
