"""Source tokens: API tokens of game servers that report over HTTP."""
