"""Assets, exact amounts, rounding and prize arithmetic. Standard library only."""
