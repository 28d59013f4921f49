"""Read contact lists as people keep them: contacts, and refused rows with line and reason.

Every row ends up in one of the two, unless ``where`` leaves it out; nothing is guessed, and no cell
is evaluated. Each format has a room that finds its cells; what they mean is decided in one place.
"""

from insim_async.recipients._cards import read_vcards
from insim_async.recipients._csv import read_csv
from insim_async.recipients._mappings import read_rows
from insim_async.recipients._values import Recipients, Refusal, Row
from insim_async.recipients._workbook import read_xlsx

__all__ = ["Recipients", "Refusal", "Row", "read_csv", "read_rows", "read_vcards", "read_xlsx"]
