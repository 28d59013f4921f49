"""Campaigns: a list of people and a text, sent over hours or days and accounted for to the last."""

from insim_async.campaigns.pacing import Limits, SendWindow

__all__ = ["Limits", "SendWindow"]
