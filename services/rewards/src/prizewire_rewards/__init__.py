"""All money state: ledger, campaigns, pools, wallets, payout requests."""
