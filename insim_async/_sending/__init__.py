"""Sending: what may be sent, many messages at a time, and how each of them ended."""

from insim_async._sending.bulk import Bulk
from insim_async._sending.checks import Rules

__all__ = ["Bulk", "Rules"]
