"""The vendor's language: requests out, answers in. The only wing that knows its words.

Nothing here does I/O or reads a clock.
"""

from insim_async._wire.answers import read_call
from insim_async._wire.matching import Receipts, read_contacts, read_receipts, refused_account
from insim_async._wire.requests import CALL, CONTACTS, MESSAGES, PLACEHOLDER, Account, Message

__all__ = [
    "CALL",
    "CONTACTS",
    "MESSAGES",
    "PLACEHOLDER",
    "Account",
    "Message",
    "Receipts",
    "read_call",
    "read_contacts",
    "read_receipts",
    "refused_account",
]
