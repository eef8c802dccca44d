"""Facts of players that decide whether they are paid: identity check and tax form."""
