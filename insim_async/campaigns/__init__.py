"""Campaigns: a list of people and a text, sent over hours or days and accounted for to the last.

::

    campaign = Campaign.open("spring.db")
    await campaign.add(read_csv("clients.csv"), "Bonjour {first_name|cher client}, ...")
    report = await campaign.run(insim)

Killed at any point and run again, it goes on: nobody gets it twice, nobody is lost.
"""

from insim_async.campaigns._states import CampaignState, Delivery, MessageStatus
from insim_async.campaigns._stop import STOP_WORDS
from insim_async.campaigns._values import (
    Added,
    CampaignMessage,
    CampaignReport,
    CampaignStatus,
    MessageCounts,
    Preview,
)
from insim_async.campaigns.campaign import Campaign
from insim_async.campaigns.pacing import Limits, SendWindow
from insim_async.errors import (
    CampaignBusy,
    CampaignChanged,
    CampaignStopped,
    LedgerUnavailable,
)

__all__ = [
    "STOP_WORDS",
    "Added",
    "Campaign",
    "CampaignBusy",
    "CampaignChanged",
    "CampaignMessage",
    "CampaignReport",
    "CampaignState",
    "CampaignStatus",
    "CampaignStopped",
    "Delivery",
    "LedgerUnavailable",
    "Limits",
    "MessageCounts",
    "MessageStatus",
    "Preview",
    "SendWindow",
]
