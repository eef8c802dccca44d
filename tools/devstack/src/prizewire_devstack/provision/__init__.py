"""Provision an installation without Kubernetes: keys, databases, topics, the accounts of a local chain.

Each step may be repeated: what is there stays.
"""
