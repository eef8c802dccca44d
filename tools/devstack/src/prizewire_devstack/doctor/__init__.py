"""`prizewire doctor`: what must be changed in a configuration before it goes live."""
