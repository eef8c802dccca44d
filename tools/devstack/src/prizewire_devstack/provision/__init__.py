"""Provision an installation without Kubernetes: keys, databases, topics, the accounts of a local chain.

Each step may be repeated: it deletes nothing, and takes no right back.
"""
