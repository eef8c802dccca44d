"""The signer serves nothing over HTTP but health and metrics, which the chassis adds by itself."""

HTTP_MINIMAL = True
"""No route of its own, and none of those about stuck events, lineage and checks that other services serve."""
