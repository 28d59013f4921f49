"""The server's side of the vendor's language: the body of a request in, an answer out.

It is written from the vendor's documentation and shares nothing with the client's own reading of
it, so that a mistake in one shows in the other. Where the documentation is silent: a refused login
is 401, a body that is not a request is 400, and a call to an impossible number fails without a
code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from insim_async import segments
from insim_async._privacy import Unshown
from insim_async.models import Contact, Priority
from insim_async.sandbox.faults import ApiCall, Fault
from insim_async.sandbox.records import SentSms
from insim_async.sandbox.state import Sandbox

__all__ = ["CALLS", "Reply", "answer", "reply_to"]

CALLS: dict[str, ApiCall] = {
    "/api/v1/sendsms": "sendsms",
    "/api/v1/sendsms.php": "sendsms",
    "/api/v1/contact": "contact",
    "/api/v1/contact.php": "contact",
    "/api/v1/clicTocall": "clicTocall",
    "/api/v1/clicTocall.php": "clicTocall",
    "/api/v1/clic.php": "clicTocall",
}
"""The call behind each path, in both of its spellings."""

_Row = dict[str, object]
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|")
_PLACEHOLDER = re.compile(r"\[Lien_Tracking\]|\[[Ll]ink\]")
_SUCCESS = ("firstname", "lastname", "phonenumber", "adress", "email")
_FAILURE = ("first_name", "last_name", "phone_number", "adress", "email")
_INFO = "please make sure the phone is connected and inSIM is running"


class _Header(Unshown, frozen=True, rename={"access_key": "accessKey"}):
    login: str = ""
    access_key: str = ""
    mode: str = "prod"
    phone_number: str = ""


class _Message(Unshown, frozen=True):
    phone_number: str = ""
    message: str = ""
    url: str = ""
    priorite: Priority = Priority.NORMAL
    date_to_send: str = ""
    id_sms_api: str = ""


class _Entry(Unshown, frozen=True):
    firstname: str = ""
    lastname: str = ""
    phone_number: str | None = None
    adress: str = ""
    email: str = ""


class _SendRequest(Struct, frozen=True):
    header: _Header
    messages: list[_Message]


class _ContactRequest(Struct, frozen=True):
    header: _Header
    contacts: list[_Entry]


class _CallRequest(Struct, frozen=True):
    header: _Header


_encode = Encoder().encode
_REFUSED = 401, {"result": "failed", "errors": ["#001"]}


class Reply(Struct, frozen=True, kw_only=True):
    """An HTTP answer; ``cut`` if only half of its body is to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool = False


def reply_to(sandbox: Sandbox, call: ApiCall, body: bytes, fault: Fault) -> Reply:
    """Play one request, and return the answer with what a fault does to it."""
    sandbox.journal.count_request()
    status, value = answer(sandbox, call, body, fault)
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.status is None and fault.body is None:
        content, kind = _encode(value), "application/json"
    else:
        content, kind = (fault.body or "").encode(), "text/html; charset=utf-8"
        status = fault.status or 200
    # Of an answer without a body nothing could be lost, unless it announces one.
    length = max(len(content), int(fault.lose_answer))
    headers |= {"Content-Type": kind, "Content-Length": str(length)}
    return Reply(status=status, headers=headers, body=content, cut=fault.lose_answer)


def answer(sandbox: Sandbox, call: ApiCall, body: bytes, fault: Fault) -> tuple[int, object]:
    """Play one request and return status and answer, ready for JSON.

    Args:
        sandbox: The account and phone that it happens to.
        call: Which of the three.
        body: The request's body.
        fault: Says whether the request takes effect, and which rows the answer lacks.
    """
    decoder, play = _PLAYS[call]
    try:
        request = decoder.decode(body)
        if fault.refuse_login or not sandbox.admits(
            request.header.login, request.header.access_key
        ):
            return _REFUSED
        rows = play(sandbox, request, fault.processes)
    except (MsgspecError, ValueError, RecursionError):
        return 400, {"result": "failed", "info": "not a request as documented"}
    rows = rows[: max(0, len(rows) - fault.drop_receipts)][:: -1 if fault.permute else 1]
    if fault.older:
        return 200, _OLDER[call](rows)
    return 200, {"data": {"contact": rows}} if call == "contact" else rows


def _send(sandbox: Sandbox, request: _SendRequest, processes: bool) -> list[_Row]:
    now = sandbox.journal.moment()
    pairs = [(_sent(sandbox, message, now), _send_errors(message)) for message in request.messages]
    good = [sms for sms, errors in pairs if not errors]
    if processes and request.header.mode == "test":
        sandbox.test(good)
    elif processes:
        sandbox.send(good)
        sandbox.refuse([replace(sms, errors=tuple(errors)) for sms, errors in pairs if errors])
    return [_receipt(sandbox.login, sms, errors) for sms, errors in pairs]


def _sent(sandbox: Sandbox, message: _Message, now: datetime) -> SentSms:
    text, link = message.message, ""
    if message.url:
        link = f"https://arsms.co/{sandbox.token(6)}"
        text, places = _PLACEHOLDER.subn(link, text)
        text = text if places else f"{text} {link}"
    if sandbox.footer:
        text = f"{text} \n \n{sandbox.footer}"
    return SentSms(
        message.phone_number,
        text,
        url=message.url,
        priority=message.priorite,
        send_at=_date(message.date_to_send),
        sms_id=message.id_sms_api or sandbox.token(8),
        link=link,
        parts=segments.count(text).parts,
        sent_at=now,
    )


def _date(text: str) -> datetime | None:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S") if text else None  # noqa: DTZ007 - no zone is documented


def _send_errors(message: _Message) -> list[str]:
    checks = (("#006", not message.message), ("#007", not _NUMBER.fullmatch(message.phone_number)))
    return [code for code, failed in checks if failed]


def _receipt(user: str, sms: SentSms, errors: list[str]) -> _Row:
    row: _Row = {
        "id_sms_api": sms.sms_id,
        "sms_per_message": sms.parts,
        "user": user,
        "sent_time": sms.sent_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "phone_number": sms.phone_number,
        "message": sms.message,
        "sent": 0 if errors else 1,
    }
    return row | {"error": errors} if errors else row


def _add(sandbox: Sandbox, request: _ContactRequest, processes: bool) -> list[_Row]:
    pairs = [(entry, _number_errors(entry.phone_number)) for entry in request.contacts]
    if processes and request.header.mode != "test":
        good = [_contact(entry) for entry, errors in pairs if not errors]
        sandbox.add(good)
    return [_contact_row(entry, errors) for entry, errors in pairs]


def _number_errors(number: str | None) -> list[str]:
    if not number:
        return ["#003" if number is None else "#002"]
    return [] if _NUMBER.fullmatch(number) else ["#001"]


def _contact(entry: _Entry) -> Contact:
    return Contact(
        str(entry.phone_number),
        first_name=entry.firstname,
        last_name=entry.lastname,
        address=entry.adress,
        email=entry.email,
    )


def _contact_row(entry: _Entry, blocking: list[str]) -> _Row:
    values = (entry.firstname, entry.lastname, entry.phone_number or "", entry.adress, entry.email)
    names = _FAILURE if blocking else _SUCCESS
    row: _Row = {
        **dict(zip(names, values, strict=True)),
        "result": "failed" if blocking else "success",
    }
    errors = blocking + ([] if _EMAIL.fullmatch(entry.email) else ["#004"])
    return row | {"errors": errors} if errors else row


def _call(sandbox: Sandbox, request: _CallRequest, processes: bool) -> list[_Row]:
    number = request.header.phone_number
    possible = _NUMBER.fullmatch(number) is not None
    rings = sandbox.phone_connected and possible
    if possible and processes and request.header.mode != "test":
        sandbox.ring(number)
    errors = [] if sandbox.phone_connected else ["#002"]
    return [{"info": _INFO, "result": "success" if rings else "failed", "errors": errors}]


# The spelling of the vendor's older pages -----------------------------------------------------


def _older_receipts(rows: list[_Row]) -> object:
    names = {
        "id_sms_api": "id_sms_api",
        "sms_per_message": "count_sms",
        "user": "user",
        "sent_time": "send_time",
        "phone_number": "phone",
        "message": "sms",
    }
    older: list[_Row] = [
        {"id_sms_api": place, "error": row["error"]}
        if "error" in row
        else {theirs: row[ours] for ours, theirs in names.items()}
        for place, row in enumerate(rows)
    ]
    failed = sum("error" in row for row in older)
    return {"data": {"data": older, "envoi": len(older) - failed}} if failed else {"data": older}


def _older_contacts(rows: list[_Row]) -> object:
    names: dict[str, str] = dict(zip(_SUCCESS, _FAILURE, strict=True))
    return {"data": [{names.get(name, name): row[name] for name in row} for row in rows]}


def _older_calls(rows: list[_Row]) -> object:
    return rows[0] if rows else {}


_OLDER: dict[ApiCall, Callable[[list[_Row]], object]] = {
    "sendsms": _older_receipts,
    "contact": _older_contacts,
    "clicTocall": _older_calls,
}
_PLAYS: dict[ApiCall, tuple[Decoder[Any], Callable[[Sandbox, Any, bool], list[_Row]]]] = {
    "sendsms": (Decoder(_SendRequest), _send),
    "contact": (Decoder(_ContactRequest), _add),
    "clicTocall": (Decoder(_CallRequest), _call),
}
