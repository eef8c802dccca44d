"""The outcome of a payment by the evidence of two persons."""
