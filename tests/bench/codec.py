"""Bytes to values and back, without a network: G9 to G12."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from . import peers
from .calls import Bench
from .tables import Goal, Table, compare
from .timing import Run, computed, interleave

COUNT = 500
OURS, PLAIN_JSON, PYDANTIC, BARE = "insim_async", "json", "pydantic", "msgspec, one spelling"
DROPPING = "the same, dropping them"

_REPEATED = (
    "bonjour%20from%20api%20 https://arsms.co/oloe{:04d}5QPi \n \n"
    "Sent for free from PC via arsms.co/free"
)
"""The text of a receipt, as the documentation shows it."""

Work = Callable[[], object]


async def g9(_: Bench) -> list[Table]:
    from insim_async._wire.fast import documented

    body = _receipts()
    assert len(documented(body) or ()) == COUNT
    works: dict[str, Work] = {
        OURS: lambda: documented(body),
        PLAIN_JSON: lambda: json.loads(body),
        BARE: lambda: peers.decode_receipts(body),
    }
    if _has_pydantic():
        works[PYDANTIC] = _pydantic_receipts(body)
    goals = {PLAIN_JSON: Goal(at_least=3), PYDANTIC: Goal(at_least=4), BARE: Goal(at_most=1.15)}
    return [await _race(f"G9  decode {COUNT} receipts", works, goals)]


async def g10(_: Bench) -> list[Table]:
    from insim_async._wire.fast import plain_results

    body, uniform = _contacts(mixed=True), _contacts(mixed=False)
    decode = msgspec.json.Decoder(_ContactAnswer).decode
    assert len(plain_results(body) or ()) == COUNT
    works: dict[str, Work] = {
        OURS: lambda: plain_results(body),
        BARE: lambda: decode(body),
        "msgspec, one spelling that fits": lambda: decode(uniform),
        PLAIN_JSON: lambda: json.loads(body),
    }
    if _has_pydantic():
        works[PYDANTIC] = _pydantic_contacts(body)
    goals = {PYDANTIC: Goal(at_least=2.5), BARE: Goal(at_most=1.6)}
    return [
        await _race(
            f"G10 decode {COUNT} contacts, both spellings mixed", works, goals, unit="contacts"
        )
    ]


async def g11(_: Bench) -> list[Table]:
    from insim_async._wire import Message
    from insim_async._wire.fast import all_sent, are_all_sent
    from insim_async.models import SmsReceipt

    body = _receipts(operator="Exemple Télécom")
    rows = json.loads(body)
    messages = [Message(row["phone_number"], row["message"], row["id_sms_api"]) for row in rows]
    drop = msgspec.json.Decoder(list[SmsReceipt], strict=False).decode
    first, *_others = all_sent(messages, body) or ()
    assert first.extra == {"operator": "Exemple Télécom"}
    works: dict[str, Work] = {
        OURS: lambda: all_sent(messages, body),
        DROPPING: lambda: are_all_sent(messages, drop(body)),
    }
    return [
        await _race(
            f"G11 decode {COUNT} receipts with a field unknown to us",
            works,
            {DROPPING: Goal(at_most=1.15)},
        )
    ]


async def g12(_: Bench) -> list[Table]:
    from insim_async._wire import Account, Message
    from insim_async.models import Sms

    given = [
        Sms(peers.number(i), peers.text(i), sms_id=f"AbCdEfGhIjKlMnOpQr{i:04d}")
        for i in range(COUNT)
    ]
    account = Account(peers.LOGIN, peers.ACCESS_KEY)

    def structs() -> list[Message]:
        return [Message(sms.phone_number, sms.message, sms.sms_id or "") for sms in given]

    def request() -> dict[str, Any]:
        rows = [
            {"phone_number": sms.phone_number, "message": sms.message, "id_sms_api": sms.sms_id}
            for sms in given
        ]
        return {"header": peers.HEADER, "messages": rows}

    ready, ready_dicts = structs(), request()
    assert json.loads(account.messages(ready)) == ready_dicts
    works: dict[str, Work] = {
        OURS: lambda: account.messages(ready),
        "insim_async, objects made as well": lambda: account.messages(structs()),
        PLAIN_JSON: lambda: json.dumps(ready_dicts).encode(),
        "json, dicts made as well": lambda: json.dumps(request()).encode(),
    }
    if _has_pydantic():
        works[PYDANTIC] = _pydantic_request(ready_dicts)
    goals = {PLAIN_JSON: Goal(at_least=8), PYDANTIC: Goal(at_least=4)}
    return [await _race(f"G12 encode {COUNT} messages", works, goals)]


async def _race(
    title: str, works: Mapping[str, Work], goals: Mapping[str, Goal], *, unit: str = "messages"
) -> Table:
    runs: dict[str, Run] = {name: computed(work, COUNT) for name, work in works.items()}
    absent = {} if _has_pydantic() else {PYDANTIC: "pydantic is not installed"}
    return compare(title, await interleave(runs, rounds=40), goals, unit=unit, absent=absent)


def _has_pydantic() -> bool:
    return importlib.util.find_spec("pydantic") is not None


def _pydantic_receipts(body: bytes) -> Work:
    import pydantic

    class Receipt(pydantic.BaseModel):
        id_sms_api: str
        sms_per_message: int
        user: str
        sent_time: datetime
        phone_number: str
        message: str
        sent: int

    validate = pydantic.TypeAdapter(list[Receipt]).validate_json
    return lambda: validate(body)


def _pydantic_contacts(body: bytes) -> Work:
    from pydantic import AliasChoices, BaseModel, Field

    class Result(BaseModel):
        first_name: str = Field(validation_alias=AliasChoices("firstname", "first_name"))
        last_name: str = Field(validation_alias=AliasChoices("lastname", "last_name"))
        phone_number: str = Field(validation_alias=AliasChoices("phonenumber", "phone_number"))
        address: str = Field("", validation_alias=AliasChoices("adress", "address"))
        email: str = ""
        result: str
        errors: list[str] = []

    class Results(BaseModel):
        contact: list[Result]

    class Answer(BaseModel):
        data: Results

    return lambda: Answer.model_validate_json(body)


def _pydantic_request(request: Mapping[str, Any]) -> Work:
    import pydantic

    class Message(pydantic.BaseModel):
        phone_number: str
        message: str
        id_sms_api: str

    class Request(pydantic.BaseModel):
        header: dict[str, str]
        messages: list[Message]

    model = Request.model_validate(request)
    return lambda: model.model_dump_json().encode()


class _Contact(msgspec.Struct):
    firstname: str = ""
    lastname: str = ""
    phonenumber: str = ""
    adress: str = ""
    email: str = ""
    result: str = ""
    errors: list[str] = []


class _Contacts(msgspec.Struct):
    contact: list[_Contact]


class _ContactAnswer(msgspec.Struct):
    data: _Contacts


def _receipts(**extra: Any) -> bytes:
    return json.dumps(
        [
            {
                "id_sms_api": f"AbCdEfGhIjKlMnOpQr{i:04d}",
                "sms_per_message": 1,
                "user": "bench@example.org",
                "sent_time": f"2025-10-29T10:16:10.{i:03d}Z",
                "phone_number": peers.number(i),
                "message": _REPEATED.format(i),
                "sent": 1,
                **extra,
            }
            for i in range(COUNT)
        ],
        separators=(",", ":"),
    ).encode()


def _contacts(*, mixed: bool) -> bytes:
    success = ("firstname", "lastname", "phonenumber")
    failure = ("first_name", "last_name", "phone_number")
    results = []
    for i in range(COUNT):
        failed = mixed and i % 2 == 1
        first, last, number = failure if failed else success
        result: dict[str, Any] = {
            first: f"Camille{i}",
            last: f"Exemple{i}",
            number: peers.number(i),
        }
        result |= {"adress": f"{i} rue de la Paix", "email": f"c{i}@example.org"}
        result |= {"result": "failed", "errors": ["#001"]} if failed else {"result": "success"}
        results.append(result)
    return json.dumps({"data": {"contact": results}}, separators=(",", ":")).encode()
