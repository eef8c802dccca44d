"""What a payout rail is built from: client, error mapping, stand-in base, conformance suite."""
