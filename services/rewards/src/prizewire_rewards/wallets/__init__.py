"""What people read of wallets: balances, histories, statements; and opening balances."""
