"""Facts of players and the sources that may tell them."""
