"""The demonstration: published and made prize lists, from signed match events to paid prizes, every sum checked."""
