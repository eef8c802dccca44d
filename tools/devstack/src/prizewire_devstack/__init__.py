"""The `prizewire` command: the local stack, the demonstration and the operator's tools."""
