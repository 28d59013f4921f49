"""The vendor's language: requests out, answers in. The only wing that knows its words.

Nothing here does I/O or reads a clock.
"""

from insim_async._wire.answers import decode_call, decode_contacts, decode_receipts
from insim_async._wire.matching import all_sent, fault_of, match, match_contacts
from insim_async._wire.requests import CALL, CONTACTS, MESSAGES, PLACEHOLDER, Account, Message

__all__ = [
    "CALL",
    "CONTACTS",
    "MESSAGES",
    "PLACEHOLDER",
    "Account",
    "Message",
    "all_sent",
    "decode_call",
    "decode_contacts",
    "decode_receipts",
    "fault_of",
    "match",
    "match_contacts",
]
