"""A payout rail of an invented vendor, outside of Prizewire's tree."""
