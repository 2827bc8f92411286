"""The local endpoint: an AWS endpoint on this machine, with real Lambda code and real training."""

from .endpoint import LocalEndpoint

__all__ = ["LocalEndpoint"]
