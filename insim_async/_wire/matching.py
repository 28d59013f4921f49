"""Match rows with messages or contacts: one ending for each of these, in their order.

A row belongs to the message whose id it repeats. Where the server has ids of its own, or puts a
placeholder in place of one, a row counts by its place, if there are as many rows as messages, and
if its number agrees. What cannot be matched, or is contradicted, is unknown: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from insim_async._wire.answers import ReceiptRows, receipt_rows, result_rows
from insim_async._wire.codes import ABOUT_THE_ACCOUNT, error_of, refusal_words, with_reason
from insim_async._wire.fast import all_sent, plain_results
from insim_async._wire.requests import Message
from insim_async.errors import AuthenticationFailed, InSimError
from insim_async.models import Contact, ContactResult, SmsReceipt

__all__ = ["Receipts", "read_contacts", "read_receipts", "refused_account"]

_NOT_DIGITS = re.compile(r"[^0-9]+")
_DIALLED_INSIDE = re.compile(r"\(\s*0\s*\)")
_SAYS_SOMETHING, _WHOLE = 7, 9
"""Digits from which on a number tells messages apart, and those that a whole number has at least.
"""
_AS_A_FRACTION = re.compile(r"\+?[0-9]{7,}\.0+").fullmatch


class Receipts(NamedTuple):
    """How each message of a request ended, in their order.

    Attributes:
        receipts: What the server said of each; None where it said nothing of it.
        errors: Why it was not taken, or why nobody knows, or None if it was; None at all if all
            were.
    """

    receipts: Sequence[SmsReceipt | None]
    errors: Sequence[InSimError | None] | None = None


def read_receipts(messages: Sequence[Message], body: bytes) -> Receipts:
    """Read the answer to a request to send these messages.

    Raises:
        ValueError: It is not whole, or holds neither receipt nor error.
    """
    if (receipts := all_sent(messages, body)) is not None:
        return Receipts(receipts)
    answer = receipt_rows(body)
    matched = _matched(messages, answer)
    if refused := _refusal_of_the_account(messages, answer, matched):
        words = refusal_words(refused)
        return Receipts(matched, [AuthenticationFailed(words, codes=refused) for _ in messages])
    account = set() if _may_be_taken(answer) else answer.account
    return Receipts(
        matched,
        [
            error_of(receipt, denied=answer.denied, account=id(receipt) in account)
            for receipt in matched
        ],
    )


def refused_account(body: bytes) -> AuthenticationFailed | None:
    """Return the refusal of login or access key that is in an answer whose status says no."""
    try:
        errors = read_receipts([Message("", "", "")], body).errors or ()
    except ValueError:
        return None
    return next((error for error in errors if isinstance(error, AuthenticationFailed)), None)


def read_contacts(contacts: Sequence[Contact], body: bytes) -> list[ContactResult | None]:
    """Read the answer to a request to add these contacts; None for one that has no result in it.

    Where the answer has as many results as
    there are contacts, and their numbers are in order as far as they say anything, each contact has
    the one in its place; else each has the one with its number.

    Raises:
        ValueError: It is not whole, or holds no result.
    """
    results, ordered = (plain, True) if (plain := plain_results(body)) else result_rows(body)
    numbers = [contact.phone_number for contact in contacts]
    if not (ordered and len(results) == len(contacts) and all(map(_may_be, numbers, results))):
        results = [_only(number, results) for number in numbers]
    rows = [None if row is None else (_digits(row.phone_number), row.ok) for row in results]
    mistakable = _mistakable(numbers, rows)
    return [
        None if result is None or place in mistakable else with_reason(result)
        for place, result in enumerate(results)
    ]


def _may_be(number: str, result: ContactResult | None) -> bool:
    return (
        result is None or _is_mute(result.phone_number) or _same_number(number, result.phone_number)
    )


def _only(number: str, results: Iterable[ContactResult | None]) -> ContactResult | None:
    """Return the result with a contact's number, unless there are several that differ."""
    found = [each for each in results if each and _same_number(number, each.phone_number)]
    return found[0] if len({each.ok for each in found}) == 1 else None


# Messages ----------------------------------------------------------------------------------------


def _matched(messages: Sequence[Message], answer: ReceiptRows) -> list[SmsReceipt | None]:
    places = {message.id_sms_api: place for place, message in enumerate(messages)}
    in_line = answer.ordered and len(answer.receipts) == len(messages)
    by_id: dict[int, list[SmsReceipt]] = {}
    by_place: dict[int, SmsReceipt] = {}
    in_order = in_line
    for position, row in enumerate(answer.receipts):
        if row is None:
            continue
        place = places.get(row.sms_id)
        if place is None or not _is_id(row, place, position if in_line else None, messages):
            by_place[position] = row
            in_order = in_order and _is_at_home(row, messages[position])
        else:
            by_id.setdefault(place, []).append(row)
            in_order = in_order and place == position
    one_based = all(row and row.sms_id == str(at) for at, row in enumerate(answer.receipts, 1))
    matched: list[SmsReceipt | None] = []
    for place, message in enumerate(messages):
        if message.id_sms_api in answer.unclear:
            matched.append(None)
        elif place in by_id:
            matched.append(_agreed(message.phone_number, by_id[place]))
        else:
            row = by_place.get(place) if in_line else None
            stands_in = row is not None and row.sms_id in {"", "0", str(place + one_based)}
            if row is not None and not stands_in and by_id:
                row = None  # an answer that repeats our ids means another message by another id
            matched.append(_in_place(message.phone_number, row, mute=stands_in and in_order))
    rows = [
        None if row is None else (_digits(row.phone_number), _ending_of(row)) for row in matched
    ]
    mistakable = _mistakable([message.phone_number for message in messages], rows, but=by_id)
    return [None if place in mistakable else row for place, row in enumerate(matched)]


def _is_id(row: SmsReceipt, place: int, position: int | None, messages: Sequence[Message]) -> bool:
    """Say whether the id of a row, which is that of one of our messages, is surely meant as an id.

    The vendor puts 0 or the row's index in place of an id, and callers have ids such as ``"1"``.
    Such a one counts where it is in its place, or where its number is that of its own message and
    of none that the index may mean.

    Args:
        row: The row.
        place: The message that has this id.
        position: Where the row stands; None if that means nothing.
        messages: All of the request.
    """
    if not _is_like_an_index(row.sms_id, len(messages)) or place == position:
        return True
    index = int(row.sms_id)
    others = {index, index - 1, position} - {place, None}
    meant = [messages[at] for at in others if at is not None and 0 <= at < len(messages)]
    theirs = [each.phone_number for each in meant]
    return _same_number(messages[place].phone_number, row.phone_number) and not any(
        _same_number(number, row.phone_number) for number in theirs
    )


def _is_like_an_index(sms_id: str, count: int) -> bool:
    return sms_id.isdecimal() and len(sms_id) < 10 and int(sms_id) <= count


def _is_at_home(row: SmsReceipt, message: Message) -> bool:
    return not row.phone_number or _same_number(message.phone_number, row.phone_number)


def _agreed(number: str, receipts: list[SmsReceipt]) -> SmsReceipt | None:
    """Return the receipt with the message's id, unless another number or receipt contradicts it."""
    if any(_another_number(number, receipt.phone_number) for receipt in receipts):
        return None
    return receipts[0] if len({_ending_of(receipt) for receipt in receipts}) == 1 else None


def _in_place(number: str, receipt: SmsReceipt | None, *, mute: bool) -> SmsReceipt | None:
    """Return the receipt in the message's place if it is the message's.

    Without a number a row says no more than that a message was refused.

    Args:
        number: The message's.
        receipt: What stands in its place.
        mute: Whether it may be the message's without a number: it has no id either, and the others
            are in order.
    """
    if receipt is None:
        return None
    if not receipt.phone_number:
        return receipt if mute and not receipt.sent else None
    return receipt if _same_number(number, receipt.phone_number) else None


def _ending_of(receipt: SmsReceipt) -> object:
    """Return what tells two endings apart: taken, taken with an error, or refused, why ever."""
    return receipt.sent, receipt.sent and bool(receipt.errors)


def _may_be_taken(answer: ReceiptRows) -> bool:
    """Say whether a message may have been taken."""
    return any(row is None or row.sent for row in answer.receipts)


def _refusal_of_the_account(
    messages: Sequence[Message], answer: ReceiptRows, matched: Sequence[SmsReceipt | None]
) -> tuple[str, ...]:
    """Return the codes that say that the account was refused, and with it the whole request.

    They stand around the rows, or in a row that is of no message, where nothing was taken.
    """
    if _may_be_taken(answer):
        return ()
    of_a_message = {id(receipt) for receipt in matched}
    stray = [
        code
        for row in answer.receipts
        if row is not None
        and id(row) in answer.account - of_a_message
        and _is_mute(row.phone_number)
        and (not row.sms_id or _is_like_an_index(row.sms_id, len(messages)))
        for code in row.errors
    ]
    return tuple(sorted(ABOUT_THE_ACCOUNT.intersection((*answer.codes, *stray))))


# Numbers -----------------------------------------------------------------------------------------


def _digits(number: str) -> str:
    """Return the digits of a number, in any of the ways in which a server writes it.

    It may be percent-encoded, have a zero in brackets, or be a fraction.
    """
    if "%" in number:
        from urllib.parse import unquote  # slow to import, and seldom needed

        number = unquote(number)
    number = number.partition(".")[0] if _AS_A_FRACTION(number) else _DIALLED_INSIDE.sub("", number)
    return _NOT_DIGITS.sub("", number)


def _is_mute(number: str) -> bool:
    """Say whether a number tells nothing: it is missing, or masked.

    The vendor's own examples have masked ones.
    """
    return len(_digits(number)) < _SAYS_SOMETHING


def _another_number(ours: str, theirs: str) -> bool:
    digits = _digits(theirs)
    return len(digits) >= _WHOLE and ours[-_SAYS_SOMETHING:] != digits[-_SAYS_SOMETHING:]


def _same_number(ours: str, theirs: str) -> bool:
    digits = _digits(theirs).lstrip("0")
    return len(digits) >= _SAYS_SOMETHING and ours.endswith(digits)


def _mistakable(
    numbers: Sequence[str],
    rows: Sequence[tuple[str, object] | None],
    but: Collection[int] = (),
) -> set[int]:
    """Return the places whose row may be another's, and says something else than the other's.

    By place there is mistaking where a server has an order of its own: of two to one number, or to
    numbers that look the same as a server writes them (without their country code).

    Args:
        numbers: Ours.
        rows: For each the digits in its row and how that ended; None if it has none.
        but: The places whose rows were told by their id.
    """
    looks = {
        place: _looks_of(number, row)
        for place, (number, row) in enumerate(zip(numbers, rows, strict=True))
        if place not in but
    }
    endings: dict[str, set[object]] = {}
    for place, look in looks.items():
        for each in look:
            row = rows[place]
            endings.setdefault(each, set()).add(row and row[1])
    return {place for place, look in looks.items() if any(len(endings[each]) > 1 for each in look)}


def _looks_of(number: str, row: tuple[str, object] | None) -> list[str]:
    whole = row is not None and row[0] == number.removeprefix("+")
    return [number] if whole else [number, number[-_SAYS_SOMETHING:]]
