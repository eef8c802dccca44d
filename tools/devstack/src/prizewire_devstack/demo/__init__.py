"""The demonstration: published and invented prize lists, from signed match events to paid prizes, every sum checked."""
