"""The closed list of parts that every Prizewire service shares."""
