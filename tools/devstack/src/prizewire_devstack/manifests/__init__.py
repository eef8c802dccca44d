"""Manifests for Kubernetes that follow from tables: routes, topics, rights, services. `prizewire manifests` writes them to `deploy`."""

from prizewire_devstack.manifests.files import GENERATED, write_manifests

__all__ = ["GENERATED", "write_manifests"]
