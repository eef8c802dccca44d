"""Events that concern payouts: requests, hints of providers, closures by the signer."""
