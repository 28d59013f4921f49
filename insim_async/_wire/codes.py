"""The vendor's error codes, and what a row says of its message or contact."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from insim_async._privacy import is_code
from insim_async.errors import AuthenticationFailed, OutcomeUnknown, Refused
from insim_async.models import ContactResult, SmsReceipt

__all__ = ["ABOUT_THE_ACCOUNT", "error_of", "refusal_words", "with_reason"]

_SEND_ERRORS = {
    "#001": "authentication failed",
    "#002": "the account is not activated",
    "#003": "the recipient does not want SMS",
    "#004": "forbidden words",
    "#006": "empty content",
    "#007": "invalid phone number",
}
ABOUT_THE_ACCOUNT = frozenset({"#001", "#002"})
_CONTACT_ERRORS = {
    "#001": "invalid phone number",
    "#002": "empty phone number",
    "#003": "no phone number",
    "#004": "invalid e-mail",
}
_NO_RECEIPT = (
    "the answer has no receipt that is surely the message's: "
    "missing, for another number, or contradictory"
)


def error_of(
    receipt: SmsReceipt | None, *, denied: bool, account: bool
) -> Refused | OutcomeUnknown | None:
    """Return why the server did not take the message, or why nobody knows; None if it did.

    Args:
        receipt: What the server says of it.
        denied: Whether the answer as a whole says that something went wrong.
        account: Whether it has a code about the account, and no message of the request was taken.
    """
    if receipt is None:
        return OutcomeUnknown(_NO_RECEIPT)
    if receipt.sent and receipt.errors:
        return OutcomeUnknown("the server says that it sent it, and that there was an error")
    if receipt.sent and denied:
        return OutcomeUnknown(
            "the server says that it sent it, and of the request that something went wrong"
        )
    if receipt.sent:
        return None
    codes = tuple(filter(is_code, receipt.errors))
    words = refusal_words(codes, more=len(codes) < len(receipt.errors))
    return (AuthenticationFailed if account else Refused)(words, codes=codes)


def refusal_words(codes: Sequence[str], *, more: bool = False) -> str:
    """Say why a message was refused."""
    reasons = [f"{code} ({_SEND_ERRORS.get(code, 'undocumented')})" for code in codes]
    if more:
        reasons.append("in words, which stand in the receipt")  # and may repeat what they were told
    return f"the server did not send it: {', '.join(reasons) or 'no reason given'}"


def with_reason(result: ContactResult) -> ContactResult:
    """Add the error of a contact that was refused."""
    if result.ok:
        return result
    codes = tuple(filter(is_code, result.errors))
    reasons = ", ".join(f"{code} ({_CONTACT_ERRORS.get(code, 'undocumented')})" for code in codes)
    error = Refused(
        f"the server did not add the contact: {reasons or 'no code given'}", codes=codes
    )
    return replace(result, error=error)
