"""Facts of players, and the sources that may report them."""
